"""The platform's data: organisations and what belongs to them, in SQLite or PostgreSQL."""
