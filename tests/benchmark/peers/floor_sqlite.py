"""The floor on SQLite."""

import sqlite3
from collections.abc import Sequence

from tests.benchmark.peers.floor import Rows

CACHE_KIB = 16_384
"""As much as scalesync's own connections have."""


class Floor:
    """A mirror's file, used without anything in between."""

    def __init__(self, url: str) -> None:
        self._connection = sqlite3.connect(url.partition(":///")[2], isolation_level=None)
        self._connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        self._connection.execute("PRAGMA synchronous = NORMAL")

    def read(self, table: str) -> Rows:
        """Return the rows of a table, in the order in which they were written where that is known."""
        cursor = self._connection.execute(f"SELECT * FROM {table}")
        return Rows(table, tuple(column[0] for column in cursor.description), cursor.fetchall())

    def write(self, portion: Sequence[Rows]) -> None:
        """Write rows in one transaction."""
        self._connection.execute("BEGIN IMMEDIATE")
        for rows in portion:
            places = ", ".join("?" * len(rows.columns))
            insert = f"INSERT INTO {rows.table} ({rows.names}) VALUES ({places})"
            over = rows.upsert if rows.table == "tasks" else ""
            self._connection.executemany(f"{insert} {over}", rows.rows)
        self._connection.execute("COMMIT")

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()
