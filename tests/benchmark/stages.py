"""What is measured, one stage after the other."""

import json
from contextlib import ExitStack
from pathlib import Path

from tests.benchmark.ceiling import ceiling
from tests.benchmark.children import scalesync
from tests.benchmark.contenders.contest import Order
from tests.benchmark.documents import PROJECTS
from tests.benchmark.lab import A_LOOP, BARE, PROOF, SCALESYNC, WIDE, Lab
from tests.benchmark.server import KEY

SENDING_LATENCY = 0.05
"""Seconds that each request takes while tasks are created."""


def sync(lab: Lab) -> None:
    """Let everybody in turn copy the account, as fast as it goes."""
    tasks = lab.options.tasks
    api = lab.api(tasks)
    lab.results.ceiling = ceiling(api)
    lab.results.bytes_per_task, lab.results.boxes_per_task = api.bytes_per_task, api.boxes_per_task
    for _ in range(lab.options.rounds):
        for engine in lab.options.engines:
            with ExitStack() as stack:
                mirror = stack.enter_context(lab.fresh(engine))
                lab.copy("sync", SCALESYNC, api, Order(api.url, KEY, mirror, tasks))
                for contender in (BARE, *lab.peers(engine)):
                    with lab.fresh(engine) as url:
                        order = Order(api.url, KEY, url, tasks, source=mirror)
                        lab.copy("sync", contender, api, order)


def latency(lab: Lab) -> None:
    """Let everybody copy it from a server that takes its time."""
    tasks = lab.options.tasks
    api = lab.api(tasks, lab.options.latency)
    turns = [(SCALESYNC, lab.options.rounds), (WIDE, lab.options.rounds)]
    turns += [(peer, lab.options.slow_rounds) for peer in lab.peers("sqlite") if not peer.tuned]
    for round_ in range(lab.options.rounds):
        for contender, rounds in turns:
            if round_ < rounds:
                with lab.fresh("sqlite") as url:
                    lab.copy("latency", contender, api, Order(api.url, KEY, url, tasks))


def no_change(lab: Lab) -> None:
    """Measure what cron pays when nothing happened, and what a look costs, as commands from their start."""
    tasks = lab.options.large
    url, api = lab.large_mirror(tasks), lab.api(tasks)
    for _ in range(lab.options.rounds):
        for command in ("sync", "status", "--help"):
            lab.run("no-change", [command], api, Order(api.url, KEY, url, tasks))


def scale(lab: Lab) -> None:
    """Measure whether a large account takes more for each task than a small one, or more memory."""
    small, large = lab.options.tasks, lab.options.large
    for engine in lab.options.engines:
        for tasks in (small, large):
            if (engine, tasks) == ("sqlite", large):
                lab.large_mirror(large)
                continue
            api = lab.api(tasks)
            with lab.fresh(engine) as url:
                lab.copy("scale", SCALESYNC, api, Order(api.url, KEY, url, tasks))


def queue(lab: Lab) -> None:
    """Submit tasks from a file, and send some to an API that takes its time."""
    queued, sent, looped = lab.options.queued, lab.options.dispatched, lab.options.looped
    api = lab.api(1, SENDING_LATENCY)
    for round_ in range(lab.options.rounds):
        with lab.fresh("sqlite") as url:
            lab.init(api, url)
            order = Order(api.url, KEY, url, queued)
            submitting = _submitting(lab, f"queued-{round_}", queued)
            lab.run("queue", submitting, api, order, name="task create --from")
        with lab.fresh("sqlite") as url:
            lab.init(api, url)
            scalesync(_submitting(lab, f"sent-{round_}", sent), api.url, url)
            lab.run("dispatch", ["dispatch", "--workers", "8"], api, Order(api.url, KEY, url, sent))
        if not (A_LOOP.missing or lab.options.alone):
            payloads = str(_payloads(lab, f"looped-{round_}", looped))
            order = Order(api.url, KEY, "sqlite:///none", looped, payloads=payloads)
            lab.turn("dispatch", A_LOOP, api, order)


def _submitting(lab: Lab, name: str, count: int) -> list[str]:
    file = _payloads(lab, name, count)
    return ["--quiet", "task", "create", "imageannotation", "--from", str(file)]


def _payloads(lab: Lab, name: str, count: int) -> Path:
    """Return a file of tasks that nobody has submitted yet, a line each."""
    file = lab.directory / f"{name}.jsonl"
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


def verify(lab: Lab) -> None:
    """Prove a mirror in which nothing is wrong."""
    tasks = lab.options.verified
    url, api = lab.large_mirror(tasks), lab.api(tasks)
    for _ in range(lab.options.rounds):
        lab.turn("verify", PROOF, api, Order(api.url, KEY, url, tasks))


ALL = {
    "sync": sync,
    "latency": latency,
    "no-change": no_change,
    "scale": scale,
    "queue": queue,
    "verify": verify,
}
"""By name, in the order in which they run."""
