"""The process's own streams: what cannot be told is not told, and the work goes on."""

import io
import os
import select
import sys
from contextlib import suppress
from typing import IO, cast

PATIENCE = 5.0
"""Seconds that stderr may take nothing, its reader having stopped, before what it is told is dropped."""

_PIECE = 4096
"""Bytes that a pipe takes without waiting once it takes any (PIPE_BUF of Linux; at least 512 elsewhere)."""

_BEFORE: list[object] = []
"""The streams as they were: with the last reference to one, its file might be closed."""


class StdStream(io.FileIO):
    """stdout or stderr. It fails once at most: then, or where it is optional, it drops what it is given.

    So nothing is left in a buffer that would change the exit code at the very end.
    """

    def __init__(self, number: int, *, optional: bool) -> None:
        super().__init__(number, "w", closefd=False)
        self.optional = optional
        self.impatient = optional and os.name == "posix"
        """Whether a reader that takes nothing is waited for a while only."""
        self.failure: OSError | None = None
        """Why it failed, if it did."""
        self._stuck = False

    def write(self, data: "memoryview | bytes", /) -> int:  # type: ignore[override]
        """Write some of `data` and return how much; raise the first OSError unless the stream is optional."""
        try:
            if not self.impatient:
                return self._written(data)
            return self._written(memoryview(data)[:_PIECE]) if self._ready() else len(data)
        except OSError as error:
            if self.optional or self.failure is not None:
                return len(data)
            self.failure = error
            raise

    def _written(self, data: "memoryview | bytes") -> int:
        count = super().write(data)
        # None: it does not block, and is full.
        return len(data) if count is None and self.optional else cast("int", count)

    def _ready(self) -> bool:
        self._stuck = not select.select([], [self], [], 0.0 if self._stuck else PATIENCE)[1]
        return not self._stuck


def prepare() -> None:
    """Give this process all three standard streams, whichever of them it was started with.

    What is closed is opened, or the next file would be taken for it: stdin is empty then, and stdout fails
    once something is written to it. What stderr does not take is dropped.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)
    _BEFORE.extend((sys.stdout, sys.stderr))
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - it stays open
    sys.stdout = _text(1, sys.stdout, optional=False)
    sys.stderr = _text(2, sys.stderr, optional=True)


def report_only() -> None:
    """Ignore write errors of stdout from now on: what is still written only reports what was done."""
    if (raw := _raw(sys.stdout)) is not None:
        raw.optional = True


def output_failure() -> OSError | None:
    """Return why stdout failed, if it did."""
    raw = _raw(sys.stdout)
    return None if raw is None else raw.failure


def say_at_once(text: str) -> None:
    """Write `text` to stderr if that takes it now: allowed in the handler of a signal."""
    with suppress(OSError, ValueError):
        if os.name != "posix" or select.select([], [2], [], 0)[1]:
            os.write(2, text.encode())


def _text(number: int, before: "IO[str] | None", *, optional: bool) -> io.TextIOWrapper:
    raw = StdStream(number, optional=optional)
    encoding = getattr(before, "encoding", None) or "utf-8"
    lines = optional or raw.isatty()
    buffered = io.BufferedWriter(cast("io.RawIOBase", raw))
    return io.TextIOWrapper(buffered, encoding, "backslashreplace", line_buffering=lines)


def _raw(stream: object) -> StdStream | None:
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw if isinstance(raw, StdStream) else None
