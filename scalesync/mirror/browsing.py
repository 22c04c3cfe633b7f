"""Read what the pages of `scalesync browse` show: one short transaction for each call."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from scalesync.errors import IncompleteError
from scalesync.mirror.connections import Connected
from scalesync.models.selection import Selection, check_name

if TYPE_CHECKING:
    from scalesync.db.caller_transaction import Connection
    from scalesync.models.findings import Finding
    from scalesync.models.queue_state import CommandView, PauseState, QueueStats

PAGE_SECONDS = 5.0
"""How long the database may be at work on one page."""
_FINDING_SECONDS = 1.0
"""The same for the findings of one task: boxes are compared with one another."""

URGENT, WAITING = 100, 100
"""Commands on a page of the queue: those that need a person, and open ones."""
_LOOKED_AT = 500
"""Open commands that are looked at for one page."""

Place = tuple[datetime | None, str]
"""Time of creation and key of an object: its place in the order of creation."""
StoredRow = dict[str, Any]
"""Columns of a row."""


@dataclass(frozen=True, slots=True)
class ObjectPage:
    """One page of a list, newest first."""

    rows: list[StoredRow]
    newer: Place | None
    """Before it lie newer objects, as far as is known; None: none."""
    older: Place | None
    """Behind it lie older ones, as far as is known; None: none."""
    stopped: bool
    """Whether the search stopped before the page was full, so that the next one goes on with it."""


class Neighbour(NamedTuple):
    """The next task of a selection, in one direction."""

    task_id: str | None
    """None: there is none nearby."""
    behind: Place | None
    """Where the search for it goes on, if it stopped."""


@dataclass(frozen=True, slots=True)
class TaskDetails:
    """What the mirror has of one task."""

    document: bytes
    """As the API sent it, JSON."""
    row: StoredRow
    """The short columns of the task."""
    annotations: list[StoredRow]
    first: int
    """The number of the first of these."""
    total: int
    """How many annotations the task has."""
    files_waiting: int
    """How many of its result files are not here, or were not read completely."""
    unread: bool
    """Whether a part of its response, or of a result file, is no annotation: its form is not known."""
    beside: dict[str, list[StoredRow]]
    """Rows of other tables: `links`, `audits`, `attempts`, `changes`, `responses`."""
    differences: list[StoredRow]
    """What differs between its responses, the latest first."""
    newer: "Neighbour"
    """The next newer task of the selection."""
    older: "Neighbour"


@dataclass(frozen=True, slots=True)
class TaskVersions:
    """Two responses of a task."""

    columns: StoredRow
    """`type`, and JSON texts: `params`, `metadata`."""
    versions: list[StoredRow]
    """Digest and times of all of its responses, the one of now first."""
    before: StoredRow | None
    """With its content, JSON; None: there is no such response."""
    after: StoredRow | None
    differences: list[StoredRow]
    """What was found to differ between the two when the later one came."""


@dataclass(frozen=True, slots=True)
class TaskBrief:
    """What a thumbnail shows of a task."""

    columns: StoredRow
    """`type`, and JSON texts: `params`, `metadata`."""
    annotations: list[StoredRow]
    """The first ones."""


@dataclass(frozen=True, slots=True)
class BatchDetails:
    """What the mirror has of one batch."""

    document: bytes | None
    """As the API sent it, JSON; None: only tasks name this batch."""
    counts: StoredRow
    """`tasks_pending`, `tasks_completed`, `tasks_error`, `tasks_canceled`; None: not counted."""
    counted_at: datetime | None
    """None: counted now, if `counts` has numbers."""


@dataclass(frozen=True, slots=True)
class QueuePage:
    """Commands of the queue as people see them."""

    stats: "QueueStats"
    pause: "PauseState"
    urgent: "list[CommandView]"
    """Those that need a person."""
    urgent_more: bool
    """Whether there are more of these."""
    waiting: "list[CommandView]"
    """Other open ones in the order of their ids."""
    behind: int | None
    """The id behind which more may wait; None: nothing does."""


class Browsing(Connected):
    """Methods of `Mirror` for pages. Raise IncompleteError if the database takes too long."""

    @contextmanager
    def _reading(self) -> "Iterator[Connection]":
        with self.connections().database() as database, database.read_within(PAGE_SECONDS) as conn:
            yield conn

    def object_page(
        self, stream: str, wanted: Selection, limit: int, start: Place | None = None, *, newer: bool = False
    ) -> ObjectPage:
        """Return up to `limit` selected tasks or batches older than `start`, or `newer` than it.

        In the order of creation, newest first; the selection's limit and order are ignored.
        """
        from scalesync.db.mirror import neighbours, page_rows
        from scalesync.db.mirror.documents import MAPPINGS

        mapping = MAPPINGS[stream]
        with self._reading() as conn:
            began = None if start is None else neighbours.Place(*start)
            found = neighbours.Walk(mapping, wanted, newer).portion(conn, limit, began)
            places: list[Place] = [*found.places]
            rows = page_rows.summaries(conn, mapping, [key for _, key in places])
        if newer:
            rows.reverse()
            back = places[0] if places else start
            return ObjectPage(rows, found.goes_on, back, found.stopped)
        front = (places[0] if places else start) if start is not None else None
        return ObjectPage(rows, front, found.goes_on, found.stopped)

    def task_details(self, task_id: str, wanted: Selection, first: int, most: int) -> TaskDetails | None:
        """Return a task with up to `most` annotations from number `first`, None if it is not here.

        Its neighbours are those of the selection, to which it need not belong itself.
        """
        from scalesync.db.mirror import neighbours, page_rows, query
        from scalesync.db.mirror.documents import TASKS

        check_name("task_id", task_id)
        with self._reading() as conn:
            document, place = query.find(conn, TASKS, task_id), neighbours.place_of(conn, TASKS, task_id)
            if document is None or place is None:
                return None
            return TaskDetails(
                document,
                page_rows.summaries(conn, TASKS, [task_id])[0],
                page_rows.annotations_of(conn, task_id, first, most),
                first,
                page_rows.annotation_count(conn, task_id),
                page_rows.files_waiting(conn, task_id),
                page_rows.is_unread(conn, task_id),
                page_rows.rows_beside(conn, task_id),
                page_rows.differences_of(conn, task_id),
                *(_neighbour(conn, wanted, place, newer=newer) for newer in (True, False)),
            )

    def task_versions(self, task_id: str, before: str = "", after: str = "") -> TaskVersions | None:
        """Return two responses of a task by their digests, by default the last two; None: no such task."""
        from scalesync.db.mirror import page_rows

        for name, text in (("task_id", task_id), ("before", before or "-"), ("after", after or "-")):
            check_name(name, text)
        with self._reading() as conn:
            columns = page_rows.picture_columns(conn, [task_id]).get(task_id)
            if columns is None:
                return None
            known = page_rows.versions_of(conn, task_id)
            later, earlier = ([each["response_digest"] for each in known[:2]] + ["-", "-"])[:2]
            pair = (before or earlier, after or later)
            two = [page_rows.version(conn, task_id, digest) for digest in pair]
            differences = [
                each
                for each in page_rows.differences_of(conn, task_id)
                if (each["before_digest"], each["after_digest"]) == pair
            ]
            return TaskVersions(columns, known, two[0], two[1], differences)

    def task_findings(self, task_id: str) -> "list[Finding] | None":
        """Return what the rules find wrong in one task, None if that takes too long."""
        from scalesync.db.export import findings

        try:
            with self.connections().database() as database, database.read_within(_FINDING_SECONDS) as conn:
                return findings.findings_of(conn, task_id)
        except IncompleteError:
            return None

    def task_briefs(self, task_ids: Sequence[str], most: int) -> dict[str, TaskBrief]:
        """Return tasks with up to `most` annotations of each, by id; without those that are not here."""
        from scalesync.db.mirror import page_rows

        with self._reading() as conn:
            columns = page_rows.picture_columns(conn, task_ids)
            drawn = page_rows.first_annotations(conn, list(columns), most)
            return {task_id: TaskBrief(found, drawn[task_id]) for task_id, found in columns.items()}

    def kept_attachments(self, links: Sequence[str]) -> dict[str, StoredRow]:
        """Return what is known of attachments: rows of `attachments` by their unsigned address."""
        from scalesync.db.mirror import page_rows

        with self._reading() as conn:
            return page_rows.kept_attachments(conn, links)

    def batch_details(self, name: str) -> BatchDetails:
        """Return a batch with the numbers of its tasks: the stored ones, else as far as it can be counted."""
        from scalesync.db.mirror import page_rows, query
        from scalesync.db.mirror.documents import BATCHES

        check_name("batch", name)
        with self._reading() as conn:
            row = next(iter(page_rows.summaries(conn, BATCHES, [name])), {})
            counted_at = row.get("counted_at")
            counts = row if counted_at is not None else page_rows.batch_counts(conn, name)
            numbers = {key: counts[key] for key in page_rows.BATCH_COUNTS}
            return BatchDetails(query.find(conn, BATCHES, name), numbers, counted_at)

    def queue_page(self, after: int = 0) -> QueuePage:
        """Return what needs a person, and what is open behind the command `after`."""
        from scalesync.db.queue import listing, pause, stats
        from scalesync.models.queue_state import DisplayState

        needing = (DisplayState.DEAD, DisplayState.HELD, DisplayState.IN_DOUBT)
        with self._reading() as conn:
            urgent = [
                each
                for state in needing
                for each in listing.list_commands(conn, display=state, finished=False, limit=URGENT + 1)
            ]
            others = list(listing.list_commands(conn, after=after, finished=False, limit=_LOOKED_AT))
            waiting = [each for each in others if each.display not in needing]
            whole = len(others) < _LOOKED_AT
            last = waiting[WAITING - 1] if len(waiting) > WAITING else None if whole else others[-1]
            return QueuePage(
                stats.queue_stats(conn),
                pause.pause_state(conn),
                urgent[:URGENT],
                len(urgent) > URGENT,
                waiting[:WAITING],
                None if last is None else last.command.id,
            )


def _neighbour(conn: "Connection", wanted: Selection, place: Place, *, newer: bool) -> Neighbour:
    from scalesync.db.mirror import neighbours
    from scalesync.db.mirror.documents import TASKS

    walk = neighbours.Walk(TASKS, wanted, newer, neighbours.NEARBY)
    found = walk.portion(conn, 1, neighbours.Place(*place))
    if found.places:
        return Neighbour(found.places[0].key, None)
    return Neighbour(None, found.goes_on if found.stopped else None)
