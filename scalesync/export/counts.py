"""Counts of what an export wrote, left out and altered."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

_T = TypeVar("_T")


@dataclass
class ExportCounts:
    """Counts that grow as an export is written."""

    written: int = 0
    pictures: int = field(default=0, compare=False)
    """Pictures of a dataset that is a directory, with an annotation or without."""
    left_out: int = 0
    """Selected items that the format cannot hold."""
    reasons: Counter[str] = field(default_factory=Counter, compare=False)
    """Items left out, by reason, such as `boxes without an area`."""
    altered: Counter[str] = field(default_factory=Counter, compare=False)
    """Items written in another form than the mirror holds, by a sentence that describes it."""
    unfinished: Counter[str] = field(default_factory=Counter, compare=False)
    """Pictures that a later export may have, by what they lack; with one, the export is incomplete."""

    def counting(self, items: Iterable[_T]) -> Iterator[_T]:
        """Yield the items and count them as written."""
        for item in items:
            self.written += 1
            yield item

    def leave_out(self, reason: str, number: int = 1) -> None:
        """Count items that are left out for a reason."""
        self.left_out += number
        self.reasons[reason] += number

    def alter(self, what: str, number: int) -> None:
        """Count items that are written in another form."""
        if number:
            self.altered[what] += number


def joined(items: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the elements of a JSON array, one a line, with commas between them."""
    for number, item in enumerate(items):
        yield b"," + item if number else item
