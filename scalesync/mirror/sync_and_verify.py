"""Sync the mirror with the API, verify it, and fetch result files."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from scalesync.db import migrate
from scalesync.errors import ConfigurationError
from scalesync.mirror.connections import Connected
from scalesync.models.selection import TaskFilters, check_name, selection_of
from scalesync.timestamps import When, instant_of

if TYPE_CHECKING:
    # Slow to import, and only some methods need them.
    from scalesync.models.api import BatchStatus
    from scalesync.models.sync import Run
    from scalesync.sync.attachments import AttachmentEvent, AttachmentSummary
    from scalesync.sync.download_events import FetchEvent
    from scalesync.sync.events import SyncEvent
    from scalesync.sync.planner import Plan, SyncRequest
    from scalesync.sync.result_files import FetchSummary
    from scalesync.sync.runner import SyncSummary
    from scalesync.sync.verify.models import Verification, VerifyEvent

LOOKBACK = timedelta(minutes=15)
"""Overlap with the last sync, because the API shows some changes late."""


def ignore(_event: object) -> None:
    """Drop an event: the default of `on_event`."""


class SyncAndVerify(Connected):
    """Methods of `Mirror` that call the API, and need a key (`fetch_results` works without)."""

    def sync(
        self,
        *streams: str,
        full: bool = False,
        since: When | None = None,
        until: When | None = None,
        projects: Iterable[str] = (),
        lookback: timedelta = LOOKBACK,
        workers: int = 8,
        time_limit: float | None = None,
        keep_responses: bool = True,
        on_event: "Callable[[SyncEvent], None]" = ignore,
    ) -> "SyncSummary":
        """Bring the mirror up to date; return a summary, whose `.complete` says whether it is.

        `streams`: some of projects, batches and tasks; none: all. `full` reads everything again, and marks
        objects that the API no longer has. `since`, `until` and `projects` make it a backfill by creation
        time or project, which moves no watermark. No request is started after `time_limit`. Without
        `keep_responses` a response that another replaces is neither kept nor compared with that. Raises
        ScalesyncError if it has to stop; the pages received until then are saved.
        """
        request = self._request(streams, since, until, projects, full=full, lookback=lookback)
        connections = self.waiting().connections()
        with connections.sync_runner(on_event, workers, time_limit, keep_responses=keep_responses) as runner:
            return runner.sync(request)

    def plan_sync(
        self,
        *streams: str,
        full: bool = False,
        since: When | None = None,
        until: When | None = None,
        projects: Iterable[str] = (),
        lookback: timedelta = LOOKBACK,
    ) -> "tuple[Plan, tuple[int, ...]]":
        """Return the windows that a `sync` would read, and the rows in each. Writes nothing."""
        request = self._request(streams, since, until, projects, full=full, lookback=lookback)
        with self.waiting().connections().sync_runner(ignore, 1) as runner:
            return runner.dry_run(request)

    def verify(
        self,
        *streams: str,
        deep: bool = False,
        repair: bool = False,
        since: When | None = None,
        until: When | None = None,
        projects: Iterable[str] = (),
        workers: int = 8,
        on_event: "Callable[[VerifyEvent], None]" = ignore,
        on_repair: "Callable[[SyncEvent], None]" = ignore,
    ) -> "Verification":
        """Compare the mirror with the API and return the differences; `.proven`: there are none.

        `streams`, `since`, `until` and `projects` as in `sync`. `deep` compares whole documents, which reads
        everything. `repair` reads differing objects again, and returns a second verification with the first
        as `.before_repair`. Raises ScalesyncError if it has to stop.
        """
        from scalesync.sync.verify.runner import VerifyRunner

        request = self._request(streams, since, until, projects)
        with self.connections().sync_runner(on_repair, workers) as runner:
            return VerifyRunner(runner, on_event).verify(request, deep=deep, repair=repair)

    def verify_runs(
        self, runs: "Sequence[Run]", *, workers: int = 8, on_event: "Callable[[VerifyEvent], None]" = ignore
    ) -> "Verification":
        """Compare the objects that these sync runs read with the API, and return the differences."""
        from scalesync.sync.verify.runner import VerifyRunner

        with self.connections().sync_runner(ignore, workers) as runner:
            return VerifyRunner(runner, on_event).verify_runs(runs)

    def fetch_results(
        self,
        *,
        workers: int = 8,
        max_size: int = 64 << 20,
        timeout: float = 300.0,
        allow_private: bool = False,
        on_event: "Callable[[FetchEvent], None]" = ignore,
    ) -> "FetchSummary":
        """Fetch the files named in responses and write their annotations; `.complete`: all were fetched.

        `max_size` is in bytes; `timeout` is for one whole file. `allow_private` permits addresses of this
        machine and of private networks. A file that fails raises nothing: the table `result_files` has the
        reason, and the next call tries again. Without a key, files that need none are fetched.
        """
        from scalesync.sync.download_events import FetchOptions
        from scalesync.sync.result_files import Fetcher, UrlRefresher

        options = FetchOptions(workers, max_size, timeout, allow_private)
        connections = self.connections()
        settings = connections.settings
        key = None if settings.key is None else settings.key.reveal()
        # Without a key there is no account to claim the mirror for, and no expired URL can be refreshed.
        check = migrate.check_schema if key is None else connections.check_and_claim
        with (
            connections.database(check) as database,
            connections.shared_rate(database) as rate,
            nullcontext() if key is None else connections.api(shared_rate=rate) as api,
            options.downloads(
                settings.api_url, key, connections.clock, insecure_http=settings.insecure_http
            ) as downloads,
        ):
            urls = UrlRefresher(database, api, rate)
            return Fetcher(database, downloads, connections.clock, on_event, workers, urls).run()

    def fetch_attachments(
        self,
        *,
        to: str | Path | None = None,
        refresh: bool = False,
        workers: int = 8,
        max_size: int = 64 << 20,
        timeout: float = 300.0,
        allow_private: bool = False,
        on_event: "Callable[[AttachmentEvent], None]" = ignore,
        **filters: Unpack[TaskFilters],
    ) -> "AttachmentSummary":
        """Read the sizes of the pictures that tasks name; `.complete`: all were read.

        With a directory `to` the whole files are kept in it. What is known, or kept, is not asked for again,
        unless `refresh`. The filters choose the tasks; the other options are those of `fetch_results`. What
        fails raises nothing: the table `attachments` has the reason, and the next call tries again.
        """
        from scalesync.sync.attachment_files import AttachmentDirectory
        from scalesync.sync.attachments import AttachmentFetcher
        from scalesync.sync.download_events import FetchOptions

        options = FetchOptions(workers, max_size, timeout, allow_private)
        connections = self.connections()
        settings, clock = connections.settings, connections.clock
        key = None if settings.key is None else settings.key.reveal()
        directory = None if to is None else AttachmentDirectory(Path(to).absolute())
        check = migrate.check_schema if key is None else connections.check_and_claim
        wanted = selection_of(filters, clock.now())
        with (
            connections.database(check) as database,
            options.downloads(
                settings.api_url, key, clock, insecure_http=settings.insecure_http, as_sent=True
            ) as downloads,
        ):
            return AttachmentFetcher(
                database, downloads, clock, on_event, workers, wanted, directory, refresh=refresh
            ).run()

    def batch_status(self, name: str) -> "BatchStatus":
        """Return the API's present counts of a batch. Raises ScaleResourceNotFound if there is none."""
        check_name("batch", name)
        with self.connections().api() as api:
            return api.batch_status(name)

    def _request(
        self,
        streams: tuple[str, ...],
        since: When | None,
        until: When | None,
        projects: Iterable[str],
        **more: Any,
    ) -> "SyncRequest":
        """Build the request of a sync or verification. Raises ConfigurationError for a wrong argument."""
        from scalesync.sync.planner import EVERY_STREAM, SyncRequest, in_stream_order

        for name in streams:
            if name not in EVERY_STREAM:
                raise ConfigurationError(f"There is no stream {name!r}.", advice=f"Use {EVERY_STREAM}.")
        # A single text is one project, not a sequence of letters.
        names = (projects,) if isinstance(projects, str) else tuple(projects)
        for name in names:
            check_name("project", name)
        now = self.connections().clock.now()
        return SyncRequest(
            in_stream_order(streams),
            since=None if since is None else instant_of(since, now),
            until=None if until is None else instant_of(until, now),
            projects=names,
            **more,
        )
