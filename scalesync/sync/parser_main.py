"""Main function of the parser process, and the framing of its messages on both sides.

A process and not a thread, because Python's threads share one core. It loads no database library, answers one
message at a time, and ends when its input does.
"""

import gc
import signal
import sys
from typing import IO

import msgspec

from scalesync.errors import InconsistentPageError
from scalesync.parsing.annotation_rows import make_task_deriver
from scalesync.parsing.row_parser import DocumentSpec, make_row_parser
from scalesync.parsing.task_inserts import make_page_inserter

_LENGTH_BYTES = 4
"""Bytes of the length before each message."""

_encode = msgspec.msgpack.Encoder().encode


def send(stream: IO[bytes], message: bytes) -> None:
    """Write a message with its length before it, and flush."""
    rest = memoryview(len(message).to_bytes(_LENGTH_BYTES, "big") + message)
    while rest:
        # An unbuffered stream may take a part only.
        rest = rest[stream.write(rest) :]
    stream.flush()


def receive(stream: IO[bytes]) -> bytes | None:
    """Return the next message; None at the end of the stream or if it is cut short."""
    prefix = _read(stream, _LENGTH_BYTES)
    return None if prefix is None else _read(stream, int.from_bytes(prefix, "big"))


def _read(stream: IO[bytes], length: int) -> bytes | None:
    parts = []
    while length:
        part = stream.read(length)
        if not part:
            return None
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def main() -> None:
    """Read a document form, confirm it, and answer each page of documents with its rows.

    A page comes with the time at which it was served, if it is to be inserted: then the answer is its
    inserts. It is empty if a document cannot be parsed: the client parses that page itself and finds out
    which.
    """
    # Ctrl-C reaches the whole process group; only the parent decides when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()  # rows have no reference cycles
    source, target = sys.stdin.buffer, sys.stdout.buffer
    task = receive(source)
    if task is None:
        return
    form, counts_repeats = msgspec.msgpack.decode(task, type=tuple[DocumentSpec, bool])
    parse, derive = make_row_parser(form), make_task_deriver(form, count_repeats=counts_repeats)
    inserts = make_page_inserter(form, count_repeats=counts_repeats)
    decode = msgspec.msgpack.Decoder(tuple[list[bytes], str | None]).decode
    send(target, b"")
    while (message := receive(source)) is not None:
        try:
            texts, served_at = decode(message)
            rows = map(parse, texts)
            answer = _encode([derive(row) for row in rows] if served_at is None else inserts(rows, served_at))
        except (InconsistentPageError, RecursionError, OverflowError):
            answer = b""
        send(target, answer)
