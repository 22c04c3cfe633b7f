"""Build tasks and batches that are each an edge case, and a mirror that holds them."""

from datetime import datetime

from scalesync.db.database import Database
from scalesync.db.mirror.documents import BATCHES, TASKS
from scalesync.db.mirror.upsert import mark_missing
from scalesync.db.schema.sync import watermarks
from tests.support.commands import NOON, mirror
from tests.support.view_oracle import Doc

ODD = "O'Brien's \"100%\" 東京\n; -- {x} :y"
"""A name that has to be taken as it is."""


def task(task_id: int, *labels: str | None, **fields: object) -> Doc:
    """Return a task with a box for each label."""
    drawn = [{"type": "box", "left": 1, "top": 1, "width": 1, "height": 1, "label": name} for name in labels]
    made = {"task_id": f"{task_id:024x}", "type": "imageannotation", "created_at": "2024-01-01T00:00:00.000Z"}
    return made | ({"response": {"annotations": drawn}} if labels else {}) | fields


def done(task_id: int, completed_at: str, *labels: str | None, **fields: object) -> Doc:
    """Return a completed task."""
    return task(task_id, *labels, status="completed", completed_at=completed_at, **fields)


CORNERS = [
    done(1, "2024-01-01T01:00:00.001Z", "car", "car", None, ODD, project=ODD, batch=ODD, unique_id="a"),
    done(2, "2024-01-02T00:00:00.000Z", "car", project=ODD, batch=ODD, customer_review_status="accepted"),
    done(3, "2024-01-03T12:30:00.000Z", project=ODD, batch=ODD, customer_review_status="fixed"),
    done(4, "2024-01-01T00:00:00.499Z", "bus", project="p", batch="pair", customer_review_status="commented"),
    done(
        5, "2023-12-31T23:59:00.000Z", "bus", project="p", batch="pair", customer_review_status="unheard of"
    ),
    done(6, "2024-02-29T23:30:00.123456-05:00", created_at="2024-02-29T23:30:00+09:00", batch="alone"),
    done(7, "2024-01-05T00:00:00.000Z", "car", project=None, batch=None, created_at=None),
    task(8, status="completed", project="p", batch="no time"),
    task(9, status="pending", project="p", batch="torn", created_at="2023-06-01T00:00:00.000Z"),
    task(10, status="pending", project="q", batch="torn", created_at="2030-01-01T00:00:00.000Z"),
    task(11, "box", status="pending", created_at=None, customer_review_status="pending"),
    task(12, status="canceled", project="p", batch="gone", updated_at="2024-03-01T00:00:00.000Z"),
    task(13, status="canceled", project="p", batch="gone", completed_at="2024-01-02T00:00:00.000Z"),
    task(14, status="error", project="p", batch="faulty"),
    task(15, status="reviewing", project="p", batch="faulty", customer_review_status="rejected"),
    task(16, status=5, project=["p"], batch={"b": 1}, created_at="yesterday"),
    task(
        17,
        "car",
        project="p",
        batch="pair",
        status="pending",
        completed_at="2024-01-02T00:00:00.000Z",
        customer_review_status="rejected",
    ),
    done(18, "2024-01-09T00:00:00.000Z", "car", project="lost", batch="lost", unique_id="lost"),
    *(done(20 + n, f"2024-01-01T{n * n % 24:02}:17:33.{n:03}Z", "b", batch="eleven") for n in range(11)),
    done(
        80,
        "2024-01-08T00:00:00.000Z",
        "car",
        project="p",
        batch="versions",
        unique_id="a",
        params={"attachment": "https://images.example/1.png"},
        audits=[
            {
                "audited_by": "ada@x.example",
                "audited_at": "2024-01-09T10:00:00.000Z",
                "audit_time_secs": 12.3456,
                "audit_result": "accepted",
                "audit_source": "customer",
            },
            {"audited_by": "ada@x.example", "audit_time_secs": 20, "audit_result": "rejected"},
        ],
    ),
    done(
        81,
        "2024-01-07T23:59:59.999Z",
        "bus",
        None,
        project="p",
        batch="versions",
        params={"attachment": "https://images.example/1.png"},
        audits=[None, "no object", {"audit_result": 5, "audit_source": "scale", "audited_at": "yesterday"}],
    ),
    done(
        62,
        "2024-01-08T00:00:00.000Z",
        project="p",
        params={"attachment": 5},
        audits={"audit_result": "fixed"},
    ),
    done(83, "2024-01-08T00:00:00.000Z", project="q", params={"attachment": "https://images.example/1.png"}),
    *(done(40 + n, f"2024-01-{n + 1:02}T00:00:00Z", batch="many", project="p") for n in range(30)),
]
BATCH_CORNERS: list[Doc] = [
    {"name": ODD, "project": "of its own", "status": "in_progress"},
    {"name": "pair", "status": "completed"},
    {"name": "gone", "project": "p", "status": "staging"},
    {"name": "empty", "project": None, "status": 3},
    {"name": "torn", "project": None},
    {"name": "faulty", "project": "p", "status": "completed"},
    {"name": "removed", "project": "p", "status": "completed"},
]
EARLIER = [
    done(80, "2024-01-08T00:00:00.000Z", "van", "car"),
    done(81, "2024-01-08T00:00:00.000Z", "bus"),
    done(18, "2024-01-09T00:00:00.000Z", "bus"),
]
"""What tasks were before: with other responses."""
MISSING = f"{18:024x}"


def hold_corners(database: Database) -> None:
    """Have a mirror hold them all, some missing at the API, and tasks complete up to May 2024."""
    for doc in EARLIER + CORNERS:
        mirror(database, "tasks", **doc)
    for doc in BATCH_CORNERS:
        mirror(database, "batches", **doc)
    with database.write() as conn:
        mark_missing(conn, TASKS, [MISSING], NOON)
        mark_missing(conn, BATCHES, ["removed", "faulty"], NOON)
        conn.execute(
            watermarks.insert().values(stream="tasks", at=datetime.fromisoformat("2024-05-01T00:00Z"))
        )
