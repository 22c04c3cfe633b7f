"""Client of the parser process, which turns tasks into rows on a second core.

Open it for how that process is started, asked and given up: if anything about it fails, pages are parsed in
the caller's thread.
"""

import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from select import select
from typing import Self, TypeVar

import msgspec

import scalesync
from scalesync.errors import InconsistentPageError
from scalesync.parsing.row_parser import DocumentSpec, Row, make_row_parser
from scalesync.parsing.task_inserts import TaskInserts, make_page_inserter
from scalesync.sync.parser_main import receive, send

log = logging.getLogger("scalesync.sync")

MIN_ROWS_FOR_PROCESS = 3_000
"""Unread rows from which starting the process pays."""

ANSWER_SECONDS = 30.0
"""Seconds without an answer to one page after which the process is killed."""

_PIPE_BYTES = 1 << 20
"""Size of the pipe's buffer: a whole page fits, so that neither side waits in the middle of one."""

_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from scalesync.sync.parser_main import main; main()"

_decode_rows = msgspec.msgpack.Decoder(tuple[Row, ...]).decode
_decode_inserts = msgspec.msgpack.Decoder(TaskInserts).decode
_Parsed = TypeVar("_Parsed")
_encode = msgspec.msgpack.Encoder().encode


class ParserProcess:
    """Process that parses documents of one kind. Thread-safe; optional, for `parse` may return None."""

    def __init__(
        self, form: DocumentSpec, patience: float = ANSWER_SECONDS, *, repeats: bool = False
    ) -> None:
        """Prepare for documents of `form`; with `repeats` count names that an object has twice."""
        self._task = form, repeats
        self._parse_here = make_row_parser(form)
        self._inserts_here = make_page_inserter(form, count_repeats=repeats)
        self._patience = patience
        self._starter: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = False
        self._starting = threading.Lock()
        self._sending = threading.Lock()
        self._answered = threading.Lock()
        """Free as soon as the message sent last has its answer."""

    def __enter__(self) -> Self:
        """Return self; the process, if it was started, ends with the block."""
        return self

    def __exit__(self, *error: object) -> None:
        """End the process."""
        if self._starter is not None:
            self._starter.join()
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def start(self) -> None:
        """Start the process in the background, once; return at once."""
        if self._starter is not None:
            return
        with self._starting:
            if self._starter is None:
                self._starter = threading.Thread(target=self._start, name="parser", daemon=True)
                self._starter.start()

    def parse(self, texts: tuple[msgspec.Raw, ...]) -> tuple[Row, ...] | None:
        """Return the rows of documents with their derived values; None: the caller has to parse them."""
        return self._parsed(texts, None, _decode_rows)

    def inserts(self, texts: tuple[msgspec.Raw, ...], served_at: str) -> TaskInserts | None:
        """Return the inserts of documents served at an instant; None if one of them cannot be parsed."""
        found = self._parsed(texts, served_at, _decode_inserts)
        if found is None:
            with suppress(InconsistentPageError, RecursionError, OverflowError):
                found = self._inserts_here(map(self._parse_here, map(bytes, texts)), served_at)
        return found

    def _parsed(
        self, texts: tuple[msgspec.Raw, ...], served_at: str | None, decode: Callable[[bytes], _Parsed]
    ) -> _Parsed | None:
        if not self._ready:
            return None
        try:
            answer = self._ask(_encode(([bytes(text) for text in texts], served_at)))
            return decode(answer) if answer else None
        except (OSError, ValueError) as error:
            self._ready = False
            log.debug("the second process is gone: %s", error)
            return None

    def _start(self) -> None:
        if not Path(sys.executable or "").stem.startswith(("python", "pypy")):
            # Python is embedded: sys.executable is another program, and running it would start that again.
            return
        root = str(Path(scalesync.__file__).parents[1])
        with suppress(OSError):
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-c", _PROGRAM, root],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # Unbuffered: a buffer would read ahead, and nobody would see that the next answer is there.
                bufsize=0,
                pipesize=_PIPE_BYTES,
            )
            self._ask(_encode(self._task))
            self._ready = True

    def _ask(self, message: bytes) -> bytes:
        """Return the answer to a message. Raises OSError without one."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise BrokenPipeError("it was not started")
        answered = threading.Lock()
        # Answers come in the order of the messages. Each thread sends at once, so that the process always has
        # something to do, and then waits until the message before its own has its answer.
        with self._sending:
            send(process.stdin, message)
            before, self._answered = self._answered, answered
            answered.acquire()
        try:
            with before:
                if not select([process.stdout], [], [], self._patience)[0]:
                    # Killed, not just left: a late answer would be taken for that to the next message.
                    process.kill()
                    raise TimeoutError("it does not answer")
                answer = receive(process.stdout)
        finally:
            answered.release()
        if answer is None:
            raise BrokenPipeError("it ended")
        return answer
