"""The mirror as Python and the command line use it: read from the API, verify, fetch files, dispatch."""

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Self

from scalesync.account_adoption import Initialized, adopt_or_claim, check_key
from scalesync.clock import Clock
from scalesync.db import migrate
from scalesync.db.database import Database
from scalesync.db.mirror.account import describe_key
from scalesync.mirror.connections import Connections
from scalesync.mirror.queries import Queries
from scalesync.mirror.submissions import Submissions
from scalesync.mirror.sync_and_verify import SyncAndVerify, ignore
from scalesync.retry import RetryPolicy
from scalesync.settings import DEFAULT_DATABASE, Settings, SettingsInput, load_settings
from scalesync.status import CheckResult, compare_clocks, describe_database, describe_owner, run_check

if TYPE_CHECKING:
    # Only some methods need these, and they take a while to load.
    from scalesync.queue.dispatch_options import DispatchOptions
    from scalesync.queue.dispatch_summary import DispatchSummary
    from scalesync.queue.events import DispatchEvent


class Mirror(Queries, SyncAndVerify, Submissions):
    """A local copy of a Scale account, and a queue of what is to be done at Scale.

    Only `sync`, `plan_sync`, `verify`, `check`, `batch_status`, `dispatch` and `reconcile` ask the API and
    need a key, and `fetch_results` asks the servers that have the files; all else works offline. Every error
    is a `scalesync.errors.ScalesyncError`; the API's are ScaleException, with `.code` and `.message`. Nothing
    stays open between two calls, and threads may share one Mirror. `on_event` is called with each event of
    what is done, from one thread; spans of time are in seconds.
    """

    _settings: Settings
    _clock: Clock | None = None
    """The clock of every call; None: each call has its own, so that one that was stopped ends alone."""
    _wait_seconds = 0.0

    def __init__(
        self,
        database: str | os.PathLike[str] = DEFAULT_DATABASE,
        *,
        api_key: str | None = None,
        api_url: str | None = None,
        insecure_http: bool = False,
    ) -> None:
        """Use the mirror in an SQLite file or at a `postgresql://` URL.

        Without `api_key` the key is SCALE_API_KEY; without `api_url` the API is at SCALESYNC_API_URL, or
        Scale's own. Plain http to another machine takes `insecure_http`: the key can be read on the way.
        Raises ConfigurationError for a key that cannot be one.
        """
        given = {} if api_key is None else {"SCALE_API_KEY": api_key}
        url = (os.environ.get("SCALESYNC_API_URL") or None) if api_url is None else api_url
        chosen = SettingsInput(os.fspath(database), url, insecure_http=insecure_http)
        self._settings = load_settings(chosen, {**os.environ, **given})

    @classmethod
    def from_settings(
        cls, settings: Settings, clock: Clock | None = None, *, wait_seconds: float = 0.0
    ) -> Self:
        """Return the mirror of these settings; a stop of `clock` ends what any of its calls does.

        Each call waits `wait_seconds` for a database that does not answer.
        """
        mirror = cls.__new__(cls)
        mirror._settings, mirror._clock, mirror._wait_seconds = settings, clock, wait_seconds  # noqa: SLF001
        return mirror

    def waiting(self, *, endless: bool = False) -> Self:
        """Return the same mirror, whose calls wait for the database while patience lasts, or `endless`."""
        patience = RetryPolicy().seconds if self._settings.patience is None else self._settings.patience
        return self.from_settings(self._settings, self._clock, wait_seconds=inf if endless else patience)

    def __repr__(self) -> str:
        """Return the API's address, and nothing of the key."""
        return f"Mirror(api_url={self._settings.api_url!r})"

    def connections(self) -> Connections:
        """Return what opens the database and the API for one call."""
        return Connections(self._settings, self._clock or Clock(), self._wait_seconds)

    # The database -------------------------------------------------------------------------------------------

    def init(self, *, adopt: bool = False) -> Initialized:
        """Create or upgrade the schema, and claim the mirror for the key's account where there is a key.

        `adopt` hands the mirror over to the present key. The API is asked about that key first: raises
        ScaleUnauthorized or ScaleForbidden where it refuses it, and where it cannot be asked,
        `.asked.projects` of what is returned is None. Raises DatabaseError for another account's mirror.
        """
        connections = self.connections()
        account = connections.account() if adopt or self._settings.key is not None else None
        asked = check_key(connections.api) if adopt else None
        with connections.database(ignore, create=True) as database:
            before, after = migrate.upgrade(database)
            if account is not None:
                with database.write() as conn:
                    adopt_or_claim(conn, account, asked)
        return Initialized(before, after, account, asked)

    def backup(
        self,
        file: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> int:
        """Copy an SQLite mirror, as it is at one moment, into a file, and return its size in bytes.

        The file appears whole or not at all; others may use the mirror meanwhile. `on_progress` is called
        with the pages copied and those in all. Raises ConfigurationError where the file cannot be written, or
        is there already and not to be overwritten, and on Postgres, which has its own tools.
        """
        from scalesync.db.backup import back_up

        watch = on_progress or (lambda _copied, _pages: None)
        with self.connections().database(ignore) as database:
            return back_up(database, Path(file), watch, overwrite=overwrite)

    def check(self) -> list[CheckResult]:
        """Check database, key, API and account, and return what is wrong with each and what to do."""
        connections, settings = self.connections(), self._settings

        def check_database() -> str:
            with closing(Database.open(settings.database_url)) as database:
                return describe_database(database)

        def check_account() -> str:
            account = connections.account()
            with connections.database() as database, database.write() as conn:
                return describe_owner(conn, account)

        return [
            run_check("database", check_database),
            run_check("key", lambda: describe_key(settings.require_key().reveal())),
            run_check("api", lambda: compare_clocks(connections.api, settings.api_url, connections.clock)),
            run_check("account", check_account),
        ]

    # Sending what is queued ---------------------------------------------------------------------------------

    def dispatch(
        self,
        *,
        max: int | None = None,  # noqa: A002 - as the option
        workers: int = 8,
        rate: float | None = None,
        timeout: float = 60.0,
        settle_time: float = 60.0,
        patience: float | None = None,
        watch: bool = False,
        on_event: "Callable[[DispatchEvent], None]" = ignore,
    ) -> "DispatchSummary":
        """Send what is queued and settle what is in doubt; return what was done and why it ended.

        At most `max` commands, `workers` at once, and `rate` requests a second. One request may take
        `timeout` as a whole; after `settle_time` more the API applies none that was cut off. It ends after
        `patience` without progress; with `watch` it waits for work instead. What the API refuses raises
        nothing here: it is dead, with the API's words, see `queue.result`. Raises ScalesyncError for what
        keeps it from beginning, and DatabaseError where the database fails in the middle.
        """
        from scalesync.queue.dispatch_options import DispatchOptions

        options = DispatchOptions(workers, max, rate, timeout, settle_time, watch=watch)
        return self._dispatch(options, patience, on_event)

    def reconcile(
        self,
        *,
        timeout: float = 60.0,
        settle_time: float = 60.0,
        patience: float | None = None,
        on_event: "Callable[[DispatchEvent], None]" = ignore,
    ) -> "DispatchSummary":
        """Ask the API about everything in doubt, and send nothing; spans of time as in `dispatch`."""
        from scalesync.queue.dispatch_options import DispatchOptions

        options = DispatchOptions(timeout=timeout, settle_time=settle_time, reconcile_only=True)
        return self._dispatch(options, patience, on_event)

    def _dispatch(
        self,
        options: "DispatchOptions",
        patience: float | None,
        on_event: "Callable[[DispatchEvent], None]",
    ) -> "DispatchSummary":
        from scalesync.lease_owner import new_owner_id
        from scalesync.queue.dispatcher import Dispatcher
        from scalesync.queue.dispatcher_store import DispatcherStore

        settings = self._settings if patience is None else replace(self._settings, patience=patience)
        if settings.patience is not None:
            options = replace(options, patience=settings.patience)
        mirror = self.from_settings(settings, self._clock).waiting(endless=options.watch)
        connections = mirror.connections()
        with (
            connections.database(connections.check_and_claim) as database,
            connections.dispatch_api(options) as api,
        ):
            store = DispatcherStore(database, new_owner_id(), options.timing)
            return Dispatcher(store, api, connections.clock, on_event, options.timing, options).run()
