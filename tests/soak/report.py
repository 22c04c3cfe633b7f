"""What came of a soak, for people and for machines."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from tests.soak.options import Options
from tests.soak.processes import Processes
from tests.soak.sampler import Sampler, is_flat, peaks
from tests.soak.submitter import Submitter
from tests.soak.verdict import Check


@dataclass(frozen=True)
class Report:
    """The whole result."""

    options: Options
    processes: Processes
    submitter: Submitter
    sampler: Sampler
    rough: float
    """Seconds that faults, people and kills lasted."""
    asked: dict[str, Any]
    """What the sandbox was asked for in that time, and what it did wrong."""
    people: str
    """How much other people changed and deleted."""
    quiet: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether everything is as it should be."""
        return all(check.ok for check in self.checks)

    @property
    def checks(self) -> tuple[Check, ...]:
        """Everything that is to be true."""
        defects = self.processes.defects
        ends = Check("processes that ended as none should", f"{len(defects)}", not defects)
        error = self.submitter.error
        submitted = Check("submitter at work to the end", repr(error) if error else "yes", error is None)
        left = self.sampler.connections[-1][1]
        closed = Check("database connections left open", f"{left}", not left)
        return (*self.quiet, ends, submitted, closed, *self._memory())

    def _memory(self) -> Iterator[Check]:
        for name, (first, last) in sorted(peaks(self.processes.lives, self.rough).items()):
            if not (first and last):
                continue
            told = f"{first // 1024} MiB in the first third, {last // 1024} MiB in the last"
            yield Check(f"memory of {name}", told, is_flat(first, last))

    def figures(self) -> dict[str, object]:
        """Return what was counted."""
        struck = sum(number for text, number in self.asked["faults"].items() if "latency" not in text)
        return {
            "minutes of faults, people and kills": round(self.rough / 60, 1),
            "requests": self.asked["total"],
            "requests struck by a fault": struck,
            "kills": self.processes.kills,
            "freezes": self.processes.freezes,
            "tasks submitted": len(self.submitter.tasks),
            "changes by other people, and deletions": self.people,
            "submissions killed and done again": self.submitter.again,
            "database connections at most": max((n for _, n in self.sampler.connections), default=0),
            "memory of the sandbox, MiB": self.sampler.sandbox_peak // 1024,
        }

    def _ends(self) -> dict[str, str]:
        """Return, by role, how often it ended with which exit code; -9 is a kill."""
        codes: dict[str, Counter[int]] = {}
        for life in self.processes.lives:
            codes.setdefault(life.name, Counter())[life.code] += 1
        return {
            name: ", ".join(f"{code}: {number}" for code, number in sorted(found.items()))
            for name, found in sorted(codes.items())
        }

    def table(self) -> str:
        """Return it for people."""
        lines = [f"{name:<45}{value}" for name, value in self.figures().items()]
        lines += [f"{f'ends of {name}':<45}{told}" for name, told in self._ends().items()]
        lines += [f"{'ok' if one.ok else 'FAILED':<8}{one.name:<42}{one.found}" for one in self.checks]
        return "\n".join([*lines, *self.processes.defects, "all is well" if self.ok else "NOT WELL", ""])

    def as_json(self) -> str:
        """Return it for machines."""
        told = {
            "ok": self.ok,
            "options": asdict(self.options) | {"out": str(self.options.out)},
            "figures": self.figures(),
            "ends": self._ends(),
            "checks": [asdict(check) for check in self.checks],
            "defects": self.processes.defects,
        }
        return json.dumps(told, indent=2)
