"""What is measured, one stage after the other."""

import json
from contextlib import ExitStack
from pathlib import Path

from tests.benchmark.children import scalesync
from tests.benchmark.documents import BOXES, PROJECTS
from tests.benchmark.harness import A_LOOP, BARE, PROOF, SCALESYNC, WIDE, Harness
from tests.benchmark.peers.protocol import Order
from tests.benchmark.server import KEY
from tests.benchmark.upper_bound import upper_bound

SENDING_LATENCY = 0.05
"""Seconds that each request takes while tasks are created."""


def sync(harness: Harness) -> None:
    """Let everybody in turn copy the account, as fast as it goes."""
    tasks = harness.options.tasks
    api = harness.api(tasks)
    harness.results.upper_bound = upper_bound(api)
    harness.results.bytes_per_task, harness.results.boxes_per_task = api.bytes_per_task, BOXES
    for _ in range(harness.options.rounds):
        for engine in harness.options.engines:
            with ExitStack() as stack:
                mirror = stack.enter_context(harness.fresh(engine))
                harness.copy("sync", SCALESYNC, api, Order(api.url, KEY, mirror, tasks))
                for peer in (BARE, *harness.peers(engine)):
                    with harness.fresh(engine) as url:
                        order = Order(api.url, KEY, url, tasks, source=mirror)
                        harness.copy("sync", peer, api, order)


def latency(harness: Harness) -> None:
    """Let everybody copy it from a server that takes its time."""
    tasks = harness.options.tasks
    api = harness.api(tasks, harness.options.latency)
    turns = [(SCALESYNC, harness.options.rounds), (WIDE, harness.options.rounds)]
    turns += [(peer, harness.options.slow_rounds) for peer in harness.peers("sqlite") if not peer.tuned]
    for round_ in range(harness.options.rounds):
        for peer, rounds in turns:
            if round_ < rounds:
                with harness.fresh("sqlite") as url:
                    harness.copy("latency", peer, api, Order(api.url, KEY, url, tasks))


def no_change(harness: Harness) -> None:
    """Measure what cron pays when nothing happened, and what a look costs, as commands from their start."""
    tasks = harness.options.large
    url, api = harness.large_mirror(tasks), harness.api(tasks)
    for _ in range(harness.options.rounds):
        for command in ("sync", "status", "--help"):
            harness.run("no-change", [command], api, Order(api.url, KEY, url, tasks))


def scale(harness: Harness) -> None:
    """Measure whether a large account takes more for each task than a small one, or more memory."""
    small, large = harness.options.tasks, harness.options.large
    for engine in harness.options.engines:
        for tasks in (small, large):
            if (engine, tasks) == ("sqlite", large):
                harness.large_mirror(large)
                continue
            api = harness.api(tasks)
            with harness.fresh(engine) as url:
                harness.copy("scale", SCALESYNC, api, Order(api.url, KEY, url, tasks))


def queue(harness: Harness) -> None:
    """Submit tasks from a file, and send some to an API that takes its time."""
    queued, sent, looped = harness.options.queued, harness.options.dispatched, harness.options.looped
    api = harness.api(1, SENDING_LATENCY)
    for round_ in range(harness.options.rounds):
        with harness.fresh("sqlite") as url:
            harness.init(api, url)
            order = Order(api.url, KEY, url, queued)
            submitting = _submitting(harness, f"queued-{round_}", queued)
            harness.run("queue", submitting, api, order, name="task create --from")
        with harness.fresh("sqlite") as url:
            harness.init(api, url)
            scalesync(_submitting(harness, f"sent-{round_}", sent), api.url, url)
            harness.run("dispatch", ["dispatch", "--workers", "8"], api, Order(api.url, KEY, url, sent))
        if not (A_LOOP.missing or harness.options.alone):
            payloads = str(_payloads(harness, f"looped-{round_}", looped))
            order = Order(api.url, KEY, "sqlite:///none", looped, payloads=payloads)
            harness.turn("dispatch", A_LOOP, api, order)


def _submitting(harness: Harness, name: str, count: int) -> list[str]:
    file = _payloads(harness, name, count)
    return ["--quiet", "task", "create", "imageannotation", "--from", str(file)]


def _payloads(harness: Harness, name: str, count: int) -> Path:
    """Return a file of tasks that nobody has submitted yet, a line each."""
    file = harness.directory / f"{name}.jsonl"
    with file.open("w") as lines:
        for number in range(count):
            body = {
                "project": PROJECTS[0],
                "unique_id": f"{name}-{number:06d}",
                "instruction": "Draw a box around each **car**.",
                "attachment": f"https://pictures.example/{number:06d}.jpg",
                "attachment_type": "image",
                "geometries": {"box": {"objects_to_annotate": ["car"], "min_height": 10, "min_width": 10}},
                "metadata": {"row": number},
            }
            lines.write(json.dumps(body) + "\n")
    return file


def verify(harness: Harness) -> None:
    """Prove a mirror in which nothing is wrong."""
    tasks = harness.options.verified
    url, api = harness.large_mirror(tasks), harness.api(tasks)
    for _ in range(harness.options.rounds):
        harness.turn("verify", PROOF, api, Order(api.url, KEY, url, tasks))


ALL = {
    "sync": sync,
    "latency": latency,
    "no-change": no_change,
    "scale": scale,
    "queue": queue,
    "verify": verify,
}
"""By name, in the order in which they run."""
