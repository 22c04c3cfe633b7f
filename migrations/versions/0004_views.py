"""Views for people's questions, the same on both databases.

SQLite keeps a table from being altered while a view of it stands in the way, and so does Postgres: a later
migration that alters a column drops the views that use it, and makes them anew.

Revision ID: 0004
Revises: 0003
"""

# ruff: noqa: S608 - every text that goes into this SQL stands in this file

from collections.abc import Callable
from typing import NamedTuple

from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels = None
depends_on = None


class Dialect(NamedTuple):
    """What the databases say differently."""

    seconds: Callable[[str, str], str]
    """From one instant to another, exact to the millisecond."""
    day: Callable[[str], str]
    """The UTC day of an instant."""
    text: Callable[..., str]
    """The text at a path within JSON."""
    task_number: str
    """What tells tasks apart and takes less room to sort than `task_id`."""
    percentiles: str
    """By batch, of the `seconds` in `spans`."""


# Weighing the two values beside the place sought is what percentile_cont does; SQLite has no function for it.
SQLITE = Dialect(
    seconds=lambda since, until: (
        f"CAST(round((julianday({until}) - julianday({since})) * 86400000) AS INTEGER) / 1000.0"
    ),
    day=lambda instant: f"substr({instant}, 1, 10)",
    text=lambda column, *path: f"json_extract({column}, '$.{'.'.join(path)}')",
    task_number="t.rowid",
    percentiles="""
    SELECT batch,
        sum(seconds * max(0.0, 1.0 - abs(0.5 * last - place))) AS median,
        sum(seconds * max(0.0, 1.0 - abs(0.9 * last - place))) AS p90
    FROM (
        SELECT batch, seconds,
            row_number() OVER (PARTITION BY batch ORDER BY seconds) - 1 AS place,
            count(*) OVER (PARTITION BY batch) - 1 AS last
        FROM spans
    ) AS placed
    GROUP BY batch""",
)

POSTGRES = Dialect(
    seconds=lambda since, until: (
        f"CAST(round(CAST(extract(epoch FROM {until} - {since}) AS numeric), 3) AS double precision)"
    ),
    day=lambda instant: f"CAST({instant} AT TIME ZONE 'UTC' AS date)",
    text=lambda column, *path: f"{column} #>> '{{{','.join(path)}}}'",
    task_number="t.task_id",
    percentiles="""
    SELECT batch,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS median,
        percentile_cont(0.9) WITHIN GROUP (ORDER BY seconds) AS p90
    FROM spans
    GROUP BY batch""",
)


def task_facts(say: Dialect) -> str:
    return f"""
SELECT t.task_id, t.project, t.batch, t.type, t.status, t.customer_review_status,
    t.created_at, t.completed_at,
    CASE WHEN t.status = 'completed' THEN {say.seconds("t.created_at", "t.completed_at")} END
        AS seconds_to_complete,
    CASE
        WHEN t.status = 'pending' AND t.created_at > w.at THEN 0.0
        WHEN t.status = 'pending' THEN {say.seconds("t.created_at", "w.at")}
    END AS pending_seconds,
    (SELECT count(*) FROM annotations AS a WHERE a.task_id = t.task_id) AS annotations,
    (SELECT count(DISTINCT a.label) FROM annotations AS a WHERE a.task_id = t.task_id) AS labels
FROM tasks AS t
LEFT JOIN watermarks AS w ON w.stream = 'tasks'
WHERE t.missing_since IS NULL"""


def batch_progress(say: Dialect) -> str:
    # By `live` the wide rows of tasks are read once and in their order, not by batch all over the file.
    return f"""
WITH live AS MATERIALIZED (
    SELECT batch, project, status, completed_at,
        CASE WHEN status = 'completed' THEN {say.seconds("created_at", "completed_at")} END AS seconds
    FROM tasks
    WHERE missing_since IS NULL
), tallies AS (
    SELECT batch,
        CASE WHEN min(project) = max(project) THEN min(project) END AS project,
        count(*) AS tasks,
        count(*) FILTER (WHERE status = 'pending') AS pending,
        count(*) FILTER (WHERE status = 'completed') AS completed,
        count(*) FILTER (WHERE status = 'error') AS error,
        count(*) FILTER (WHERE status = 'canceled') AS canceled,
        min(completed_at) FILTER (WHERE status = 'completed') AS first_completed_at,
        max(completed_at) FILTER (WHERE status = 'completed') AS last_completed_at
    FROM live
    GROUP BY batch
), names AS (
    SELECT name FROM batches WHERE missing_since IS NULL
    UNION
    SELECT batch FROM tallies WHERE batch IS NOT NULL
), spans AS (
    SELECT batch, seconds FROM live WHERE seconds IS NOT NULL
), percentiles AS ({say.percentiles}
)
SELECT n.name AS batch, coalesce(b.project, c.project) AS project, b.status,
    coalesce(c.tasks, 0) AS tasks,
    coalesce(c.pending, 0) AS tasks_pending,
    coalesce(c.completed, 0) AS tasks_completed,
    coalesce(c.error, 0) AS tasks_error,
    coalesce(c.canceled, 0) AS tasks_canceled,
    CAST(c.completed AS double precision) / nullif(c.tasks - c.canceled, 0) AS share_done,
    c.first_completed_at, c.last_completed_at,
    {hours("p.median")} AS median_hours,
    {hours("p.p90")} AS p90_hours
FROM names AS n
LEFT JOIN batches AS b ON b.name = n.name AND b.missing_since IS NULL
LEFT JOIN tallies AS c ON c.batch = n.name
LEFT JOIN percentiles AS p ON p.batch = n.name"""


def hours(seconds: str) -> str:
    return f"CAST(round(CAST({seconds} / 3600 AS numeric), 3) AS double precision)"


def label_counts(say: Dialect) -> str:
    # SQLite keeps this order of a CROSS JOIN, and sorts by what differs first in less time.
    return f"""
SELECT t.project, a.label, a.geometry, count(*) AS annotations, count(DISTINCT {say.task_number}) AS tasks
FROM tasks AS t CROSS JOIN annotations AS a
WHERE a.task_id = t.task_id AND t.missing_since IS NULL
GROUP BY a.label, a.geometry, t.project"""


def daily_throughput(say: Dialect) -> str:
    return f"""
SELECT project, day, sum(created) AS created, sum(completed) AS completed, sum(canceled) AS canceled
FROM (
    SELECT project, {say.day("created_at")} AS day, 1 AS created, 0 AS completed, 0 AS canceled
    FROM tasks WHERE missing_since IS NULL AND created_at IS NOT NULL
    UNION ALL
    SELECT project, {say.day("completed_at")}, 0, 1, 0
    FROM tasks WHERE missing_since IS NULL AND status = 'completed' AND completed_at IS NOT NULL
    UNION ALL
    SELECT project, {say.day("updated_at")}, 0, 0, 1
    FROM tasks WHERE missing_since IS NULL AND status = 'canceled' AND updated_at IS NOT NULL
) AS events
GROUP BY project, day"""


def review_quality(_say: Dialect) -> str:
    return """
SELECT project, batch, completed, reviewed, accepted, fixed, commented, rejected,
    CAST(accepted AS double precision) / nullif(reviewed, 0) AS accepted_rate,
    CAST(fixed AS double precision) / nullif(reviewed, 0) AS fixed_rate,
    CAST(rejected AS double precision) / nullif(reviewed, 0) AS rejected_rate
FROM (
    SELECT project, batch,
        count(*) FILTER (WHERE status = 'completed') AS completed,
        count(*) FILTER (WHERE customer_review_status IN ('accepted', 'fixed', 'commented', 'rejected'))
            AS reviewed,
        count(*) FILTER (WHERE customer_review_status = 'accepted') AS accepted,
        count(*) FILTER (WHERE customer_review_status = 'fixed') AS fixed,
        count(*) FILTER (WHERE customer_review_status = 'commented') AS commented,
        count(*) FILTER (WHERE customer_review_status = 'rejected') AS rejected
    FROM tasks
    WHERE missing_since IS NULL
    GROUP BY project, batch
) AS counted"""


def submissions(say: Dialect) -> str:
    named = say.text("c.result", "task_id")
    return f"""
SELECT o.command_id, o.state, o.outcome, o.queued_at, o.sent_at, o.settled_at, o.sends, o.error_code, o.error,
    o.unique_id, o.project, o.batch, o.type,
    coalesce(o.named, t.task_id) AS task_id,
    t.status AS task_status,
    t.completed_at AS task_completed_at
FROM (
    SELECT c.id AS command_id, c.state, c.outcome, c.created_at AS queued_at, c.sent_at,
        c.finished_at AS settled_at, c.sends, c.error_code, c.error,
        {say.text("c.payload", "body", "unique_id")} AS unique_id,
        {say.text("c.payload", "body", "project")} AS project,
        {say.text("c.payload", "body", "batch")} AS batch,
        {say.text("c.payload", "type")} AS type,
        {named} AS named,
        CASE
            WHEN {named} IS NOT NULL THEN {named}
            WHEN c.state NOT IN ('dead', 'discarded') THEN (
                SELECT max(u.task_id) FROM tasks AS u
                WHERE u.unique_id = {say.text("c.payload", "body", "unique_id")} AND u.missing_since IS NULL
            )
        END AS became
    FROM commands AS c
    WHERE c.kind = 'create_task'
) AS o
LEFT JOIN tasks AS t ON t.task_id = o.became AND t.missing_since IS NULL"""


VIEWS = (task_facts, batch_progress, label_counts, daily_throughput, review_quality, submissions)


def upgrade() -> None:
    say = POSTGRES if op.get_bind().dialect.name == "postgresql" else SQLITE
    for view in VIEWS:
        op.execute(f"CREATE VIEW {view.__name__} AS{view(say)}")


def downgrade() -> None:
    for view in reversed(VIEWS):
        op.execute(f"DROP VIEW {view.__name__}")
