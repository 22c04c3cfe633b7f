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
        types = [mapping.table.c[name].type for name in mapping.spec.names]
        json = [position for position, kind in enumerate(types) if isinstance(kind, Json)]
        mended = [_mended(row, json) for row in rows]
        # Each number that became text grew by its two quotes.
        texts = sum(map(_differing_length, rows, mended)) // len('""')
        if not texts:
            raise  # it was another value that Postgres refused
        with savepoint(conn):
            return put(mended), repeated + texts


def _differing_length(row: Row, mended: Row) -> int:
    pairs = zip(row.values, mended.values, strict=True)
    return sum(len(str(after)) - len(str(before)) for before, after in pairs)


def _mended(row: Row, json: Sequence[int]) -> Row:
    values = list(row.values)
    for position in json:
        if isinstance(value := values[position], str):
            values[position] = _STRING_OR_NUMBER.sub(_held, value)
    return replace(row, values=tuple(values), derived=None)


def _held(match: re.Match[str]) -> str:
    whole, fraction, exponent = match.groups(default="")
    return f'"{match.group()}"' if whole and is_beyond(whole, fraction, exponent) else match.group()
