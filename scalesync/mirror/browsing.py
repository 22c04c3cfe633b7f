"""Read what the pages of `scalesync browse` show: one short transaction for each call."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from scalesync.mirror.connections import Connected
from scalesync.models.selection import Selection

if TYPE_CHECKING:
    from scalesync.db.caller_transaction import Connection

PAGE_SECONDS = 5.0
"""How long the database may be at work on one page."""

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
