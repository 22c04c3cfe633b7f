"""The view of what was submitted, and of the tasks that came of it."""

import json

from scalesync.db.database import Database
from scalesync.db.mirror.documents import TASKS
from scalesync.db.mirror.upsert import mark_missing
from scalesync.models.commands import CommandState, NewCommand, Outcome
from scalesync.queue import new_commands
from tests.support.commands import NOON, change, mirror, put
from tests.support.view_checks import check, exported
from tests.support.view_edge_cases import ODD, done


def create(unique_id: str, **body: object) -> NewCommand:
    """Return the create of a task."""
    return new_commands.create_task("annotation", {"unique_id": unique_id, **body})


def named(task_id: int) -> str:
    """Return the result of a create that the API answered."""
    return json.dumps({"task_id": f"{task_id:024x}"})


def test_submissions_stand_beside_their_tasks(database: Database) -> None:
    """By the id that the API named, else by unique_id; what ended without effect has no task."""
    given: dict[str, tuple[CommandState, dict[str, object]]] = {
        "waiting": (CommandState.QUEUED, {}),
        "there": (CommandState.DELIVERED, {"result": named(1), "outcome": Outcome.APPLIED, "sends": 1}),
        "unseen": (CommandState.DELIVERED, {"result": named(999), "sent_at": NOON, "sends": 2}),
        "gone": (CommandState.DELIVERED, {"result": named(2)}),
        "renamed": (CommandState.DELIVERED, {"result": named(3)}),
        "nameless": (CommandState.DELIVERED, {}),
        "doubtful": (CommandState.IN_DOUBT, {"error_code": 502, "error": "Bad gateway"}),
        "refused": (CommandState.DEAD, {"outcome": Outcome.CONFLICT, "error": "has another type"}),
        "dropped": (CommandState.DISCARDED, {"outcome": Outcome.WITHDRAWN}),
        "absent": (CommandState.DELIVERED, {}),
        ODD + "😀": (CommandState.DELIVERED, {}),
    }
    ids = {name: put(database, create(name, project=ODD, batch="b" + ODD)).command_id for name in given}
    put(database, new_commands.create_batch("no task", "p"))
    for name, (state, values) in given.items():
        change(database, ids[name] or 0, state, **values)
    uncertain = ("nameless", "doubtful", "refused", "dropped", "absent", ODD + "😀")
    for number, name in enumerate(["there", "gone", "anything", *uncertain, "doubtful", "doubtful"], 1):
        mirror(database, "tasks", **done(number, "2024-01-01T00:00:00.000Z", unique_id=name))
    with database.write() as conn:
        mark_missing(conn, TASKS, [f"{number:024x}" for number in (2, 8, 11)], NOON)

    rows = check(database, "submissions", exported(database))
    became = {row["unique_id"]: row["task_id"] and int(str(row["task_id"]), 16) for row in rows}
    assert became == {
        "waiting": None, "there": 1, "unseen": 999, "gone": 2, "renamed": 3, "nameless": 4, "doubtful": 10,
        "refused": None, "dropped": None, "absent": None, ODD + "😀": 9,
    }  # fmt: skip
    assert {row["unique_id"] for row in rows if row["task_status"] is None} == {
        "waiting", "unseen", "gone", "refused", "dropped", "absent",
    }  # fmt: skip
