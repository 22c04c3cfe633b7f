"""Put commands into the queue, each at most once.

Nothing here commits: commands exist once the caller's transaction is committed, and not before.
"""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa

from scalesync.db.queue import discard_cascade, mirror_lookup, seals
from scalesync.db.queue.command_rows import command_of, file_addresses, log
from scalesync.db.queue.conflicts import clash, is_same, mirrored_clash, sealed, unknown_file, unlike
from scalesync.db.schema.queue import KEYED, UNSETTLED, commands
from scalesync.db.server_clock import utc_now
from scalesync.db.statements import in_list, insert_into
from scalesync.errors import QueueError
from scalesync.models.commands import AttemptStep, CommandKind, CommandState, Enqueued, NewCommand, Outcome

_CHUNK = 500
_BULK_LOCK = 0x5CA1E5
_C = commands.c
_ORDER = ("kind", "resource", "scope", "depends_on", "needs", "payload", "idempotency_key", "priority")
_GIVEN = ("cid", *_ORDER)
_KEYED = sa.select(commands).where(in_list(_C.idempotency_key, "keys"), sa.text(KEYED))

EnqueueResult = Enqueued | QueueError
_Round = dict[str, NewCommand]
"""New commands by resource: a round has at most one per resource."""


def queued_creates(conn: sa.Connection, batch: str) -> list[str]:
    """Return the unique_ids of tasks queued for a batch and not delivered yet, oldest first."""
    query = sa.select(_C.resource).where(
        _C.scope == f"batch:{batch}", sa.text(f"kind = '{CommandKind.CREATE_TASK}' AND {UNSETTLED}")
    )
    return [resource.removeprefix("task:") for resource in conn.scalars(query.order_by(_C.id))]


def enqueue(conn: sa.Connection, new: NewCommand) -> Enqueued:
    """Queue one command, unless the same one is queued already or the mirror has the object it would create.

    Raises ConflictError if a command or a mirrored object has the same name and other content, and
    BatchSealedError if its batch is being finalized; nothing is changed then. On Postgres a finalize waits
    for the transactions that queue creates for its batch.
    """
    answers: dict[str, EnqueueResult] = {}
    # A round without a result: another transaction committed the key between our look-up and our insert. The
    # next round sees it (READ COMMITTED).
    while not answers:
        answers = _enqueue_round(conn, {new.resource: new})
    answer = answers[new.resource]
    if isinstance(answer, QueueError):
        raise answer
    return answer


def enqueue_many(conn: sa.Connection, orders: Iterable[NewCommand]) -> Iterator[EnqueueResult]:
    """Queue commands while the iterator is read; yield for each the result of `enqueue`, or its error.

    Needs constant memory: reads up to 500 commands ahead of what it yields. On Postgres, waits until no other
    transaction queues many commands.
    """
    # Two transactions that insert the same keys in different order would wait for each other: one at a time.
    if conn.dialect.name == "postgresql":
        conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_BULK_LOCK)))
    for chunk in _chunks(orders):
        yield from _enqueue(conn, chunk)


def _chunks(orders: Iterable[NewCommand]) -> Iterator[list[NewCommand]]:
    """Yield the commands in lists of up to 500; a command that seals a batch comes alone."""
    # In a list with creates of its batch, the finalize would be inserted together with them: it needs a later
    # round than all that came before it, and an earlier one than all that came after.
    chunk: list[NewCommand] = []
    for new in orders:
        if chunk and (len(chunk) == _CHUNK or new.seals_batch or chunk[0].seals_batch):
            yield chunk
            chunk = []
        chunk.append(new)
    if chunk:
        yield chunk


def _enqueue(conn: sa.Connection, orders: Sequence[NewCommand]) -> list[EnqueueResult]:
    """Return the result for each command, as if `enqueue` had been called for one after the other."""
    answers: dict[int, EnqueueResult] = {}
    rest = dict(enumerate(orders))
    # Each round takes the first remaining command of each resource. Those that got no answer, because another
    # transaction was in the way, are tried again; repetitions of a resource find the first one queued.
    while rest:
        numbers: dict[str, int] = {}
        for number, order in rest.items():
            numbers.setdefault(order.resource, number)
        for resource, answer in _enqueue_round(conn, {one: rest[at] for one, at in numbers.items()}).items():
            answers[numbers[resource]] = answer
        rest = {number: order for number, order in rest.items() if number not in answers}
    return [answers[number] for number in range(len(orders))]


def _enqueue_round(conn: sa.Connection, orders: _Round) -> dict[str, EnqueueResult]:
    """Return results by resource; without those whose key another transaction inserted meanwhile."""
    answers: dict[str, EnqueueResult] = {}
    # In this order: a repetition of a queued command gets its number even if the batch was sealed since.
    for settle in (_already_queued, _without_files, _already_mirrored, _sealed):
        answers |= settle(conn, {name: new for name, new in orders.items() if name not in answers})
    rest = {name: new for name, new in orders.items() if name not in answers}
    return answers | _insert(conn, rest)


def _already_queued(conn: sa.Connection, orders: _Round) -> dict[str, EnqueueResult]:
    """Return results for the commands whose idempotency key is in the queue already."""
    by_key = {new.idempotency_key: name for name, new in orders.items() if new.idempotency_key is not None}
    answers: dict[str, EnqueueResult] = {}
    if by_key:
        for row in conn.execute(_KEYED, {"keys": list(by_key)}):
            name = by_key[row.idempotency_key]
            if is_same(orders[name], row.payload):
                answers[name] = Enqueued(row.id, new=False)
            else:
                answers[name] = clash(orders[name], command_of(row))
    return answers


def _without_files(conn: sa.Connection, orders: _Round) -> dict[str, EnqueueResult]:
    """Return errors for the commands that refer to files which are not in the queue."""
    needed = {resource for new in orders.values() for resource in new.needs}
    known = file_addresses(conn, needed) if needed else {}
    missing = {name: [one for one in new.needs if one not in known] for name, new in orders.items()}
    return {name: unknown_file(resources[0]) for name, resources in missing.items() if resources}


def _already_mirrored(conn: sa.Connection, orders: _Round) -> dict[str, EnqueueResult]:
    """Return results for the creates whose object is in the mirror already."""
    creations = {name: new.creates for name, new in orders.items() if new.creates is not None}
    found = mirror_lookup.objects(conn, creations.values()) if creations else {}
    answers: dict[str, EnqueueResult] = {}
    for name, creation in creations.items():
        objects = found.get((creation.stream, creation.name), [])
        # The mirror may hold several tasks with one unique_id: the most similar one decides.
        against = sorted(((unlike(orders[name], one), one) for one in objects), key=lambda pair: len(pair[0]))
        for differing, one in against[:1]:
            known = Enqueued(None, new=False, mirrored=one.key)
            answers[name] = mirrored_clash(creation, one, differing) if differing else known
    return answers


def _sealed(conn: sa.Connection, orders: _Round) -> dict[str, EnqueueResult]:
    """Lock the batch seals and return errors for commands of batches that are being finalized."""
    scopes = {new.scope for new in orders.values() if new.scope is not None}
    if any(new.seals_batch for new in orders.values()):
        seals.lock(conn, scopes, alone=True)
        return {}
    closed = seals.lock(conn, scopes)
    return {name: sealed(new, closed[new.scope]) for name, new in orders.items() if new.scope in closed}


def _insert(conn: sa.Connection, orders: _Round) -> dict[str, EnqueueResult]:
    """Insert the commands; leaves out those whose key another transaction inserted meanwhile."""
    # A cancel of a create that was never sent discards that create, and is itself recorded as discarded.
    undone = discard_cascade.cancel_unsent_creates(
        conn, [name for name, new in orders.items() if new.cancels_create]
    )
    queued = _insert_all(conn, [new for name, new in orders.items() if name not in undone])
    withdrawn = [new for name, new in orders.items() if name in undone]
    withdrawn_ids = _insert_all(conn, withdrawn, withdrawn=True)
    details = {
        name: f"Command {undone[name]} was never sent, so there is nothing to undo." for name in undone
    }
    steps = {name: AttemptStep("discard", Outcome.WITHDRAWN, detail=details[name]) for name in withdrawn_ids}
    log(conn, [(command_id, 0, steps[name]) for name, command_id in withdrawn_ids.items()])
    for name, command_id in queued.items():
        new = orders[name]
        if new.seals_batch and new.scope is not None:
            seals.seal(conn, new.scope, command_id)
    return {
        name: Enqueued(command_id, new=True, withdrew=undone.get(name))
        for name, command_id in (queued | withdrawn_ids).items()
    }


def _insert_all(
    conn: sa.Connection, orders: Sequence[NewCommand], *, withdrawn: bool = False
) -> dict[str, int]:
    """Insert commands in order, as queued or, if `withdrawn`, as discarded; return the ids by resource.

    Skips those whose idempotency key another command has, including one committed a moment ago.
    """
    if not orders:
        return {}
    # A parameter for each value takes three times as long, most of it spent on the text of the statement.
    rows = [{"cid": uuid.uuid4().hex} | {name: getattr(new, name) for name in _ORDER} for new in orders]
    for row in rows:
        row["needs"] = row["needs"] or None
        row["depends_on"] = None if row["depends_on"] == row["resource"] else row["depends_on"]
        if conn.dialect.name == "postgresql":
            row["payload"] = msgspec.Raw(row["payload"].encode())
    given = {"rows": msgspec.json.encode(rows).decode()}
    return dict(conn.execute(_insert_statement(conn.dialect.name, withdrawn), given).all())


@cache
def _insert_statement(dialect: str, withdrawn: bool) -> sa.Executable:
    fixed: dict[str, sa.ColumnElement[Any]] = {
        "state": sa.literal_column(f"'{CommandState.DISCARDED if withdrawn else CommandState.QUEUED}'"),
        "created_at": utc_now(),
    }
    if withdrawn:
        fixed |= {"outcome": sa.literal_column(f"'{Outcome.WITHDRAWN}'"), "finished_at": utc_now()}
    given = _from_record_set() if dialect == "postgresql" else _from_list()
    # Without a WHERE, SQLite parses the ON of ON CONFLICT as the condition of a join (documented).
    source = sa.select(*given, *fixed.values()).where(sa.literal_column("true"))
    insert = insert_into(dialect, commands).from_select([*_GIVEN, *fixed], source)
    nothing = insert.on_conflict_do_nothing(index_elements=[_C.idempotency_key], index_where=sa.text(KEYED))
    return nothing.returning(_C.resource, _C.id)


def _from_list() -> list[sa.ColumnElement[Any]]:
    """Return the columns that SQLite reads from the JSON list in the parameter."""
    listed = sa.func.json_each(sa.bindparam("rows", type_=sa.Text)).table_valued("value")
    return [sa.func.json_extract(listed.c.value, sa.literal_column(f"'$.{name}'")) for name in _GIVEN]


def _from_record_set() -> list[sa.ColumnElement[Any]]:
    """Return the columns of the record set that Postgres makes of the JSON list in the parameter."""
    document = sa.cast(sa.bindparam("rows", type_=sa.Text), sa.JSON)
    columns = [sa.column(name, _C[name].type) for name in _GIVEN]
    given = (
        sa.func.json_to_recordset(document).table_valued(*columns).render_derived("given", with_types=True)
    )
    return list(given.c)
