"""Measure what several hosts gain that share one Postgres: processes, each with an environment of its own."""

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg

from tests.benchmark.children import FailedError, run_scalesync
from tests.benchmark.harness import Harness
from tests.benchmark.peers.protocol import Job
from tests.benchmark.results import SHARED_DISPATCH, SHARED_SYNC, Measurement
from tests.benchmark.server import KEY, Api

SYNC = ("--quiet", "sync", "--workers", "4")
DISPATCH = ("--quiet", "dispatch", "--workers", "8")
SENDING_LATENCY = 0.1
SHARED_CORPORA = ("plain", "uneven")
_COPIED = b"SELECT count(*), md5(string_agg(task_id || digest, ',' ORDER BY task_id)) FROM tasks"
_CLAIMS = b"SELECT max(attempts) FROM windows"


def hosts(harness: Harness) -> None:
    """Copy accounts with one host, then with several, and send tasks likewise.

    Fails unless every number of hosts copies the same tasks, and sends each task once.
    """
    for _ in range(harness.options.rounds):
        for corpus in SHARED_CORPORA:
            for tasks in harness.options.shared:
                _copy(harness, harness.api(tasks, harness.options.shared_latency, corpus), tasks)
        _send(harness)


def _copy(harness: Harness, api: Api, tasks: int) -> None:
    copied: set[object] = set()
    for number in harness.options.hosts:
        with harness.fresh("postgres") as url:
            harness.init(api, url)
            result = harness.result("hosts", SHARED_SYNC.format(number), api, Job(api.url, KEY, url, tasks))
            before = api.requests()
            harness.note(result, lambda: _together(harness, number, SYNC, api, url))  # noqa: B023 - called at once
            if not result.rounds:
                continue
            result.rounds[-1].requests = api.requests() - before
            result.rounds[-1].claims = _row(url, _CLAIMS)[0]
            found = _row(url, _COPIED)
            copied.add(found)
            if found[0] != tasks or len(copied) > 1:
                raise FailedError(f"{number} hosts copied other tasks than one: {copied}")


def _send(harness: Harness) -> None:
    tasks = harness.options.dispatched
    for number in (each for each in harness.options.hosts if each <= 2):
        with harness.fresh("postgres") as url:
            api = harness.api(1, SENDING_LATENCY)
            harness.init(api, url)
            name = f"shared-{time.time_ns()}"
            run_scalesync(harness.submission(name, tasks), api.url, url)
            job = Job(api.url, KEY, url, tasks)
            result = harness.result("hosts", SHARED_DISPATCH.format(number), api, job)
            before, created = api.requests(), api.creations()
            harness.note(result, lambda: _together(harness, number, DISPATCH, api, url))  # noqa: B023
            if result.rounds:
                result.rounds[-1].requests = api.requests() - before
                if api.creations() - created != tasks:
                    raise FailedError(f"{api.creations() - created} creations were sent for {tasks} tasks")


def _together(harness: Harness, number: int, command: tuple[str, ...], api: Api, url: str) -> Measurement:
    """Run a command on `number` hosts at once; return the seconds until the last ended, and their CPU."""
    with ThreadPoolExecutor(number) as pool, tempfile.TemporaryDirectory(dir=harness.directory) as directory:
        began = time.perf_counter()
        ran = [pool.submit(_on_host(Path(directory, str(host)), command, api, url)) for host in range(number)]
        measured = [each.result() for each in ran]
        seconds = time.perf_counter() - began
    return Measurement(seconds, sum(one.cpu for one in measured), sum(one.peak for one in measured))


def _on_host(place: Path, command: tuple[str, ...], api: Api, url: str) -> Callable[[], Measurement]:
    """Return a call that runs a command as another host would: with its own home and temporary directory."""
    (place / "tmp").mkdir(parents=True)
    own = {"HOME": str(place), "TMPDIR": str(place / "tmp")}
    return lambda: run_scalesync(command, api.url, url, own)


def _row(url: str, query: bytes) -> tuple[Any, ...]:
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchone() or ()
