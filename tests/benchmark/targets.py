"""What is to be reached, held against what was measured."""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.benchmark.results import DLT, FLOOR, LOOP, OFFICIAL, ORM, OURS, OURS_WIDE, TUNED, Result, Results

FASTER = (
    ("sync", "sqlite", OURS, OFFICIAL, 2.5),
    ("sync", "sqlite", OURS, TUNED, 2.5),
    ("sync", "sqlite", OURS, DLT, 10.0),
    ("sync", "postgres", OURS, DLT, 8.0),
    ("sync", "postgres", OURS, ORM, 6.0),
    *(("latency", "sqlite", OURS, peer, 7.0) for peer in (OFFICIAL, ORM, DLT)),
    *(("latency", "sqlite", OURS_WIDE, peer, 12.0) for peer in (OFFICIAL, ORM, DLT)),
    ("dispatch", "sqlite", "scalesync dispatch --workers 8", LOOP, 3.0),
)
"""Stage, database, we, the other, and how many times as fast we are to be."""

ABOVE_FLOOR = {"sqlite": 1.6, "postgres": 1.8}
"""Times of the floor's, at most."""

CPU = {"scalesync sync": 0.5, "scalesync status": 0.4, "scalesync --help": 0.2}
"""Seconds that a command may take when there is nothing to do."""

REQUESTS = 6
"""Of a run that finds nothing new."""
PEAK = 150e6
"""Bytes of any first sync."""
GROWTH = 1.15
"""What the large account may take of the memory, and of the time for each task, that the small one takes."""
SUBMISSIONS = 20_000 / 3
"""A second, from a file into the queue."""


@dataclass(frozen=True)
class Target:
    """One thing to be reached."""

    name: str
    wanted: str
    measured: str
    reached: bool


def targets(results: Results) -> list[Target]:
    """Return what can be said of the targets, those left out that nothing was measured for."""
    found = [*_faster(results), *_above_floor(results), *_idle(results), *_scaling(results)]
    queued = next((one for one in results.all if one.stage == "queue" and one.rounds), None)
    if queued is not None:
        name = f"{queued.tasks:,} submissions from a file"
        found.append(_at_least(name, SUBMISSIONS, queued.rate, "{:,.0f}/s"))
    return found


def _faster(results: Results) -> Iterator[Target]:
    for stage, engine, us, them, times in FASTER:
        ours, theirs = results.find(stage, us, engine), results.find(stage, them, engine)
        if ours and theirs:
            name = f"{stage}, {engine}: {us} against {them}"
            yield _at_least(name, times, ours.rate / theirs.rate, "{:.1f} x")


def _above_floor(results: Results) -> Iterator[Target]:
    for engine, times in ABOVE_FLOOR.items():
        ours, floor = results.find("sync", OURS, engine), results.find("sync", FLOOR, engine)
        if ours and floor:
            name = f"sync, {engine}: scalesync against the floor"
            yield _at_most(name, times, ours.seconds / floor.seconds, "{:.2f} x its time")


def _idle(results: Results) -> Iterator[Target]:
    for command, seconds in CPU.items():
        idle = results.find("no-change", command, "sqlite")
        if idle:
            name = f"{command}, nothing new in {idle.tasks:,} tasks"
            yield _at_most(name, seconds, idle.cpu, "{:.2f} s of CPU")
            if command == "scalesync sync":
                yield _at_most(name, REQUESTS, idle.requests, "{:.0f} requests")


def _scaling(results: Results) -> Iterator[Target]:
    syncs = [one for one in results.all if one.name in {OURS, OURS_WIDE} and one.rounds and one.peak]
    syncs = [one for one in syncs if one.stage != "verify"]
    if syncs:
        most = max(syncs, key=lambda one: one.peak)
        name = f"memory of any sync ({most.stage}, {most.engine}, {most.tasks:,} tasks)"
        yield _at_most(name, PEAK / 1e6, most.peak / 1e6, "{:.0f} MB")
    for engine in ABOVE_FLOOR:
        found = [one for one in syncs if (one.stage, one.engine) == ("scale", engine)]
        if len(found) > 1:
            yield from _flat(min(found, key=_size), max(found, key=_size))


def _flat(small: Result, large: Result) -> Iterator[Target]:
    name = f"{small.engine}, from {small.tasks:,} to {large.tasks:,} tasks:"
    yield _at_most(f"{name} time for each", GROWTH, small.rate / large.rate, "{:.2f} x")
    yield _at_most(f"{name} memory", GROWTH, large.peak / small.peak, "{:.2f} x")


def _size(one: Result) -> int:
    return one.tasks


def _at_least(name: str, wanted: float, measured: float, form: str) -> Target:
    return Target(name, f"at least {form.format(wanted)}", form.format(measured), measured >= wanted)


def _at_most(name: str, wanted: float, measured: float, form: str) -> Target:
    return Target(name, f"at most {form.format(wanted)}", form.format(measured), measured <= wanted)
