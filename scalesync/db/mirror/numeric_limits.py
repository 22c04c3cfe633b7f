"""Write rows with numbers that Postgres cannot hold, and count the JSON values that it does not keep exactly.

Postgres's jsonb refuses numbers beyond the range of `numeric`, and drops repeated names of an object.
"""

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
    """Write rows by `put`; if Postgres rejects a number as out of range, write that number as text instead.

    Returns the result of `put` and the number of values not stored as they came. If it raises on Postgres,
    nothing of the rows is written.
    """
    repeated = sum(row.repeated for row in rows)
    if conn.dialect.name == "sqlite":
        return put(rows), repeated
    count = repeats(mapping.spec)
    for row in rows:
        known = row.derived.repeated if row.derived else None
        repeated += count(row) if known is None else known
    # Try first: a test of every number beforehand would cost each page. The savepoint keeps the caller's
    # transaction usable, which on Postgres every error would end.
    try:
        with savepoint(conn):
            return put(rows), repeated
    except DataError:
        columns = [str(column.name) for column in mapping.table.columns if isinstance(column.type, Json)]
        mended = [_mended(row, columns) for row in rows]
        # Each number that became text grew by its two quotes.
        texts = sum(map(_differing_length, rows, mended)) // len('""')
        if not texts:
            raise  # it was another value that Postgres refused
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
