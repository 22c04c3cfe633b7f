"""The views of an SQLite file can be read from DuckDB, which attaches such files.

DuckDB reads the text of a view. What it understands it runs itself over the tables; any other view it spells
anew and hands to SQLite. In that spelling `count(*)` is `count_star()`, which SQLite does not have; each side
of a UNION is in parentheses and NOT IN (SELECT ...) is `= ANY`, which SQLite does not take. What both
understand must mean the same to both, and `json_extract` does not: DuckDB's gives text in quotes. Views on
Postgres stay as they are, since people's own views may depend on them.

Revision ID: 0007
Revises: 0006
"""

# ruff: noqa: S608 - every text that goes into this SQL is in this file and in 0004

from collections.abc import Callable
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels = None
depends_on = None

NAMES = ("task_facts", "batch_progress", "submissions")


def upgrade() -> None:
    made = _views_of_0004()
    say = made.SQLITE._replace(text=json_text, percentiles=counted(made.SQLITE.percentiles))
    _make_anew(
        task_facts=counted(made.task_facts(say)),
        batch_progress=batch_progress(say.seconds("created_at", "completed_at"), say.percentiles, made.hours),
        submissions=made.submissions(say),
    )


def downgrade() -> None:
    made = _views_of_0004()
    _make_anew(**{name: getattr(made, name)(made.SQLITE) for name in NAMES})


def _make_anew(**views: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        for name, query in views.items():
            op.execute(f"DROP VIEW {name}")
            op.execute(f"CREATE VIEW {name} AS{query}")


def _views_of_0004() -> SimpleNamespace:
    return SimpleNamespace(**run_path(str(Path(__file__).with_name("0004_views.py"))))


def counted(query: str) -> str:
    return query.replace("count(*)", "count(1)")


def json_text(column: str, *path: str) -> str:
    # DuckDB does not have `likely`, which changes nothing here, and so it has SQLite run the view.
    return f"likely(json_extract({column}, '$.{'.'.join(path)}'))"


def batch_progress(seconds: str, percentiles: str, hours: Callable[[str], str]) -> str:
    # By `live` the wide rows of tasks are read once and in their order, not by batch all over the file.
    # `names` is the union of `own` and `others`: each is joined to its own row of `lists`.
    return f"""
WITH live AS MATERIALIZED (
    SELECT batch, project, status, completed_at,
        CASE WHEN status = 'completed' THEN {seconds} END AS seconds
    FROM tasks
    WHERE missing_since IS NULL
), tallies AS MATERIALIZED (
    SELECT batch,
        CASE WHEN min(project) = max(project) THEN min(project) END AS project,
        count(1) AS tasks,
        count(1) FILTER (WHERE status = 'pending') AS pending,
        count(1) FILTER (WHERE status = 'completed') AS completed,
        count(1) FILTER (WHERE status = 'error') AS error,
        count(1) FILTER (WHERE status = 'canceled') AS canceled,
        min(completed_at) FILTER (WHERE status = 'completed') AS first_completed_at,
        max(completed_at) FILTER (WHERE status = 'completed') AS last_completed_at
    FROM live
    GROUP BY batch
), own AS MATERIALIZED (
    SELECT 1 AS list, name, project, status FROM batches WHERE missing_since IS NULL
), others AS MATERIALIZED (
    SELECT 2 AS list, t.batch AS name FROM tallies AS t
    WHERE t.batch IS NOT NULL AND NOT EXISTS (SELECT 1 FROM own AS o WHERE o.name = t.batch)
), lists AS (
    VALUES (1), (2)
), names AS (
    SELECT coalesce(o.name, n.name) AS name, o.project, o.status
    FROM lists AS l
    LEFT JOIN own AS o ON o.list = l.column1
    LEFT JOIN others AS n ON n.list = l.column1
    WHERE coalesce(o.name, n.name) IS NOT NULL
), spans AS (
    SELECT batch, seconds FROM live WHERE seconds IS NOT NULL
), percentiles AS ({percentiles}
)
SELECT n.name AS batch, coalesce(n.project, c.project) AS project, n.status,
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
LEFT JOIN tallies AS c ON c.batch = n.name
LEFT JOIN percentiles AS p ON p.batch = n.name"""
