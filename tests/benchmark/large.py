"""Rehearse an account of millions of tasks: every command once, and what each takes of time, memory and disk.

The account is generated, so that the server takes a few percent of one core and no memory.
"""

import json
import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
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
CHANGED_SYNC = "sync, 0.1 % changed"
"""Before it, one task in a thousand changes, all over the account."""
RECENT_SYNC = "sync, 0.1 % changed, recent ones"
"""Before it, as many of the newest twentieth change."""

COMMANDS: Sequence[tuple[str, Sequence[str]]] = (
    (FIRST_SYNC, ("--quiet", "sync")),
    ("status", ("status",)),
    ("sync, nothing new", ("--quiet", "sync")),
    ("verify", ("--quiet", "verify")),
    (CHANGED_SYNC, ("--quiet", "sync")),
    ("status after it", ("status",)),
    ("verify after it", ("--quiet", "verify")),
    ("publish", ("--quiet", "publish", "lake")),
    (RECENT_SYNC, ("--quiet", "sync")),
    ("publish after it", ("--quiet", "publish", "lake")),
    ("report", ("--quiet", "report", "-o", "report.html")),
)
"""What is measured, in this order, with the command's arguments."""


@dataclass(frozen=True)
class Rehearsal:
    """What the stage does on each kind of database."""

    commands: Sequence[tuple[str, Sequence[str]]] = COMMANDS
    turns: int = 20
    """Requests for each kind of page."""


def large(harness: Harness, rehearsal: Rehearsal = Rehearsal()) -> None:
    """Measure every part on each kind of database; one that `--keep` has all figures of is not repeated."""
    tasks = harness.options.tasks
    for engine in harness.options.engines:
        kept = None if harness.options.keep is None else harness.options.keep / f"{engine}-{tasks}.json"
        if kept is not None and kept.exists() and _restore(harness, kept):
            harness.say(f"{STAGE}, {engine}, {tasks:,} tasks: done before, see {kept}")
            continue
        # A server of its own, since the changes are made once.
        with running(tasks, corpus=GENERATED) as api, harness.fresh(engine) as url:
            measure_parts(harness, api, Job(api.url, KEY, url, tasks), kept, rehearsal)


def measure_parts(harness: Harness, api: Api, job: Job, kept: Path | None, rehearsal: Rehearsal) -> None:
    """Run every command and ask for pages; what fails does not end it, unless it is the first sync.

    After each part the results are written to the file `kept`.
    """
    harness.init(api, job.database)
    for name, arguments in rehearsal.commands:
        if name.startswith(harness.options.without):
            continue
        if name in {CHANGED_SYNC, RECENT_SYNC}:
            harness.say(f"  {api.change(recent=name == RECENT_SYNC):,} tasks change")
        with _progress(harness, api):
            succeeded = _run(harness, name, arguments, api, job)
        _save(harness, job, kept, ended=False)
        if name == FIRST_SYNC and not succeeded:
            return
    _pages(harness, job, rehearsal.turns)
    _save(harness, job, kept, ended=True)


@contextmanager
def _progress(harness: Harness, api: Api) -> Iterator[None]:
    """Say every half minute how many requests were answered, while the block runs."""
    over, before = threading.Event(), api.requests()

    def watch() -> None:
        while not over.wait(30):
            harness.say(f"  {api.requests() - before:,} requests so far")

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _run(harness: Harness, name: str, arguments: Sequence[str], api: Api, job: Job) -> bool:
    """Run one command, note what it took and the size of the database, and return whether it succeeded."""
    result = harness.results.of(STAGE, f"scalesync {name}", job.engine, job.tasks, GENERATED)
    harness.run(STAGE, _placed(harness, job, arguments), api, job, name=name)
    if not result.rounds:
        return False
    result.rounds[-1].disk = _size(job)
    harness.say(f"  {result.requests:,} requests, {result.disk / 1e6:,.0f} MB of disk")
    return True


def _placed(harness: Harness, job: Job, arguments: Sequence[str]) -> list[str]:
    """Return the arguments with what they write placed in a directory of its own for the kind of database."""
    place = harness.directory / job.engine
    place.mkdir(exist_ok=True)
    return [str(place / each) if each in {"lake", "report.html"} else each for each in arguments]


def _pages(harness: Harness, job: Job, turns: int) -> None:
    """Ask for pages of each kind; each kind has a result of its own."""
    harness.say(f"{STAGE}, {job.engine}, {job.tasks:,} tasks: pages")
    for name, measured in measure(job.database, page_kinds(job.tasks, turns)).items():
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


def _save(harness: Harness, job: Job, kept: Path | None, *, ended: bool) -> None:
    """Write the results of one kind of database to a file, if there is one."""
    if kept is None:
        return
    results = [one for one in harness.results.all if (one.stage, one.engine) == (STAGE, job.engine)]
    done = ended and not any(one.failures for one in results)
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
