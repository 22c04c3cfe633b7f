"""Views of reviews, of responses and what differs between them, and of labels, images, months and duplicates.

`review_quality` gets columns at its end: on Postgres it is replaced in place, since people's own views may
depend on it. DuckDB reads views of an SQLite file as described in 0007.

Revision ID: 0014
Revises: 0013
"""

# ruff: noqa: S608 - every text that goes into this SQL is in this file and in 0004

from collections.abc import Callable
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace
from typing import NamedTuple

from alembic import op

revision: str = "0014"
down_revision: str | None = "0013"
branch_labels = None
depends_on = None


class Dialect(NamedTuple):
    """What the databases say differently."""

    seconds: Callable[[str, str], str]
    """From one instant to another, as in 0004."""
    week: str
    """The Monday, in UTC, of the week of `t.completed_at`."""
    month: str
    """The first day, in UTC, of the month of `completed_at`."""
    attachment: str
    """The text at `attachment` of `t.params`."""
    percentiles: str
    """By project and month, of the `seconds` in `spans`."""


SQLITE_PERCENTILES = """
    SELECT project, month, max(last) + 1 AS completed,
        sum(seconds * max(0.0, 1.0 - abs(0.5 * last - place))) AS p50,
        sum(seconds * max(0.0, 1.0 - abs(0.9 * last - place))) AS p90
    FROM (
        SELECT project, month, seconds,
            row_number() OVER (PARTITION BY project, month ORDER BY seconds) - 1 AS place,
            count(1) OVER (PARTITION BY project, month) - 1 AS last
        FROM spans
    ) AS placed
    GROUP BY project, month"""

POSTGRES_PERCENTILES = """
    SELECT project, month, count(*) AS completed,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS p50,
        percentile_cont(0.9) WITHIN GROUP (ORDER BY seconds) AS p90
    FROM spans
    GROUP BY project, month"""


def task_responses(_say: Dialect) -> str:
    return """
SELECT t.task_id, t.response_digest,
    coalesce(
        (SELECT r.first_seen_at FROM replaced_responses AS r
            WHERE r.task_id = t.task_id AND r.response_digest = t.response_digest),
        (SELECT min(c.seen_at) FROM task_changes AS c
            WHERE c.task_id = t.task_id AND c.field = 'response' AND c.after = t.response_digest),
        (SELECT min(c.seen_at) FROM task_changes AS c WHERE c.task_id = t.task_id),
        t.synced_at
    ) AS first_seen_at,
    NULL AS replaced_at, t.response
FROM tasks AS t
WHERE t.response IS NOT NULL AND t.missing_since IS NULL
UNION ALL
SELECT r.task_id, r.response_digest, r.first_seen_at, r.replaced_at, r.response
FROM replaced_responses AS r
JOIN tasks AS t ON t.task_id = r.task_id
WHERE t.missing_since IS NULL AND (t.response IS NULL OR t.response_digest <> r.response_digest)"""


def annotation_changes(_say: Dialect) -> str:
    return """
SELECT d.task_id, t.project, t.batch, d.kind, d.uuid, d.geometry, d.frame, d.label_before, d.label_after,
    d.iou, d.before_ordinal, d.after_ordinal, d.before_digest, d.after_digest, d.seen_at
FROM annotation_differences AS d
JOIN tasks AS t ON t.task_id = d.task_id
WHERE t.missing_since IS NULL"""


def review_quality(_say: Dialect) -> str:
    return """
SELECT c.project, c.batch, c.completed, c.reviewed, c.accepted, c.fixed, c.commented, c.rejected,
    CAST(c.accepted AS double precision) / nullif(c.reviewed, 0) AS accepted_rate,
    CAST(c.fixed AS double precision) / nullif(c.reviewed, 0) AS fixed_rate,
    CAST(c.rejected AS double precision) / nullif(c.reviewed, 0) AS rejected_rate,
    c.audited, c.audits, c.rejected_once
FROM (
    SELECT t.project, t.batch,
        count(*) FILTER (WHERE t.status = 'completed') AS completed,
        count(*) FILTER (WHERE t.customer_review_status IN ('accepted', 'fixed', 'commented', 'rejected'))
            AS reviewed,
        count(*) FILTER (WHERE t.customer_review_status = 'accepted') AS accepted,
        count(*) FILTER (WHERE t.customer_review_status = 'fixed') AS fixed,
        count(*) FILTER (WHERE t.customer_review_status = 'commented') AS commented,
        count(*) FILTER (WHERE t.customer_review_status = 'rejected') AS rejected,
        count(a.task_id) AS audited,
        CAST(coalesce(sum(a.audits), 0) AS bigint) AS audits,
        count(*) FILTER (WHERE a.rejections > 0) AS rejected_once
    FROM tasks AS t
    LEFT JOIN (
        SELECT task_id, count(*) AS audits, count(*) FILTER (WHERE result = 'rejected') AS rejections
        FROM task_audits
        GROUP BY task_id
    ) AS a ON a.task_id = t.task_id
    WHERE t.missing_since IS NULL
    GROUP BY t.project, t.batch
) AS c"""


def reviewers(_say: Dialect) -> str:
    return """
SELECT c.project, c.audited_by, c.source, c.audits, c.tasks, c.accepted, c.fixed, c.commented, c.rejected,
    CAST(c.accepted AS double precision) / c.audits AS accepted_rate,
    CAST(c.fixed AS double precision) / c.audits AS fixed_rate,
    CAST(c.rejected AS double precision) / c.audits AS rejected_rate,
    CAST(round(CAST(c.mean_seconds AS numeric), 3) AS double precision) AS mean_seconds,
    c.first_at, c.last_at
FROM (
    SELECT t.project, a.audited_by, a.source,
        count(*) AS audits,
        count(DISTINCT a.task_id) AS tasks,
        count(*) FILTER (WHERE a.result = 'accepted') AS accepted,
        count(*) FILTER (WHERE a.result = 'fixed') AS fixed,
        count(*) FILTER (WHERE a.result = 'commented') AS commented,
        count(*) FILTER (WHERE a.result = 'rejected') AS rejected,
        avg(a.seconds) AS mean_seconds,
        min(a.at) AS first_at,
        max(a.at) AS last_at
    FROM task_audits AS a
    JOIN tasks AS t ON t.task_id = a.task_id
    WHERE t.missing_since IS NULL
    GROUP BY t.project, a.audited_by, a.source
) AS c"""


def weekly_labels(say: Dialect) -> str:
    return f"""
SELECT t.project, a.label, {say.week} AS week,
    count(1) AS annotations, count(DISTINCT t.task_id) AS tasks
FROM tasks AS t
JOIN annotations AS a ON a.task_id = t.task_id
WHERE t.missing_since IS NULL
GROUP BY t.project, a.label, {say.week}"""


def image_annotations(say: Dialect) -> str:
    # Materialized: an image's name is read from the JSON once for each task, not once for each annotation.
    return f"""
WITH images AS MATERIALIZED (
    SELECT t.task_id, t.project, {say.attachment} AS attachment
    FROM tasks AS t
    WHERE t.missing_since IS NULL
)
SELECT i.project, i.attachment,
    count(DISTINCT i.task_id) AS tasks,
    count(a.task_id) AS annotations,
    count(DISTINCT a.label) AS labels
FROM images AS i
LEFT JOIN annotations AS a ON a.task_id = i.task_id
WHERE i.attachment IS NOT NULL
GROUP BY i.project, i.attachment"""


def monthly_completion(say: Dialect) -> str:
    return f"""
WITH spans AS (
    SELECT project, {say.month} AS month, {say.seconds("created_at", "completed_at")} AS seconds
    FROM tasks
    WHERE missing_since IS NULL AND status = 'completed'
        AND created_at IS NOT NULL AND completed_at IS NOT NULL
), percentiles AS ({say.percentiles}
)
SELECT project, month, completed, {hours("p50")} AS p50_hours, {hours("p90")} AS p90_hours
FROM percentiles"""


def hours(seconds: str) -> str:
    return f"CAST(round(CAST({seconds} / 3600 AS numeric), 3) AS double precision)"


def duplicate_tasks(say: Dialect) -> str:
    # A list of the two kinds instead of a UNION, which DuckDB would spell so that SQLite does not take it.
    return f"""
WITH lists AS (
    VALUES (1), (2)
), live AS MATERIALIZED (
    SELECT t.task_id, t.project, t.type, t.created_at, t.unique_id, {say.attachment} AS attachment
    FROM tasks AS t
    WHERE t.missing_since IS NULL
), named AS (
    SELECT l.column1 AS list, t.task_id, t.created_at,
        CASE WHEN l.column1 = 1 THEN t.unique_id ELSE t.attachment END AS value,
        CASE WHEN l.column1 = 2 THEN t.project END AS project,
        CASE WHEN l.column1 = 2 THEN t.type END AS type
    FROM lists AS l
    CROSS JOIN live AS t
)
SELECT CASE WHEN list = 1 THEN 'unique_id' ELSE 'attachment' END AS kind, value, project, type,
    count(1) AS tasks,
    min(task_id) AS first_task_id,
    max(task_id) AS last_task_id,
    min(created_at) AS first_created_at,
    max(created_at) AS last_created_at
FROM named
WHERE value IS NOT NULL
GROUP BY list, value, project, type
HAVING count(1) > 1"""


NEW = (
    task_responses,
    annotation_changes,
    reviewers,
    weekly_labels,
    image_annotations,
    monthly_completion,
    duplicate_tasks,
)


def upgrade() -> None:
    say = _dialect()
    _replace_review_quality(review_quality(say))
    for view in NEW:
        op.execute(f"CREATE VIEW {view.__name__} AS{view(say)}")


def downgrade() -> None:
    for view in reversed(NEW):
        op.execute(f"DROP VIEW {view.__name__}")
    op.execute("DROP VIEW review_quality")
    op.execute(f"CREATE VIEW review_quality AS{_views_of_0004().review_quality(None)}")


def _replace_review_quality(query: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP VIEW review_quality")
        op.execute(f"CREATE VIEW review_quality AS{query}")
    else:
        op.execute(f"CREATE OR REPLACE VIEW review_quality AS{query}")


def _views_of_0004() -> SimpleNamespace:
    return SimpleNamespace(**run_path(str(Path(__file__).with_name("0004_views.py"))))


def _dialect() -> Dialect:
    made = _views_of_0004()
    if op.get_bind().dialect.name == "sqlite":
        # DuckDB does not have `likely`, which changes nothing here, and so it has SQLite run the view.
        return Dialect(
            made.SQLITE.seconds,
            "likely(strftime('%Y-%m-%d', t.completed_at, '-6 days', 'weekday 1'))",
            "substr(completed_at, 1, 7) || '-01'",
            "likely(json_extract(t.params, '$.attachment'))",
            SQLITE_PERCENTILES,
        )
    return Dialect(
        made.POSTGRES.seconds,
        "CAST(date_trunc('week', t.completed_at AT TIME ZONE 'UTC') AS date)",
        "CAST(date_trunc('month', completed_at AT TIME ZONE 'UTC') AS date)",
        "t.params ->> 'attachment'",
        POSTGRES_PERCENTILES,
    )
