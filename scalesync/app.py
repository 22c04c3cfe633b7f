"""The composition root: settings in, a working scalesync out. A method is one thing a person can ask for."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalesync.account_adoption import Initialized, adopt_or_claim, check_key
from scalesync.clock import Clock
from scalesync.db import migrate
from scalesync.db.database import Database
from scalesync.db.mirror import account
from scalesync.errors import ConfigurationError, ScaleResourceNotFound
from scalesync.settings import Settings
from scalesync.status import (
    CheckResult,
    Status,
    compare_clocks,
    describe_database,
    describe_owner,
    read_status,
    run_check,
)

if TYPE_CHECKING:
    # Only some methods need these, and they take a while to load.
    from scalesync.api.client import ScaleApi
    from scalesync.db.backup import BackupWatcher
    from scalesync.export.exporter import Exporter
    from scalesync.models.api import BatchStatus
    from scalesync.models.changes import Change
    from scalesync.models.selection import Selection
    from scalesync.models.sync import Run
    from scalesync.queue.bulk_submit import SubmitResult, TaskTemplate
    from scalesync.queue.dispatch_summary import DispatchSummary as Dispatched
    from scalesync.queue.events import DispatchWatcher as QueueWatcher
    from scalesync.queue.management import Queue
    from scalesync.queue.sending import Sending
    from scalesync.queue.transaction import Transaction
    from scalesync.sync.events import SyncWatcher
    from scalesync.sync.planner import Plan, SyncRequest
    from scalesync.sync.result_files.fetcher import FetchOptions
    from scalesync.sync.result_files.fetcher import FetchSummary as Results
    from scalesync.sync.result_files.fetcher import FetchWatcher as ResultsWatcher
    from scalesync.sync.runner import SyncRunner, SyncSummary
    from scalesync.sync.verify.models import Verification
    from scalesync.sync.verify.models import VerifyWatcher as ProofWatcher
    from scalesync.sync.verify.runner import VerifyResult, VerifyWatchers


@dataclass
class App:
    """scalesync, put together for one command."""

    settings: Settings
    clock: Clock = field(default_factory=Clock)
    waits: float = 0.0
    """Seconds for which it waits, on opening the mirror, for a database that is away or locked."""

    def patient(self, *, stay: bool = False) -> "App":
        """Return the same that waits for its database as long as its patience lasts, or `stay`: for good."""
        from scalesync.retry import RetryPolicy

        given = self.settings.patience
        return replace(self, waits=inf if stay else RetryPolicy().seconds if given is None else given)

    @contextmanager
    def database(
        self, look: Callable[[Database], object] = migrate.check_schema, *, create: bool = False
    ) -> Iterator[Database]:
        """Yield the mirror after a first `look` at it: at its schema. Raises DatabaseError."""
        from scalesync.sync.outage_backoff import OutageBackoff, log_unavailable

        outages = OutageBackoff(self.clock, log_unavailable, self.waits, self.clock.ends_at)
        database = outages.open_database(
            lambda: Database.open(self.settings.database_url, create=create), look
        )
        try:
            yield database
        finally:
            database.close()

    @contextmanager
    def api(self, clock: Clock | None = None) -> "Iterator[ScaleApi]":
        """Yield a client. Raises ConfigurationError without a key."""
        from scalesync.api.client import ScaleApi
        from scalesync.api.options import ApiOptions
        from scalesync.retry import RetryPolicy

        settings = self.settings
        retry = RetryPolicy() if settings.patience is None else RetryPolicy(seconds=settings.patience)
        options = ApiOptions(settings.api_url, retry=retry, insecure_http=settings.insecure_http)
        with ScaleApi(settings.require_key().reveal(), options, clock=clock or self.clock) as api:
            yield api

    def account(self) -> account.Account:
        """Return whose mirror the key may work on, at an address that it may be sent to."""
        from scalesync.api.options import ApiOptions

        key = self.settings.require_key().reveal()
        url = ApiOptions(url=self.settings.api_url, insecure_http=self.settings.insecure_http).url
        return account.Account(account.fingerprint(key), account.mode_of(key), url, self.clock.now())

    def init(self, *, adopt: bool) -> Initialized:
        """Create or upgrade the schema, settle whose mirror it is where there is a key, and say what became.

        `adopt` hands it over to the present key, unless the API, where it can be asked, refuses that. Raises
        ScalesyncError for a key that is refused or of another account; whose mirror it is stays as it was.
        """
        mine = self.account() if adopt or self.settings.key is not None else None
        asked = check_key(self.api) if adopt else None
        with self.database(lambda _: None, create=True) as database:
            before, after = migrate.upgrade(database)
            if mine is not None:
                with database.write() as conn:
                    adopt_or_claim(conn, mine, asked)
        return Initialized(before, after, mine, asked)

    def sync(
        self, request: "SyncRequest", watch: "SyncWatcher", *, workers: int, time_limit: float | None
    ) -> "SyncSummary":
        """Bring the mirror up to date. Raises ScalesyncError for what stops it; what came is saved."""
        with self._session(watch, workers, time_limit) as session:
            return session.sync(request)

    def verify(
        self, request: "SyncRequest", watch: "VerifyWatchers", *, deep: bool, repair: bool, workers: int
    ) -> "VerifyResult":
        """Hold the mirror against the API and remember what came of it; `repair` reads anew what differs."""
        from scalesync.sync.verify.runner import VerifyRunner

        with self._session(watch.progress, workers, None) as session:
            return VerifyRunner(session, watch.proving).verify(request, deep=deep, repair=repair)

    def verify_runs(
        self, runs: "Sequence[Run]", watch: "ProofWatcher", *, workers: int = 8
    ) -> "Verification":
        """Hold what these runs have read against the API, and remember what came of it."""
        from scalesync.sync.verify.runner import VerifyRunner

        with self._session(lambda _: None, workers, None) as session:
            return VerifyRunner(session, watch).verify_runs(runs)

    def look_ahead(self, request: "SyncRequest") -> "tuple[Plan, tuple[int, ...]]":
        """Return what a sync would read, and how many rows each window holds. Nothing is written."""
        with self._session(lambda _: None, 1, None) as session:
            return session.dry_run(request)

    def fetch_results(self, how: "FetchOptions", watch: "ResultsWatcher") -> "Results":
        """Fetch the files that responses name and are not here. Without a key, what nobody needs one for."""
        from scalesync.sync.result_files.fetcher import Fetcher
        from scalesync.sync.result_files.url_refresh import UrlRefresher

        key = None if self.settings.key is None else self.settings.key.reveal()
        with (
            self.database(migrate.check_schema if key is None else self._look_and_stamp) as database,
            nullcontext() if key is None else self.api() as api,
            how.downloads(
                self.settings.api_url, key, self.clock, insecure_http=self.settings.insecure_http
            ) as downloads,
        ):
            links = UrlRefresher(database, api)
            return Fetcher(database, downloads, self.clock, watch, how.workers, links).run()

    def status(self, *, recent: int = 5) -> Status:
        """Return what the mirror holds and how old that is. Asks nobody but the database."""
        with self.database() as database, database.read() as conn:
            return read_status(conn, database.url_shown, self.clock.now(), recent=recent)

    def documents(self, stream: str, chosen: "Selection") -> Iterator[bytes]:
        """Yield the mirrored documents of a stream as the API sent them, in flat memory."""
        from scalesync.db.mirror import query
        from scalesync.db.mirror.documents import MAPPINGS

        with self.database() as database, database.read() as conn:
            yield from query.documents(conn, MAPPINGS[stream], chosen)

    def document(self, stream: str, key: str) -> bytes | None:
        """Return one mirrored document, or None if there is none here."""
        from scalesync.db.mirror import query
        from scalesync.db.mirror.documents import MAPPINGS

        with self.database() as database, database.read() as conn:
            return query.find(conn, MAPPINGS[stream], key)

    def changes(
        self, *, after_id: int | None = None, since: datetime | None = None, until: datetime | None = None
    ) -> "Iterator[Change]":
        """Yield what changed in the mirrored tasks, oldest first, in flat memory."""
        from scalesync.db.mirror import changes

        with self.database() as database, database.read() as conn:
            yield from changes.listing(conn, after_id=after_id, since=since, until=until)

    def batch_status(self, name: str) -> "BatchStatus":
        """Return what the API counts in a batch at this moment. Raises ConfigurationError for none."""
        try:
            with self.api() as api:
                return api.batch_status(name)
        except ScaleResourceNotFound as error:
            msg = f"There is no batch {name!r} in this account."
            raise ConfigurationError(msg, advice="`scalesync batch list` shows those that are.") from error

    @property
    def queue(self) -> "Queue":
        """The queue, to see and to mend."""
        from scalesync.queue.management import Queue

        return Queue(self.database)

    @property
    def ways_out(self) -> "Exporter":
        """SQL of one's own, and exports."""
        from scalesync.export.exporter import Exporter

        return Exporter(self.database, self.clock)

    @contextmanager
    def transaction(self) -> "Iterator[Transaction]":
        """Lend a transaction: at its end everything is queued, for good; on an error nothing is."""
        from scalesync.queue.transaction import Transaction

        with self.database() as database, database.write(durable=True) as conn:
            yield Transaction(conn)

    def submit(self, given: Iterable[bytes | Mapping[str, Any]], recipe: "TaskTemplate") -> "SubmitResult":
        """Queue a task for each line or mapping; raise SubmissionError, naming every bad one, and queue none.

        The database is not written to before the last of them has come.
        """
        from scalesync.queue import bulk_submit

        with (
            self.database() as database,
            bulk_submit.validate(given, recipe) as spool,
            database.write(durable=True) as conn,
        ):
            return bulk_submit.enqueue(conn, spool)

    def dispatch(self, how: "Sending", watch: "QueueWatcher") -> "Dispatched":
        """Send what is queued, or only look at what is in doubt, and return what was done and why it ended.

        Raises ScalesyncError for what keeps it from beginning; a database that fails in the middle raises
        DatabaseError, and what was in hand is left to its lease.
        """
        from scalesync.lease_owner import new_owner_id
        from scalesync.queue.dispatcher import Dispatcher, DispatchOptions
        from scalesync.queue.dispatcher_store import DispatcherStore
        from scalesync.queue.timing import Timing

        timing = Timing(request=how.timeout, settle=how.timeout + how.settle_time)
        patience = self.settings.patience
        options = DispatchOptions(how.workers, how.max, how.watch, reconcile_only=how.reconcile_only)
        if patience is not None:
            options = replace(options, patience=patience)
        with self.database(self._look_and_stamp) as database, self._queue_api(how) as api:
            ledger = DispatcherStore(database, new_owner_id(), timing)
            return Dispatcher(ledger, api, self.clock, watch, timing, options).run()

    def back_up(self, target: Path, watch: "BackupWatcher", *, overwrite: bool = False) -> int:
        """Write a consistent copy of an SQLite mirror to a file, and return its size in bytes."""
        from scalesync.db.backup import back_up

        with self.database(lambda _: None) as database:
            return back_up(database, target, watch, overwrite=overwrite)

    def check(self) -> Iterator[CheckResult]:
        """Look at the database, the key and the API, and say what to do about each."""
        yield run_check("database", self._check_database)
        yield run_check("key", lambda: account.described(self.settings.require_key().reveal()))
        yield run_check("api", lambda: compare_clocks(self.api, self.settings.api_url, self.clock))
        yield run_check("account", self._check_account)

    def _check_database(self) -> str:
        with closing(Database.open(self.settings.database_url)) as database:
            return describe_database(database)

    def _check_account(self) -> str:
        mine = self.account()
        with self.database() as database, database.write() as conn:
            return describe_owner(conn, mine)

    def _look_and_stamp(self, database: Database) -> None:
        """Return where the mirror has our schema, and is of our account or of none yet and so ours now."""
        migrate.check_schema(database)
        with database.write() as conn:
            account.claim_for_account(conn, self.account())

    @contextmanager
    def _queue_api(self, how: "Sending") -> "Iterator[ScaleApi]":
        """Yield a client that sends everything once and cuts every request off in time."""
        from scalesync.api.client import ScaleApi

        options = how.api_options(self.settings.api_url, insecure_http=self.settings.insecure_http)
        with ScaleApi(self.settings.require_key().reveal(), options, clock=self.clock) as api:
            yield api

    @contextmanager
    def _session(
        self, watch: "SyncWatcher", workers: int, time_limit: float | None
    ) -> "Iterator[SyncRunner]":
        from scalesync.lease_owner import new_owner_id
        from scalesync.sync.runner import SyncRunner
        from scalesync.sync.store import SyncStore

        clock = self.clock.allowing(time_limit)
        with replace(self, clock=clock).database() as database, self.api(clock) as api:
            writer = SyncStore(database, api, new_owner_id(), self.settings.lease)
            yield SyncRunner(writer, clock, watch, self.account(), workers, time_limit)
