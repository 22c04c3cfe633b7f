"""The -wal file beside an SQLite database: recognizing one that belongs to another state of the database.

SQLite keeps the latest transactions in FILE-wal and copies their pages into FILE later. It replays any -wal
that it finds beside a file, also one that a killed process left where a backup was copied over the file: the
result is damaged, or wrong without a word. So every transaction of ours that changes something counts itself
in the file's header (`user_version`). The pages of a -wal say which transactions are in it; the file that it
belongs to is in a state from the one before the first of them to the last.
"""

import sqlite3
import struct
from contextlib import closing
from pathlib import Path
from random import randint
from typing import NamedTuple

from sqlalchemy import Connection

from scalesync import advice
from scalesync.errors import DatabaseError

_NUMBERS = 2**31 - 1
"""Transactions are counted from 1 to here, and then from 1 again; 0 is a file that was never counted in."""
_MAGIC = (0x377F0682, 0x377F0683)
_HEADER = struct.Struct(">4I8s8s")
_FRAME = struct.Struct(">2I8s8s")
_NUMBER = struct.Struct(">i")
_PLACE = 60
"""Where in a database's first page its `user_version` is."""
_TRIES = 5
_BUFFER = 1 << 18


class _Log(NamedTuple):
    """What a -wal says of itself."""

    page_size: int
    salts: bytes
    """Others each time that SQLite begins it anew."""
    first: int | None
    """The number of the first transaction in it that wrote the file's header; None: there is none."""
    last: int


def count_transaction(conn: Connection) -> None:
    """Give the writing transaction of a connection to SQLite the next number."""
    driver = conn.connection.driver_connection
    if driver is None:
        return
    # By the driver alone, as it happens in every transaction.
    (number,) = driver.execute("PRAGMA user_version").fetchone()
    # The first number of a file is random, so that the -wal of another file does not fit by chance.
    following = number % _NUMBERS + 1 if number > 0 else random_number()
    driver.execute(f"PRAGMA user_version = {following}")


def random_number() -> int:
    """Return a number for a file's first transaction, or for one whose history begins anew."""
    return randint(1, _NUMBERS)  # noqa: S311 - it tells files apart, and keeps no secret


def check_log(path: Path) -> None:
    """Return where no -wal is beside the SQLite file at `path`, or its own; otherwise raise DatabaseError.

    To be called before the file is opened: SQLite replays the -wal then, and writes it into the file later.
    """
    for _ in range(_TRIES):
        log = _read_log(path)
        if log is None or log.first is None:
            return
        held = _page_size_and_number(path)
        if held is None or _fits(log, *held):
            return
        after = _read_log(path)
        if after is not None and after.salts == log.salts and not _fits(after, *held):
            raise DatabaseError(
                f"{path}-wal does not belong to {path}: it was left by another state of it, or another file.",
                advice=advice.DELETE_OLD_LOG,
            )
        # It is in use, and was begun anew between two looks.


def _fits(log: _Log, page_size: int, number: int) -> bool:
    if page_size != log.page_size:
        return False
    if log.first is None or number == 0:
        return True
    before = log.first - 1
    return (number - before) % _NUMBERS <= (log.last - before) % _NUMBERS


def _page_size_and_number(path: Path) -> tuple[int, int] | None:
    """Return what the file alone says, without its -wal; None where it cannot be read."""
    # Not by opening it: closing it again would take away the locks that SQLite holds in this process.
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        ) as connection:
            (number,) = connection.execute("PRAGMA user_version").fetchone()
            (page_size,) = connection.execute("PRAGMA page_size").fetchone()
            return page_size, number
    except sqlite3.Error:
        return None


def _read_log(path: Path) -> _Log | None:
    """Return what the -wal beside a file says of itself; None where there is none that SQLite would read."""
    try:
        with Path(f"{path}-wal").open("rb", buffering=_BUFFER) as file:
            head = file.read(_HEADER.size)
            if len(head) < _HEADER.size:
                return None
            magic, _, page_size, _, salts, _ = _HEADER.unpack(head)
            if magic not in _MAGIC:
                return None
            first = latest = None
            while len(frame := file.read(_FRAME.size)) == _FRAME.size:
                page, pages_after, own_salts, _ = _FRAME.unpack(frame)
                if own_salts != salts:
                    break  # what follows was there before it was begun anew
                if page == 1:
                    (latest,) = _NUMBER.unpack_from(file.read(page_size).ljust(page_size, b"\0"), _PLACE)
                else:
                    file.seek(page_size, 1)
                if pages_after and first is None:  # the last page of a transaction
                    first = latest
            return _Log(page_size, salts, first, latest or 0)
    except OSError:
        return None
