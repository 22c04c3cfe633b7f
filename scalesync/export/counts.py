"""What was written and what was not, counted while it is."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

_T = TypeVar("_T")


@dataclass
class ExportCounts:
    """Counts that grow as an export is written."""

    written: int = 0
    left_out: int = 0
    """What was chosen, and the format cannot hold."""
    reasons: Counter[str] = field(default_factory=Counter, compare=False)
    """Of what was left out, how many by reason; a reason names what it counts."""
    altered: Counter[str] = field(default_factory=Counter, compare=False)
    """How much was written in another form than it has here, by a sentence that says what."""

    def counting(self, items: Iterable[_T]) -> Iterator[_T]:
        """Yield the items, counted as written."""
        for item in items:
            self.written += 1
            yield item

    def leave_out(self, reason: str, number: int = 1) -> None:
        """Count what is left out, for a reason such as `boxes without an area`."""
        self.left_out += number
        self.reasons[reason] += number

    def alter(self, what: str, number: int) -> None:
        """Count what is written in another form than it has here, if there is any."""
        if number:
            self.altered[what] += number


def joined(items: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the elements of a JSON array, a line each, with the commas between them."""
    for number, item in enumerate(items):
        yield b"," + item if number else item
