"""The SQL door, on real SQLite and real PostgreSQL."""
