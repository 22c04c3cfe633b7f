"""The floor on SQLite: many rows in each INSERT, with the settings of scalesync's own connections."""

import sqlite3
from collections.abc import Sequence
from functools import cache
from itertools import chain, compress

from tests.benchmark.peers.floor import Row, Rows

SETTINGS = {"cache_size": -12_288, "synchronous": 1, "wal_autocheckpoint": 4_000}
"""Pragmas as scalesync sets them while it syncs; 1 is NORMAL. The file's journal mode is WAL already."""
ROWS_PER_STATEMENT = 100


class SqliteFloor:
    """A mirror's file, written with the driver alone."""

    def __init__(self, url: str) -> None:
        sqlite3.register_adapter(
            type(None), lambda _none: None
        )  # the driver binds None several times faster then
        self._connection = sqlite3.connect(url.partition(":///")[2], isolation_level=None)
        for name, value in SETTINGS.items():
            self._connection.execute(f"PRAGMA {name} = {value}")

    def read(self, table: str) -> Rows:
        """Return the rows of a table, in the order of their rowids."""
        cursor = self._connection.execute(f"SELECT * FROM {table}")
        return Rows(table, tuple(column[0] for column in cursor.description), cursor.fetchall())

    def write(self, chunk: Sequence[Rows]) -> None:
        """Write rows in one transaction."""
        self._connection.execute("BEGIN IMMEDIATE")
        for rows in chunk:
            for start in range(0, len(rows.rows), ROWS_PER_STATEMENT):
                self._insert(rows, rows.rows[start : start + ROWS_PER_STATEMENT])
        self._connection.execute("COMMIT")

    def _insert(self, into: Rows, rows: Sequence[Row]) -> None:
        # Columns that are NULL in all rows are left out: Python's driver is slowest at binding None.
        columns = list(zip(*rows, strict=True))
        used = [column.count(None) < len(rows) for column in columns]
        names = tuple(compress(into.columns, used))
        values = tuple(chain.from_iterable(zip(*compress(columns, used), strict=True)))
        self._connection.execute(_statement(into.table, names, len(rows)), values)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


@cache
def _statement(table: str, columns: tuple[str, ...], rows: int) -> str:
    row = f"({', '.join('?' * len(columns))})"
    names = ", ".join(f'"{name}"' for name in columns)
    return f"INSERT INTO {table} ({names}) VALUES {', '.join([row] * rows)}"
