"""Many commands into their table with few statements, each at the fastest that its database takes."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Text, cast, column, func, literal, select, text
from sqlalchemy.dialects import postgresql

from scalesync.db.dialects import insert_into
from scalesync.db.queue_tables import KEYED, commands

_C = commands.c


def insert_commands(
    conn: Connection, rows: Sequence[Mapping[str, Any]], fixed: Mapping[str, ColumnElement[Any]]
) -> dict[str, int]:
    """Insert rows that all have the same columns, in order, and the `fixed` columns with each of them.

    Leaves out those whose idempotency key another command has, also one that was not yet visible. Returns the
    others' numbers by resource.
    """
    if not rows:
        return {}
    insert = insert_into(conn.dialect.name, commands).on_conflict_do_nothing(
        index_elements=[_C.idempotency_key], index_where=text(KEYED)
    )
    returned = (_C.resource, _C.id)
    if conn.dialect.name != "postgresql":
        return dict(conn.execute(insert.values(**fixed).returning(*returned), rows).all())
    # A parameter for each value takes three times as long, most of it spent on the text of the statement.
    given = _recordset(rows)
    source = select(*given, *fixed.values())
    insert = insert.from_select([*rows[0], *fixed], source)
    return dict(conn.execute(insert.returning(*returned)).all())


def _recordset(rows: Sequence[Mapping[str, Any]]) -> list[ColumnElement[Any]]:
    """Return the columns of a table that Postgres makes of one parameter."""
    whole = [{**row, "payload": msgspec.Raw(row["payload"].encode())} for row in rows]
    document = cast(literal(msgspec.json.encode(whole).decode(), Text), postgresql.JSON)
    columns = [column(name, _C[name].type) for name in rows[0]]
    given = func.json_to_recordset(document).table_valued(*columns).render_derived("given", with_types=True)
    return list(given.c)
