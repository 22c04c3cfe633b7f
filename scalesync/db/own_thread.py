"""A thread for calls that may not end: whoever waits for one can leave it behind.

One call of a function of SQLite, such as `instr` on long values, can take hours, and nothing interrupts it:
SQLite looks at a limit only between two steps of a statement, and Python at Ctrl-C between two of its own.
The thread does not keep the process from ending.
"""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Self, TypeVar

T = TypeVar("T")


class OwnThread:
    """Makes one call after another. Used by one other thread, which waits for each."""

    def __init__(self, name: str) -> None:
        self._asked: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        self._answered: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        self._left_behind = False
        self._last: Callable[[], object] = lambda: None
        self._hasten: Callable[[], object] = lambda: None
        self._thread = Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def call(self, act: Callable[[], T], seconds: float | None = None) -> T:
        """Return what `act` returns, or raise what it raises; raise TimeoutError if that takes too long."""
        self._asked.put(act)
        try:
            value, error = self._answered.get(timeout=seconds)
        except BaseException as ended:
            # Also a Ctrl-C: the answer will come to nobody.
            self._left_behind = True
            if isinstance(ended, Empty):
                raise TimeoutError from None
            raise
        if error is not None:
            raise error
        result: T = value
        return result

    def at_end(self, last: Callable[[], object], *, hasten: Callable[[], object]) -> None:
        """Have `last` called in the thread when it ends, and `hasten` before that by whoever waits."""
        self._last, self._hasten = last, hasten

    def __enter__(self) -> Self:
        """Return this thread, which ends after the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Return when the thread has ended, or at once if a call was left behind."""
        self._hasten()
        self._asked.put(self._last)
        self._asked.put(None)
        if not self._left_behind:
            self._thread.join()

    def _work(self) -> None:
        while (act := self._asked.get()) is not None:
            try:
                self._answered.put((act(), None))
            except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
                self._answered.put((None, error))
            del act
