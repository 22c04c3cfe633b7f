"""Save objects and counts of applied writes in a state file."""

import os
import sqlite3
from pathlib import Path

# Updated in place: REPLACE would give the row a new rowid, and so move a changed project to the end of its
# list after a restart.
PUT = """INSERT INTO objects VALUES (?, ?, ?, ?)
    ON CONFLICT (mode, kind, name) DO UPDATE SET raw = excluded.raw"""
DELETE = "DELETE FROM objects WHERE mode = ? AND kind = ? AND name = ?"
PUT_COUNT = "INSERT OR REPLACE INTO effects VALUES (?, ?, ?, ?, ?)"


class StateFile:
    """An SQLite file with every object and every count of both modes.

    A commit survives the death of the process but not of the machine: nothing is synced to the disk, so
    that a write stays cheap.
    """

    def __init__(self, path: Path) -> None:
        # Created before SQLite opens it, readable for its owner only: the -wal and -shm files that SQLite
        # puts beside it take the same mode.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._connection = sqlite3.connect(path, check_same_thread=False)
        for statement in (
            # A process killed in the middle of a transaction leaves its torn end in the WAL, and the next
            # one to open the file ignores it: requests are applied as a whole or not at all.
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = OFF",
            """CREATE TABLE IF NOT EXISTS objects
            (mode TEXT, kind TEXT, name TEXT, raw BLOB, PRIMARY KEY (mode, kind, name))""",
            """CREATE TABLE IF NOT EXISTS effects
            (mode TEXT, kind TEXT, name TEXT, effect TEXT, count INTEGER,
            PRIMARY KEY (mode, kind, name, effect))""",
        ):
            self._connection.execute(statement)

    def objects(self, mode: str, kind: str) -> list[tuple[str, bytes]]:
        """Return name and text of every object of a kind, in the order in which they were created."""
        # The rowid is the only record of the order, which `GET /projects` shows.
        query = "SELECT name, raw FROM objects WHERE mode = ? AND kind = ? ORDER BY rowid"
        return self._connection.execute(query, (mode, kind)).fetchall()

    def applied(self, mode: str) -> list[tuple[str, str, str, int]]:
        """Return kind, name, write and count of every count of applied writes."""
        query = "SELECT kind, name, effect, count FROM effects WHERE mode = ?"
        return self._connection.execute(query, (mode,)).fetchall()

    def write(self, statement: str, row: tuple[object, ...]) -> None:
        """Execute a change; `commit` saves it."""
        # sqlite3 begins a transaction by itself, one for all changes of a request: an object is never saved
        # without its count.
        self._connection.execute(statement, row)

    def commit(self) -> None:
        """Commit what was written, if anything was."""
        self._connection.commit()

    def close(self) -> None:
        """Commit and close the file."""
        self.commit()
        self._connection.close()
