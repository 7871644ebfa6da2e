"""The TUI's logic, without any drawing code."""
