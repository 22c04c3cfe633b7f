"""Open the database and the API client for one call, as the settings say."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scalesync.clock import Clock
from scalesync.db import migrate
from scalesync.db.database import Database
from scalesync.db.mirror.account import Account, claim_for_account, fingerprint, mode_of
from scalesync.settings import Settings

if TYPE_CHECKING:
    # The client and the sync take a while to load, and many calls need neither.
    from scalesync.api.client import ScaleApi
    from scalesync.queue.dispatch_options import DispatchOptions
    from scalesync.sync.events import SyncWatcher
    from scalesync.sync.runner import SyncRunner


@dataclass(frozen=True)
class Connections:
    """Context managers for the database, the API client and the sync runner of one call."""

    settings: Settings
    clock: Clock = field(default_factory=Clock)
    wait_seconds: float = 0.0
    """Seconds to wait for a database that is unreachable or locked; inf: without end."""

    @contextmanager
    def database(
        self, check: Callable[[Database], object] = migrate.check_schema, *, create: bool = False
    ) -> Iterator[Database]:
        """Yield the database once `check` has passed; by default its schema is checked.

        `create`: create a missing SQLite file. Raises DatabaseError, and the errors of `check`.
        """
        from scalesync.sync.outage_backoff import OutageBackoff, log_unavailable

        outages = OutageBackoff(self.clock, log_unavailable, self.wait_seconds, self.clock.ends_at)
        url = self.settings.database_url
        database = outages.open_database(lambda: Database.open(url, create=create), check)
        try:
            yield database
        finally:
            database.close()

    def check_and_claim(self, database: Database) -> None:
        """Check the schema, and claim an unclaimed mirror for the key's account.

        Raises DatabaseError if the mirror belongs to another account.
        """
        migrate.check_schema(database)
        with database.write() as conn:
            claim_for_account(conn, self.account())

    @contextmanager
    def api(self) -> "Iterator[ScaleApi]":
        """Yield a client for reads, which retries failures. Raises ConfigurationError without a key."""
        from scalesync.api.client import ScaleApi
        from scalesync.api.options import ApiOptions
        from scalesync.retry import RetryPolicy

        settings = self.settings
        retry = RetryPolicy() if settings.patience is None else RetryPolicy(seconds=settings.patience)
        options = ApiOptions(settings.api_url, retry=retry, insecure_http=settings.insecure_http)
        with ScaleApi(settings.require_key().reveal(), options, clock=self.clock) as api:
            yield api

    @contextmanager
    def dispatch_api(self, options: "DispatchOptions") -> "Iterator[ScaleApi]":
        """Yield a client for writes, which sends each request once and cuts it off after its timeout."""
        from scalesync.api.client import ScaleApi

        settings = self.settings
        api_options = options.api_options(settings.api_url, insecure_http=settings.insecure_http)
        with ScaleApi(settings.require_key().reveal(), api_options, clock=self.clock) as api:
            yield api

    @contextmanager
    def sync_runner(
        self, watch: "SyncWatcher", workers: int, time_limit: float | None
    ) -> "Iterator[SyncRunner]":
        """Yield a sync runner; after `time_limit` seconds it starts no more requests."""
        from scalesync.lease_owner import new_owner_id
        from scalesync.sync.runner import SyncRunner
        from scalesync.sync.store import SyncStore

        # One clock for database, client and runner: a stop or the time limit ends all of their waits.
        limited = Connections(self.settings, self.clock.allowing(time_limit), self.wait_seconds)
        with limited.database() as database, limited.api() as api:
            store = SyncStore(database, api, new_owner_id(), self.settings.lease)
            yield SyncRunner(store, limited.clock, watch, self.account(), workers, time_limit)

    def account(self) -> Account:
        """Return the key's account. Raises ConfigurationError without a key or for an insecure URL."""
        from scalesync.api.options import ApiOptions

        # Building the options refuses plain http to another machine before the key is used for anything.
        key = self.settings.require_key().reveal()
        url = ApiOptions(url=self.settings.api_url, insecure_http=self.settings.insecure_http).url
        return Account(fingerprint(key), mode_of(key), url, self.clock.now())
