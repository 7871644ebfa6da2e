"""The operator's TUI: what the queues do, and everything that can be done about it."""
