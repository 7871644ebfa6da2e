"""The ``hsejobs`` command."""
