"""Standard streams that may fail without ending the work: output that cannot be written is dropped.

Hazard: a sync or a dispatch must not stop because a terminal closed, a disk is full or a reader stalls.
"""

import io
import os
import select
import sys
from contextlib import suppress
from typing import IO, cast

STALLED_READER_SECONDS = 5.0
"""To wait for a stalled reader of stderr before its output is dropped."""

_CHUNK_BYTES = 4096
"""A pipe that is writable accepts this many without blocking (PIPE_BUF of Linux)."""

_ORIGINAL_STREAMS: list[object] = []
"""References to the original streams, which keep their file descriptors open."""


class StdStream(io.FileIO):
    """A raw stdout or stderr that raises at most once; afterwards, or if optional, it drops its input."""

    # Nothing may be left in a buffer: flushing it at exit would fail and change the exit code.

    def __init__(self, number: int, *, optional: bool) -> None:
        super().__init__(number, "w", closefd=False)
        self.optional = optional
        self.drops_when_stalled = optional and os.name == "posix"
        """Whether output is dropped if the reader stalls."""
        self.failure: OSError | None = None
        """The error of the first failed write."""
        self._stalled = False

    def write(self, data: "memoryview | bytes", /) -> int:  # type: ignore[override]
        """Write some of `data`, return its size; raise the first OSError unless the stream is optional."""
        try:
            if not self.drops_when_stalled:
                return self._write_some(data)
            return self._write_some(memoryview(data)[:_CHUNK_BYTES]) if self._reader_is_ready() else len(data)
        except OSError as error:
            if self.optional or self.failure is not None:
                return len(data)
            self.failure = error
            raise

    def _write_some(self, data: "memoryview | bytes") -> int:
        count = super().write(data)
        # None: the stream is non-blocking, and full.
        return len(data) if count is None and self.optional else cast("int", count)

    def _reader_is_ready(self) -> bool:
        # Once stalled, the reader is not waited for again, until it reads on.
        self._stalled = not select.select([], [self], [], 0.0 if self._stalled else STALLED_READER_SECONDS)[1]
        return not self._stalled


def prepare() -> None:
    """Set up the three standard streams, even if the process was started with some of them closed.

    A closed stdin is empty, a closed stdout fails at the first write, and stderr drops what it cannot write.
    """
    # A closed descriptor 0 to 2 must be opened: the next file opened, such as the database, would get its
    # number, and output would be written into that file.
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)
    _ORIGINAL_STREAMS.extend((sys.stdout, sys.stderr))
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - it stays open
    sys.stdout = _text(1, sys.stdout, optional=False)
    sys.stderr = _text(2, sys.stderr, optional=True)


def ignore_write_errors() -> None:
    """Ignore write errors of stdout from now on, because the work is done and output only reports it."""
    if (raw := _raw(sys.stdout)) is not None:
        raw.optional = True


def output_failure() -> OSError | None:
    """Return the error of a failed write to stdout, or None."""
    raw = _raw(sys.stdout)
    return None if raw is None else raw.failure


def write_to_stderr_now(text: str) -> None:
    """Write `text` to stderr if that does not block; safe in a signal handler."""
    with suppress(OSError, ValueError):
        if os.name != "posix" or select.select([], [2], [], 0)[1]:
            os.write(2, text.encode())


def _text(number: int, before: "IO[str] | None", *, optional: bool) -> io.TextIOWrapper:
    raw = StdStream(number, optional=optional)
    encoding = getattr(before, "encoding", None) or "utf-8"
    # stderr and a terminal flush every line; a pipe gets large blocks.
    lines = optional or raw.isatty()
    buffered = io.BufferedWriter(cast("io.RawIOBase", raw))
    # Characters that the terminal's encoding lacks are printed as escapes instead of failing.
    return io.TextIOWrapper(buffered, encoding, "backslashreplace", line_buffering=lines)


def _raw(stream: object) -> StdStream | None:
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw if isinstance(raw, StdStream) else None
