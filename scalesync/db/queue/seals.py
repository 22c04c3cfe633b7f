"""Batch seals: no task is queued for a batch after its finalize.

A create locks the seal of its batch shared, a finalize exclusively, until the transaction ends. So a finalize
waits for uncommitted creates and gets a larger id than they have, and later creates find the batch sealed. On
SQLite the write lock has this effect.
"""

from collections.abc import Collection

from sqlalchemy import Connection, select, update

from scalesync.db.schema.queue import batch_seals
from scalesync.db.statements import insert_into


def lock(conn: Connection, scopes: Collection[str], *, alone: bool = False) -> dict[str, int]:
    """Lock the seals of `scopes` until the transaction ends, shared or exclusively (`alone`).

    Returns the id of the sealing command for each scope that is sealed.
    """
    if not scopes:
        return {}
    names = {_batch(scope): scope for scope in scopes}
    columns = batch_seals.c
    query = select(columns.batch, columns.sealed_by).where(columns.batch.in_(names)).order_by(columns.batch)
    # Ordered by name, or two transactions with several batches could lock them crosswise.
    query = query.with_for_update(read=not alone)
    here = dict(conn.execute(query).all())
    # A batch that is new to the queue has no row that could be locked. Insert one and select again: another
    # transaction may have inserted it at the same time, and the conflict waits for that one to end.
    missing = sorted(names.keys() - here.keys())
    if missing:
        insert = insert_into(conn.dialect.name, batch_seals).on_conflict_do_nothing()
        conn.execute(insert, [{"batch": name} for name in missing])
        here = dict(conn.execute(query).all())
    return {names[name]: sealed_by for name, sealed_by in here.items() if sealed_by is not None}


def seal(conn: Connection, scope: str, command_id: int) -> None:
    """Seal the batch of a scope for this finalize; the caller holds its seal exclusively."""
    conn.execute(update(batch_seals).where(batch_seals.c.batch == _batch(scope)).values(sealed_by=command_id))


def unseal(conn: Connection, command_ids: Collection[int]) -> None:
    """Open the batches that these commands sealed."""
    conn.execute(update(batch_seals).where(batch_seals.c.sealed_by.in_(command_ids)).values(sealed_by=None))


def _batch(scope: str) -> str:
    return scope.removeprefix("batch:")
