"""The options of a sandbox."""

from dataclasses import dataclass, field
from math import inf
from pathlib import Path

from scalesync.sandbox.faults import parse_fault
from scalesync.sandbox.switches import Switches


@dataclass(frozen=True)
class SandboxOptions:
    """The options that a sandbox starts with; raises ValueError for impossible ones."""

    port: int = 0
    """The port on 127.0.0.1; 0 lets the system choose one."""

    tasks: int = 0
    """How many tasks to seed, with their projects and batches; 0 starts with an empty account."""

    seed: int = 1
    """The seed of documents, faults and random changes: the same seed and clock make the same account."""

    faults: tuple[str, ...] = ()
    """Faults as `parse_fault` reads them, such as `500:2%` or `latency:40ms`."""

    switches: Switches = field(default_factory=Switches)
    """Which behavior the API has where it is not known."""

    state: Path | None = None
    """The state file, created if missing; objects that it holds already are loaded instead of seeding."""

    annotate: float = 0.0
    """How many pending live tasks are completed per second, while a few others are recalled or fixed."""

    churn_per_page: int = 0
    """How many random changes are made before each page of live tasks."""

    keys: frozenset[str] | None = None
    """The only keys accepted; None accepts every key that begins with live_ or test_ or ends in |test."""

    types_not_enabled: tuple[str, ...] = ()
    """Task types that the account may not create: 402."""

    seed_mode: str = "live"
    """Which mode is seeded: live or test."""

    def __post_init__(self) -> None:
        """Raise ValueError for impossible options."""
        if self.seed_mode not in {"live", "test"}:
            raise ValueError("seed_mode is live or test")
        if min(self.tasks, self.annotate, self.churn_per_page) < 0:
            raise ValueError("tasks, annotate and churn_per_page are not negative")
        if not self.annotate < inf:
            raise ValueError("annotate is a number of tasks per second")
        for text in self.faults:
            parse_fault(text)
