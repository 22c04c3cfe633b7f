"""The floor on Postgres."""

from collections.abc import Sequence

import psycopg
from psycopg.types.string import TextLoader

from tests.benchmark.peers.floor import Rows


class Floor:
    """A mirror's database, used without anything in between."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url)
        self._connection.adapters.register_loader("jsonb", TextLoader)
        self._connection.execute("CREATE TEMPORARY TABLE waiting (LIKE tasks) ON COMMIT DELETE ROWS")
        self._connection.commit()

    def read(self, table: str) -> Rows:
        """Return the rows of a table, as they lie there."""
        cursor = self._connection.execute(f"SELECT * FROM {table}".encode())
        rows = cursor.fetchall()
        self._connection.commit()
        return Rows(table, tuple(column.name for column in cursor.description or ()), rows)

    def write(self, portion: Sequence[Rows]) -> None:
        """Write rows in one transaction."""
        with self._connection.transaction(), self._connection.cursor() as cursor:
            for rows in portion:
                into = "waiting" if rows.table == "tasks" else rows.table
                with cursor.copy(f"COPY {into} ({rows.names}) FROM STDIN".encode()) as copy:
                    for row in rows.rows:
                        copy.write_row(row)
                if rows.table == "tasks":
                    merge = f"INSERT INTO tasks ({rows.names}) SELECT {rows.names} FROM waiting {rows.upsert}"
                    cursor.execute(merge.encode())

    def close(self) -> None:
        """Let go of the server."""
        self._connection.close()
