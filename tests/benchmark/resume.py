"""Measure what an interruption costs: a sync is killed half-way, and another one reads the rest."""

import sqlite3
from contextlib import closing

from tests.benchmark.children import FailedError, kill_peer, run_peer
from tests.benchmark.harness import SCALESYNC, Harness
from tests.benchmark.peers.protocol import Job
from tests.benchmark.results import KILLED, RESUMED, Measurement
from tests.benchmark.server import KEY, Api


def resume(harness: Harness) -> None:
    """Kill a sync when half of the tasks are written, and run it again; the start of both is included.

    The figures are the seconds of each run for each task that it wrote.
    """
    api = harness.api(harness.options.resumed)
    for _ in range(harness.options.rounds):
        with harness.fresh("sqlite") as url:
            harness.init(api, url)
            _kill_and_resume(harness, api, Job(api.url, KEY, url, harness.options.resumed))


def _kill_and_resume(harness: Harness, api: Api, job: Job) -> None:
    killed = harness.result("resume", KILLED, api, job)
    harness.note(killed, lambda: first_run(job))
    written = tasks_in(job)
    if written < job.tasks:
        harness.note(harness.result("resume", RESUMED, api, job), lambda: second_run(job, written))


def first_run(job: Job) -> Measurement:
    """Kill a sync when half of the tasks are written. Raises FailedError if all are written by then."""
    measured = kill_peer(SCALESYNC.module, job, lambda: tasks_in(job) >= job.tasks // 2)
    measured.tasks = tasks_in(job)
    if measured.tasks == job.tasks:
        raise FailedError("all tasks were written before it could be killed")
    return measured


def second_run(job: Job, written: int) -> Measurement:
    """Finish a sync that has `written` tasks already. Raises FailedError."""
    measured = run_peer(SCALESYNC.module, job)
    measured.tasks = job.tasks - written
    return measured


def tasks_in(job: Job) -> int:
    """Return the number of tasks committed so far."""
    # Read-only: closing the last connection that may write would copy the -wal into the file, and spare the
    # second run that work.
    with closing(sqlite3.connect(f"file:{job.file}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM tasks").fetchone()[0])
