"""Long lists of values, in parts that every database takes as the parameters of one statement."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

SIZE = 500
"""Far below the 32,766 bound parameters that SQLite takes."""

_Value = TypeVar("_Value")


def chunks(values: Iterable[_Value]) -> Iterator[list[_Value]]:
    """Yield the values in their order, in lists short enough for one statement."""
    rest = iter(values)
    while chunk := list(islice(rest, SIZE)):
        yield chunk
