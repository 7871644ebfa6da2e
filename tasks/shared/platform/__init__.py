"""The platform's data: organizations and what belongs to them, in SQLite or PostgreSQL."""
