"""Recognize a -wal file that belongs to another state of an SQLite database.

Hazard: SQLite keeps the latest transactions in FILE-wal and copies their pages into FILE later. It replays
any -wal beside a file, even one that a killed process left before a backup was copied over the file: the
result is damaged, or silently wrong. So every transaction of ours that changes something increases a number
in the file's header (`user_version`). The pages of a -wal show the numbers of its transactions; the file that
it belongs to has a number from the one before the first of them to the last.
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

# Numbers go from 1 to here, and then from 1 again; 0 is a file without any numbered transaction.
_MAX_NUMBER = 2**31 - 1
# The format of a -wal (documented): its magic numbers, its header, and the header of each page's frame.
_MAGIC = (0x377F0682, 0x377F0683)
_HEADER = struct.Struct(">4I8s8s")
_FRAME = struct.Struct(">2I8s8s")
_NUMBER = struct.Struct(">i")
# The offset of `user_version` in a database's first page (documented).
_USER_VERSION_OFFSET = 60
_TRIES = 5
_BUFFER = 1 << 18


class _Log(NamedTuple):
    """The content of a -wal, as far as it identifies the database."""

    page_size: int
    salts: bytes
    """Changed by SQLite each time that it starts the -wal from its beginning."""
    first: int | None
    """The number of its first transaction; None if no transaction in it wrote the file's header."""
    last: int


def count_transaction(conn: Connection) -> None:
    """Write the next number into the header of an SQLite file, within the open transaction."""
    driver = conn.connection.driver_connection
    if driver is None:
        return
    # Through the driver directly, since it happens in every transaction.
    (number,) = driver.execute("PRAGMA user_version").fetchone()
    # A file's first number is random, so that the -wal of another file does not match by chance.
    following = number % _MAX_NUMBER + 1 if number > 0 else random_number()
    driver.execute(f"PRAGMA user_version = {following}")


def random_number() -> int:
    """Return a number for the first transaction of a file, or of a copy."""
    return randint(1, _MAX_NUMBER)  # noqa: S311 - it tells files apart, and keeps no secret


def check_log(path: Path) -> None:
    """Raise DatabaseError if a -wal of another state or file is beside the SQLite file at `path`.

    Call it before the file is opened: that replays the -wal.
    """
    # File and -wal are read without a lock, while other processes may write. Only if the -wal is the same
    # before and after reading the file does the comparison count; otherwise try again.
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
        # It was started again between the two readings: so it is in use, and no leftover. Read it again.


def _fits(log: _Log, page_size: int, number: int) -> bool:
    if page_size != log.page_size:
        return False
    if log.first is None or number == 0:
        return True
    # Modulo, as numbers start again from 1: is `number` between the one before the first and the last?
    before = log.first - 1
    return (number - before) % _MAX_NUMBER <= (log.last - before) % _MAX_NUMBER


def _page_size_and_number(path: Path) -> tuple[int, int] | None:
    """Return page size and number in the file itself, ignoring its -wal; None if it cannot be read."""
    # Through SQLite, as closing a plain file handle would release all POSIX locks that SQLite holds on the
    # file in this process (documented). `immutable` makes it ignore the -wal.
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
    """Return the content of the -wal beside a file; None if there is none that SQLite would replay."""
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
                    break  # from here on, frames are left over from before the -wal was started again
                if page == 1:
                    (latest,) = _NUMBER.unpack_from(
                        file.read(page_size).ljust(page_size, b"\0"), _USER_VERSION_OFFSET
                    )
                else:
                    file.seek(page_size, 1)
                if pages_after and first is None:  # the last page of a transaction
                    first = latest
            return _Log(page_size, salts, first, latest or 0)
    except OSError:
        return None
