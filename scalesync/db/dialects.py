"""Where the two databases take the same statement from different classes."""

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_into(dialect: str, table: Table) -> postgresql.Insert | sqlite.Insert:
    """Return an INSERT that can say what to do on a conflict, which the plain one cannot."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
