"""A thread for calls that may never return: the caller can abandon a call after a timeout.

One call of an SQLite function, such as `instr` on long values, can take hours, and nothing interrupts it:
SQLite checks its limits only between two steps of a statement, and Python checks for Ctrl-C only between two
of its own. The thread does not keep the process from ending.
"""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Self, TypeVar

T = TypeVar("T")


class OwnThread:
    """A daemon thread that makes one call after another for one other thread, which waits for each."""

    def __init__(self, name: str) -> None:
        self._asked: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        self._answered: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        self._abandoned = False
        self._last: Callable[[], object] = lambda: None
        self._hasten: Callable[[], object] = lambda: None
        self._thread = Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def call(self, act: Callable[[], T], seconds: float | None = None) -> T:
        """Call `act` in the thread; return its result or raise its error; TimeoutError after `seconds`."""
        self._asked.put(act)
        try:
            value, error = self._answered.get(timeout=seconds)
        except BaseException as ended:
            # Also on Ctrl-C: the result of this call stays in the queue, so no further call may read from it.
            self._abandoned = True
            if isinstance(ended, Empty):
                raise TimeoutError from None
            raise
        if error is not None:
            raise error
        result: T = value
        return result

    def at_end(self, last: Callable[[], object], *, hasten: Callable[[], object]) -> None:
        """Set `last`, called in the thread at its end, and `hasten`, called before by the waiting thread."""
        self._last, self._hasten = last, hasten

    def __enter__(self) -> Self:
        """Return this thread; it ends after the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Wait until the thread has ended; do not wait if a call was abandoned."""
        self._hasten()
        self._asked.put(self._last)
        self._asked.put(None)
        if not self._abandoned:
            self._thread.join()

    def _work(self) -> None:
        while (act := self._asked.get()) is not None:
            try:
                self._answered.put((act(), None))
            except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
                self._answered.put((None, error))
            del act  # or it would keep its values alive until the next call
