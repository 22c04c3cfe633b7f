"""People's own SQL."""

from collections.abc import Sequence

from sqlalchemy import Connection


def answer(conn: Connection, statement: str) -> tuple[tuple[str, ...], list[Sequence[object]]]:
    """Return the column names and rows of one statement, run as it stands."""
    result = conn.exec_driver_sql(statement)
    return tuple(result.keys()), [tuple(row) for row in result]
