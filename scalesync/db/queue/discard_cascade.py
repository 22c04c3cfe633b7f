"""Taking back what was never sent, with everything that hung on it."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, false, not_, select, text, update

from scalesync.db.queue import mirror_lookup, seals
from scalesync.db.queue.command_rows import log
from scalesync.db.schema.queue import CREATES, UNSETTLED, commands
from scalesync.db.server_clock import utc_now
from scalesync.db.statements import chunks
from scalesync.models.commands import AttemptStep, CommandKind, CommandState, Outcome

_C = commands.c
_CONTAINERS = (CommandKind.CREATE_BATCH, CommandKind.CREATE_PROJECT)

WITHOUT_EFFECT = and_(_C.state.in_((CommandState.QUEUED, CommandState.DEAD)), _C.ambiguous.is_(false()))
"""Commands in nobody's hands of which no request can have, or yet get, an effect."""

_LIVE = and_(
    text(CREATES),
    _C.state != CommandState.DISCARDED,
    not_(and_(_C.state == CommandState.DELIVERED, _C.idempotency_key.is_(None))),
)
"""Creates that made, or may yet make, the object that has the name of their resource now."""


@dataclass(frozen=True, slots=True)
class DiscardedCommand:
    """A command that was just discarded."""

    id: int
    kind: str
    resource: str

    @property
    def shown(self) -> str:
        """How people know it."""
        return named(self.id, self.kind, self.resource)


def named(command_id: int, kind: str, resource: str) -> str:
    """Return how people know a command: its number, its kind and what it is about."""
    return f"command {command_id} ({kind} {resource.partition(':')[2] or resource})"


def words(state: CommandState) -> str:
    """Return a state in people's words."""
    return {CommandState.QUEUED: "not sent yet", CommandState.SENDING: "being sent"}.get(
        state, state.replace("_", " ")
    )


def discard_matching(
    conn: Connection, which: ColumnElement[bool], outcome: Outcome, details: Mapping[int, str]
) -> list[DiscardedCommand]:
    """Discard what is `which` and without effect, and return it; `details` are logged by its ids.

    Of this and a claim of the same command exactly one wins.
    """
    changes = {
        "state": CommandState.DISCARDED,
        "outcome": outcome,
        "finished_at": utc_now(),
        "fence": _C.fence + 1,
        "not_before": None,
        "hold_reason": None,
        "discard_requested": False,
    }
    statement = update(commands).where(which, WITHOUT_EFFECT).values(changes)
    rows = conn.execute(statement.returning(_C.id, _C.fence, _C.kind, _C.resource)).all()
    log(
        conn,
        ((row.id, row.fence, AttemptStep("discard", outcome, detail=details.get(row.id))) for row in rows),
    )
    return [DiscardedCommand(row.id, row.kind, row.resource) for row in rows]


def cascade(conn: Connection, discarded: Iterable[DiscardedCommand]) -> tuple[int, ...]:
    """Draw the consequences of discards: return what can never run now, and is discarded with them.

    That is whatever is unsent and came after a discarded create, on its resource or in what it was to make,
    and so on; unless another command makes the same, or the mirror holds it. What may have an effect stays.
    A batch that one of the commands sealed is open again.
    """
    found: list[int] = []
    wave = list(discarded)
    while wave:
        for chunk in chunks([gone.id for gone in wave]):
            seals.unseal(conn, chunk)
        causes = _dependents(conn, _orphaned(conn, wave))
        wave = []
        for chunk in chunks(sorted(causes)):
            details = {one: f"It depended on {causes[one].shown}." for one in chunk}
            wave += discard_matching(conn, _C.id.in_(chunk), Outcome.DEPENDENCY_FAILED, details)
        found += [gone.id for gone in wave]
    return tuple(sorted(found))


def cancel_unsent_creates(conn: Connection, resources: Collection[str]) -> dict[str, int]:
    """Discard the creates of these resources that were never sent, with what hung on them.

    Returns the create by resource. A resource is left alone where the mirror holds its object, and where any
    create of it was, is being or may have been sent, or found the name taken: there is something to undo.
    """
    if not resources:
        return {}
    creates: dict[str, list[int]] = {}
    sent: set[str] = set()
    columns = (_C.id, _C.resource, and_(WITHOUT_EFFECT, _C.outcome.is_distinct_from(Outcome.CONFLICT)))
    query = select(*columns).where(_C.resource.in_(resources), _LIVE).order_by(_C.id)
    for command_id, resource, harmless in conn.execute(query.with_for_update()):
        creates.setdefault(resource, []).append(command_id)
        if not harmless:
            sent.add(resource)
    wanted = creates.keys() - sent
    wanted -= mirror_lookup.held(conn, wanted)
    ids = [command_id for resource in wanted for command_id in creates[resource]]
    details = dict.fromkeys(ids, "It was canceled before it was sent.")
    cascade(conn, discard_matching(conn, _C.id.in_(ids), Outcome.WITHDRAWN, details) if ids else ())
    return {resource: creates[resource][-1] for resource in wanted}


def _orphaned(conn: Connection, discarded: Iterable[DiscardedCommand]) -> dict[str, DiscardedCommand]:
    """Return the discarded creates, by resource, whose object nothing else makes or has made."""
    bare = {gone.resource: gone for gone in discarded if gone.kind.startswith("create_")}
    for chunk in chunks(list(bare)):
        others = conn.scalars(select(_C.resource).where(_C.resource.in_(chunk), _LIVE)).all()
        for resource in {*others, *mirror_lookup.held(conn, chunk)}:
            bare.pop(resource, None)
    return bare


def _dependents(conn: Connection, bare: Mapping[str, DiscardedCommand]) -> dict[int, DiscardedCommand]:
    """Return what is unsettled and came after these creates, by id, with the create it hangs on."""
    causes: dict[int, DiscardedCommand] = {}
    for chunk in chunks(bare):
        places = [resource for resource in chunk if bare[resource].kind in _CONTAINERS]
        wanted = [(_C.resource, _C.resource.in_(chunk))]
        if places:
            wanted.append((_C.depends_on, _C.depends_on.in_(places)))
        for column, condition in wanted:
            for command_id, resource in conn.execute(select(_C.id, column).where(text(UNSETTLED), condition)):
                if command_id > bare[resource].id:
                    causes[command_id] = bare[resource]
    return causes
