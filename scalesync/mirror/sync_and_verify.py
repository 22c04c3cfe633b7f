"""Read from the API into the mirror, and compare the two."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from scalesync.db import migrate
from scalesync.errors import ConfigurationError
from scalesync.mirror.connections import Connections
from scalesync.models.selection import check_name
from scalesync.sync.planner import EVERY_STREAM, SyncRequest, in_stream_order
from scalesync.timestamps import When, instant_of

if TYPE_CHECKING:
    # Only some methods need these, and they take a while to load.
    from scalesync.models.api import BatchStatus
    from scalesync.models.sync import Run
    from scalesync.sync.events import SyncEvent
    from scalesync.sync.planner import Plan
    from scalesync.sync.result_files import FetchEvent, FetchSummary
    from scalesync.sync.runner import SyncSummary
    from scalesync.sync.verify.models import Verification, VerifyEvent

LOOKBACK = timedelta(minutes=15)
"""Overlap with the last sync: the API shows some changes late."""


def ignore(_event: object) -> None:
    """Take an event that nobody asked for."""


class SyncAndVerify:
    """Asks the API, and needs a key: fetching result files alone works without one."""

    def connections(self) -> Connections:
        """Return what opens the database and the API for one call."""
        raise NotImplementedError

    def waiting(self, *, endless: bool = False) -> Self:
        """Return the same, whose calls wait for a database that does not answer."""
        raise NotImplementedError

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
        on_event: "Callable[[SyncEvent], None]" = ignore,
    ) -> "SyncSummary":
        """Bring the mirror up to date and return what was read; `.complete` says whether it is.

        `streams` are some of projects, batches and tasks; none: all. `full` reads everything again, and
        notices what is gone. `since`, `until` and `projects` make it a backfill of what was created then, or
        of these projects: no watermark moves. Nothing new is begun after `time_limit`. Raises ScalesyncError
        for what stops it; what came is saved.
        """
        request = self._request(streams, since, until, projects, full=full, lookback=lookback)
        with self.waiting().connections().sync_runner(on_event, workers, time_limit) as runner:
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
        """Ask what such a `sync` would read: its windows, and how many rows each holds. Writes nothing."""
        request = self._request(streams, since, until, projects, full=full, lookback=lookback)
        with self.waiting().connections().sync_runner(ignore, 1, None) as runner:
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
        """Compare the mirror with the API and return what differs; `.proven` says whether nothing does.

        `streams`, `since`, `until` and `projects` as in `sync`. `deep` compares whole documents, which reads
        everything. With `repair` what differs is read again, and what is returned is a second verification,
        with the first as `.before_repair`. Raises ScalesyncError for what stops it.
        """
        from scalesync.sync.verify.runner import VerifyRunner

        request = self._request(streams, since, until, projects)
        with self.connections().sync_runner(on_repair, workers, None) as runner:
            return VerifyRunner(runner, on_event).verify(request, deep=deep, repair=repair)

    def verify_runs(
        self,
        runs: "Sequence[Run]",
        *,
        workers: int = 8,
        on_event: "Callable[[VerifyEvent], None]" = ignore,
    ) -> "Verification":
        """Compare what these runs of a sync read with the API, and return what differs."""
        from scalesync.sync.verify.runner import VerifyRunner

        with self.connections().sync_runner(ignore, workers, None) as runner:
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
        """Fetch the files that responses name and write their annotations; `.complete` says whether all came.

        `max_size` is in bytes; `timeout` is for one file as a whole. `allow_private` also asks addresses of
        this machine and of private networks. One that cannot be had raises nothing: `result_files` says why,
        and the next call tries again. Without a key, files that need none are fetched.
        """
        from scalesync.sync.result_files import Fetcher, FetchOptions, UrlRefresher

        options = FetchOptions(workers, max_size, timeout, allow_private)
        connections = self.connections()
        settings = connections.settings
        key = None if settings.key is None else settings.key.reveal()
        check = migrate.check_schema if key is None else connections.check_and_claim
        with (
            connections.database(check) as database,
            nullcontext() if key is None else connections.api() as api,
            options.downloads(
                settings.api_url, key, connections.clock, insecure_http=settings.insecure_http
            ) as downloads,
        ):
            urls = UrlRefresher(database, api)
            return Fetcher(database, downloads, connections.clock, on_event, workers, urls).run()

    def batch_status(self, name: str) -> "BatchStatus":
        """Return what the API counts in a batch now. Raises ScaleResourceNotFound where there is none."""
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
    ) -> SyncRequest:
        """Return what is to be read. Raises ConfigurationError for what cannot be meant."""
        for name in streams:
            if name not in EVERY_STREAM:
                raise ConfigurationError(f"There is no stream {name!r}.", advice=f"Use {EVERY_STREAM}.")
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
