"""Limits, threads, events and result of fetching many files, which responses or tasks name."""

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

from scalesync.api.downloads import DownloadOptions, Downloads
from scalesync.clock import Clock
from scalesync.errors import ConfigurationError

_T = TypeVar("_T")

_POLL_SECONDS = 0.25
"""Seconds between two checks for a stop."""


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """Limits of fetching. Raises ConfigurationError if one is not positive."""

    workers: int = 8
    """Files fetched at the same time."""
    max_size: int = 64 << 20
    """Largest file, in bytes."""
    timeout: float = 300.0
    """Seconds for one file, all attempts included."""
    allow_private: bool = False
    """Whether files may be fetched from private network addresses."""

    def __post_init__(self) -> None:
        if not min(self.workers, self.max_size, self.timeout) > 0:
            raise ConfigurationError(
                "Workers, size and time must be more than 0.", advice="Leave them out for what is usual."
            )

    def downloads(
        self, api_url: str, key: str | None, clock: Clock, *, insecure_http: bool, as_sent: bool = False
    ) -> Downloads:
        """Return a downloader with these limits; it sends `key` to the API's own origin only.

        `as_sent`: files that are gzip themselves stay so.
        """
        options = DownloadOptions(
            api_url,
            self.max_size,
            self.timeout,
            allow_private=self.allow_private,
            insecure_http=insecure_http,
            as_sent=as_sent,
        )
        return Downloads(key, options, clock=clock)


@contextmanager
def download_pool(
    workers: int, name: str, downloads: Downloads, clock: Clock
) -> Iterator[ThreadPoolExecutor]:
    """Yield threads for downloads; an error in the block stops all, and cuts off the active ones."""
    with ThreadPoolExecutor(workers, thread_name_prefix=name) as pool:
        try:
            yield pool
        except BaseException:
            clock.stopping.set()
            downloads.cut_off()
            raise


def finished_downloads(active: Collection[Future[_T]], downloads: Downloads, clock: Clock) -> set[Future[_T]]:
    """Wait shortly, and return the downloads that have ended; after a stop the others are cut off."""
    done, _ = wait(active, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
    if clock.stopping.is_set():
        downloads.cut_off()
    return done


@dataclass(frozen=True, slots=True)
class FetchStarted:
    """Fetching begins; `files` are wanted."""

    name: ClassVar = "begun"
    files: int


@dataclass(frozen=True, slots=True)
class FileSaved:
    """A result file is saved with the annotations of its tasks, or what an attachment is."""

    name: ClassVar = "kept"
    url: str
    bytes: int


@dataclass(frozen=True, slots=True)
class FileFailed:
    """A file could not be fetched or read; the next run tries it again."""

    name: ClassVar = "failed"
    url: str
    error: str


FetchEvent = FetchStarted | FileSaved | FileFailed

FetchWatcher = Callable[[FetchEvent], None]
"""Called with one event at a time, from one thread only."""


@dataclass
class FetchFailure:
    """One reason for which files could not be fetched or read."""

    error: str
    """A sentence, equal for all these files."""
    files: int
    url: str
    """Address of the first of them, without its signature."""
    advice: str
    """What may help; empty if only running again does."""


@dataclass
class DownloadSummary:
    """What became of the files of one run."""

    fetched: int = 0
    """Files that arrived and were read."""
    failed: int = 0
    bytes: int = 0
    """Bytes of the fetched files, as received."""
    reasons: list[FetchFailure] = field(default_factory=list)
    """Reasons of the failed files, in the order of their first file."""
    stopped: bool = False
    """Whether it was stopped, so that files may be left."""
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether every wanted file was fetched and read."""
        return not (self.failed or self.stopped)

    def fail(self, url: str, error: str, advice: str) -> None:
        """Count a file that failed."""
        self.failed += 1
        reason = next((each for each in self.reasons if each.error == error), None)
        if reason is None:
            self.reasons.append(FetchFailure(error, 1, url, advice))
        else:
            reason.files += 1
