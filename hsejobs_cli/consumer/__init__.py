"""The consumer process that the supervisor starts."""
