"""A new tenant: its organisation, first administrator and everything it starts with."""
