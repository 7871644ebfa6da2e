"""Reports on an organisation's safety work."""
