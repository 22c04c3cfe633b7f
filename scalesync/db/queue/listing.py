"""List the queue for people: the state of each command, and why it waits.

Whether a command is blocked, held or due follows from the conditions in `claim_conditions` that a claim uses.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, case, func, select

from scalesync.db.filters import half_open
from scalesync.db.queue.claim_conditions import blockers, due, matches, pending
from scalesync.db.queue.command_rows import command_of, named, words
from scalesync.db.schema.queue import UNSETTLED, commands
from scalesync.models.commands import Command, CommandKind, CommandState, Outcome
from scalesync.models.queue_state import CommandView, DisplayState
from scalesync.models.selection import OF_ANNOTATIONS, RANGES, Selection
from scalesync.timestamps import format_instant

_AT_ONCE = 500
"""Commands held in memory while listing."""
_C = commands.alias("c")
_HELD = _C.c.hold_reason.is_not(None)
_WAITS_FOR = case((pending(_C), func.coalesce(*blockers(_C)))).label("waits_for")
_QUERY = select(_C, _WAITS_FOR, _HELD.label("held"), due(_C).label("due"))
"""Commands with the id of the command that blocks them (`waits_for`), and whether they are held and due."""
_UNHELD = (DisplayState.READY, DisplayState.SCHEDULED, DisplayState.RETRYING, DisplayState.BLOCKED)
_STATES: dict[DisplayState, ColumnElement[bool]] = {
    **dict.fromkeys(_UNHELD, _C.c.state == CommandState.QUEUED),
    DisplayState.HELD: and_(pending(_C), _HELD),
}
"""A condition in SQL that narrows the search for a display state; other display states equal the state."""


class _Order(msgspec.Struct):
    """The payload of a create_task."""

    type: str
    body: dict[str, msgspec.Raw]


_decode_order = msgspec.json.Decoder(_Order).decode
_decode = msgspec.json.decode
_ENDS = {
    Outcome.REJECTED: "the API refused it",
    Outcome.CONFLICT: "something else has its name",
    Outcome.EXHAUSTED: "it failed too often",
    Outcome.DEPENDENCY_FAILED: "what it depended on was discarded",
}


def list_commands(  # noqa: PLR0913 - by name, and each of them a filter
    conn: Connection,
    *,
    display: DisplayState | None = None,
    kind: str | None = None,
    batch: str | None = None,
    finished: bool = True,
    after: int | None = None,
    limit: int | None = None,
) -> Iterator[CommandView]:
    """Yield commands in the order of their ids, in constant memory; a filter that is None is not applied.

    `batch` selects the create of that batch, the creates of its tasks and its finalize. Without `finished`,
    delivered and discarded commands are left out, and not read. `after`: only those with a greater id.
    """
    wanted: list[ColumnElement[bool]] = [] if finished else [matches(_C, UNSETTLED)]
    if display is not None:
        wanted.append(_STATES.get(display, _C.c.state == str(display)))
    if kind is not None:
        wanted.append(_C.c.kind == kind)
    if batch is not None:
        wanted.append(_C.c.scope == f"batch:{batch}")
    if after is not None:
        wanted.append(_C.c.id > after)
    # The exact display state is computed in Python, so the limit is applied after that and not in SQL.
    found = (one for one in _pages(conn, wanted) if display in (None, one.display))
    return islice(found, limit)


def view(conn: Connection, command_id: int) -> CommandView | None:
    """Return one command with the reason why it waits, or None if there is no such id."""
    return next(iter(_shown(conn, _QUERY.where(_C.c.id == command_id))), None)


def why(conn: Connection, command_id: int) -> list[CommandView]:
    """Return the command, the one that blocks it, and so on to the last; empty if there is no such id."""
    chain: dict[int, CommandView] = {}
    following: int | None = command_id
    # Commands move while they are read one by one, so that the chain may seem to close to a ring.
    while following is not None and following not in chain:
        one = view(conn, following)
        if one is None:
            break
        chain[following] = one
        following = one.waits_for
    return list(chain.values())


def _pages(
    conn: Connection, wanted: list[ColumnElement[bool]], *, backwards: bool = False
) -> Iterator[CommandView]:
    # Pages by id instead of one open cursor: between two pages the caller may run other statements.
    query = _QUERY.where(*wanted).limit(_AT_ONCE)
    query = query.order_by(_C.c.id.desc() if backwards else _C.c.id)
    page = _shown(conn, query)
    while page:
        yield from page
        last = page[-1].command.id
        page = _shown(conn, query.where(_C.c.id < last if backwards else _C.c.id > last))


def _shown(conn: Connection, query: Select[*tuple[Any, ...]]) -> list[CommandView]:
    rows = conn.execute(query).mappings().all()
    ids = {row["waits_for"] for row in rows if row["waits_for"] is not None}
    blocking = _named(conn, ids) if ids else {}
    return [_one(row, blocking) for row in rows]


def _named(conn: Connection, ids: Iterable[int]) -> dict[int, str]:
    """Return a phrase for each command: its number, kind, object and state."""
    columns = (_C.c.id, _C.c.kind, _C.c.resource, _C.c.state, _HELD)
    found = conn.execute(select(*columns).where(_C.c.id.in_(ids)))
    return {
        number: f"{named(number, kind, resource)}, which is {'held' if held else words(CommandState(state))}"
        for number, kind, resource, state, held in found
    }


def _one(row: RowMapping, blocking: dict[int, str]) -> CommandView:
    command, waits_for = command_of(row), row["waits_for"]
    display = _display(command, row)
    if waits_for is not None and display is not DisplayState.HELD:
        return CommandView(command, display, waits_for, f"waits for {blocking[waits_for]}")
    return CommandView(command, display, waits_for, _reason(command, display, due=bool(row["due"])))


def _display(command: Command, row: RowMapping) -> DisplayState:
    if command.state in (CommandState.QUEUED, CommandState.IN_DOUBT) and row["held"]:
        return DisplayState.HELD
    if command.state is not CommandState.QUEUED:
        return DisplayState(command.state)
    if row["waits_for"] is not None:
        return DisplayState.BLOCKED
    if row["due"]:
        return DisplayState.READY
    return DisplayState.RETRYING if command.failures or command.sends else DisplayState.SCHEDULED


def _reason(command: Command, display: DisplayState, *, due: bool) -> str | None:
    when = "" if due or command.not_before is None else f" not before {format_instant(command.not_before)}"
    if display is DisplayState.HELD:
        return command.hold_reason
    if display in (DisplayState.SCHEDULED, DisplayState.RETRYING):
        failed = f"has failed {command.failures} times, and " if command.failures else ""
        return f"{failed}is tried again{when}"
    if display in (DisplayState.DEAD, DisplayState.DISCARDED):
        return command.error or _ENDS.get(command.outcome or Outcome.WITHDRAWN)
    if display is DisplayState.DELIVERED:
        return None
    if command.discard_requested:
        return f"is discarded if the API shows that it was not applied{when}"
    return f"may have been applied: the API is asked first{when}" if command.ambiguous else None


def queued_tasks(conn: Connection, wanted: Selection) -> Iterator[bytes]:
    """Yield the selected tasks whose create is queued and not delivered yet, in constant memory.

    Each is the body of its create as compact JSON, with `type`, `command_id` and `state`. `since` and `until`
    apply to the time of queueing.
    """
    # Only tasks at the API have these: a filter on one of them selects no queued task.
    at_the_api = ("status", "customer_review_status", *OF_ANNOTATIONS, *chain.from_iterable(RANGES))
    if any(getattr(wanted, name) is not None for name in at_the_api):
        return iter(())
    conditions = [matches(_C, f"kind = '{CommandKind.CREATE_TASK}'"), matches(_C, UNSETTLED)]
    if wanted.batch is not None:
        conditions.append(_C.c.scope == f"batch:{wanted.batch}")
    if wanted.unique_id is not None:
        names = wanted.unique_id if isinstance(wanted.unique_id, tuple) else (wanted.unique_id,)
        conditions.append(_C.c.resource.in_([f"task:{name}" for name in names]))
    conditions += half_open(_C.c.created_at, wanted.since, wanted.until)
    return islice(_documents(_pages(conn, conditions, backwards=wanted.newest_first), wanted), wanted.limit)


def _documents(creates: Iterable[CommandView], wanted: Selection) -> Iterator[bytes]:
    for one in creates:
        # Project and type are in the payload, which no index covers: they are compared here.
        order = _decode_order(one.command.payload)
        project = order.body.get("project")
        if wanted.type not in (None, order.type) or not _has_any(order.body.get("tags"), wanted.tags):
            continue
        if wanted.project is None or (project is not None and _decode(project) == wanted.project):
            named = {"command_id": one.command.id, "state": one.display, "type": order.type}
            yield msgspec.json.format(msgspec.json.encode(named | order.body), indent=-1)


def _has_any(tags: msgspec.Raw | None, wanted: tuple[str, ...] | None) -> bool:
    """Return whether the tags of a body include one of those that are wanted, or none are wanted."""
    if wanted is None:
        return True
    given = None if tags is None else _decode(tags)
    return isinstance(given, list) and any(tag in given for tag in wanted)
