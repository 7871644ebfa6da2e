"""hsejobs: a Huey that never loses a job and always knows where each one is."""

__version__ = "0.1.0"
