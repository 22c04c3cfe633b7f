"""Measure how long the pages of `scalesync browse` take over a large mirror, and the memory they take."""

import http.client
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.benchmark.harness import Harness
from tests.benchmark.large_mirror import PROJECTS, TASKS_OF_A_BATCH, fill
from tests.benchmark.results import Measurement
from tests.benchmark.server import ROOT

TURNS = 60
"""Requests for each kind of page, of which the 95th percentile counts."""
_PERCENTILE = 0.95
_LONGEST = 60


def pages(harness: Harness) -> None:
    """Ask for every kind of page many times, each time another one, over a mirror made by SQL."""
    tasks = harness.options.browsed
    for engine in harness.options.engines:
        with harness.fresh(engine) as url:
            harness.say(f"a mirror of {tasks:,} tasks on {engine}")
            fill(url, tasks)
            for _ in range(harness.options.rounds):
                for name, measured in measure(url, kinds(tasks, TURNS)).items():
                    harness.say(f"pages, {engine}: {name}")
                    result = harness.results.of("pages", name, engine, tasks)
                    harness.note(result, lambda found=measured: found)  # type: ignore[misc]


def measure(url: str, pages_of: Mapping[str, Sequence[str]]) -> dict[str, Measurement]:
    """Return the 95th percentile of the seconds of each kind of page, and the server's memory after it.

    The kinds come with their addresses.
    """
    found: dict[str, Measurement] = {}
    with _browsing(url) as (process, address):
        place = urlsplit(address)
        with closing(http.client.HTTPConnection(place.hostname or "", place.port, timeout=_LONGEST)) as used:
            for name, addresses in pages_of.items():
                seconds = sorted(_seconds(used, one) for one in addresses)
                late = seconds[min(len(seconds) - 1, int(_PERCENTILE * len(seconds)))]
                found[name] = Measurement(late, peak=_memory(process.pid), requests=len(seconds))
    return found


def kinds(tasks: int, turns: int) -> Mapping[str, Sequence[str]]:
    """Return the addresses of each kind of page; those of a kind differ."""
    rng = random.Random(1)
    ids = [f"{rng.randrange(tasks):024x}" for _ in range(turns)]
    batches = [f"batch {rng.randrange(tasks // TASKS_OF_A_BATCH or 1)}" for _ in range(turns)]
    names = [f"project+{rng.randrange(PROJECTS)}" for _ in range(turns)]
    at = [f"2020-{rng.randrange(10, 13)}-{rng.randrange(1, 29):02}T00:00:00.000Z~x" for _ in range(turns)]
    placed = [*zip(names, at, ids, strict=True)]
    return {
        "/tasks": ["/tasks"] * turns,
        "/tasks in the middle": [f"/tasks?older={place}" for place in at],
        "/tasks back from the middle": [f"/tasks?newer={place}" for place in at],
        "/tasks of a project": [f"/tasks?project={name}&older={place}" for name, place, _ in placed],
        "/tasks of a batch": [f"/tasks?batch={name.replace(' ', '+')}" for name in batches],
        "/tasks in error": [f"/tasks?status=error&older={place}" for place in at],
        "/tasks with a rare tag": [f"/tasks?tags=rare&older={place}" for place in at],
        "/tasks with what nothing has": [f"/tasks?type=none&status=none&older={place}" for place in at],
        "/tasks by unique_id": [f"/tasks?unique_id=image-{rng.randrange(tasks)}" for _ in range(turns)],
        "/tasks as a grid": [f"/tasks?view=grid&older={place}" for place in at],
        "/tasks.json": [f"/tasks.json?older={place}" for place in at],
        "/task/ID": [f"/task/{one}" for one in ids],
        "/task/ID of a project": [f"/task/{one}?project={name}" for name, _, one in placed],
        "/task/ID with what nothing has": [f"/task/{one}?status=none" for one in ids],
        "/task/ID.json": [f"/task/{one}.json" for one in ids],
        "/batches": ["/batches"] * turns,
        "/batches/NAME": [f"/batches/{name.replace(' ', '%20')}" for name in batches],
        "/queue": ["/queue"] * turns,
        "/sql of one task": [f"/sql?q=SELECT+*+FROM+tasks+WHERE+task_id+%3D+%27{one}%27" for one in ids],
        # Last: the first of them has the tasks counted, beside which the others would be slower.
        "/labels": ["/labels"] * turns,
        "/": ["/"] * turns,
    }


@contextmanager
def _browsing(url: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the pages over a mirror and yield the process and its address."""
    command = [sys.executable, "-m", "scalesync", "browse", "--port", "0"]
    environment = {**os.environ, "SCALESYNC_DB": url, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process, process.stdout.readline().strip() if process.stdout else ""
        finally:
            process.terminate()


def _seconds(connection: http.client.HTTPConnection, address: str) -> float:
    began = time.perf_counter()
    connection.request("GET", address)
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        msg = f"{address} was answered with {answer.status}"
        raise RuntimeError(msg)
    return time.perf_counter() - began


def _memory(process: int) -> int:
    """Return the peak of a process's memory in bytes; 0 where the system does not say."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)
