"""The store: every Redis key and command of hsejobs."""
