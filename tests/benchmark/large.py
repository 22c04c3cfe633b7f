"""Rehearse an account of millions of tasks: every command once, and what each takes of time, memory and disk.

The account is generated, so that the server takes a few percent of one core and no memory.
"""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import psycopg

from tests.benchmark.account import GENERATED
from tests.benchmark.documents import PROJECTS
from tests.benchmark.generated_tasks import TaskMaker
from tests.benchmark.harness import Harness
from tests.benchmark.pages import measure
from tests.benchmark.peers.protocol import Job
from tests.benchmark.results import Measurement, Result
from tests.benchmark.server import KEY, Api, running

STAGE = "large"
FIRST_SYNC = "first sync"
_TURNS = 20
"""Requests for each kind of page."""

_COMMANDS: Sequence[tuple[str, Sequence[str]]] = (
    (FIRST_SYNC, ("--quiet", "sync")),
    ("status", ("status",)),
    ("sync, nothing new", ("--quiet", "sync")),
    ("verify", ("--quiet", "verify")),
    ("sync, 0.1 % changed", ("--quiet", "sync")),
    ("status after it", ("status",)),
    ("verify after it", ("--quiet", "verify")),
    ("report", ("--quiet", "report", "-o", "report.html")),
)
"""What is measured, in this order, with the command's arguments."""
_CHANGED_BEFORE = "sync, 0.1 % changed"


def large(harness: Harness) -> None:
    """Measure every part on each kind of database; those of a database in `--keep` are only shown again."""
    tasks = harness.options.tasks
    for engine in harness.options.engines:
        kept = None if harness.options.keep is None else harness.options.keep / f"{engine}-{tasks}.json"
        if kept is not None and kept.exists() and _restore(harness, kept):
            harness.say(f"{STAGE}, {engine}, {tasks:,} tasks: done before, see {kept}")
            continue
        # A server of its own, since the changes are made once.
        with running(tasks, corpus=GENERATED) as api, harness.fresh(engine) as url:
            _measure(harness, api, Job(api.url, KEY, url, tasks), kept)


def _measure(harness: Harness, api: Api, job: Job, kept: Path | None) -> None:
    harness.init(api, job.database)
    for name, arguments in _COMMANDS:
        if name == _CHANGED_BEFORE:
            harness.say(f"  {api.change():,} tasks change")
        if not _run(harness, name, arguments, api, job) and name == FIRST_SYNC:
            break
        _save(harness, job, kept, done=False)
    else:
        _pages(harness, job)
        _save(harness, job, kept, done=True)


def _run(harness: Harness, name: str, arguments: Sequence[str], api: Api, job: Job) -> bool:
    """Run one command, note what it took and the size of the database, and return whether it succeeded."""
    result = harness.results.of(STAGE, f"scalesync {name}", job.engine, job.tasks, GENERATED)
    harness.run(STAGE, _placed(harness, arguments), api, job, name=name)
    if not result.rounds:
        return False
    result.rounds[-1].disk = _size(job)
    harness.say(f"  {result.requests:,} requests, {result.disk / 1e6:,.0f} MB of disk")
    return True


def _placed(harness: Harness, arguments: Sequence[str]) -> list[str]:
    return [str(harness.directory / each) if each.endswith(".html") else each for each in arguments]


def _pages(harness: Harness, job: Job) -> None:
    """Ask for pages of each kind; each kind has a result of its own."""
    harness.say(f"{STAGE}, {job.engine}, {job.tasks:,} tasks: pages")
    for name, measured in measure(job.database, page_kinds(job.tasks, _TURNS)).items():
        result = harness.results.of(STAGE, f"page {name}", job.engine, job.tasks, GENERATED)
        harness.note(result, _returning(measured))


def _returning(measured: Measurement) -> Callable[[], Measurement]:
    return lambda: measured


def page_kinds(tasks: int, turns: int) -> Mapping[str, Sequence[str]]:
    """Return the addresses of each kind of page over a mirror of a generated account."""
    account, rng = TaskMaker(tasks, seed=1), random.Random(1)
    ids = [account.key(rng.randrange(tasks))[1] for _ in range(turns)]
    batches = [account.batch(rng.randrange(tasks)) for _ in range(turns)]
    at = [f"{rng.choice((2024, 2025))}-{rng.randrange(1, 13):02}-15T00:00:00.000Z~x" for _ in range(turns)]
    names = [rng.choice(PROJECTS).replace(" ", "+") for _ in range(turns)]
    return {
        "/tasks": ["/tasks"] * turns,
        "/tasks in the middle": [f"/tasks?older={place}" for place in at],
        "/tasks of a project": [
            f"/tasks?project={name}&older={place}" for name, place in zip(names, at, strict=True)
        ],
        "/tasks in error": [f"/tasks?status=error&older={place}" for place in at],
        "/tasks of a batch": [f"/tasks?batch={name.replace(' ', '+')}" for name in batches],
        "/task/ID": [f"/task/{one}" for one in ids],
        "/batches": ["/batches"] * turns,
        "/batches/NAME": [f"/batches/{name.replace(' ', '%20')}" for name in batches],
        "/queue": ["/queue"] * turns,
        # Last: the first of them has the tasks counted, beside which the others would be slower.
        "/labels": ["/labels"] * turns,
        "/": ["/"] * turns,
    }


def _size(job: Job) -> int:
    """Return the bytes of a database on disk, with its log on SQLite."""
    if job.file:
        return sum(path.stat().st_size for path in Path(job.file).parent.glob(f"{Path(job.file).name}*"))
    with psycopg.connect(job.database) as connection:
        (size,) = connection.execute("SELECT pg_database_size(current_database())").fetchone() or (0,)
    return int(size)


def _save(harness: Harness, job: Job, kept: Path | None, *, done: bool) -> None:
    """Write the results of one kind of database to a file, whether or not all parts are `done`."""
    if kept is None:
        return
    results = [one for one in harness.results.all if (one.stage, one.engine) == (STAGE, job.engine)]
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps({"done": done, "results": [asdict(one) for one in results]}, indent=1) + "\n")


def _restore(harness: Harness, kept: Path) -> bool:
    """Add the results in a file, if it has those of all parts; return whether it does."""
    found = json.loads(kept.read_text())
    if found["done"]:
        for each in found["results"]:
            rounds = [Measurement(**one) for one in each.pop("rounds")]
            harness.results.all.append(Result(**each, rounds=rounds))
    return bool(found["done"])
