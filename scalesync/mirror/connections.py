"""Open the database and the API client for one call, as the settings say."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from math import inf
from threading import Lock
from typing import TYPE_CHECKING, Self
from weakref import finalize

from scalesync.clock import Clock
from scalesync.db import migrate
from scalesync.db.database import Database
from scalesync.db.mirror.account import Account, check_account, claim_for_account, fingerprint, mode_of
from scalesync.retry import RetryPolicy
from scalesync.settings import Settings

if TYPE_CHECKING:
    # The client and the sync take a while to load, and many calls need neither.
    from scalesync.api.client import ScaleApi
    from scalesync.api.options import ApiOptions
    from scalesync.db.request_rate import SharedRequestRate
    from scalesync.sync.events import SyncWatcher
    from scalesync.sync.runner import SyncRunner


_OF_THE_PARENT: list[Database] = []
"""Databases that were open when this process was forked; never closed here, which could harm the parent's."""


class KeptDatabase:
    """A database that stays open from one call to the next, until `close`; for any number of threads."""

    # What takes the time of a call is otherwise to connect, and to compile each statement again.

    def __init__(self, url: str) -> None:
        """Take the URL; the database is opened when it is first needed."""
        self._url = url
        self._lock = Lock()
        self._open: Database | None = None
        self._process = 0
        """The process that opened it."""
        # Also called at the end of the program: Python warns of connections that are left open.
        self._end: Callable[[], None] = lambda: None

    def __reduce__(self) -> tuple[type["KeptDatabase"], tuple[str]]:
        """Pickle the URL: another process opens its own."""
        return type(self), (self._url,)

    def take(self) -> Database:
        """Return the database; open it if this process has not, or if it was closed. Raises DatabaseError."""
        with self._lock:
            if self._open is None or self._open.closed or self._process != os.getpid():
                self._end()
                self._open, self._process = Database.open(self._url), os.getpid()
                self._end = finalize(self, _close, self._open, self._process)
            return self._open

    def close(self) -> None:
        """Close the database; the next call opens it again."""
        with self._lock:
            self._end()
            self._open = None


def _close(database: Database, process: int) -> None:
    """Close a database that a process has opened, unless this is a fork of it."""
    if process == os.getpid():
        database.close()
    else:
        _OF_THE_PARENT.append(database)


@dataclass(frozen=True)
class Connections:
    """Context managers for the database, the API client and the sync runner of one call."""

    settings: Settings
    clock: Clock = field(default_factory=Clock)
    wait_seconds: float = 0.0
    """Seconds to wait for a database that is unreachable or locked; inf: without end."""
    kept: KeptDatabase | None = None
    """The database that stays open; None: each call opens it, and closes it in the end."""

    @contextmanager
    def database(
        self, check: Callable[[Database], object] = migrate.check_schema, *, create: bool = False
    ) -> Iterator[Database]:
        """Yield the database once `check` has passed; by default its schema is checked.

        `create`: create a missing SQLite file. Raises DatabaseError, and the errors of `check`.
        """
        from scalesync.sync.outage_backoff import OutageBackoff, log_unavailable

        outages = OutageBackoff(self.clock, log_unavailable, self.wait_seconds, self.clock.ends_at)
        url, kept = self.settings.database_url, None if create else self.kept
        connect = partial(Database.open, url, create=create) if kept is None else kept.take
        # A kept one that does not pass, perhaps because its file was replaced, is closed there.
        database = outages.open_database(connect, check)
        try:
            yield database
        finally:
            if kept is None:
                database.close()

    def check_and_claim(self, database: Database) -> None:
        """Check the schema, and claim an unclaimed mirror for the key's account.

        Raises DatabaseError if the mirror belongs to another account.
        """
        migrate.check_schema(database)
        with database.write() as conn:
            claim_for_account(conn, self.account())

    @contextmanager
    def api(
        self,
        options: "ApiOptions | None" = None,
        *,
        version: str | None = None,
        shared_rate: "SharedRequestRate | None" = None,
    ) -> "Iterator[ScaleApi]":
        """Yield a client; without `options` it is for reads. Raises ConfigurationError without a key.

        `version`, such as `v2`, replaces the one at the end of the API's URL. `shared_rate`: that of all
        processes that use it.
        """
        from scalesync.api.client import ScaleApi

        options = options or self._read_options()
        if version is not None:
            options = replace(options, url=f"{options.url.removesuffix('/v1')}/{version}")
        key = self.settings.require_key().reveal()
        with ScaleApi(key, options, clock=self.clock, shared_rate=shared_rate) as api:
            yield api

    @contextmanager
    def shared_rate(self, database: Database) -> "Iterator[SharedRequestRate | None]":
        """Yield the request rate of all processes on this database; None on SQLite: each has its own."""
        # On SQLite each turn would be a writing transaction, and wait for the pages that a sync writes.
        if database.is_sqlite:
            yield None
            return
        from scalesync.db.request_rate import SharedRequestRate

        with closing(SharedRequestRate(database, self.clock)) as rate:
            yield rate

    @contextmanager
    def sync_runner(
        self,
        watch: "SyncWatcher",
        workers: int,
        time_limit: float | None = None,
        *,
        keep_responses: bool = True,
    ) -> "Iterator[SyncRunner]":
        """Yield a sync runner; after `time_limit` seconds it starts no more requests."""
        from scalesync.lease_owner import new_owner_id
        from scalesync.sync.runner import SyncRunner
        from scalesync.sync.store import SyncStore

        # One clock for database, client and runner: a stop or the time limit ends all of their waits.
        limited = replace(self, clock=self.clock.allowing(time_limit))
        with (
            limited.database() as database,
            limited.shared_rate(database) as rate,
            limited.api(shared_rate=rate) as api,
        ):
            store = SyncStore(database, api, new_owner_id(), self.settings.lease, keep_responses, rate)
            yield SyncRunner(store, limited.clock, watch, self.account(), workers, time_limit)

    def account(self) -> Account:
        """Return the key's account. Raises ConfigurationError without a key or for an insecure URL."""
        # Building the options refuses plain http to another machine before the key is used for anything.
        key = self.settings.require_key().reveal()
        url = self._read_options().url
        return Account(fingerprint(key), mode_of(key), url, self.clock.now())

    def _read_options(self) -> "ApiOptions":
        """Return the options of a client that retries failed reads."""
        from scalesync.api.options import ApiOptions

        retry, insecure_http = retry_policy(self.settings), self.settings.insecure_http
        return ApiOptions(self.settings.api_url, retry=retry, insecure_http=insecure_http)


def retry_policy(settings: Settings) -> RetryPolicy:
    """Return how long to repeat a read or to wait for a database: the patience given, or the default."""
    return RetryPolicy() if settings.patience is None else RetryPolicy(seconds=settings.patience)


class Connected:
    """What the methods of `Mirror` have in common: its settings, its clock, and how it connects."""

    _settings: Settings
    _clock: Clock | None = None
    """The clock of every call; None: each call has its own, so that stopping one stops no other."""
    _wait_seconds = 0.0
    _kept: KeptDatabase | None = None

    @classmethod
    def from_settings(
        cls, settings: Settings, clock: Clock | None = None, *, wait_seconds: float = 0.0
    ) -> Self:
        """Return the mirror of these settings; stopping `clock` stops all of its calls.

        Each call waits up to `wait_seconds` for an unreachable database.
        """
        mirror = cls.__new__(cls)
        mirror._settings, mirror._clock, mirror._wait_seconds = settings, clock, wait_seconds  # noqa: SLF001
        return mirror

    def waiting(self, *, endless: bool = False) -> Self:
        """Return a copy whose calls wait for an unreachable database: the patience, or without end."""
        wait_seconds = inf if endless else retry_policy(self._settings).seconds
        return self._with_settings(self._settings, wait_seconds)

    def keeping_open(self) -> Self:
        """Return a copy whose calls leave the database open for the next one, until its `close`."""
        mirror = self._with_settings(self._settings, self._wait_seconds)
        mirror._kept = KeptDatabase(self._settings.database_url)  # noqa: SLF001
        return mirror

    def close(self) -> None:
        """Close the database that `keeping_open` keeps; the next call opens it again."""
        if self._kept is not None:
            self._kept.close()

    def check_account(self) -> None:
        """Raise DatabaseError if the mirror belongs to another account than the key's; change nothing."""
        connections = self.connections()
        with connections.database() as database, database.read() as conn:
            check_account(conn, connections.account())

    def _with_settings(self, settings: Settings, wait_seconds: float) -> Self:
        """Return a copy with other settings, with the same clock and the same open database."""
        mirror = self.from_settings(settings, self._clock, wait_seconds=wait_seconds)
        mirror._kept = self._kept  # noqa: SLF001
        return mirror

    def connections(self) -> Connections:
        """Return the connections of one call."""
        return Connections(self._settings, self._clock or Clock(), self._wait_seconds, self._kept)

    def now(self) -> datetime:
        """Return this machine's time, from which a span such as `7d` is subtracted."""
        return self.connections().clock.now()
