"""What hsejobs is measured beside."""
