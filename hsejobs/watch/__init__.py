"""Watching: logs, and later metrics, alert rules and health."""
