"""Discard commands that had no effect, with all commands that can never run without them."""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, false, not_, select, text, update

from scalesync.db.queue import mirror_lookup, seals
from scalesync.db.queue.command_rows import log, named
from scalesync.db.schema.queue import CREATES, UNSETTLED, commands
from scalesync.db.server_clock import utc_now
from scalesync.db.statements import chunks, has_any
from scalesync.models.commands import AttemptStep, CommandKind, CommandState, Outcome

_C = commands.c
_CONTAINERS = (CommandKind.CREATE_BATCH, CommandKind.CREATE_PROJECT)
_FILES = (CommandKind.IMPORT_FILE, CommandKind.UPLOAD_FILE)
_CREATES = (CommandKind.CREATE_TASK, *_CONTAINERS, *_FILES)

WITHOUT_EFFECT = and_(_C.state.in_((CommandState.QUEUED, CommandState.DEAD)), _C.ambiguous.is_(false()))
"""Commands that are not claimed and of which no request had or can still have an effect."""

# Delivered without a key: the name was freed at the API since (`Settlement.frees_key`).
_LIVE = and_(
    text(CREATES),
    _C.state != CommandState.DISCARDED,
    not_(and_(_C.state == CommandState.DELIVERED, _C.idempotency_key.is_(None))),
)
"""Creates that made, or may still make, the object that their resource names."""


class DiscardedCommand(NamedTuple):
    """A command that was just discarded."""

    id: int
    kind: str
    resource: str


def discard_matching(
    conn: Connection, which: ColumnElement[bool], outcome: Outcome, details: Mapping[int, str]
) -> list[DiscardedCommand]:
    """Discard the commands that match `which` and had no effect; return them.

    `details` are sentences for the log by command id. If a claim takes the same command at the same time,
    exactly one of the two succeeds.
    """
    # The UPDATE tests the state again on the locked row and raises the fence: a claim that was first makes it
    # match nothing, a claim that comes later finds the command discarded.
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
    steps = {row.id: AttemptStep("discard", outcome, detail=details.get(row.id)) for row in rows}
    log(conn, [(row.id, row.fence, steps[row.id]) for row in rows])
    return [DiscardedCommand(row.id, row.kind, row.resource) for row in rows]


def cascade(conn: Connection, discarded: Iterable[DiscardedCommand]) -> tuple[int, ...]:
    """Discard the commands that can never run after these discards; return their ids.

    These are unsent commands later than a discarded create, about its resource or inside the batch or project
    that it was to make, those in need of its file, and their dependents in turn; unless another command makes
    the object, or the mirror has it. Commands that may have had an effect stay. Batches that discarded
    commands sealed are opened.
    """
    found: list[int] = []
    wave = list(discarded)
    # Breadth first, one level at a time: project, its batches, their tasks. It ends, since each level
    # discards commands and a discarded one matches no more.
    while wave:
        # Open the batches of discarded finalizes, or they would refuse tasks for ever.
        for chunk in chunks([gone.id for gone in wave]):
            seals.unseal(conn, chunk)
        # What depends on creates that nobody else replaces is the next level.
        causes = _dependents(conn, _orphaned(conn, wave))
        wave = []
        for chunk in chunks(sorted(causes)):
            details = {one: f"It depended on {named(*causes[one])}." for one in chunk}
            wave += discard_matching(conn, _C.id.in_(chunk), Outcome.DEPENDENCY_FAILED, details)
        found += [gone.id for gone in wave]
    return tuple(sorted(found))


def cancel_unsent_creates(conn: Connection, resources: Collection[str]) -> dict[str, int]:
    """Discard never-sent creates of these resources and their dependents; return ids by resource.

    A resource is skipped if the mirror has its object, or if any create of it was, is being or may have been
    sent or met a conflict: then there may be an object to cancel at the API.
    """
    if not resources:
        return {}
    creates: dict[str, list[int]] = {}
    sent: set[str] = set()
    columns = (_C.id, _C.resource, and_(WITHOUT_EFFECT, _C.outcome.is_distinct_from(Outcome.CONFLICT)))
    query = select(*columns).where(_C.resource.in_(resources), _LIVE).order_by(_C.id)
    # Locked in the order of ids, so that no claim can take one of them between this test and the discard.
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
    """Return the discarded creates by resource, without those whose object exists or is made elsewhere."""
    orphans = {gone.resource: gone for gone in discarded if gone.kind in _CREATES}
    for chunk in chunks(list(orphans)):
        others = conn.scalars(select(_C.resource).where(_C.resource.in_(chunk), _LIVE)).all()
        for resource in {*others, *mirror_lookup.held(conn, chunk)}:
            orphans.pop(resource, None)
    return orphans


def _dependents(conn: Connection, orphans: Mapping[str, DiscardedCommand]) -> dict[int, DiscardedCommand]:
    """Return the later unsettled commands that depend on these creates, by id, with the create."""
    causes: dict[int, DiscardedCommand] = {}
    for chunk in chunks(orphans):
        places = [resource for resource in chunk if orphans[resource].kind in _CONTAINERS]
        wanted = [(_C.resource, _C.resource.in_(chunk))]
        if places:
            wanted.append((_C.depends_on, _C.depends_on.in_(places)))
        for column, condition in wanted:
            for command_id, resource in conn.execute(select(_C.id, column).where(text(UNSETTLED), condition)):
                # An earlier command was queued when another object had the name: it does not depend on this.
                if command_id > orphans[resource].id:
                    causes[command_id] = orphans[resource]
        files = [resource for resource in chunk if orphans[resource].kind in _FILES]
        needing = select(_C.id, _C.needs).where(
            text(UNSETTLED), _C.needs.is_not(None), has_any(_C.needs, files)
        )
        for command_id, needs in conn.execute(needing) if files else ():
            causes[command_id] = next(orphans[one] for one in json.loads(needs) if one in orphans)
    return causes
