"""What of JSON Postgres does not give back: numbers that it cannot hold, and names given twice."""

import re
from collections.abc import Callable, Sequence

from msgspec.structs import replace
from sqlalchemy import Connection
from sqlalchemy.exc import DataError

from scalesync.db.caller_transaction import savepoint
from scalesync.db.mirror.documents import StreamMapping
from scalesync.db.types import Json
from scalesync.parsing.json_equality import is_beyond
from scalesync.parsing.row_parser import Row, repeats

_STRING_OR_NUMBER = re.compile(r'"(?:[^"\\]|\\.)*"|-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?')


def with_numeric_fallback(
    conn: Connection, mapping: StreamMapping, rows: Sequence[Row], put: Callable[[Sequence[Row]], int]
) -> tuple[int, int]:
    """Return what `put` makes of the rows, and how many values the database does not give back as they came.

    Where Postgres refuses a number, `put` gets rows in which such numbers are texts, digit by digit as they
    came. It says so only when it has them; to look at every number before would cost every page. What is
    raised leaves nothing behind on Postgres.
    """
    repeated = sum(row.repeated for row in rows)
    if conn.dialect.name == "sqlite":
        return put(rows), repeated
    count = repeats(mapping.spec)
    for row in rows:
        known = row.derived.repeated if row.derived else None
        repeated += count(row) if known is None else known
    try:
        with savepoint(conn):
            return put(rows), repeated
    except DataError:
        columns = [str(column.name) for column in mapping.table.columns if isinstance(column.type, Json)]
        mended = [_mended(row, columns) for row in rows]
        texts = sum(map(_differing_length, rows, mended)) // len('""')
        if not texts:
            raise
        with savepoint(conn):
            return put(mended), repeated + texts


def _differing_length(row: Row, mended: Row) -> int:
    return sum(len(str(mended.values[name])) - len(str(value)) for name, value in row.values.items())


def _mended(row: Row, columns: Sequence[str]) -> Row:
    given = ((name, row.values.get(name)) for name in columns)
    texts = {name: _STRING_OR_NUMBER.sub(_held, value) for name, value in given if isinstance(value, str)}
    return replace(row, values={**row.values, **texts}, derived=None)


def _held(match: re.Match[str]) -> str:
    whole, fraction, exponent = match.groups(default="")
    return f'"{match.group()}"' if whole and is_beyond(whole, fraction, exponent) else match.group()
