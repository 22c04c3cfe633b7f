"""Fetches the result files that responses name, several at once, each saved in its own transaction.

Open it for `scalesync fetch-results`: which files are wanted, expired links, failures, the summary.
"""

import random
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scalesync.annotations.json_values import is_text, unmarked
from scalesync.api.client import ScaleApi
from scalesync.api.download_answers import EXPIRED
from scalesync.api.downloads import Download, Downloads
from scalesync.clock import Clock
from scalesync.db.database import Database
from scalesync.db.mirror import query, result_files, upsert
from scalesync.db.mirror.documents import TASKS
from scalesync.db.mirror.result_files import FetchedFile
from scalesync.errors import ScaleException
from scalesync.json_sanitizing import sanitize
from scalesync.sync.download_events import (
    DownloadSummary,
    FetchStarted,
    FetchWatcher,
    FileFailed,
    FileSaved,
    download_pool,
    finished_downloads,
)

if TYPE_CHECKING:
    from scalesync.db.request_rate import SharedRequestRate

_BATCH_SIZE = 100
"""Files whose addresses are read from the mirror together, at most."""

_PORTIONS = 256
"""Portions of the wanted files. Each host begins another one at random, so that few files come twice."""

_UNREAD = (
    "What came is in `result_files.content`; run it again when the server has another file, or with a "
    "scalesync that knows this form."
)
_GONE = "No task's response names this file any more."


@dataclass
class FetchSummary(DownloadSummary):
    """Result of one `scalesync fetch-results`."""

    unread: int = 0
    """Failed files that arrived and could not be read."""
    annotations: int = 0
    """Rows written for the tasks that name them."""


@dataclass(frozen=True, slots=True)
class UrlRefresher:
    """Renews expired links, if an API client is given."""

    database: Database
    api: ScaleApi | None = None
    rate: "SharedRequestRate | None" = None
    """The request rate of all processes, of whose refusals each renewal learns; None: each has its own."""

    def refresh_url(self, url: str) -> str | None:
        """Read a task that names the file again, write it to the mirror, and return the file's new link.

        None without an API client, without such a task, or if the API does not return it.
        """
        if self.api is None:
            return None
        with self.database.read() as conn:
            if self.rate is not None:
                self.rate.notice(conn)
            task_id = result_files.latest_naming(conn, url)
        if task_id is None:
            return None
        try:
            document = self.api.task(task_id)
        except ScaleException:
            return None
        with self.database.write() as conn:
            upsert.write_documents(conn, TASKS, [document])
            return result_files.addresses(conn, [url]).get(url)


@dataclass
class Fetcher:
    """Fetcher of every file that a response names and that is missing or could not be read."""

    database: Database
    downloads: Downloads
    clock: Clock
    watch: FetchWatcher
    workers: int
    links: UrlRefresher
    random: Callable[[], float] = random.random
    wanted: int = 0
    """Files to be fetched when it began."""
    summary: FetchSummary = field(default_factory=FetchSummary)
    active: dict[Future[Download], str] = field(default_factory=dict)

    def run(self) -> FetchSummary:
        """Fetch all wanted files, or those before a stop, which cuts off the active downloads.

        Raises DatabaseError; files saved by then stay.
        """
        began = self.clock.monotonic()
        with self.database.read() as conn:
            self.wanted = query.files_wanted(conn) + query.files_unread(conn)
        self.watch(FetchStarted(self.wanted))
        with download_pool(self.workers, "result", self.downloads, self.clock) as pool:
            self._work(pool)
        self.summary.stopped = self.clock.stopping.is_set()
        self.summary.seconds = self.clock.monotonic() - began
        return self.summary

    def _work(self, pool: ThreadPoolExecutor) -> None:
        wanted = self._wanted()
        while True:
            self._fill(pool, wanted)
            if not self.active:
                return
            for future in finished_downloads(self.active, self.downloads, self.clock):
                self._finish(self.active.pop(future), future)

    def _wanted(self) -> Iterator[tuple[str, str | None]]:
        """Yield each wanted file's unsigned address, once, and its latest link (None: no task names it).

        Those that another host has read by then are left out.
        """
        with self.database.read() as conn:
            portions = result_files.portions(conn, max(1, self.wanted // _PORTIONS))
        for after, last in sorted(portions, key=lambda _: self.random()):
            begin = after
            while True:
                with self.database.read() as conn:
                    urls = result_files.pending(conn, begin, last, _BATCH_SIZE)
                    found = result_files.addresses(conn, urls)
                if not urls:
                    break
                yield from ((url, found.get(url)) for url in urls)
                begin = urls[-1]

    def _fill(self, pool: ThreadPoolExecutor, wanted: Iterator[tuple[str, str | None]]) -> None:
        """Submit a download for every idle worker, while there are wanted files."""
        while len(self.active) < self.workers and not self.clock.stopping.is_set():
            url, address = next(wanted, (None, None))
            if url is None:
                return
            if address is None:
                self._fail(url, _GONE)
            else:
                self.active[pool.submit(self._download, url, address)] = url

    def _download(self, url: str, address: str) -> Download:
        """Return a file; if its link has expired, renew it and try once more."""
        try:
            return self.downloads.fetch(address)
        except ScaleException as error:
            renewed = self.links.refresh_url(url) if error.code in EXPIRED else None
            if renewed in (None, address):
                raise
            return self.downloads.fetch(renewed)

    def _finish(self, url: str, future: Future[Download]) -> None:
        try:
            download = future.result()
        except ScaleException as error:
            if not self.clock.stopping.is_set():
                self._fail(url, error.message, error.advice)
        else:
            self._save(url, download)

    def _save(self, url: str, download: Download) -> None:
        size = len(download.content)
        file = FetchedFile(_storable(download.content), download.sha256, size, download.served_at)
        with self.database.write() as conn:
            saved = result_files.keep(conn, url, file, self.clock.now())
        if saved is None:
            # No task names the file any more.
            return
        self.summary.annotations += saved.annotations
        if url in saved.unread_files:
            self.summary.unread += 1
            self._report_failure(url, saved.unread_files[url], _UNREAD)
            return
        self.summary.fetched += 1
        self.summary.bytes += size
        self.watch(FileSaved(url, size))

    def _fail(self, url: str, error: str, advice: str = "") -> None:
        with self.database.write() as conn:
            result_files.note_failure(conn, url, error, self.clock.now())
        self._report_failure(url, error, advice)

    def _report_failure(self, url: str, error: str, advice: str) -> None:
        self.summary.fail(url, error, advice)
        self.watch(FileFailed(url, error))


def _storable(content: bytes) -> bytes:
    """Return a text file with what databases reject replaced, any other file unchanged."""
    # With its invalid bytes replaced, a file that is no text would be taken for readable JSON.
    return sanitize(unmarked(content))[0] if is_text(content) else content
