"""Comparing objects one by one, with a second look at whatever seems to differ."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from scalesync.api.client import ScaleApi
from scalesync.db.caller_transaction import Connection
from scalesync.db.database import Database
from scalesync.db.mirror import annotations
from scalesync.db.mirror.documents import BATCHES, PROJECTS, TASKS, StreamMapping, to_row, versions_of
from scalesync.db.sync import comparison
from scalesync.db.sync.comparison import ComparedValues
from scalesync.errors import InconsistentPageError, ScaleInvalidRequest, ScaleResourceNotFound
from scalesync.models.api import TaskFilter
from scalesync.models.sync import Window
from scalesync.parsing.row_parser import Row
from scalesync.sync.streams import STREAMS
from scalesync.sync.verify.api_listing import list_pages
from scalesync.sync.verify.counts import RecheckedRows, Segment
from scalesync.sync.verify.models import (
    Drift,
    DriftFound,
    DriftKind,
    PartVerified,
    Verification,
    VerifyWatcher,
)
from scalesync.timestamps import format_instant

COMPARED = ("status", "project", "batch", "created_at")
"""What is compared of a task or a batch unless whole documents are."""

LIMITED = ("status", "project")
"""What of these comes with `limited_response` (documented)."""

FINISHED = "completed"
"""The status of a batch that no ordinary sync reads again."""

LATE_CHANGES = timedelta(seconds=2)
"""How far behind the last change the next list of changes begins, for some that show late."""

MAX_RECHECKS = 20
"""Requests to one change of a task, below which an account changes so fast that counts may not agree."""

ROWS_AT_ONCE = 200
"""Objects that are looked up before the mirror is asked about them again."""

Candidates = dict[str, Row | None]
"""Objects that seem to differ, as the API listed them; None: it has to be asked about them again."""


class ChangesTooFastError(Exception):
    """The account changes faster than it can be compared."""


@dataclass
class Differ:
    """Lists ranges, and notes in `found` what differs in them."""

    api: ScaleApi
    database: Database
    pool: ThreadPoolExecutor
    found: Verification
    watch: VerifyWatcher
    go_on: Callable[[], None]
    """Returns, or raises what ends a verification before its time."""
    watermarks: Mapping[str, datetime] = field(default_factory=dict)
    """Up to when each stream is known to be complete."""
    judged: RecheckedRows = field(default_factory=RecheckedRows)
    """Every task that was looked at twice."""
    rechecked: set[tuple[str, str]] = field(default_factory=set)
    """(stream, key) of everything that was."""
    changes: int = 0
    """How many changes of tasks were seen since the beginning."""
    followed: dict[str, str] = field(default_factory=dict)
    """The digests of the tasks that changed since then."""
    followed_to: dict[Window, datetime] = field(default_factory=dict)
    """Up to when the changes of a window were read."""

    def compare(self, segments: Sequence[Segment], *, limited: bool = False) -> None:
        """List what these cells hold and note what differs; `limited` lists a few fields of each only."""
        lists = self.pool.map(lambda cell: self._doubts(cell, limited=limited), segments)
        for done, (cell, doubts) in enumerate(zip(segments, lists, strict=True), 1):
            if isinstance(doubts, str):
                self.found.unproven.append(f"{cell.window.stream} {describe_window(cell.window)}: {doubts}.")
            else:
                self.recheck(cell.window.stream, doubts)
            self.watch(PartVerified("listed", done, len(segments)))

    def compare_rows(self, stream: str, rows: Sequence[Row]) -> None:
        """Note what differs of objects that were listed already."""
        self.recheck(stream, self._differing(STREAMS[stream].mapping, rows))

    def compare_changes(self, window: Window) -> int:
        """Compare the tasks of a window that changed since the beginning, or since this was last done.

        What was judged before is brought up to date. Returns how many changes were new, 0 where the API does
        not list them.
        """
        new = 0
        latest = since = self.followed_to.get(window, self.found.as_of)
        try:
            for rows in list_pages(self.api, replace(window, updated_from=since)):
                self.go_on()
                fresh = [row for row in rows if self.followed.get(row.key) != row.digest]
                self.followed.update((row.key, row.digest) for row in fresh)
                new += len(fresh)
                self.compare_rows(window.stream, fresh)
                told = {row.key: comparison.remote_values(TASKS, row) for row in fresh}
                self.judged.there.update({key: told[key] for key in told.keys() & self.judged.there.keys()})
                times = [one["updated_at"] for one in told.values()]
                latest = max([latest, *(at for at in times if isinstance(at, datetime))])
        except (InconsistentPageError, ScaleInvalidRequest):
            return new
        self.followed_to[window] = max(since, latest - LATE_CHANGES)
        self.changes += new
        return new

    def changes_too_fast(self, requests: int) -> bool:
        """Return whether tasks changed so often during these requests that counts may not agree."""
        return self.changes * MAX_RECHECKS > requests

    def recheck(self, stream: str, doubts: Mapping[str, Row | None]) -> None:
        """Look at each of these once more, on both sides, and note it if it differs still."""
        kind = STREAMS[stream].mapping
        keys = sorted(key for key in doubts if (stream, key) not in self.rechecked)
        self.rechecked.update((stream, key) for key in keys)
        for begin in range(0, len(keys), ROWS_AT_ONCE):
            chunk = keys[begin : begin + ROWS_AT_ONCE]
            unsure = [key for key in chunk if doubts[key] is None]
            there = {key: doubts[key] for key in chunk}
            there.update(zip(unsure, self.pool.map(lambda key: self._find(stream, key), unsure), strict=True))
            with self.database.read() as conn:
                here = comparison.local_rows(conn, kind, chunk, whole=self._whole(kind))
                derived = self._derived(conn, kind, [row for row in there.values() if row is not None])
            for key in chunk:
                self._note(kind, there[key], here.get(key), key=key, derived=derived.get(key, ()))

    def _doubts(self, segment: Segment, *, limited: bool) -> Candidates | str:
        """Return what seems to differ within a cell, or why that cannot be told."""
        kind = STREAMS[segment.window.stream].mapping
        window, before = segment.window, None
        if not segment.unbounded:
            before = self.found.as_of
            window = replace(window, created_to=min(window.created_to or before, before))
        doubts: Candidates = {}
        seen: set[str] = set()
        try:
            for rows in list_pages(
                self.api, window, TaskFilter(status=segment.status, limited_response=limited or None)
            ):
                self.go_on()
                seen.update(row.key for row in rows)
                doubts.update(self._differing(kind, rows, limited=limited))
        except (InconsistentPageError, ScaleInvalidRequest) as error:
            # Whether it gives limited answers everywhere is not known.
            return self._doubts(segment, limited=False) if limited else error.message
        if window.updated_from is None:
            with self.database.read() as conn:
                here = comparison.keys_in(conn, kind, window, before, segment.status)
            doubts.update(dict.fromkeys(here - seen))
        return doubts

    def _differing(self, mapping: StreamMapping, rows: Sequence[Row], *, limited: bool = False) -> Candidates:
        with self.database.read() as conn:
            here = comparison.local_rows(conn, mapping, [row.key for row in rows], whole=self._whole(mapping))
            derived = self._derived(conn, mapping, rows)
        doubts: Candidates = {}
        for row in rows:
            stored = here.get(row.key)
            if stored is None or stored["missing_since"] is not None:
                doubts[row.key] = None if limited else row
            elif row.key in derived or self._fields(mapping, row, stored, limited=limited):
                doubts[row.key] = (
                    None if limited or _is_newer(stored, comparison.remote_values(mapping, row)) else row
                )
        return doubts

    def _find(self, stream: str, key: str) -> Row | None:
        self.go_on()
        try:
            return to_row(STREAMS[stream].mapping, STREAMS[stream].one(self.api, key).raw)
        except ScaleResourceNotFound:
            return None

    def _derived(
        self, conn: Connection, mapping: StreamMapping, rows: Sequence[Row]
    ) -> dict[str, tuple[str, ...]]:
        """Return what was made of objects here and is not as it should be, by key."""
        if mapping is PROJECTS:
            return {row.key: ("versions",) for row in rows if comparison.versions_differ(conn, row)}
        if mapping is TASKS and self.found.deep:
            return dict.fromkeys(
                annotations.count_mismatches(conn, [row.key for row in rows]), ("annotations",)
            )
        return {}

    def _note(
        self,
        mapping: StreamMapping,
        there: Row | None,
        here: ComparedValues | None,
        *,
        key: str,
        derived: tuple[str, ...],
    ) -> None:
        """Note an object that differs, unless it does only since the verification began."""
        present = here if here is not None and here["missing_since"] is None else None
        told = comparison.remote_values(mapping, there) if there else None
        if mapping is TASKS:
            self.judged.there.update({key: told} if told else {})
            self.judged.here.update({key: present} if present else {})
        fields = (*self._fields(mapping, there, present), *derived) if there and present else ()
        if (there is None) == (present is None) and not fields:
            return
        if there and told and _is_dated(there, told, self.found.as_of):
            self.found.left_out += 1
            return
        known = told or here or {}
        drift = Drift(
            str(mapping.table.name),
            key,
            DriftKind.DIFFERENT if fields else DriftKind.MISSING_HERE if there else DriftKind.GONE_THERE,
            here=_text(present.get("status")) if present else None,
            there=_text(told.get("status")) if told else None,
            fields=fields,
            project=_text(known.get("project")),
            created_at=known.get("created_at"),
        )
        if there and told and self._is_behind(mapping, there, told, here, derived=derived):
            self.found.behind.append(drift)
        elif mapping is BATCHES and fields and drift.here != FINISHED:
            self.found.undated.append(drift)
        else:
            self.found.drift.append(drift)
            self.watch(DriftFound(drift))

    def _is_behind(
        self,
        mapping: StreamMapping,
        there: Row,
        told: ComparedValues,
        here: ComparedValues | None,
        *,
        derived: tuple[str, ...],
    ) -> bool:
        """Whether the API dates what differs after the watermark, so that the next sync reads it.

        What was complete at the watermark had everything that was made before. A copy here of the very change
        that the API has is not behind it, and neither are annotations behind their response.
        """
        mark = self.watermarks.get(str(mapping.table.name))
        if mark is None or "annotations" in derived:
            return False
        if here is None:
            created = told.get("created_at")
            return isinstance(created, datetime) and created >= mark
        updated = told.get("updated_at")
        if updated is not None and updated == here.get("updated_at") and here["missing_since"] is None:
            return False
        if not _is_dated(there, told, mark):
            return False
        with self.database.read() as conn:
            return mapping is not PROJECTS or not comparison.versions_differ(conn, there, mark)

    def _fields(
        self, mapping: StreamMapping, there: Row, here: ComparedValues, *, limited: bool = False
    ) -> tuple[str, ...]:
        if self._whole(mapping) and not limited:
            return comparison.differing(mapping, there, here)
        names = (name for name in (LIMITED if limited else COMPARED) if name in here)
        told = comparison.remote_values(mapping, there)
        return tuple(name for name in names if here[name] != told.get(name))

    def _whole(self, mapping: StreamMapping) -> bool:
        return self.found.deep or mapping is PROJECTS


def describe_window(window: Window) -> str:
    """Return what a window holds, in a person's words."""
    parts = [f"of {window.project!r}"] if window.project is not None else []
    if window.created_from is not None:
        parts.append(f"created from {format_instant(window.created_from)}")
    if window.created_to is not None:
        parts.append(f"created to {format_instant(window.created_to)}")
    if window.updated_from is not None:
        parts.append(f"changed since {format_instant(window.updated_from)}")
    return " ".join(parts) or "of the whole account"


def _is_dated(there: Row, told: ComparedValues, since: datetime) -> bool:
    """Whether the API dates a change of this object at `since` or later."""
    times = [told.get(name) for name in ("created_at", "updated_at", "completed_at")]
    times += [version.created_at for version in versions_of(there)]
    return any(isinstance(at, datetime) and at >= since for at in times)


def _is_newer(here: ComparedValues, there: ComparedValues) -> bool:
    """Whether the mirror may have a later copy than the list, because somebody wrote it meanwhile."""
    ours, theirs = here.get("updated_at"), there.get("updated_at")
    return not isinstance(ours, datetime) or not isinstance(theirs, datetime) or ours > theirs


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
