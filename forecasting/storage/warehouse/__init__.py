"""The output tables in SQLite or PostgreSQL."""
