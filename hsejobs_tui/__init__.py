"""The operator's TUI: shows the queues and lets an operator act on their jobs."""
