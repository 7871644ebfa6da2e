"""What the TUI knows and does, free of anything that draws."""
