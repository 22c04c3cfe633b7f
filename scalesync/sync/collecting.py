"""Python's garbage collection while a lot of rows goes by, none of which is garbage for it."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_SELDOM = 50_000
"""New objects after which Python looks for cycles, instead of some hundreds."""


@contextmanager
def relaxed_gc() -> Iterator[None]:
    """Have Python look for cycles less often while the block lasts; otherwise it takes a tenth of a sync."""
    before = gc.get_threshold()
    gc.set_threshold(max(_SELDOM, before[0]), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
