"""Logs and alert rules."""
