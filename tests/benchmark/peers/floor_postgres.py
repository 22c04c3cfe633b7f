"""The floor on Postgres: COPY straight into the tables."""

from collections.abc import Sequence

import psycopg
from psycopg.types.string import TextLoader

from tests.benchmark.peers.floor import Rows


class PostgresFloor:
    """A mirror's database, written with the driver alone."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url)
        self._connection.adapters.register_loader("jsonb", TextLoader)

    def read(self, table: str) -> Rows:
        """Return the rows of a table, in the order in which they are stored."""
        cursor = self._connection.execute(f"SELECT * FROM {table}".encode())
        rows = cursor.fetchall()
        self._connection.commit()
        return Rows(table, tuple(column.name for column in cursor.description or ()), rows)

    def write(self, chunk: Sequence[Rows]) -> None:
        """Write rows in one transaction."""
        with self._connection.transaction(), self._connection.cursor() as cursor:
            for rows in chunk:
                with cursor.copy(f"COPY {rows.table} ({rows.names}) FROM STDIN".encode()) as copy:
                    for row in rows.rows:
                        copy.write_row(row)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
