"""How long, how large and how rough a soak is to be."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """One soak."""

    minutes: float
    tasks: int
    seed: int
    lease: str
    annotate: float
    changes: int
    kill_every: float
    full_every: float
    submit_every: float
    batch: int
    out: Path | None

    @property
    def seconds(self) -> float:
        """How long the rough part lasts."""
        return self.minutes * 60


def parse(arguments: Sequence[str]) -> Options:
    """Return the options of a command line. Ends the process for those that it cannot read."""
    parser = argparse.ArgumentParser("tests.soak", formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add("--minutes", type=float, default=30.0, help="how long faults, people and kills go on")
    add("--tasks", type=int, default=200_000, help="tasks of the account at the start")
    add("--seed", type=int, default=1, help="what every made-up thing and every random choice follows")
    add("--lease", default="5s", help="SCALESYNC_LEASE of every process")
    add("--annotate", type=float, default=10.0, help="tasks that annotators complete a second")
    add("--changes", type=int, default=1, help="changes that people make before each page of tasks")
    add("--kill-every", type=float, default=20.0, help="seconds from one kill to the next")
    add("--full-every", type=float, default=300.0, help="seconds from one `sync --full` to the next")
    add("--submit-every", type=float, default=5.0, help="seconds from one submitted batch to the next")
    add("--batch", type=int, default=20, help="tasks of a submitted batch")
    add("--out", type=Path, default=None, help="a file for the result as JSON")
    return Options(**vars(parser.parse_args(arguments)))
