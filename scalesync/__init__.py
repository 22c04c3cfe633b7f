"""A complete local copy of a Scale AI annotation account, in SQLite or Postgres."""

__version__ = "0.1.0"
