"""A process beside ours that makes rows of documents: Python's threads share one core, processes do not.

It loads no database library, answers one message at a time, and ends when its input does.
"""

import signal
import sys
from typing import IO

import msgspec

from scalesync.errors import InconsistentPageError
from scalesync.parsing.annotation_rows import derive
from scalesync.parsing.row_parser import DocumentSpec, make_row_parser, repeats

_SIZE = 4
"""Bytes in which a message's length comes before it."""

_encode = msgspec.msgpack.Encoder().encode


def send(stream: IO[bytes], message: bytes) -> None:
    """Write a message, whole."""
    stream.write(len(message).to_bytes(_SIZE, "big"))
    stream.write(message)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes | None:
    """Return the next message, or None where there is none, or not all of it."""
    size = stream.read(_SIZE)
    if len(size) < _SIZE:
        return None
    message = stream.read(int.from_bytes(size, "big"))
    return message if len(message) == int.from_bytes(size, "big") else None


def main() -> None:
    """Take a form, say so, and answer each list of documents with its rows, or with nothing if it cannot."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source, target = sys.stdin.buffer, sys.stdout.buffer
    task = receive(source)
    if task is None:
        return
    form, counting = msgspec.msgpack.decode(task, type=tuple[DocumentSpec, bool])
    row_of, count = make_row_parser(form), repeats(form) if counting else None
    decode = msgspec.msgpack.Decoder(list[bytes]).decode
    send(target, b"")
    while (message := receive(source)) is not None:
        try:
            answer = _encode([derive(row_of(text), count) for text in decode(message)])
        except (InconsistentPageError, RecursionError, OverflowError):
            answer = b""
        send(target, answer)
