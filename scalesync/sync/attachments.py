"""Fetches the attachments that tasks name, several at once: only their sizes, or whole files to keep.

Open it for `scalesync fetch-attachments`: which attachments are wanted, failures, the summary.
"""

import random
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar

from scalesync.api.downloads import Downloads
from scalesync.clock import Clock
from scalesync.db.database import Database
from scalesync.db.mirror import attachments, query
from scalesync.db.mirror.attachments import AttachmentRow, TaskAttachments
from scalesync.db.mirror.documents import TASKS
from scalesync.errors import ScaleException, ScaleNotSent
from scalesync.models.selection import Selection
from scalesync.parsing.picture_sizes import UnreadablePictureError
from scalesync.sync.attachment_files import AttachmentDirectory
from scalesync.sync.attachment_sizes import WantedAttachment, read_sizes
from scalesync.sync.download_events import (
    DownloadSummary,
    FileFailed,
    FileSaved,
    download_pool,
    finished_downloads,
)

_TASKS_AT_ONCE = 200
_PORTIONS = 256
"""Portions of many selected tasks. Each host begins another one at random."""
_LONGEST_URL = 2_000
"""Bytes of a URL that both databases take as a key; texts and pictures within a URL are longer."""
_TOO_LONG = f"The address is longer than {_LONGEST_URL:,} bytes, and nothing is kept of it."
_UNREADABLE = "The task's params are nested too deeply to be read."
_GIVE_UP_AFTER = 3
"""Files of a host without a connection, one after the other, after which no others are asked for."""
_MAX_KINDS = 50
"""Types of files that are counted apart; servers can invent any."""


@dataclass(frozen=True, slots=True)
class TasksLookedAt:
    """Of the selected tasks, `tasks` of `total` were looked at so far."""

    name: ClassVar = "looked_at"
    tasks: int
    total: int


AttachmentEvent = TasksLookedAt | FileSaved | FileFailed

AttachmentWatcher = Callable[[AttachmentEvent], None]
"""Called with one event at a time, from one thread only."""


@dataclass
class AttachmentSummary(DownloadSummary):
    """Result of one `scalesync fetch-attachments`."""

    pictures: int = 0
    """Fetched attachments whose width and height are known now."""
    others: dict[str, int] = field(default_factory=dict)
    """Fetched attachments that are no pictures, and have no size, by what their servers call them."""
    known: int = 0
    """How often a task named an attachment of which everything was known before."""
    tasks: int = 0
    """Selected tasks that were looked at."""

    def count(self, row: AttachmentRow) -> None:
        """Count an attachment that was fetched."""
        self.fetched += 1
        self.bytes += row.bytes or 0
        if row.width is not None:
            self.pictures += 1
            return
        kind = row.content_type or "unknown"
        kind = kind if kind in self.others or len(self.others) < _MAX_KINDS else "others"
        self.others[kind] = self.others.get(kind, 0) + 1


@dataclass
class _Unreached:
    """A host without a connection."""

    files: int = 0
    """Files in a row for which there was none."""
    error: ScaleNotSent | None = None


@dataclass
class AttachmentFetcher:
    """Fetcher of the selected tasks' attachments of which something is not known, or that failed before."""

    database: Database
    downloads: Downloads
    clock: Clock
    watch: AttachmentWatcher
    workers: int
    wanted: Selection
    directory: AttachmentDirectory | None = None
    """Where files are kept; None: only their sizes are read."""
    refresh: bool = False
    """Whether to ask for what is known as well."""
    random: Callable[[], float] = random.random
    summary: AttachmentSummary = field(default_factory=AttachmentSummary)
    active: dict[Future[AttachmentRow], WantedAttachment] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    """URLs that were submitted or failed since the mirror was last read."""
    failed: set[int] = field(default_factory=set)
    """Hashes of the URLs that failed in this run: they are not tried twice."""
    unreached: dict[str, _Unreached] = field(default_factory=dict)

    def run(self) -> AttachmentSummary:
        """Fetch all that is wanted, or what comes before a stop, which cuts off the active downloads.

        Raises DatabaseError, and ConfigurationError if a file cannot be written; what is saved by then stays.
        """
        began = self.clock.monotonic()
        if self.directory is not None:
            self.directory.prepare()
        with self.database.read() as conn:
            total = query.total(conn, TASKS, self.wanted)
        limit = total if self.wanted.limit is None else min(total, self.wanted.limit)
        self.watch(TasksLookedAt(0, limit))
        with download_pool(self.workers, "attachment", self.downloads, self.clock) as pool:
            self._work(pool, self._wanted(limit, self.clock.now()))
        self.summary.stopped = self.clock.stopping.is_set()
        self.summary.seconds = self.clock.monotonic() - began
        return self.summary

    def _work(self, pool: ThreadPoolExecutor, wanted: Iterator[WantedAttachment]) -> None:
        while True:
            while len(self.active) < self.workers and not self.clock.stopping.is_set():
                attachment = next(wanted, None)
                if attachment is None:
                    break
                self.active[pool.submit(self._fetch, attachment)] = attachment
            if not self.active:
                return
            self._finish(finished_downloads(self.active, self.downloads, self.clock))

    def _wanted(self, limit: int, began: datetime) -> Iterator[WantedAttachment]:
        """Yield each wanted attachment of the selected tasks once."""
        # The databases keep times to the millisecond.
        began = began.replace(microsecond=began.microsecond // 1000 * 1000)
        for after, last in self._portions(limit):
            behind = after
            while self.wanted.limit is None or self.summary.tasks < limit:
                # From here on what was finished before, also by other hosts, is found in the table.
                self.taken = {attachment.url for attachment in self.active.values()}
                with self.database.read() as conn:
                    left = _TASKS_AT_ONCE if self.wanted.limit is None else limit - self.summary.tasks
                    page = attachments.named(conn, self.wanted, behind, last, min(_TASKS_AT_ONCE, left))
                    known = attachments.known(conn, list({url for task in page for url in task.links or ()}))
                if not page:
                    break
                for task in page:
                    yield from self._of_task(task, known, began)
                self.summary.tasks += len(page)
                self.watch(TasksLookedAt(self.summary.tasks, max(limit, self.summary.tasks)))
                behind = page[-1].task_id

    def _portions(self, limit: int) -> list[tuple[str, str | None]]:
        """Return ranges of task ids in random order, so that hosts seldom fetch the same; one if limited."""
        if self.wanted.limit is not None:
            return [("", None)]
        with self.database.read() as conn:
            found = attachments.portions(conn, self.wanted, max(_TASKS_AT_ONCE, limit // _PORTIONS))
        return sorted(found, key=lambda _: self.random())

    def _of_task(
        self, task: TaskAttachments, known: dict[str, AttachmentRow], began: datetime
    ) -> Iterator[WantedAttachment]:
        if task.links is None:
            self._report(f"task {task.task_id}", _UNREADABLE)
            return
        for url, (link, is_picture) in task.links.items():
            if url in self.taken or hash(url) in self.failed:
                continue
            self.taken.add(url)
            if len(url.encode(errors="replace")) > _LONGEST_URL:
                self.failed.add(hash(url))
                self._report(f"{url[:80]}...", _TOO_LONG)
            elif url not in known or self._is_incomplete(known[url], began):
                yield WantedAttachment(url, link, is_picture)

    def _is_incomplete(self, row: AttachmentRow, began: datetime) -> bool:
        """Return whether an attachment that was asked for before is to be asked for again."""
        if row.error is not None:
            return True
        if row.checked_at is not None and row.checked_at >= began:
            return False
        path = None if self.directory is None else self.directory.kept(row)
        if self.refresh or (self.directory is not None and path is None):
            return True
        self.summary.known += 1
        if path is not None and str(path) != row.path:
            # The directory was moved, with all that is in it.
            with self.database.write() as conn:
                attachments.save(conn, [replace(row, path=str(path))])
        return False

    def _fetch(self, wanted: WantedAttachment) -> AttachmentRow:
        """Return what is known of an attachment then; raises ScaleException and UnreadablePictureError."""
        wanted.check_scheme()
        host = self.unreached.get(wanted.host)
        if host is not None and host.error is not None and host.files >= _GIVE_UP_AFTER:
            raise host.error
        if self.directory is None:
            return read_sizes(self.downloads, wanted)
        return self.directory.keep(self.downloads, wanted)

    def _finish(self, done: set[Future[AttachmentRow]]) -> None:
        """Save what came, in one transaction, and report it."""
        rows: list[AttachmentRow] = []
        advice: dict[str, str] = {}
        for future in done:
            wanted = self.active.pop(future)
            try:
                row = future.result()
            except (ScaleException, UnreadablePictureError) as error:
                if self.clock.stopping.is_set():
                    continue
                row = AttachmentRow(wanted.url, error=str(getattr(error, "message", error)))
                advice[row.url] = getattr(error, "advice", "")
                self._note_host(wanted.host, error)
            else:
                self.unreached.pop(wanted.host, None)
            rows.append(replace(row, checked_at=self.clock.now()))
        if rows:
            with self.database.write() as conn:
                attachments.save(conn, rows)
        for row in rows:
            if row.error is None:
                self.summary.count(row)
                self.watch(FileSaved(row.url, row.bytes or 0))
            else:
                self.failed.add(hash(row.url))
                self._report(row.url, row.error, advice[row.url])

    def _note_host(self, host: str, error: Exception) -> None:
        if isinstance(error, ScaleNotSent):
            found = self.unreached.setdefault(host, _Unreached())
            found.files, found.error = found.files + 1, error
        else:
            self.unreached.pop(host, None)

    def _report(self, url: str, error: str, advice: str = "") -> None:
        self.summary.fail(url, error, advice)
        self.watch(FileFailed(url, error))
