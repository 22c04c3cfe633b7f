"""Completed batches whose tasks changed are read again, in few requests however many they are."""

from collections import Counter

import pytest
from sqlalchemy import select

from scalesync.db.database import Database
from scalesync.db.schema.mirror import batches
from scalesync.sandbox import SandboxServer
from scalesync.sandbox.errors import HttpError
from scalesync.sandbox.filters import Params
from scalesync.sandbox.json_codec import Doc
from scalesync.sandbox.switches import Switches
from tests.support.sandboxes import StartSandbox
from tests.support.sync_env import sync

NUMBER = 30


@pytest.fixture
def server(start_sandbox: StartSandbox) -> SandboxServer:
    """Start a sandbox with completed batches of one completed task each, a day apart."""
    server = start_sandbox(switches=Switches(batches_reopen=True))
    account = server.backend.live
    account.save("projects", "p", {"name": "p", "type": "imageannotation", "param_history": []})
    for number in range(NUMBER):
        at = f"2024-01-{number + 1:02}T00:00:00.000Z"
        batch = {"name": f"b{number:02}", "project": "p", "status": "completed", "created_at": at}
        account.save("batches", batch["name"], batch)
        task: Doc = {"task_id": f"{number:024x}", "created_at": at, "updated_at": at, "completed_at": at}
        task |= {"type": "imageannotation", "status": "completed", "params": {}, "response": {}}
        account.save_task({**task, "project": "p", "batch": batch["name"]})
    return server


def reopen(server: SandboxServer, number: int) -> None:
    """Recall the tasks of the first batches."""
    for each in range(number):
        server.backend.recall(f"{each:024x}")


def statuses(database: Database) -> dict[str, str]:
    """Return the status of each batch here."""
    with database.read() as conn:
        return {row.name: row.status for row in conn.execute(select(batches.c.name, batches.c.status))}


def look_ups(server: SandboxServer) -> int:
    """Return how often a single batch was requested."""
    return server.backend.requests["GET /batches/{name}"]


@pytest.mark.parametrize("refused", [False, True])
def test_many_are_listed_and_looked_up_only_if_that_fails(
    server: SandboxServer, database: Database, refused: bool
) -> None:
    """Either way all that reopened are known to be open again, and only those."""
    assert sync(server, database).complete
    reopen(server, NUMBER - 1)

    def refuse(kind: str, params: Params) -> None:
        if kind == "batches" and "end_time" in params:
            raise HttpError(400, "No list of so old ones.")

    server.backend.before_list = refuse if refused else None
    assert sync(server, database).complete

    assert Counter(statuses(database).values()) == {"in_progress": NUMBER - 1, "completed": 1}
    assert look_ups(server) == (NUMBER - 1 if refused else 0)


def test_one_is_looked_up(server: SandboxServer, database: Database) -> None:
    """A list would take as many requests."""
    assert sync(server, database).complete
    reopen(server, 1)
    assert sync(server, database).complete

    assert statuses(database)["b00"] == "in_progress"
    assert look_ups(server) == 1
