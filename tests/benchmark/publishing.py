"""Measure what it takes to publish a large mirror, and then what changed in a thousandth of its tasks."""

import shutil
from pathlib import Path

from sqlalchemy import func, insert, select, update

from scalesync.db.mirror import partition_changes
from scalesync.db.schema.mirror import tasks
from scalesync.db.schema.sync import watermarks
from scalesync.models.publishing import PublishFormat
from tests.benchmark.children import run_scalesync
from tests.benchmark.harness import Harness
from tests.benchmark.large_mirror import fill
from tests.benchmark.results import PUBLISHED, PUBLISHED_AGAIN
from tests.support.databases import opened

CHANGED = 1_000
"""One of this many tasks changes, the newest."""
_NOWHERE = "http://127.0.0.1:9/v1"
"""The API, which publishing does not ask."""


def publish(harness: Harness) -> None:
    """Publish a mirror made by SQL whole, and again after changes in its newest tasks, in both forms."""
    count = harness.options.published
    for engine in harness.options.engines:
        with harness.fresh(engine) as url:
            harness.say(f"a mirror of {count:,} tasks on {engine}")
            fill(url, count)
            _complete(url)
            for _ in range(harness.options.rounds):
                for form in PublishFormat:
                    _publish_twice(harness, url, engine, str(form))


def _publish_twice(harness: Harness, url: str, engine: str, form: str) -> None:
    target, count = harness.directory / f"published-{form}", harness.options.published
    for what in (PUBLISHED, PUBLISHED_AGAIN):
        if what == PUBLISHED_AGAIN:
            _change(url, max(1, count // CHANGED))
        name = what.format(form)
        harness.say(f"publish, {engine}: {name}")
        result = harness.results.of("publish", name, engine, count)
        harness.note(result, lambda: run_scalesync(_arguments(target, form), _NOWHERE, url))
    shutil.rmtree(target, ignore_errors=True)


def _arguments(target: Path, form: str) -> list[str]:
    return ["--quiet", "publish", str(target), "--format", form]


def _complete(url: str) -> None:
    """Make a mirror one that is known to be complete: publishing anything else ends with 1."""
    with opened(url) as database, database.write() as conn:
        newest = conn.execute(select(func.max(tasks.c.synced_at))).scalar_one()
        streams = [{"stream": stream, "at": newest} for stream in ("tasks", "batches", "projects")]
        conn.execute(insert(watermarks), streams)


def _change(url: str, count: int) -> None:
    """Change the newest tasks as a sync would."""
    with opened(url) as database, database.write() as conn:
        newest = select(tasks.c.task_id).order_by(tasks.c.created_at.desc()).limit(count)
        changed = list(conn.scalars(newest))
        for start in range(0, len(changed), 500):
            portion = changed[start : start + 500]
            conn.execute(update(tasks).where(tasks.c.task_id.in_(portion)).values(status="error"))
        partition_changes.mark_tasks(conn, changed)
