"""The seals of batches: between the create that comes in time and the finalize that comes after it.

A create holds the seals of its batch shared until its transaction ends, a finalize holds it alone: so a
finalize waits for creates that are not committed yet and gets a larger number than they, and creates
that come after it find the batch sealed. On SQLite the write lock does the holding.
"""

from collections.abc import Collection

from sqlalchemy import Connection, select, update

from scalesync.db.schema.queue import batch_seals
from scalesync.db.statements import insert_into


def lock(conn: Connection, scopes: Collection[str], *, alone: bool = False) -> dict[str, int]:
    """Hold the seals of `scopes` until the transaction ends, shared or `alone`.

    Returns, of those that are sealed, the command that sealed them.
    """
    if not scopes:
        return {}
    names = {_batch(scope): scope for scope in scopes}
    columns = batch_seals.c
    query = select(columns.batch, columns.sealed_by).where(columns.batch.in_(names)).order_by(columns.batch)
    query = query.with_for_update(read=not alone)
    here = dict(conn.execute(query).all())
    missing = sorted(names.keys() - here.keys())
    if missing:
        insert = insert_into(conn.dialect.name, batch_seals).on_conflict_do_nothing()
        conn.execute(insert, [{"batch": name} for name in missing])
        here = dict(conn.execute(query).all())
    return {names[name]: sealed_by for name, sealed_by in here.items() if sealed_by is not None}


def seal(conn: Connection, scope: str, command_id: int) -> None:
    """Have the scope take nothing more because of this command; its seal must be held alone."""
    conn.execute(update(batch_seals).where(batch_seals.c.batch == _batch(scope)).values(sealed_by=command_id))


def is_sealed_by(conn: Connection, scope: str, command_id: int) -> bool:
    """Return whether it is this command that sealed the scope, and hold the seal if so."""
    return lock(conn, [scope]).get(scope) == command_id


def unseal(conn: Connection, command_ids: Collection[int]) -> None:
    """Open again whatever these commands sealed."""
    conn.execute(update(batch_seals).where(batch_seals.c.sealed_by.in_(command_ids)).values(sealed_by=None))


def _batch(scope: str) -> str:
    return scope.removeprefix("batch:")
