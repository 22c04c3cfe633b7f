"""Rows of documents by a process of its own, for whoever reads many: they are ready to be written then."""

import logging
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from select import select
from types import TracebackType
from typing import Self

import msgspec

import scalesync
from scalesync.parsing.row_parser import DocumentSpec, Row
from scalesync.sync.parser_main import receive, send

log = logging.getLogger("scalesync.sync")

MIN_ROWS_FOR_PROCESS = 3_000
"""Rows still to come from which a process of its own is worth its while."""

ANSWER_SECONDS = 30.0
"""Seconds for one page, after which the process is taken for dead."""

_PIPE = 1 << 20
"""Bytes: a page goes through in one piece."""

_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from scalesync.sync.parser_main import main; main()"

_decode = msgspec.msgpack.Decoder(tuple[Row, ...]).decode
_encode = msgspec.msgpack.Encoder().encode


class ParserProcess:
    """Types documents of one form. Whatever happens to its process, its users go on without it."""

    def __init__(
        self, form: DocumentSpec, patience: float = ANSWER_SECONDS, *, repeats: bool = False
    ) -> None:
        """Type documents of a form; with `repeats` names given twice are counted as well."""
        self._task = form, repeats
        self._patience = patience
        self._starting: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = False
        self._turn = threading.Lock()

    def __enter__(self) -> Self:
        """Return this typist; its process, if there is one, ends with the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        if self._starting is not None:
            self._starting.join()
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def start(self) -> None:
        """Have the process started, if that was not done yet; return at once."""
        if self._starting is not None:
            return
        with self._turn:
            if self._starting is None:
                self._starting = threading.Thread(target=self._start, name="typist", daemon=True)
                self._starting.start()

    def parse(self, texts: tuple[msgspec.Raw, ...]) -> tuple[Row, ...] | None:
        """Return the rows of documents and what follows from them; None if others must see to them."""
        if not self._ready:
            return None
        try:
            answer = self._ask(_encode([bytes(text) for text in texts]))
            return _decode(answer) if answer else None
        except (OSError, ValueError) as error:
            self._ready = False
            log.debug("the second process is gone: %s", error)
            return None

    def _start(self) -> None:
        if not Path(sys.executable or "").stem.startswith(("python", "pypy")):
            # Python runs within another program, which would start anew.
            return
        root = str(Path(scalesync.__file__).parents[1])
        with suppress(OSError):
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-c", _PROGRAM, root],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pipesize=_PIPE,
            )
            self._ask(_encode(self._task))
            self._ready = True

    def _ask(self, message: bytes) -> bytes:
        """Return the answer to a message. Raises OSError if none comes."""
        with self._turn:
            process = self._process
            if process is None or process.stdin is None or process.stdout is None:
                raise BrokenPipeError("it was not started")
            send(process.stdin, message)
            if not select([process.stdout], [], [], self._patience)[0]:
                process.kill()
                raise TimeoutError("it does not answer")
            answer = receive(process.stdout)
            if answer is None:
                raise BrokenPipeError("it ended")
            return answer
