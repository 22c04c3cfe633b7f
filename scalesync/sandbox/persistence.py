"""Where state goes with every write: nowhere, or into a file that outlives the process."""

import os
import sqlite3
from pathlib import Path


class Journal:
    """Keeps nothing."""

    def put(self, kind: str, name: str, raw: bytes) -> None:
        """Note the present version of an object."""

    def delete(self, kind: str, name: str) -> None:
        """Note that an object is gone."""

    def effect(self, kind: str, name: str, effect: str, count: int) -> None:
        """Note the present count of an effect."""


class StateFile:
    """An SQLite file with every object and effect of both modes.

    What was committed survives the death of the process, though not of the machine: nothing is
    forced to the disk, as a write is to stay cheap.
    """

    def __init__(self, path: Path) -> None:
        # For its owner only; what SQLite puts beside it takes the same mode.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for statement in (
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = OFF",
            """CREATE TABLE IF NOT EXISTS objects
            (mode TEXT, kind TEXT, name TEXT, raw BLOB, PRIMARY KEY (mode, kind, name))""",
            """CREATE TABLE IF NOT EXISTS effects
            (mode TEXT, kind TEXT, name TEXT, effect TEXT, count INTEGER,
            PRIMARY KEY (mode, kind, name, effect))""",
        ):
            self._connection.execute(statement)

    def journal(self, mode: str) -> Journal:
        """Return the journal of one mode; its writes are lasting from the next `commit` on."""
        return _ModeJournal(self, mode)

    def objects(self, mode: str, kind: str) -> list[tuple[str, bytes]]:
        """Return name and text of every object of a kind, in the order of their first appearance."""
        query = "SELECT name, raw FROM objects WHERE mode = ? AND kind = ? ORDER BY rowid"
        return self._connection.execute(query, (mode, kind)).fetchall()

    def effects(self, mode: str) -> list[tuple[str, str, str, int]]:
        """Return every (kind, name, effect, count)."""
        query = "SELECT kind, name, effect, count FROM effects WHERE mode = ?"
        return self._connection.execute(query, (mode,)).fetchall()

    def write(self, statement: str, row: tuple[object, ...]) -> None:
        """Add a change to the open transaction, beginning one if there is none."""
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN")
        self._connection.execute(statement, row)

    def commit(self) -> None:
        """Make every change so far lasting."""
        if self._connection.in_transaction:
            self._connection.execute("COMMIT")

    def close(self) -> None:
        """Commit and let go of the file."""
        self.commit()
        self._connection.close()


class _ModeJournal(Journal):
    """Writes the objects of one mode to a state file."""

    def __init__(self, file: StateFile, mode: str) -> None:
        self._file = file
        self._mode = mode

    def put(self, kind: str, name: str, raw: bytes) -> None:
        self._file.write(
            """INSERT INTO objects VALUES (?, ?, ?, ?)
            ON CONFLICT (mode, kind, name) DO UPDATE SET raw = excluded.raw""",
            (self._mode, kind, name, raw),
        )

    def delete(self, kind: str, name: str) -> None:
        self._file.write(
            "DELETE FROM objects WHERE mode = ? AND kind = ? AND name = ?", (self._mode, kind, name)
        )

    def effect(self, kind: str, name: str, effect: str, count: int) -> None:
        self._file.write(
            "INSERT OR REPLACE INTO effects VALUES (?, ?, ?, ?, ?)", (self._mode, kind, name, effect, count)
        )
