"""SQL conditions for a selection's filters and for time ranges.

`verify` has other rules for time ranges, with margins: see `sync/comparison.py`.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Date, Text, cast, type_coerce
from sqlalchemy.sql.expression import FromClause

from scalesync.db.statements import has_any, lacks
from scalesync.errors import ConfigurationError
from scalesync.models.selection import FILTERED_COLUMNS, FILTERS, RANGES, Selection


def where(table: FromClause, wanted: Selection) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions for the selected rows; order and limit are left to the caller.

    Times filter `created_at`, or `day` where a view has that. Raises ConfigurationError for a filter whose
    column the table does not have.
    """
    for name, column in FILTERED_COLUMNS.items():
        if getattr(wanted, name) is not None and column not in table.c:
            raise ConfigurationError(f"{name} does not apply to {table.description}.", advice="Leave it out.")
    yield from equal(table, wanted, FILTERS)
    yield from _of_tasks(table, wanted)
    if "day" in table.c:
        yield from _days(table, wanted)
    elif wanted.since is not None or wanted.until is not None:
        yield from half_open(table.c.created_at, wanted.since, wanted.until)
    if not wanted.missing and "missing_since" in table.c:
        yield table.c.missing_since.is_(None)
    if not wanted.archived:
        yield lacks(table.c.extra, "archived")


def _of_tasks(table: FromClause, wanted: Selection) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions for tags, and for the times of completions and updates."""
    if wanted.tags is not None:
        yield has_any(table.c.tags, wanted.tags)
    for (since, until), column in RANGES.items():
        if column in table.c:
            yield from half_open(table.c[column], getattr(wanted, since), getattr(wanted, until))


def equal(table: FromClause, wanted: Selection, names: Iterable[str]) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions of a selection for the columns `names`."""
    for name in names:
        value = getattr(wanted, name)
        if isinstance(value, tuple):
            yield table.c[name].in_(value)
        elif value is not None:
            yield table.c[name] == value


def half_open(
    column: ColumnElement[datetime], since: datetime | None, until: datetime | None
) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions for times at `since` or later and before `until`; None is open."""
    if since is not None:
        yield column >= since
    if until is not None:
        yield column < until


def inclusive(
    column: ColumnElement[datetime], first: datetime | None, last: datetime | None
) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions for times from `first` to `last`, both inclusive, as in windows of a run."""
    if first is not None:
        yield column >= first
    if last is not None:
        yield column <= last


def day_as_text(column: ColumnElement[Date]) -> ColumnElement[str]:
    """Return a day as text: it is a `date` on Postgres and text on SQLite already."""
    return cast(type_coerce(column, Text), Text)


def _days(table: FromClause, wanted: Selection) -> Iterator[ColumnElement[bool]]:
    if wanted.since is not None:
        yield _begins_at(table, wanted.since)
    if wanted.until is not None:
        yield ~_begins_at(table, wanted.until)


def _begins_at(table: FromClause, at: datetime) -> ColumnElement[bool]:
    """Return the condition that a row's day (UTC) begins at this instant or later."""
    # A day counts only as a whole: an instant within it moves the bound to the next day.
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight if midnight == at else midnight + timedelta(days=1)
    return day_as_text(table.c.day) >= first.date().isoformat()
