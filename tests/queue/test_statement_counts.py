"""How much queueing and sending ask of the database: unlike time, statements can be counted anywhere."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Engine, event

from scalesync.db.database import Database
from scalesync.models.api import Document
from scalesync.models.commands import AttemptStep, CommandState, Outcome, Settlement
from scalesync.queue.dispatcher_store import DispatcherStore
from scalesync.queue.timing import Timing
from tests.support.commands import put_all, task

ROOM = 1.2
QUEUED = {"sqlite": 4.5, "postgresql": 5.5}
"""Statements for 500 tasks of one batch."""
PARAMETERS = 6.5
"""Of all these statements together: whatever is read or written for many tasks travels in one."""
SENT = {"sqlite": 20, "postgresql": 18}
"""Statements for a create, from a claim of its own to its settling with the task in the mirror."""


@contextmanager
def counted() -> Iterator[list[int]]:
    """Yield a list that gets the number of parameters of every statement."""
    seen: list[int] = []

    def note(_conn: Any, _cursor: Any, _statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        seen.append(len(parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def send(store: DispatcherStore) -> None:
    """Claim a create, and settle it as the API's answer would."""
    [claim] = store.claim(1)
    assert store.arm(claim)
    body = json.loads(claim.command.payload)["body"]
    made = {"task_id": f"t{claim.command.id}", "type": "annotation", "status": "pending", **body}
    document = Document(msgspec.Raw(msgspec.json.encode(made)), datetime.now(UTC))
    verdict = Settlement(CommandState.DELIVERED, Outcome.APPLIED, result="{}")
    steps = [AttemptStep("send", "delivered", 200)]
    assert store.settle(claim, verdict, steps, answer=("tasks", document)) is CommandState.DELIVERED


def test_statements_for_queueing_and_sending(database: Database) -> None:
    """Neither takes a fifth more than was recorded, nor more parameters for more tasks."""
    kind = "sqlite" if database.is_sqlite else "postgresql"
    put_all(database, (task(f"a{n}", "b") for n in range(2)))
    with counted() as queued:
        put_all(database, (task(f"b{n}", "b") for n in range(1_000)))
    store = DispatcherStore(database, "me", Timing())
    send(store)
    with counted() as sent:
        for _ in range(5):
            send(store)

    assert len(queued) / 2 <= QUEUED[kind] * ROOM
    assert sum(queued) / 2 <= PARAMETERS * ROOM
    assert len(sent) / 5 <= SENT[kind] * ROOM
