"""Walk through tasks or batches in the order of their creation, from any place in either direction.

Every walk is bounded: filters that no index answers are applied to a limited number of objects, and the walk
says where it stopped. So a page costs the same in a mirror of any size.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, case, false, or_, select, true

from scalesync.db.filters import equal, half_open, where
from scalesync.db.mirror.documents import StreamMapping
from scalesync.db.statements import byte_order
from scalesync.models.selection import Selection

_PORTIONS = (500, 2_000, 8_000)
"""Objects looked at by one query after the other, until enough of them are selected."""
NEARBY = (100, 2_000)
"""The same for the neighbours of one object."""
_BY_INDEX = ("project", "batch", "unique_id")
"""Filters that an index answers, in the order of creation or for few rows."""


class Place(NamedTuple):
    """A place in the order of creation: that of an object, which need not be there any more."""

    created_at: datetime | None
    key: str


class Portion(NamedTuple):
    """Selected objects in the order of the walk."""

    places: list[Place]
    goes_on: Place | None
    """Behind it there may be more selected objects; None: the walk came to the end."""
    stopped: bool
    """Whether the walk stopped for the number of objects that it looked at."""


@dataclass(frozen=True, slots=True)
class Walk:
    """A walk through the selected objects of a stream, newest first; with `newer` oldest first.

    Objects of one instant are ordered by key, and those without a time of creation are the oldest. The
    selection's limit and order are ignored.
    """

    mapping: StreamMapping
    wanted: Selection
    newer: bool = False
    portions: Sequence[int] = _PORTIONS
    """The most objects that are looked at, query by query."""

    def portion(self, conn: Connection, limit: int, start: Place | None = None) -> Portion:
        """Return up to `limit` selected objects behind `start`; None: from the beginning."""
        found: list[Place] = []
        looked_at = start
        # One part after the other, each in the order of an index: with NULLS LAST, Postgres would sort all.
        for dated in (not self.newer, self.newer):
            for size in self.portions:
                query = self._query(looked_at, dated=dated)
                found += self._selected(conn, query.limit(size), limit + 1 - len(found))
                if len(found) > limit:
                    return Portion(found[:limit], found[limit - 1], stopped=False)
                last = conn.execute(query.offset(size - 1).limit(1)).first()
                if last is None:
                    break
                looked_at = Place(*last[:2])
            else:
                return Portion(found, looked_at, stopped=True)
        return Portion(found, None, stopped=False)

    def _selected(self, conn: Connection, looked_at: Select[*tuple[Any, ...]], limit: int) -> Iterator[Place]:
        """Yield the first of the objects looked at that are selected; the database counts off the others."""
        rows = looked_at.subquery()
        created, key = rows.c.created_at, rows.c[self.mapping.key]
        order = (each.asc() if self.newer else each.desc() for each in (created, byte_order(key)))
        for row in conn.execute(select(created, key).where(rows.c.chosen).order_by(*order).limit(limit)):
            yield Place(row[0], row[1])

    def _query(self, start: Place | None, *, dated: bool) -> Select[*tuple[Any, ...]]:
        table = self.mapping.table
        created, key = table.c.created_at, byte_order(table.c[self.mapping.key])
        query = select(created, table.c[self.mapping.key], self._chosen().label("chosen"))
        query = query.where(*equal(table, self.wanted, [name for name in _BY_INDEX if name in table.c]))
        query = query.where(*self._created(dated=dated))
        if start is not None:
            query = query.where(self._behind(start, dated=dated))
        order = (created, key) if dated else (key,)
        return query.order_by(*(each.asc() if self.newer else each.desc() for each in order))

    def _created(self, *, dated: bool) -> Iterator[ColumnElement[bool]]:
        """Yield the conditions of the selection's times of creation."""
        created, wanted = self.mapping.table.c.created_at, self.wanted
        if dated:
            yield created.is_not(None)
            yield from half_open(created, wanted.since, wanted.until)
        else:
            yield created.is_(None)
            if wanted.since is not None or wanted.until is not None:
                yield false()

    def _behind(self, start: Place, *, dated: bool) -> ColumnElement[bool]:
        created, key = self.mapping.table.c.created_at, byte_order(self.mapping.table.c[self.mapping.key])
        further = key > start.key if self.newer else key < start.key
        if start.created_at is None:
            # Those without a time are behind all others, and before them on the way back.
            return (true() if self.newer else false()) if dated else further
        if not dated:
            return false() if self.newer else true()
        if self.newer:
            return and_(created >= start.created_at, or_(created > start.created_at, further))
        return and_(created <= start.created_at, or_(created < start.created_at, further))

    def _chosen(self) -> ColumnElement[bool]:
        """Return the condition of all filters that no index answers, as a value."""
        table = self.mapping.table
        answered: dict[str, Any] = dict.fromkeys((*_BY_INDEX, "since", "until"))
        left = list(where(table, replace(self.wanted, **answered, missing=True)))
        # Last and only where it matters: SQLite finds this column behind documents of any length.
        here = true() if self.wanted.missing else table.c.missing_since.is_(None)
        return case((and_(*left), here), else_=false()) if left else here


def place_of(conn: Connection, mapping: StreamMapping, key: str) -> Place | None:
    """Return the place of one object, None if it is not here."""
    columns = mapping.table.c
    found = conn.execute(select(columns.created_at).where(columns[mapping.key] == key)).first()
    return None if found is None else Place(found.created_at, key)
