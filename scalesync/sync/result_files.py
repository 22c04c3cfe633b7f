"""Fetch the files that responses name, several at once, each kept in a transaction of its own."""

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import ClassVar

from scalesync.annotations.json_values import is_text, unmarked
from scalesync.api.client import ScaleApi
from scalesync.api.downloads import EXPIRED, Download, DownloadOptions, Downloads
from scalesync.clock import Clock
from scalesync.db.database import Database
from scalesync.db.mirror import query, result_files, upsert
from scalesync.db.mirror.documents import TASKS
from scalesync.db.mirror.result_files import FetchedFile
from scalesync.errors import ConfigurationError, ScaleException
from scalesync.json_sanitizing import sanitize

POLL_SECONDS = 0.25
"""Seconds between two looks whether to stop."""

_AT_ONCE = 100
"""Files whose addresses are looked up together."""

_UNREAD = (
    "What came is in `result_files.content`; run it again when the server has another file, or with a "
    "scalesync that knows this form."
)
_GONE = "No task's response names this file any more."


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """How result files are to be fetched. Raises ConfigurationError for what nothing can be fetched with."""

    workers: int = 8
    """Files at once, at most."""
    max_size: int = 64 << 20
    """Bytes of a file, at most."""
    timeout: float = 300.0
    """Seconds that one file may take as a whole, further attempts included."""
    allow_private: bool = False
    """Whether private addresses may be asked."""

    def __post_init__(self) -> None:
        if not min(self.workers, self.max_size, self.timeout) > 0:
            raise ConfigurationError(
                "Workers, size and time must be more than 0.", advice="Leave them out for what is usual."
            )

    def downloads(
        self, api_url: str, key: str | None, clock: Clock, *, insecure_http: bool = False
    ) -> Downloads:
        """Return what fetches like this, for the account of `key`; None: of nobody's."""
        options = DownloadOptions(
            api_url,
            self.max_size,
            self.timeout,
            allow_private=self.allow_private,
            insecure_http=insecure_http,
        )
        return Downloads(key, options, clock=clock)


@dataclass(frozen=True, slots=True)
class FetchStarted:
    """So many files are to be fetched."""

    name: ClassVar = "begun"
    files: int


@dataclass(frozen=True, slots=True)
class FileSaved:
    """A file is in the database, with the annotations of the tasks that name it."""

    name: ClassVar = "kept"
    url: str
    bytes: int


@dataclass(frozen=True, slots=True)
class FileFailed:
    """A file could not be fetched, or not be read; it is tried again in the next run."""

    name: ClassVar = "failed"
    url: str
    error: str


FetchEvent = FetchStarted | FileSaved | FileFailed

FetchWatcher = Callable[[FetchEvent], None]
"""Takes note of one event after the other; called from one thread only."""


@dataclass
class FetchFailure:
    """Why some files are not here, or could not be read."""

    error: str
    """A sentence, the same for all of them."""
    files: int
    url: str
    """Of the first of them, without its signature."""
    advice: str
    """What helps; empty where running again is all that may."""


@dataclass
class FetchSummary:
    """What one `scalesync fetch-results` did."""

    fetched: int = 0
    """Files that came and were read."""
    failed: int = 0
    unread: int = 0
    """Those of the failed that came and could not be read."""
    bytes: int = 0
    """Of the files fetched, as they came."""
    annotations: int = 0
    """Rows written for the tasks that name them."""
    reasons: list[FetchFailure] = field(default_factory=list)
    """Of the failed files, in the order in which they were met."""
    stopped: bool = False
    """Whether it was asked to stop, and files may be left."""
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether every file that was wanted is here and was read."""
        return not (self.failed or self.stopped)

    def fail(self, url: str, error: str, advice: str) -> None:
        """Count a file that failed."""
        self.failed += 1
        reason = next((each for each in self.reasons if each.error == error), None)
        if reason is None:
            self.reasons.append(FetchFailure(error, 1, url, advice))
        else:
            reason.files += 1


@dataclass(frozen=True, slots=True)
class UrlRefresher:
    """Where files are, as far as the mirror knows, and the API where it may be asked."""

    database: Database
    api: ScaleApi | None = None

    def refresh_url(self, url: str) -> str | None:
        """Read a task that names a file again, into the mirror, and return where the file is now.

        None where the API cannot tell, or there is nobody to ask it for.
        """
        if self.api is None:
            return None
        with self.database.read() as conn:
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
    """Fetches every file that is named and not here yet, or was here and could not be read."""

    database: Database
    downloads: Downloads
    clock: Clock
    watch: FetchWatcher
    workers: int
    links: UrlRefresher
    summary: FetchSummary = field(default_factory=FetchSummary)
    active: dict[Future[Download], str] = field(default_factory=dict)

    def run(self) -> FetchSummary:
        """Return what was done. Raises DatabaseError; what was kept by then stays.

        A stop cuts off the downloads in hand: nothing is lost by it but their bytes.
        """
        began = self.clock.monotonic()
        with self.database.read() as conn:
            self.watch(FetchStarted(query.files_wanted(conn) + query.files_unread(conn)))
        with ThreadPoolExecutor(self.workers, thread_name_prefix="result") as pool:
            try:
                self._work(pool)
            except BaseException:
                self.clock.stopping.set()
                self.downloads.cut_off()
                raise
        self.summary.stopped = self.clock.stopping.is_set()
        self.summary.seconds = self.clock.monotonic() - began
        return self.summary

    def _work(self, pool: ThreadPoolExecutor) -> None:
        wanted = self._wanted()
        while True:
            self._fill(pool, wanted)
            if not self.active:
                return
            done, _ = wait(self.active, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
            if self.clock.stopping.is_set():
                self.downloads.cut_off()
            for future in done:
                self._settle(self.active.pop(future), future)

    def _wanted(self) -> Iterator[tuple[str, str | None]]:
        """Yield the lasting address of each file to be fetched once, and where it can be had now."""
        last = ""
        while True:
            with self.database.read() as conn:
                urls = result_files.pending(conn, last, _AT_ONCE)
                found = result_files.addresses(conn, urls)
            if not urls:
                return
            yield from ((url, found.get(url)) for url in urls)
            last = urls[-1]

    def _fill(self, pool: ThreadPoolExecutor, wanted: Iterator[tuple[str, str | None]]) -> None:
        """Give every idle worker a file, as long as there are any."""
        while len(self.active) < self.workers and not self.clock.stopping.is_set():
            url, address = next(wanted, (None, None))
            if url is None:
                return
            if address is None:
                self._fail(url, _GONE)
            else:
                self.active[pool.submit(self._download, url, address)] = url

    def _download(self, url: str, address: str) -> Download:
        """Return a file, from a new link where the old one has expired."""
        try:
            return self.downloads.fetch(address)
        except ScaleException as error:
            renewed = self.links.refresh_url(url) if error.code in EXPIRED else None
            if renewed in (None, address):
                raise
            return self.downloads.fetch(renewed)

    def _settle(self, url: str, future: Future[Download]) -> None:
        try:
            download = future.result()
        except ScaleException as error:
            if not self.clock.stopping.is_set():
                self._fail(url, error.message, error.advice)
        else:
            self._keep(url, download)

    def _keep(self, url: str, download: Download) -> None:
        content = _to_keep(download.content)
        size = len(download.content)
        file = FetchedFile(content, download.sha256, size, download.served_at)
        with self.database.write() as conn:
            came = result_files.keep(conn, url, file, self.clock.now())
        if came is None:
            return
        self.summary.annotations += came.annotations
        if url in came.unread_files:
            self.summary.unread += 1
            self._failed(url, came.unread_files[url], _UNREAD)
            return
        self.summary.fetched += 1
        self.summary.bytes += size
        self.watch(FileSaved(url, size))

    def _fail(self, url: str, error: str, advice: str = "") -> None:
        with self.database.write() as conn:
            result_files.note_failure(conn, url, error, self.clock.now())
        self._failed(url, error, advice)

    def _failed(self, url: str, error: str, advice: str) -> None:
        self.summary.fail(url, error, advice)
        self.watch(FileFailed(url, error))


def _to_keep(content: bytes) -> bytes:
    """Return what is kept of a file: text that databases hold; as it came where its bytes are no text.

    Mended, such a file would be taken for one that can be read.
    """
    return sanitize(unmarked(content))[0] if is_text(content) else content
