"""The targets of the benchmark, and whether what was measured reaches them.

All times are medians of the rounds of one run.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from tests.benchmark.results import (
    DLT,
    DROP_IN,
    FLOOR,
    KILLED,
    LOOP,
    METHODS,
    OFFICIAL,
    OFFICIAL_READER,
    ORM,
    OURS,
    OURS_WIDE,
    PUBLISHED,
    PUBLISHED_AGAIN,
    RESUMED,
    SHARED_DISPATCH,
    SHARED_SYNC,
    TUNED,
    Result,
    Results,
)
from tests.benchmark.stages import SENDING_LATENCY, SENDING_WORKERS

DISPATCH = f"scalesync dispatch --workers {SENDING_WORKERS}"
SEQUENTIAL = (OFFICIAL, ORM, DLT)

FASTER = (
    ("sync", "sqlite", "plain", OURS, OFFICIAL, 2.5),
    ("sync", "sqlite", "plain", OURS, TUNED, 2.0),
    ("sync", "sqlite", "plain", OURS, DLT, 10.0),
    ("sync", "sqlite", "mixed", OURS, OFFICIAL, 2.2),
    *(("sync", "postgres", corpus, OURS, DLT, 8.0) for corpus in ("plain", "mixed")),
    *(("sync", "postgres", corpus, OURS, ORM, 6.0) for corpus in ("plain", "mixed")),
    *(("latency", "sqlite", "plain", OURS, peer, 7.5) for peer in SEQUENTIAL),
    *(("latency", "sqlite", "plain", OURS_WIDE, peer, 12.0) for peer in SEQUENTIAL),
    ("dispatch", "sqlite", "plain", DISPATCH, LOOP, 3.0),
    ("reading", "sqlite", "plain", DROP_IN.format(METHODS[0]), OFFICIAL_READER.format(METHODS[0]), 5.0),
)
"""Stage, database, corpus, our peer, another peer, and the times as many tasks a second as that has."""

ABOVE_FLOOR = (("sqlite", "plain", 2.0), ("postgres", "plain", 2.2), ("postgres", "mixed", 2.2))
"""Database, corpus, and the times of the floor's seconds, at most."""
MIXED_PER_ROW = 1.25
"""Times of the seconds for each annotation row of the corpus `plain`, at most."""

IDLE_SECONDS = {"scalesync status": 0.6}
IDLE_CPU = {"scalesync sync": 0.4, "scalesync --help": 0.2}
"""Seconds of a command when there is nothing to do, at most."""
IDLE_REQUESTS = 6
"""Of a sync that finds nothing new, at most."""

PEAK = 150e6
"""Bytes of memory of any sync, less than."""
GROWTH = 1.15
"""Times of the small account's seconds for each task that the large account takes, at most."""
RESUME = 1.1
"""Times of the seconds for each task of an uninterrupted sync, at most."""
VERIFY = 15e-6
"""Seconds for each task of a clean mirror, at most."""
SUBMISSIONS = 20_000 / 3
"""A second, from a file into the queue, at least."""
PAGE = 0.3
"""Seconds in which 95 of 100 requests for any page are answered, at most."""
PUBLISHED_CHANGES = 0.05
"""Of the time of publishing everything, for the changes in the newest thousandth of the tasks, at most."""
PUBLISH_MEMORY = 300
"""MB at most, of a mirror of any size."""
HOSTS = ((12_000, 3, 2.4), (40_000, 3, 2.6), (40_000, 4, 3.2))
"""Tasks, hosts that copy them, and the times as fast as one host, at least."""
UNEVEN = 0.9
"""Of that gain, at least, where one project holds 90 % of the tasks."""
TWO_DISPATCHING = 1.85
"""Times as fast as one host, at least."""
DISPATCH_SHARE = 0.88
"""Of the tasks a second that the workers could send if nothing but the API took time, at least."""


@dataclass(frozen=True)
class Target:
    """One target, as texts for people."""

    name: str
    wanted: str
    measured: str
    reached: bool


def targets(results: Results) -> list[Target]:
    """Return the targets for which everything was measured."""
    return [
        *_faster(results),
        *_above_floor(results),
        *_per_row(results),
        *_idle(results),
        *_scaling(results),
        *_resumed(results),
        *_verified(results),
        *_queue(results),
        *_pages(results),
        *_published(results),
        *_hosts(results),
    ]


def _faster(results: Results) -> Iterator[Target]:
    for stage, engine, corpus, us, them, times in FASTER:
        ours, theirs = results.find(stage, us, engine, corpus), results.find(stage, them, engine, corpus)
        if ours and theirs:
            name = f"{stage}, {engine}, {corpus}: {us} against {them}"
            yield _at_least(name, times, ours.rate / theirs.rate, "{:.1f} x")


def _above_floor(results: Results) -> Iterator[Target]:
    for engine, corpus, times in ABOVE_FLOOR:
        ours = results.find("sync", OURS, engine, corpus)
        floor = results.find("sync", FLOOR, engine, corpus)
        if ours and floor:
            name = f"sync, {engine}, {corpus}: scalesync against the floor"
            yield _at_most(name, times, ours.seconds / floor.seconds, "{:.2f} x its time")


def _per_row(results: Results) -> Iterator[Target]:
    plain, mixed = (results.find("sync", OURS, "sqlite", corpus) for corpus in ("plain", "mixed"))
    if plain and mixed and plain.annotations and mixed.annotations:
        ratio = (mixed.seconds / mixed.annotations) / (plain.seconds / plain.annotations)
        name = "sync, sqlite: time for each annotation row, mixed against plain"
        yield _at_most(name, MIXED_PER_ROW, ratio, "{:.2f} x")


def _idle(results: Results) -> Iterator[Target]:
    for command in (*IDLE_CPU, *IDLE_SECONDS):
        idle = results.find("no-change", command, "sqlite")
        if idle:
            name = f"{command}, nothing new in {idle.tasks:,} tasks"
            if command in IDLE_CPU:
                yield _at_most(name, IDLE_CPU[command], idle.cpu, "{:.2f} s of CPU")
            if command in IDLE_SECONDS:
                yield _at_most(name, IDLE_SECONDS[command], idle.seconds, "{:.2f} s")
            if command == "scalesync sync":
                yield _at_most(name, IDLE_REQUESTS, idle.requests, "{:.0f} requests")


def _scaling(results: Results) -> Iterator[Target]:
    syncs = [one for one in results.all if one.name in {OURS, OURS_WIDE} and one.rounds and one.peak]
    if syncs:
        most = max(syncs, key=lambda one: one.peak)
        name = f"memory of any sync ({most.stage}, {most.engine}, {most.corpus}, {most.tasks:,} tasks)"
        yield _at_most(name, PEAK / 1e6, most.peak / 1e6, "{:.0f} MB")
    for engine in ("sqlite", "postgres"):
        found = [one for one in syncs if (one.stage, one.engine) == ("scale", engine)]
        if len(found) > 1:
            small, large = min(found, key=_size), max(found, key=_size)
            name = f"{engine}, from {small.tasks:,} to {large.tasks:,} tasks: time for each"
            yield _at_most(name, GROWTH, small.rate / large.rate, "{:.2f} x")


def _size(one: Result) -> int:
    return one.tasks


def _resumed(results: Results) -> Iterator[Target]:
    killed, resumed = (results.find("resume", name, "sqlite") for name in (KILLED, RESUMED))
    if killed and resumed:
        name = "time for each task of a sync that finishes one killed half-way, against the killed one"
        yield _at_most(name, RESUME, killed.rate / resumed.rate, "{:.2f} x")


def _verified(results: Results) -> Iterator[Target]:
    verified = results.find("verify", "scalesync verify", "sqlite")
    if verified:
        name = f"verify of a clean mirror of {verified.tasks:,} tasks, start and requests included"
        yield _at_most(name, VERIFY * 1e6, 1e6 / verified.rate, "{:.1f} µs for each task")


def _queue(results: Results) -> Iterator[Target]:
    queued = results.find("queue", "scalesync task create --from", "sqlite")
    if queued:
        yield _at_least(f"{queued.tasks:,} submissions from a file", SUBMISSIONS, queued.rate, "{:,.0f}/s")
    sent = results.find("dispatch", DISPATCH, "sqlite")
    if sent:
        name = f"{DISPATCH}, {SENDING_LATENCY * 1000:.0f} ms a request: share of workers / latency"
        yield _at_least(name, DISPATCH_SHARE, sent.rate * SENDING_LATENCY / SENDING_WORKERS, "{:.2f}")


def _pages(results: Results) -> Iterator[Target]:
    for engine in ("sqlite", "postgres"):
        found = [one for one in results.all if (one.stage, one.engine) == ("pages", engine) and one.rounds]
        if found:
            slowest = max(found, key=lambda one: one.seconds)
            name = f"slowest page, {engine}, {slowest.tasks:,} tasks ({slowest.name}): 95th percentile"
            yield _at_most(name, PAGE, slowest.seconds, "{:.3f} s")


def _published(results: Results) -> Iterator[Target]:
    for engine, form in product(("sqlite", "postgres"), ("delta", "parquet")):
        first = results.find("publish", PUBLISHED.format(form), engine)
        again = results.find("publish", PUBLISHED_AGAIN.format(form), engine)
        if first and again:
            name = f"publishing {first.tasks:,} tasks, {engine}, {form}"
            ratio = again.seconds / first.seconds
            yield _at_most(f"{name}: 0.1 % changed, share of the time", PUBLISHED_CHANGES, ratio, "{:.3f}")
            peak = max(first.peak, again.peak) / 1e6
            yield _at_most(f"{name}: peak memory in MB", PUBLISH_MEMORY, peak, "{:.0f}")


def _hosts(results: Results) -> Iterator[Target]:
    shared = {
        (one.name, one.corpus, one.tasks): one.seconds
        for one in results.all
        if one.stage == "hosts" and one.rounds
    }
    wanted = [(SHARED_SYNC, "plain", *each) for each in HOSTS]
    wanted += [(SHARED_SYNC, "uneven", tasks, hosts, UNEVEN * times) for tasks, hosts, times in HOSTS]
    sent = {tasks for name, _, tasks in shared if name == SHARED_DISPATCH.format(1)}
    wanted += [(SHARED_DISPATCH, "plain", tasks, 2, TWO_DISPATCHING) for tasks in sent]
    for name, corpus, tasks, hosts, times in wanted:
        one, several = (shared.get((name.format(number), corpus, tasks)) for number in (1, hosts))
        if one and several:
            title = f"{name.format(hosts)}, {corpus}, {tasks:,} tasks, against one host"
            yield _at_least(title, times, one / several, "{:.2f} x")


def _at_least(name: str, wanted: float, measured: float, form: str) -> Target:
    return Target(name, f"at least {form.format(wanted)}", form.format(measured), measured >= wanted)


def _at_most(name: str, wanted: float, measured: float, form: str) -> Target:
    return Target(name, f"at most {form.format(wanted)}", form.format(measured), measured <= wanted)
