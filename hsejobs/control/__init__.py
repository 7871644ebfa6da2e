"""The logic behind every interface (Python, CLI, HTTP, TUI): making jobs, schedules, actions, views."""
