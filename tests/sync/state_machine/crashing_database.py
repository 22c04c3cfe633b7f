"""Provide a database whose process dies, stalls or loses it at a chosen transaction."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import Connection, Engine

from scalesync.db.database import Database
from scalesync.db.sqlite import SqliteFile
from scalesync.errors import DatabaseUnavailableError


class Crash(BaseException):
    """The process is gone. No `except Exception` of it goes on as if it were not."""


class End(StrEnum):
    """What happens at the transaction in question."""

    BEFORE = "dies before it commits"
    AFTER = "dies after it committed"
    AWAY = "loses the database before it commits"
    AWAY_UNKNOWN = "loses the database after it committed, and is not told so"
    STALLS = "stalls before it begins, until it is woken"


@dataclass
class Fate:
    """What becomes of one process; without an end it lives on."""

    end: End | None = None
    at: int = 0
    """The writing transaction that it comes to, counted from 1."""
    begun: int = 0
    dead: bool = False
    stalled: threading.Event = field(default_factory=threading.Event)
    """Set when it stalls, or is over."""
    woken: threading.Event = field(default_factory=threading.Event)

    @property
    def _due(self) -> End | None:
        return self.end if self.begun == self.at else None

    def begin(self) -> None:
        """Come to the next transaction."""
        if self.dead:
            raise Crash
        self.begun += 1
        if self._due is End.STALLS:
            self.stalled.set()
            self.woken.wait()

    def commit(self) -> None:
        """Come to the end of the transaction, before it is committed."""
        if self._due is End.BEFORE:
            self.dead = True
            raise Crash
        if self._due is End.AWAY:
            raise DatabaseUnavailableError("The connection was lost.")

    def committed(self) -> None:
        """Come past the end of the transaction."""
        if self._due is End.AFTER:
            self.dead = True
            raise Crash
        if self._due is End.AWAY_UNKNOWN:
            raise DatabaseUnavailableError("The connection was lost while it committed.")


class CrashingDatabase(Database):
    """The real database, in the hands of a process with a fate."""

    def __init__(self, engine: Engine, file: SqliteFile | None = None, fate: Fate | None = None) -> None:
        super().__init__(engine, file)
        self._fate = fate or Fate()

    def lent(self, fate: Fate) -> "CrashingDatabase":
        """Return the same database, for a process of this fate."""
        return CrashingDatabase(self._engine, self._file, fate)

    def write(self, *, durable: bool = False) -> AbstractContextManager[Connection]:
        """Return one writing transaction, as far as it comes."""
        return self._fated(super().write(durable=durable))

    @contextmanager
    def _fated(self, transaction: AbstractContextManager[Connection]) -> Iterator[Connection]:
        self._fate.begin()
        with transaction as conn:
            yield conn
            self._fate.commit()
        self._fate.committed()
