"""Compares objects one by one, and looks up again, on both sides, everything that seems to differ.

Open it for what counts as a difference, and for what is excused: changes after the verification began, and
changes that the next sync reads anyway.
"""

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
    describe_window,
)

COMPARED = ("status", "project", "batch", "created_at")
"""Fields of a task or batch that are compared unless whole documents are."""

LIMITED = ("status", "project")
"""Fields of these that the API returns with `limited_response` (documented)."""

FINISHED = "completed"
"""Status of a batch that no ordinary sync reads again."""

LATE_CHANGES = timedelta(seconds=2)
"""How far before the last change the next list of changes begins: some are listed late."""

MAX_RECHECKS = 20
"""Requests per changed task, at least, for counts to agree: with fewer the account changes too fast."""

ROWS_AT_ONCE = 200
"""Objects that are looked up between two reads of the mirror."""

Candidates = dict[str, Row | None]
"""Objects that seem to differ, as the API listed them; None: to be looked up at the API."""


@dataclass
class Differ:
    """Comparison of listed objects with the mirror; differences are added to `result`."""

    api: ScaleApi
    database: Database
    pool: ThreadPoolExecutor
    result: Verification
    watch: VerifyWatcher
    check_stop: Callable[[], None]
    """Returns, or raises what ends the verification early."""
    watermarks: Mapping[str, datetime] = field(default_factory=dict)
    """Up to when each stream is known to be complete."""
    rechecked_rows: RecheckedRows = field(default_factory=RecheckedRows)
    """Every rechecked task."""
    rechecked_keys: set[tuple[str, str]] = field(default_factory=set)
    """(stream, key) of every rechecked object: each is rechecked once."""
    changes: int = 0
    """Changes of tasks seen since the verification began."""
    changed_digests: dict[str, str] = field(default_factory=dict)
    """Digests of the tasks that changed since then, by key."""
    changes_read_to: dict[Window, datetime] = field(default_factory=dict)
    """Up to when the changes of a window were read."""

    def compare(self, segments: Sequence[Segment], *, limited: bool = False) -> None:
        """List the segments, several at once, and record what differs; `limited` lists a few fields only."""
        lists = self.pool.map(lambda segment: self._candidates(segment, limited=limited), segments)
        for done, (segment, candidates) in enumerate(zip(segments, lists, strict=True), 1):
            window = segment.window
            if isinstance(candidates, str):
                self.result.unproven.append(f"{window.stream} {describe_window(window)}: {candidates}.")
            else:
                self.recheck(window.stream, candidates)
            self.watch(PartVerified("listed", done, len(segments)))

    def compare_rows(self, stream: str, rows: Sequence[Row]) -> None:
        """Record what differs of objects that were listed already."""
        self.recheck(stream, self._differing(STREAMS[stream].mapping, rows))

    def compare_changes(self, window: Window) -> int:
        """Compare the window's tasks that changed since the start or the last call; return how many did.

        Returns 0 if the API does not list changes.
        """
        number = 0
        latest = since = self.changes_read_to.get(window, self.result.as_of)
        try:
            for rows in list_pages(self.api, replace(window, updated_from=since)):
                self.check_stop()
                changed = [row for row in rows if self.changed_digests.get(row.key) != row.digest]
                self.changed_digests.update((row.key, row.digest) for row in changed)
                number += len(changed)
                self.compare_rows(window.stream, changed)
                # A rechecked task may have changed again: counts must leave it out as it is now.
                remote = {row.key: comparison.remote_values(TASKS, row) for row in changed}
                known = self.rechecked_rows.remote
                known.update({key: remote[key] for key in remote.keys() & known.keys()})
                times = [values["updated_at"] for values in remote.values()]
                latest = max([latest, *(at for at in times if isinstance(at, datetime))])
        except (InconsistentPageError, ScaleInvalidRequest):
            return number
        self.changes_read_to[window] = max(since, latest - LATE_CHANGES)
        self.changes += number
        return number

    def changes_too_fast(self, requests: int) -> bool:
        """Return whether tasks changed too often during these requests for counts to agree."""
        return self.changes * MAX_RECHECKS > requests

    def recheck(self, stream: str, candidates: Mapping[str, Row | None]) -> None:
        """Read each candidate once more, on both sides, and record it if it still differs."""
        kind = STREAMS[stream].mapping
        keys = sorted(key for key in candidates if (stream, key) not in self.rechecked_keys)
        self.rechecked_keys.update((stream, key) for key in keys)
        for begin in range(0, len(keys), ROWS_AT_ONCE):
            chunk = keys[begin : begin + ROWS_AT_ONCE]
            # The API before the mirror: what a sync writes in between is then no difference of the mirror.
            unknown = [key for key in chunk if candidates[key] is None]
            remote = {key: candidates[key] for key in chunk}
            fetched = self.pool.map(lambda key: self._fetch(stream, key), unknown)
            remote.update(zip(unknown, fetched, strict=True))
            with self.database.read() as conn:
                local = comparison.local_rows(conn, kind, chunk, whole=self._compares_documents(kind))
                derived = self._derived_mismatches(conn, kind, [row for row in remote.values() if row])
            for key in chunk:
                self._record(kind, remote[key], local.get(key), key=key, derived=derived.get(key, ()))

    def _candidates(self, segment: Segment, *, limited: bool) -> Candidates | str:
        """Return the objects of a segment that seem to differ, or why the API's list cannot be used."""
        kind = STREAMS[segment.window.stream].mapping
        window, before = segment.window, None
        if not segment.unbounded:
            before = self.result.as_of
            window = replace(window, created_to=min(window.created_to or before, before))
        candidates: Candidates = {}
        seen: set[str] = set()
        # 1. What the API lists and the mirror lacks or has otherwise.
        wanted = TaskFilter(status=segment.status, limited_response=limited or None)
        try:
            for rows in list_pages(self.api, window, wanted):
                self.check_stop()
                seen.update(row.key for row in rows)
                candidates.update(self._differing(kind, rows, limited=limited))
        except (InconsistentPageError, ScaleInvalidRequest) as error:
            # Whether every account may use limited responses is not known: try again without.
            return self._candidates(segment, limited=False) if limited else error.message
        # 2. What the mirror has and the API did not list. A list of changes says nothing about that.
        if window.updated_from is None:
            with self.database.read() as conn:
                local = comparison.keys_in(conn, kind, window, before, segment.status)
            candidates.update(dict.fromkeys(local - seen))
        return candidates

    def _differing(self, mapping: StreamMapping, rows: Sequence[Row], *, limited: bool = False) -> Candidates:
        whole = self._compares_documents(mapping)
        with self.database.read() as conn:
            local = comparison.local_rows(conn, mapping, [row.key for row in rows], whole=whole)
            derived = self._derived_mismatches(conn, mapping, rows)
        candidates: Candidates = {}
        for row in rows:
            stored = local.get(row.key)
            if stored is None or stored["missing_since"] is not None:
                candidates[row.key] = None if limited else row
            elif row.key in derived or self._differing_fields(mapping, row, stored, limited=limited):
                outdated = limited or _may_be_newer(stored, comparison.remote_values(mapping, row))
                candidates[row.key] = None if outdated else row
        return candidates

    def _fetch(self, stream: str, key: str) -> Row | None:
        self.check_stop()
        try:
            return to_row(STREAMS[stream].mapping, STREAMS[stream].one(self.api, key).raw)
        except ScaleResourceNotFound:
            return None

    def _derived_mismatches(
        self, conn: Connection, mapping: StreamMapping, rows: Sequence[Row]
    ) -> dict[str, tuple[str, ...]]:
        """Return, by key, which tables derived from a document disagree with it: versions or annotations."""
        if mapping is PROJECTS:
            return {row.key: ("versions",) for row in rows if comparison.versions_differ(conn, row)}
        if mapping is TASKS and self.result.deep:
            mismatches = annotations.count_mismatches(conn, [row.key for row in rows])
            return dict.fromkeys(mismatches, ("annotations",))
        return {}

    def _record(
        self,
        mapping: StreamMapping,
        remote: Row | None,
        local: ComparedValues | None,
        *,
        key: str,
        derived: tuple[str, ...],
    ) -> None:
        """Add an object to the result if it differs and did before the verification began."""
        # 1. Compare. A row marked as missing counts as absent here.
        present = local if local is not None and local["missing_since"] is None else None
        values = comparison.remote_values(mapping, remote) if remote else None
        if mapping is TASKS:
            self.rechecked_rows.remote.update({key: values} if values else {})
            self.rechecked_rows.local.update({key: present} if present else {})
        fields = (*self._differing_fields(mapping, remote, present), *derived) if remote and present else ()
        if (remote is None) == (present is None) and not fields:
            return
        # 2. Ignore what changed since the start; what changed since the watermark is behind.
        behind = False
        if remote and values:
            if _is_dated_since(remote, values, self.result.as_of):
                self.result.left_out += 1
                return
            # Annotations are written with their response, and so are never behind it.
            behind = "annotations" not in derived and self._is_behind(mapping, remote, values, local)
        # 3. Describe the difference, and file it by what repairs it.
        known = values or local or {}
        drift = Drift(
            str(mapping.table.name),
            key,
            DriftKind.DIFFERENT if fields else DriftKind.MISSING_HERE if remote else DriftKind.GONE_THERE,
            here=_text(present.get("status")) if present else None,
            there=_text(values.get("status")) if values else None,
            fields=fields,
            project=_text(known.get("project")),
            created_at=known.get("created_at"),
        )
        if behind:
            self.result.behind.append(drift)
        elif mapping is BATCHES and fields and drift.here != FINISHED:
            # The API does not date changes of batches; every sync reads batches that are open here.
            self.result.undated.append(drift)
        else:
            self.result.drift.append(drift)
            self.watch(DriftFound(drift))

    def _is_behind(
        self, mapping: StreamMapping, remote: Row, values: ComparedValues, local: ComparedValues | None
    ) -> bool:
        """Return whether the difference is dated after the watermark, so that the next sync reads it."""
        mark = self.watermarks.get(str(mapping.table.name))
        if mark is None:
            return False
        # An object created before the watermark was in the mirror: a later change does not excuse its loss.
        if local is None:
            created = values.get("created_at")
            return isinstance(created, datetime) and created >= mark
        # The mirror has this very change: it was read, and still differs.
        updated = values.get("updated_at")
        if updated is not None and updated == local.get("updated_at") and local["missing_since"] is None:
            return False
        if not _is_dated_since(remote, values, mark):
            return False
        with self.database.read() as conn:
            return mapping is not PROJECTS or not comparison.versions_differ(conn, remote, mark)

    def _differing_fields(
        self, mapping: StreamMapping, remote: Row, local: ComparedValues, *, limited: bool = False
    ) -> tuple[str, ...]:
        if self._compares_documents(mapping) and not limited:
            return comparison.differing(mapping, remote, local)
        names = (name for name in (LIMITED if limited else COMPARED) if name in local)
        values = comparison.remote_values(mapping, remote)
        return tuple(name for name in names if local[name] != values.get(name))

    def _compares_documents(self, mapping: StreamMapping) -> bool:
        return self.result.deep or mapping is PROJECTS


def _is_dated_since(remote: Row, values: ComparedValues, since: datetime) -> bool:
    """Return whether the API dates a creation, change, completion or version at `since` or later."""
    times = [values.get(name) for name in ("created_at", "updated_at", "completed_at")]
    times += [version.created_at for version in versions_of(remote)]
    return any(isinstance(at, datetime) and at >= since for at in times)


def _may_be_newer(local: ComparedValues, remote: ComparedValues) -> bool:
    """Return whether a sync may have written a later copy than the one listed."""
    ours, theirs = local.get("updated_at"), remote.get("updated_at")
    return not isinstance(ours, datetime) or not isinstance(theirs, datetime) or ours > theirs


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
