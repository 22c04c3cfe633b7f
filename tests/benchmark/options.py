"""Options of a benchmark: its stages and sizes, and the files for its figures."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tests.benchmark.account import CORPORA
from tests.benchmark.results import ENGINES

STAGES = (
    "sync", "latency", "no-change", "scale", "queue", "verify", "resume", "reading", "pages", "hosts",
    "large", "publish",
)  # fmt: skip


@dataclass(frozen=True)
class Options:
    """The options of one benchmark."""

    only: tuple[str, ...]
    tasks: int
    large: int
    verified: int
    resumed: int
    shared: tuple[int, ...]
    hosts: tuple[int, ...]
    queued: int
    dispatched: int
    looped: int
    browsed: int
    published: int
    rounds: int
    slow_rounds: int
    latency: float
    shared_latency: float
    engines: tuple[str, ...]
    corpora: tuple[str, ...]
    keep: Path | None
    without: tuple[str, ...]
    json: Path | None
    plot: Path | None
    markdown: bool
    alone: bool


def parse(arguments: Sequence[str]) -> Options:
    """Return the options of a command line. Exits if they are wrong."""
    parser = argparse.ArgumentParser(
        "tests.benchmark", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add("--only", default=",".join(STAGES[:-1]), help="stages, separated by commas", metavar="STAGES")
    add("--tasks", type=int, default=20_000, help="tasks of the account that each peer copies")
    add("--large", type=int, default=200_000, help="tasks of the large account that only scalesync copies")
    add("--verified", type=int, default=100_000, help="tasks of the account that is verified")
    add("--resumed", type=int, default=100_000, help="tasks of the account whose sync is interrupted")
    add("--queued", type=int, default=20_000, help="tasks that are submitted")
    add("--dispatched", type=int, default=2_000, help="tasks that are sent")
    add("--looped", type=int, default=200, help="tasks that the official client creates one by one")
    add("--browsed", type=int, default=1_000_000, help="tasks of the mirror whose pages are asked for")
    add("--published", type=int, default=1_000_000, help="tasks of the mirror that is published")
    add("--rounds", type=int, default=5, help="how often each peer runs, one after another")
    add("--slow-rounds", type=int, default=3, help="the same for other peers in `latency`")
    add("--latency", type=float, default=0.15, help="seconds that a request takes in the stage `latency`")
    add("--shared", default="12000,40000", help="tasks of the accounts that several hosts copy together")
    add("--hosts", default="1,2,3,4", help="numbers of hosts in the stage `hosts`, 1 among them")
    add("--shared-latency", type=float, default=0.3, help="seconds that a request takes in a sync there")
    add("--engines", default=",".join(ENGINES), help="databases, separated by commas")
    add("--corpora", default="plain,mixed", help="corpora of the stage `sync`; most others copy plain")
    add(
        "--keep",
        type=Path,
        help="a directory for figures of `large`, which the next run does not repeat",
    )
    add("--without", default="", help="parts of `large` to leave out, such as publish", metavar="PARTS")
    add("--json", type=Path, help="a file for every figure")
    add("--plot", type=Path, help="a PNG for the speeds")
    add("--markdown", action="store_true", help="print the tables for benchmarks.md too")
    add("--alone", action="store_true", help="run only scalesync and the floor")
    add("--quick", action="store_true", help="few tasks, one round: to see that it works")
    given = vars(parser.parse_args(arguments))
    given["without"] = tuple(filter(None, given["without"].split(",")))
    for name, known in (("only", STAGES), ("engines", ENGINES), ("corpora", tuple(CORPORA))):
        given[name] = tuple(given[name].split(","))
        if not set(given[name]) <= set(known):
            parser.error(f"--{name} takes {', '.join(known)}")
    for name in ("shared", "hosts"):
        given[name] = tuple(map(int, given[name].split(",")))
    for path in (given["json"], given["plot"]):
        if path is not None and not path.resolve().parent.is_dir():
            parser.error(f"there is no directory for {path}")
    if given["plot"] is not None and find_spec("matplotlib") is None:
        parser.error("--plot takes matplotlib; install the extra `bench`")
    if given.pop("quick"):
        given |= {"tasks": 400, "large": 2_000, "verified": 2_000, "queued": 400, "dispatched": 100}
        given |= {"looped": 20, "rounds": 1, "slow_rounds": 1, "resumed": 4_000, "latency": 0.02}
        given |= {
            "browsed": 20_000,
            "shared": (2_000,),
            "hosts": (1, 2),
            "shared_latency": 0.02,
            "published": 4_000,
        }
    return Options(**given)
