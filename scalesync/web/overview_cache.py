"""Overviews that the server has counted, and threads that count the next ones while a page is answered.

Counting reads every task, which takes longer than anybody waits for a page: a page shows the last overview
with its time, and says so if a newer one is being counted.
"""

import logging
import os
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from scalesync.errors import IncompleteError, ScalesyncError
from scalesync.models.overview import Overview, OverviewMark

if TYPE_CHECKING:
    from scalesync.mirror import Mirror

_log = logging.getLogger(__name__)

WAIT_SECONDS = 0.1
"""How long the page that has an overview counted waits for it."""
_OLD_SECONDS = 300
"""Age from which on an overview is counted anew, also where no change is known."""
_KEPT, _RUNNING = 32, 8
"""The most overviews that are kept, and that are being counted or wait for it."""

_Key = tuple[str | None, str | None]
"""A project, and a time as it was written, such as `30d`."""


@dataclass(frozen=True, slots=True)
class CountedOverview:
    """An overview as a page shows it."""

    overview: Overview | None
    """None: it is being counted for the first time."""
    being_counted: bool
    """Whether a newer one is being counted."""


@dataclass(slots=True)
class _Entry:
    """One key's last overview, and the thread that counts the next."""

    overview: Overview | None = None
    mark: OverviewMark | None = None
    counted_at: float = 0.0
    """By the monotonic clock."""
    error: ScalesyncError | None = None
    """Why the last count failed; told once."""
    running: bool = False
    done: threading.Event = field(default_factory=threading.Event)


class OverviewCache:
    """The overviews of one mirror; for any number of threads."""

    def __init__(self) -> None:
        """Begin without overviews."""
        self._entries: dict[_Key, _Entry] = {}
        self._lock = threading.Lock()
        self.turn = threading.Lock()
        """Held while one overview is counted: several at once would take as much longer each."""

    def get(self, mirror: "Mirror", project: str | None, since: str | None) -> CountedOverview:
        """Return the overview as it is known now, after WAIT_SECONDS at most; have it counted if it is old.

        Raises ScalesyncError if the last count failed, or if too many are being counted.
        """
        mark = mirror.overview_mark()
        with self._lock:
            entry = self._entry((project, since))
            starts = not self._is_fresh(entry, mark) and not entry.running
            if starts:
                self._start(mirror, (project, since), entry)
            done = entry.done
        # Of a small mirror it is there by then. Later pages do not wait: of a large one it takes longer.
        if starts:
            done.wait(WAIT_SECONDS)
        with self._lock:
            error, entry.error = entry.error, None
            if error is not None:
                raise error
            return CountedOverview(entry.overview, entry.running)

    def wait(self, seconds: float) -> None:
        """Return when nothing is being counted, after `seconds` at most."""
        ends = time.monotonic() + seconds
        with self._lock:
            running = [entry.done for entry in self._entries.values() if entry.running]
        for done in running:
            done.wait(max(0.0, ends - time.monotonic()))

    def _entry(self, key: _Key) -> _Entry:
        """Return the entry of a key, as the last one that was asked for; forget those asked for long ago."""
        entry = self._entries.pop(key, None) or _Entry()
        self._entries[key] = entry
        for old in list(self._entries)[:-_KEPT]:
            if not self._entries[old].running:
                del self._entries[old]
        return entry

    def _is_fresh(self, entry: _Entry, mark: OverviewMark) -> bool:
        known = entry.overview is not None and entry.mark == mark
        return known and time.monotonic() - entry.counted_at < _OLD_SECONDS

    def _start(self, mirror: "Mirror", key: _Key, entry: _Entry) -> None:
        if sum(each.running for each in self._entries.values()) >= _RUNNING:
            raise IncompleteError(
                "Other projects and times are being counted.", advice="Reload this page in a minute."
            )
        entry.running, entry.done = True, threading.Event()
        # A daemon: Ctrl-C does not wait for a count that nobody will see.
        threading.Thread(target=self._count, args=(mirror, key, entry), name="overview", daemon=True).start()

    def _count(self, mirror: "Mirror", key: _Key, entry: _Entry) -> None:
        project, since = key
        overview, error = None, None
        if sys.platform == "linux":
            # There a thread has a priority of its own: pages come first where processors are few.
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
        try:
            with self.turn:
                # Read before the overview: what changes meanwhile makes it old.
                mark = mirror.overview_mark()
                overview = mirror.overview(project=project, since=since)
        except ScalesyncError as problem:
            error = problem
        except Exception as problem:  # noqa: BLE001 - a thread has nobody else to report to
            _log.error("an overview cannot be counted", exc_info=problem)
            error = IncompleteError(f"The overview cannot be counted: {type(problem).__name__}.")
        with self._lock:
            if overview is not None:
                entry.overview, entry.mark, entry.counted_at = overview, mark, time.monotonic()
            entry.error, entry.running = error, False
            entry.done.set()


_CACHES: "WeakKeyDictionary[Mirror, OverviewCache]" = WeakKeyDictionary()
_CACHES_LOCK = threading.Lock()


def cache_of(mirror: "Mirror") -> OverviewCache:
    """Return the overviews of a mirror, which last as long as it does."""
    with _CACHES_LOCK:
        return _CACHES.setdefault(mirror, OverviewCache())
