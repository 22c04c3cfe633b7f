"""What a listing lacks is only missing if the API, asked for that very object, says so."""

import msgspec
from sqlalchemy import func, select

from scalesync.db.database import Database
from scalesync.db.mirror.documents import TASKS, to_row
from scalesync.db.mirror.upsert import write_rows
from scalesync.db.schema.mirror import tasks
from scalesync.models.changes import SeenBy
from scalesync.sync.planner import SyncRequest
from tests.support.sandboxes import StartSandbox
from tests.support.sync_env import differences, served, sync
from tests.sync.test_runner import missing


def test_what_the_api_still_answers_for_is_not_missing(
    start_sandbox: StartSandbox, database: Database
) -> None:
    """A task that the listing of its project lacks, for it was moved, is read by itself and put right."""
    server = start_sandbox(tasks=40)
    sync(server, database)
    task = next(iter(served(server, "tasks").values()))
    before_it_moved = to_row(TASKS, msgspec.json.encode(task | {"project": "not begun"}))
    with database.write() as conn:
        served_at = conn.execute(select(func.max(tasks.c.synced_at))).scalar_one()
        written = write_rows(conn, TASKS, [before_it_moved], SeenBy(served_at))
    assert written.changed == 1

    summary = sync(server, database, SyncRequest(full=True, projects=("not begun",)))

    assert (summary.totals.missed, missing(database)) == (0, [])
    assert differences(server, database) == {}


def test_an_incremental_pass_proves_no_absence(start_sandbox: StartSandbox, database: Database) -> None:
    """It asks for nothing that did not change, and a task that is gone stays until a full pass."""
    server = start_sandbox(tasks=40)
    sync(server, database)
    server.backend.remove("tasks", next(iter(served(server, "tasks"))))
    looked_up = server.backend.requests["GET /task/{id}"]

    assert sync(server, database).complete

    assert (missing(database), server.backend.requests["GET /task/{id}"]) == ([], looked_up)
