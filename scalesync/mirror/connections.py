"""Open the database and the API that the settings name."""

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
    """Opens what one call needs, and closes it when the call ends."""

    settings: Settings
    clock: Clock = field(default_factory=Clock)
    wait_seconds: float = 0.0
    """How long opening waits for a database that does not answer or is locked; inf: for good."""

    @contextmanager
    def database(
        self, check: Callable[[Database], object] = migrate.check_schema, *, create: bool = False
    ) -> Iterator[Database]:
        """Yield the database once `check` has passed; by default its schema is checked.

        `create` makes an SQLite file that is not there. Raises DatabaseError, or what `check` raises.
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
        """Check the schema, and claim the mirror for the key's account if it is nobody's yet.

        Raises DatabaseError where it is another account's.
        """
        migrate.check_schema(database)
        with database.write() as conn:
            claim_for_account(conn, self.account())

    @contextmanager
    def api(self) -> "Iterator[ScaleApi]":
        """Yield a client that repeats what failed. Raises ConfigurationError without a key."""
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
        """Yield a client that sends everything once and cuts every request off in time."""
        from scalesync.api.client import ScaleApi

        settings = self.settings
        how = options.api_options(settings.api_url, insecure_http=settings.insecure_http)
        with ScaleApi(settings.require_key().reveal(), how, clock=self.clock) as api:
            yield api

    @contextmanager
    def sync_runner(
        self, watch: "SyncWatcher", workers: int, time_limit: float | None
    ) -> "Iterator[SyncRunner]":
        """Yield what reads from the API into the database; after `time_limit` seconds it begins nothing."""
        from scalesync.lease_owner import new_owner_id
        from scalesync.sync.runner import SyncRunner
        from scalesync.sync.store import SyncStore

        limited = Connections(self.settings, self.clock.allowing(time_limit), self.wait_seconds)
        with limited.database() as database, limited.api() as api:
            store = SyncStore(database, api, new_owner_id(), self.settings.lease)
            yield SyncRunner(store, limited.clock, watch, self.account(), workers, time_limit)

    def account(self) -> Account:
        """Return the key's account. Raises ConfigurationError without a key, or where it may not be sent."""
        from scalesync.api.options import ApiOptions

        key = self.settings.require_key().reveal()
        url = ApiOptions(url=self.settings.api_url, insecure_http=self.settings.insecure_http).url
        return Account(fingerprint(key), mode_of(key), url, self.clock.now())
