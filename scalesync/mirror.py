"""scalesync from Python: the same mirror, queue and operations as on the command line."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from scalesync.account_adoption import Initialized
from scalesync.app import App
from scalesync.contents import Contents, Document
from scalesync.db.caller_transaction import Connection, caller_transaction
from scalesync.errors import ConfigurationError
from scalesync.keywords import (
    DispatchOptions,
    FetchKeywords,
    SyncOptions,
    VerifyOptions,
    check_name,
    request,
)
from scalesync.models.api import BatchStatus
from scalesync.models.commands import Enqueued
from scalesync.queue.bulk_submit import SubmitResult, TaskTemplate
from scalesync.queue.dispatch_summary import DispatchSummary
from scalesync.queue.management import Queue
from scalesync.queue.sending import Sending
from scalesync.queue.transaction import BatchOptions, ProjectOptions, TaskOptions, Transaction
from scalesync.settings import DEFAULT_DATABASE, SettingsInput, load_settings
from scalesync.status import CheckResult
from scalesync.sync.planner import EVERY_STREAM, Plan, in_stream_order
from scalesync.sync.result_files.fetcher import FetchOptions, FetchSummary
from scalesync.sync.runner import SyncSummary
from scalesync.sync.verify.models import Verification
from scalesync.sync.verify.runner import VerifyWatchers

__all__ = ["Document", "Mirror"]


def _streams(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return these streams in the order of reading; all, if there are none. Raises ConfigurationError."""
    for name in names:
        if name not in EVERY_STREAM:
            raise ConfigurationError(f"There is no stream {name!r}.", advice=f"Use {EVERY_STREAM}.")
    return in_stream_order(names)


class Mirror(Contents):
    """A local copy of a Scale account, and a queue of what is to be done at Scale.

    Only `sync`, `plan_sync`, `verify`, `check`, `batch_status`, `dispatch` and `reconcile` ask the API and
    need a key, and `fetch_results` asks the servers that have the files; all else works offline. Every error
    is a `scalesync.errors.ScalesyncError`; the API's are ScaleException, with `.code` and `.message`. Nothing
    stays open between two calls, and threads may share one Mirror.
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

        Without `api_key` the key is SCALE_API_KEY; without `api_url` the API is at SCALESYNC_API_URL, or
        Scale's own. Plain http to another machine takes `insecure_http`: the key can be read on the way.
        Raises ConfigurationError for a key that cannot be one.
        """
        given = {} if api_key is None else {"SCALE_API_KEY": api_key}
        url = (os.environ.get("SCALESYNC_API_URL") or None) if api_url is None else api_url
        chosen = SettingsInput(os.fspath(database), url, insecure_http=insecure_http)
        self._settings = load_settings(chosen, {**os.environ, **given})

    def __repr__(self) -> str:
        """Return the API's address, and nothing of the key."""
        return f"Mirror(api_url={self._settings.api_url!r})"

    # Reading --------------------------------------------------------------------------------------------

    def init(self, *, adopt: bool = False) -> Initialized:
        """Create or upgrade the schema; `adopt` hands the mirror over to the present key.

        The API is asked about that key first: raises ScaleUnauthorized or ScaleForbidden where it refuses it,
        and where it cannot be asked, `.asked.projects` of what is returned is None.
        """
        return self._app.init(adopt=adopt)

    def backup(self, file: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Copy an SQLite mirror, as it is at one moment, into a file that appears whole or not at all.

        Others may use the mirror meanwhile. Raises ConfigurationError where the file cannot be written, or is
        there already and not to be overwritten, and on Postgres, which has its own tools.
        """
        self._app.back_up(Path(file), lambda _copied, _pages: None, overwrite=overwrite)

    def check(self) -> list[CheckResult]:
        """Look at database, key and API, and say what to do about each."""
        return list(self._app.check())

    def sync(
        self, *streams: str, workers: int = 8, time_limit: float | None = None, **options: Unpack[SyncOptions]
    ) -> SyncSummary:
        """Bring the mirror up to date and return what was read; `.complete` says whether it is.

        `streams` are some of projects, batches and tasks; none: all. Nothing new is begun after `time_limit`
        seconds. Raises ScalesyncError for whatever stops it; what came is saved.
        """
        wanted = request(_streams(streams), options, self._now())
        return self._app.patient().sync(wanted, lambda _: None, workers=workers, time_limit=time_limit)

    def plan_sync(self, *streams: str, **options: Unpack[SyncOptions]) -> tuple[Plan, tuple[int, ...]]:
        """Ask what such a `sync` would read: its windows, and how many rows each holds. Writes nothing."""
        return self._app.look_ahead(request(_streams(streams), options, self._now()))

    def verify(self, *streams: str, workers: int = 8, **options: Unpack[VerifyOptions]) -> Verification:
        """Hold the mirror against the API and return what differs; `.proven` says whether nothing does.

        `streams` as in `sync`. With `repair`, what differs is read again, and the return value is that of a
        second verification. Raises ScalesyncError for whatever stops it.
        """
        deep, repair = options.pop("deep", False), options.pop("repair", False)
        wanted = request(_streams(streams), options, self._now())
        nobody = VerifyWatchers(lambda _: None, lambda _: None)
        return self._app.verify(wanted, nobody, deep=deep, repair=repair, workers=workers).last

    def fetch_results(self, **options: Unpack[FetchKeywords]) -> FetchSummary:
        """Fetch the files that responses name and write their annotations; `.complete` says whether all came.

        One that cannot be had raises nothing: `result_files` says why, and the next call tries again.
        """
        return self._app.fetch_results(FetchOptions(**options), lambda _: None)

    def batch_status(self, name: str) -> BatchStatus:
        """Return what the API counts in a batch now. Raises ScaleResourceNotFound where there is none."""
        check_name("batch", name)
        with self._app.api() as api:
            return api.batch_status(name)

    # Queueing, each in a transaction of its own; see Transaction --------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Lend a transaction in which several commands are queued: all of them at its end, or none."""
        with self._app.transaction() as tx:
            yield tx

    @contextmanager
    def within(self, connection: Connection) -> Iterator[Transaction]:
        """Lend the same inside the caller's own SQLAlchemy connection to a mirror's database.

        What is queued is there if and when the caller commits; an error undoes what the block queued and
        nothing else.
        """
        with caller_transaction(connection) as conn:
            yield Transaction(conn)

    def create_task(
        self,
        type: str,  # noqa: A002 - Scale's word
        body: Mapping[str, Any],
        **options: Unpack[TaskOptions],
    ) -> Enqueued:
        """Queue a task of any type; `body` is that of `POST /task/{type}`, with project, batch, unique_id."""
        with self.transaction() as tx:
            return tx.create_task(type, body, **options)

    def create_tasks(
        self,
        type: str,  # noqa: A002 - Scale's word
        bodies: Iterable[Mapping[str, Any]],
        *,
        unique_id_field: str | None = None,
        **options: Unpack[TaskOptions],
    ) -> SubmitResult:
        """Queue many tasks, in flat memory and without a transaction until the last has come.

        Raises SubmissionError, whose `.problems` name every bad one by its place, and queues none.
        """
        return self._app.submit(bodies, TaskTemplate(type, unique_id_field=unique_id_field, **options))

    def cancel_task(
        self, task_id: str | None = None, *, unique_id: str | None = None, clear_unique_id: bool = False
    ) -> Enqueued:
        """Queue the canceling of a task, by its id or unique_id; a create never sent is withdrawn."""
        with self.transaction() as tx:
            return tx.cancel_task(task_id, unique_id=unique_id, clear_unique_id=clear_unique_id)

    def cancel_tasks(
        self,
        task_ids: Iterable[str] = (),
        *,
        unique_ids: Iterable[str] = (),
        clear_unique_id: bool = False,
    ) -> SubmitResult:
        """Queue the canceling of many tasks by their ids or unique_ids: of all, or of none."""
        with self.transaction() as tx:
            return tx.cancel_tasks(task_ids, unique_ids=unique_ids, clear_unique_id=clear_unique_id)

    def cancel_batch(self, name: str, *, clear_unique_id: bool = False) -> SubmitResult:
        """Queue the canceling of every task of a batch that is pending here or still queued."""
        with self.transaction() as tx:
            return tx.cancel_tasks(batch=name, clear_unique_id=clear_unique_id)

    def create_batch(self, name: str, project: str, **more: Unpack[BatchOptions]) -> Enqueued:
        """Queue a batch; if its project is queued here, it waits for that."""
        with self.transaction() as tx:
            return tx.create_batch(name, project, **more)

    def finalize_batch(self, name: str) -> Enqueued:
        """Queue the finalizing of a batch, after every task queued for it; it takes no more."""
        with self.transaction() as tx:
            return tx.finalize_batch(name)

    def create_project(
        self,
        name: str,
        type: str,  # noqa: A002 - Scale's word
        params: Mapping[str, Any],
        **more: Unpack[ProjectOptions],
    ) -> Enqueued:
        """Queue a project for tasks of one type, with its first parameters."""
        with self.transaction() as tx:
            return tx.create_project(name, type, params, **more)

    def update_project(self, name: str, params: Mapping[str, Any], *, patch: bool | None = None) -> Enqueued:
        """Queue new parameters of a project, in place of the latest or (`patch`) merged over them."""
        with self.transaction() as tx:
            return tx.update_project(name, params, patch=patch)

    # The queue --------------------------------------------------------------------------------------------

    def dispatch(self, **options: Unpack[DispatchOptions]) -> DispatchSummary:
        """Send what is queued and settle what is in doubt; return what was done and why it ended.

        What the API refuses raises nothing here: it is dead, with the API's words, see `queue.result`. Raises
        ScalesyncError for whatever keeps it from beginning.
        """
        patience = options.get("patience")
        how = {name: value for name, value in options.items() if name != "patience"}
        return self._dispatch(Sending(**how), patience)  # type: ignore[arg-type]

    def reconcile(self, *, timeout: float = 60.0) -> DispatchSummary:
        """Ask the API about everything in doubt, and send nothing."""
        return self._dispatch(Sending(timeout=timeout, reconcile_only=True), None)

    @property
    def queue(self) -> Queue:
        """The queue, to see and to mend."""
        return self._app.queue

    def _dispatch(self, how: Sending, patience: float | None) -> DispatchSummary:
        settings = self._settings if patience is None else replace(self._settings, patience=patience)
        return App(settings).patient(stay=how.watch).dispatch(how, lambda _: None)
