"""The class `Mirror`: schema, backup, check and dispatch; its base classes have the other methods."""

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from scalesync.account_adoption import Initialized, adopt_or_claim, check_key
from scalesync.db import migrate
from scalesync.db.database import Database
from scalesync.db.mirror.account import describe_key
from scalesync.mirror.browsing import Browsing
from scalesync.mirror.checking import Checking
from scalesync.mirror.exports import Exports
from scalesync.mirror.overview import Overviews
from scalesync.mirror.pruning import Pruning
from scalesync.mirror.queries import Queries
from scalesync.mirror.submissions import Submissions
from scalesync.mirror.sync_and_verify import SyncAndVerify, ignore
from scalesync.settings import DEFAULT_DATABASE, SettingsInput, load_settings
from scalesync.status import (
    CheckResult,
    compare_clocks,
    describe_database,
    describe_owner,
    describe_storage,
    run_check,
)

if TYPE_CHECKING:
    # Slow to import, and only some methods need them.
    from scalesync.queue.dispatch_options import DispatchOptions
    from scalesync.queue.dispatch_summary import DispatchSummary
    from scalesync.queue.events import DispatchEvent


class Mirror(Queries, Exports, SyncAndVerify, Submissions, Browsing, Overviews, Checking, Pruning):
    """A local copy of a Scale account, and a queue of commands for Scale.

    Only `sync`, `plan_sync`, `verify`, `check`, `batch_status`, `dispatch` and `reconcile` call the API and
    need a key, and `fetch_results` calls the servers that have the files; all else works offline. Errors are
    `scalesync.errors.ScalesyncError`; the API's are ScaleException, with `.code` and `.message`. Nothing
    stays open between two calls, and threads may share one Mirror. `on_event` is called with each event,
    from one thread; times are in seconds.
    """

    def __init__(
        self,
        database: str | os.PathLike[str] = DEFAULT_DATABASE,
        *,
        api_key: str | None = None,
        api_url: str | None = None,
        insecure_http: bool = False,
    ) -> None:
        """Use the mirror in an SQLite file or at a `postgresql://` URL.

        Default for `api_key`: the environment's SCALE_API_KEY; for `api_url`: SCALESYNC_API_URL, else Scale.
        `insecure_http` allows plain http to another machine, where the key can be read on the way.
        Raises ConfigurationError for a malformed key.
        """
        # An argument replaces the environment variable, so that one function validates both.
        given = {} if api_key is None else {"SCALE_API_KEY": api_key}
        url = (os.environ.get("SCALESYNC_API_URL") or None) if api_url is None else api_url
        chosen = SettingsInput(os.fspath(database), url, insecure_http=insecure_http)
        self._settings = load_settings(chosen, {**os.environ, **given})

    def __repr__(self) -> str:
        """Show the API's address, but nothing of the key."""
        return f"Mirror(api_url={self._settings.api_url!r})"

    # The database -------------------------------------------------------------------------------------------

    def init(self, *, adopt: bool = False) -> Initialized:
        """Create or upgrade the schema, and claim the mirror for the key's account if there is a key.

        `adopt` hands the mirror over to the present key, which the API has to accept: raises
        ScaleUnauthorized or ScaleForbidden if it does not; if it is unreachable, `.asked.projects` of the
        result is None. Raises DatabaseError for another account's mirror.
        """
        connections = self.connections()
        # Ask before the database is opened: no transaction waits for the network.
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
        """Copy a consistent snapshot of an SQLite mirror into a file; return its size in bytes.

        The file appears complete or not at all; the mirror stays usable. `on_progress` is called with the
        pages copied and their total. Raises ConfigurationError if the file cannot be written, if it exists
        without `overwrite`, and on Postgres, which has its own tools.
        """
        from scalesync.db.backup import back_up

        watch = on_progress or (lambda _copied, _pages: None)
        with self.connections().database(ignore) as database:
            return back_up(database, Path(file), watch, overwrite=overwrite)

    def check(self) -> list[CheckResult]:
        """Check database, key, API, account and storage; return a result with advice for each.

        The storage is left out if the database cannot be used.
        """
        connections, settings = self.connections(), self._settings

        # Each check opens what it needs by itself, so that one failure does not hide the others.
        def check_database() -> str:
            with closing(Database.open(settings.database_url)) as database:
                return describe_database(database)

        def check_account() -> str:
            account = connections.account()
            with connections.database() as database, database.write() as conn:
                return describe_owner(conn, account)

        def check_storage() -> tuple[str, str]:
            with connections.database() as database:
                return describe_storage(database, connections.clock.now())

        found = [
            run_check("database", check_database),
            run_check("key", lambda: describe_key(settings.require_key().reveal())),
            run_check("api", lambda: compare_clocks(connections.api, settings.api_url, connections.clock)),
            run_check("account", check_account),
        ]
        return [*found, run_check("storage", check_storage)] if found[0].ok else found

    # Dispatch -----------------------------------------------------------------------------------------------

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
        """Send queued commands and settle those in doubt; return a summary.

        Limits: `max` commands, `workers` at once, `rate` requests a second of all processes on one
        Postgres together, `timeout` for one request;
        `settle_time` after that the API applies no request any more that was cut off. Ends after `patience`
        without progress; with `watch` it waits for new commands. A command that the API refuses is dead and
        raises nothing here, see `queue.result`. Raises ScalesyncError if it cannot start, and DatabaseError
        if the database fails later.
        """
        from scalesync.queue.dispatch_options import DispatchOptions

        options = DispatchOptions(workers, max, rate, timeout, settle_time, watch=watch)
        return self.run_dispatcher(options, on_event, patience)

    def dispatch_only(
        self,
        command_id: int,
        *,
        timeout: float = 60.0,
        patience: float | None = None,
        on_event: "Callable[[DispatchEvent], None]" = ignore,
    ) -> "DispatchSummary":
        """Send one command and those that it waits for, and nothing else; return the last summary."""
        from scalesync.queue.dispatch_options import DispatchOptions

        tried: set[int] = set()
        wanted = {command_id}
        # Each round shows what the command waits for now: of several, only the first is known at a time.
        while not wanted <= tried:
            wanted = {each.command.id for each in self.queue.why(command_id)}
            options = DispatchOptions(timeout=timeout, only=wanted)
            summary = self.run_dispatcher(options, on_event, patience)
            tried |= wanted
            wanted = {each.command.id for each in self.queue.why(command_id)}
        return summary

    def reconcile(
        self,
        *,
        timeout: float = 60.0,
        settle_time: float = 60.0,
        patience: float | None = None,
        on_event: "Callable[[DispatchEvent], None]" = ignore,
    ) -> "DispatchSummary":
        """Look up all commands in doubt, and send nothing; times as in `dispatch`."""
        from scalesync.queue.dispatch_options import DispatchOptions

        options = DispatchOptions(timeout=timeout, settle_time=settle_time, reconcile_only=True)
        return self.run_dispatcher(options, on_event, patience)

    def run_dispatcher(
        self,
        options: "DispatchOptions",
        on_event: "Callable[[DispatchEvent], None]",
        patience: float | None = None,
    ) -> "DispatchSummary":
        """Dispatch as `options` say, and return a summary; `patience` None: that of the settings."""
        from scalesync.lease_owner import new_owner_id
        from scalesync.queue.dispatcher import Dispatcher
        from scalesync.queue.dispatcher_store import DispatcherStore

        # One patience for the API's silence, for the database's and for opening it.
        settings = self._settings if patience is None else replace(self._settings, patience=patience)
        if settings.patience is not None:
            options = replace(options, patience=settings.patience)
        mirror = self._with_settings(settings, 0.0).waiting(endless=options.watch)
        connections = mirror.connections()
        with (
            connections.database(connections.check_and_claim) as database,
            connections.shared_rate(database) as rate,
            connections.api(
                options.api_options(settings.api_url, insecure_http=settings.insecure_http), shared_rate=rate
            ) as api,
        ):
            store = DispatcherStore(database, new_owner_id(), options.timing, rate)
            return Dispatcher(store, api, connections.clock, on_event, options.timing, options).run()
