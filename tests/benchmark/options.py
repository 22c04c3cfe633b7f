"""What is to be measured, and where the figures go."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tests.benchmark.results import ENGINES

STAGES = ("sync", "latency", "no-change", "scale", "queue", "verify")


@dataclass(frozen=True)
class Options:
    """One benchmark."""

    only: tuple[str, ...]
    tasks: int
    large: int
    verified: int
    queued: int
    dispatched: int
    looped: int
    rounds: int
    slow_rounds: int
    latency: float
    engines: tuple[str, ...]
    json: Path | None
    plot: Path | None
    markdown: bool
    alone: bool


def parse(arguments: Sequence[str]) -> Options:
    """Return the options of a command line. Ends the process for those that it cannot read."""
    parser = argparse.ArgumentParser(
        "tests.benchmark", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add("--only", default=",".join(STAGES), help="stages, separated by commas", metavar="STAGES")
    add("--tasks", type=int, default=20_000, help="tasks of the account that everybody copies")
    add("--large", type=int, default=200_000, help="tasks of the large account that only scalesync copies")
    add("--verified", type=int, default=100_000, help="tasks of the account that is verified")
    add("--queued", type=int, default=20_000, help="tasks that are submitted")
    add("--dispatched", type=int, default=2_000, help="tasks that are sent")
    add("--looped", type=int, default=200, help="tasks that the official client creates one by one")
    add("--rounds", type=int, default=3, help="how often each peer has its turn")
    add("--slow-rounds", type=int, default=1, help="the same for the others where each request takes long")
    add("--latency", type=float, default=0.15, help="seconds that a request takes in the stage `latency`")
    add("--engines", default="sqlite,postgres", help="databases, separated by commas")
    add("--json", type=Path, help="a file for every figure")
    add("--plot", type=Path, help="a PNG for the speeds")
    add("--markdown", action="store_true", help="print the tables for benchmarks.md too")
    add("--alone", action="store_true", help="leave the others out: only scalesync and the floor")
    add("--quick", action="store_true", help="few tasks, one round: only to see that it works")
    given = vars(parser.parse_args(arguments))
    for name, known in (("only", STAGES), ("engines", ENGINES)):
        given[name] = tuple(given[name].split(","))
        if not set(given[name]) <= set(known):
            parser.error(f"--{name} takes {', '.join(known)}")
    for path in (given["json"], given["plot"]):
        if path is not None and not path.resolve().parent.is_dir():
            parser.error(f"there is no directory for {path}")
    if given["plot"] is not None and find_spec("matplotlib") is None:
        parser.error("--plot takes matplotlib; install the extra `bench`")
    if given.pop("quick"):
        given |= {"tasks": 400, "large": 2_000, "verified": 2_000, "queued": 400, "dispatched": 100}
        given |= {"looped": 20, "rounds": 1, "latency": 0.02}
    return Options(**given)
