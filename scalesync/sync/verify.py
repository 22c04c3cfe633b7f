"""`scalesync verify`: proves the mirror equal to the API, or names what differs."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from scalesync.api.client import ScaleApi
from scalesync.clock import Clock
from scalesync.db import exports, proofs
from scalesync.db.documents import BATCHES, TASKS
from scalesync.db.engine import Database
from scalesync.errors import InterruptedRunError, ScaleException
from scalesync.model import Window
from scalesync.sync.comparing import Comparer
from scalesync.sync.counting import Counter
from scalesync.sync.drift import Begun, Inquiry, Verification, Watcher
from scalesync.sync.plan import EVERY_STREAM
from scalesync.sync.streams import probe
from scalesync.sync.verify_others import verify_batch_counts, verify_batches, verify_projects
from scalesync.sync.verify_tasks import PIECE, TaskVerifier

TICK = 1.0
"""Seconds. The API tells its time in whole ones (recorded: `Date`), so what was made just before a
verification is told from what is made during it by waiting for the next."""

BUDGET = 39
"""Requests that a clean account of a few projects may cost: batches are asked for their own counts as far
as these go. Those that are not completed here come first, then the newest."""

AROUND = 12
"""Requests beside those for projects and statuses, about: the time, projects, batches, parts, no project."""

OWN_COUNTS = 5
"""Batches that are asked for their own counts in any case."""


LISTED = 1_600
"""Tasks up to which a window is read at once: that costs no more than to count it, and says more."""


@dataclass
class Verifier:
    """Holds the mirror against the API. Writes nothing."""

    api: ScaleApi
    database: Database
    clock: Clock
    watch: Watcher
    workers: int = 8
    listed: int = LISTED

    def verify(self, inquiry: Inquiry) -> Verification:
        """Return what differs. Raises ScaleException, DatabaseError or InterruptedRunError."""
        began, before = self.clock.monotonic(), self.api.requests_made
        try:
            if inquiry.as_of is None:
                self.clock.sleep(TICK)
            begun = probe(self.api)
            now, every_project = begun.now, begun.every_project
            as_of = inquiry.as_of or now
            found = Verification(as_of, inquiry.windows, inquiry.deep, by_project=every_project is not None)
            self.watch(Begun(self._expected(inquiry, as_of)))
            self._compare(inquiry, found, every_project, before)
        except ScaleException:
            self._go_on()
            raise
        found.drift.sort(key=lambda drift: (EVERY_STREAM.index(drift.stream), drift.key))
        found.unproven = list(dict.fromkeys([*found.unproven, *self._unread(inquiry)]))
        found.requests = self.api.requests_made - before
        found.seconds = self.clock.monotonic() - began
        return found

    def _compare(
        self, inquiry: Inquiry, found: Verification, every_project: tuple[str, ...] | None, before: int
    ) -> None:
        with ThreadPoolExecutor(self.workers, thread_name_prefix="verify") as pool:
            comparer = Comparer(self.api, self.database, pool, found, self.watch, self._go_on)
            projects, batches, tasks = (_of(inquiry, stream) for stream in EVERY_STREAM)
            if projects:
                verify_projects(comparer)
            verify_batches(comparer, batches)
            counter = Counter(self.api, self.database, pool, found.as_of, self._go_on, comparer.judged)
            verifier = TaskVerifier(comparer, counter, every_project, self.listed)
            verifier.verify(tasks)
            known = len(comparer.looked_at)
            room = max(OWN_COUNTS, BUDGET - (self.api.requests_made - before))
            verify_batch_counts(comparer, batches, None if inquiry.deep else room)
            if len(comparer.looked_at) > known and not inquiry.deep:
                # What the batches led to may be one half of what had cancelled out.
                verifier.verify(tasks)

    def _unread(self, inquiry: Inquiry) -> list[str]:
        """Return a sentence if tasks whose annotations are to be proven have files that could not be read."""
        if not inquiry.deep:
            return []
        with self.database.read() as conn:
            wanted = {
                exports.Selection(project=window.project, since=window.created_from, until=window.created_to)
                for window in _of(inquiry, TASKS.table.name)
            }
            unread = sum(exports.tasks_unread(conn, selection) for selection in wanted)
        if not unread:
            return []
        tasks = "1 task" if unread == 1 else f"{unread:,} tasks"
        return [f"Result files of {tasks} could not be read; run `scalesync fetch-results`."]

    def _go_on(self) -> None:
        if self.clock.stopping.is_set():
            msg = "Stopped before anything was proven."
            raise InterruptedRunError(msg, advice="Run `scalesync verify` again.")

    def _expected(self, inquiry: Inquiry, as_of: datetime) -> int:
        """Return about how many requests a verification takes if nothing differs."""
        expected = AROUND
        with self.database.read() as conn:
            for window in _of(inquiry, TASKS.table.name):
                if window.updated_from is None:
                    cells = proofs.counts(conn, TASKS, window, as_of)
                    here = sum(cells.values())
                    expected += here // PIECE if inquiry.deep or here <= self.listed else len(cells)
            batches = sum(
                proofs.count(conn, BATCHES, window, as_of) for window in _of(inquiry, BATCHES.table.name)
            )
        return expected + (batches if inquiry.deep else min(batches, max(OWN_COUNTS, BUDGET - expected)))


def _of(inquiry: Inquiry, stream: str) -> Sequence[Window]:
    return [window for window in inquiry.windows if window.stream == stream]
