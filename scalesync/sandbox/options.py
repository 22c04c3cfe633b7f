"""How a sandbox is to be started."""

from dataclasses import dataclass, field
from math import inf
from pathlib import Path

from scalesync.sandbox.faults import parse_fault
from scalesync.sandbox.switches import Switches


@dataclass(frozen=True)
class SandboxOptions:
    """Everything about a sandbox. Raises ValueError for a fault that cannot be read."""

    port: int = 0
    """Where it listens on 127.0.0.1; 0 lets the system choose."""

    tasks: int = 0
    """How many tasks to make up, with their projects and batches; 0 starts with an empty account."""

    seed: int = 1
    """What the made-up data, the faults and every random change follow: same seed, same clock, same data."""

    faults: tuple[str, ...] = ()
    """Faults as `parse_fault` reads them, such as `500:2%` or `latency:40ms`."""

    switches: Switches = field(default_factory=Switches)
    """Which reading of the API's open questions holds."""

    state: Path | None = None
    """A file that keeps everything; what it holds already is taken up instead of seeding."""

    annotate: float = 0.0
    """How many pending live tasks per second are completed as time goes by; a few are recalled or fixed."""

    churn_per_page: int = 0
    """How many random changes land before each page of live tasks."""

    keys: frozenset[str] | None = None
    """The only keys accepted; None accepts every key that begins with live_ or test_ or ends in |test."""

    types_not_enabled: tuple[str, ...] = ()
    """Task types that the account may not create: 402."""

    seed_mode: str = "live"
    """Which mode gets the made-up data: live or test."""

    def __post_init__(self) -> None:
        """Raise ValueError for what no sandbox can start with."""
        if self.seed_mode not in {"live", "test"}:
            raise ValueError("seed_mode is live or test")
        if min(self.tasks, self.annotate, self.churn_per_page) < 0:
            raise ValueError("tasks, annotate and churn_per_page are not negative")
        if not self.annotate < inf:
            raise ValueError("annotate is a number of tasks per second")
        for text in self.faults:
            parse_fault(text)
