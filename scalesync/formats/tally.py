"""What was written, counted while it is."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

_T = TypeVar("_T")


@dataclass
class Tally:
    """Counts that grow as an export is written."""

    written: int = 0
    left_out: int = 0
    """What was chosen, and the format cannot hold."""

    def counting(self, items: Iterable[_T]) -> Iterator[_T]:
        """Yield the items, counted as written."""
        for item in items:
            self.written += 1
            yield item


def joined(items: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the elements of a JSON array, a line each, with the commas between them."""
    for number, item in enumerate(items):
        yield b"," + item if number else item
