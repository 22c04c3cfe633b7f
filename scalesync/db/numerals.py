"""Numbers of JSON that Postgres cannot hold: they are kept as texts, digit by digit as they came."""

import re
from collections.abc import Callable, Sequence

from msgspec.structs import replace
from sqlalchemy import Connection
from sqlalchemy.exc import DataError

from scalesync.db.borrowed import savepoint
from scalesync.db.documents import Mirrored
from scalesync.db.forms import Row
from scalesync.db.tables import Json

_BEFORE, _AFTER = 131_072, 16_383
"""Digits before and after the point that Postgres's `numeric` takes (documented)."""

_STRING_OR_NUMBER = re.compile(r'"(?:[^"\\]|\\.)*"|-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?')


def within_limits(
    conn: Connection, kind: Mirrored, rows: Sequence[Row], put: Callable[[Sequence[Row]], int]
) -> int:
    """Return what `put` makes of the rows, or of rows that Postgres can hold where it refuses a number.

    It says so only when it gets them; to look at every number before would cost every page. What is raised
    leaves nothing behind on Postgres.
    """
    if conn.dialect.name == "sqlite":
        return put(rows)
    try:
        with savepoint(conn):
            return put(rows)
    except DataError:
        mended = [replace(row, values=_mended(kind, row), foreseen=None) for row in rows]
        if all(after.values == before.values for after, before in zip(mended, rows, strict=True)):
            raise
        with savepoint(conn):
            return put(mended)


def _mended(kind: Mirrored, row: Row) -> dict[str, object]:
    columns = kind.table.c
    return {
        name: _STRING_OR_NUMBER.sub(_held, value)
        if isinstance(value, str) and isinstance(columns[name].type, Json)
        else value
        for name, value in row.values.items()
    }


def _held(match: re.Match[str]) -> str:
    whole, fraction, exponent = match.groups(default="")
    if not whole:
        return match.group()
    # Of an exponent as long as that the value does not matter, and Python refuses to read it.
    shift = int(exponent or 0) if len(exponent) < 9 else _BEFORE * (-2 if exponent.startswith("-") else 2)
    beyond = len(whole) + shift > _BEFORE or len(fraction) - shift > _AFTER
    return f'"{match.group()}"' if beyond else match.group()
