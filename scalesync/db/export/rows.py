"""Read rows of tables and views, with the same kinds of values from both databases."""

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from scalesync import advice
from scalesync.db.filters import day_as_text, equal, where
from scalesync.db.mirror.documents import MAPPINGS
from scalesync.db.schema.mirror import tasks
from scalesync.db.schema.partial_indexes import metadata
from scalesync.db.schema.views import VIEWS
from scalesync.db.types import Instant, Json
from scalesync.errors import ConfigurationError
from scalesync.models.columns import Column, ColumnKind
from scalesync.models.publishing import Partition
from scalesync.models.selection import EVERYTHING, FILTERED_COLUMNS, FILTERS, OF_ANNOTATIONS, Selection

# Rows held in memory while streaming.
_AT_ONCE = 200

# The columns that give the month of a row; the first that there is.
_WHEN = ("created_at", "queued_at", "day")

# The first matching class counts.
_KINDS: tuple[tuple[type[TypeEngine[Any]], ColumnKind], ...] = (
    (Instant, ColumnKind.INSTANT),
    (Json, ColumnKind.JSON),
    (sa.Boolean, ColumnKind.BOOLEAN),
    (sa.Integer, ColumnKind.INTEGER),
    (sa.Float, ColumnKind.NUMBER),
    (sa.Date, ColumnKind.DAY),
    (sa.LargeBinary, ColumnKind.BYTES),
)


@dataclass(frozen=True, slots=True)
class ExportedRows:
    """The rows of a table or view, streamed."""

    columns: tuple[Column, ...]
    rows: Generator[Sequence[Any], None, None]
    """The connection must stay open until they are exhausted, or this is closed."""

    def close(self) -> None:
        """Close the result, so that the connection is free, even if not all rows were read."""
        self.rows.close()


def rows(conn: sa.Connection, name: str, wanted: Selection = EVERYTHING) -> ExportedRows:
    """Return the selected rows of a table or view, in the order of its key.

    Filters apply to the row's own columns, else to its task if it has a `task_id`. Raises ConfigurationError
    for an unknown table or view, or a filter that cannot be applied to it.
    """
    source = _source(name)
    statement = _chosen(source, sa.select(*map(_selected, source.columns)), wanted).order_by(*_key(source))
    return ExportedRows(tuple(map(_column, source.columns)), stream(conn, statement.limit(wanted.limit)))


def rows_by_month(conn: sa.Connection, name: str, wanted: Selection = EVERYTHING) -> ExportedRows:
    """Return the selected rows, each preceded by its project and month (such as 2026-11), in that order.

    Project and month are the row's own or its task's; None if unknown. `columns` describes the rest of the
    row, without `project`. Raises ConfigurationError as `rows` does, and if there is no project or time.
    """
    source = _source(name)
    when = next((source.c[each] for each in _WHEN if each in source.c), None)
    of_task = "task_id" in source.c and when is None
    project = (tasks if of_task else source).c.get("project")
    when = tasks.c.created_at if of_task else when
    if project is None or when is None:
        msg = f"{name} has no project and time to be partitioned by."
        raise ConfigurationError(msg, advice=advice.NO_PARTITION)
    place = (project, month_of(conn, when))
    kept = [each for each in source.columns if each.name != "project"]
    statement = sa.select(*place, *map(_selected, kept))
    if of_task:
        statement = statement.join_from(source, tasks, tasks.c.task_id == source.c.task_id)
    first = (each.nulls_first() for each in place)
    statement = _chosen(source, statement, wanted).order_by(*first, *_key(source))
    return ExportedRows(tuple(map(_column, kept)), stream(conn, statement.limit(wanted.limit)))


def rows_of_partition(conn: sa.Connection, name: str, partition: Partition) -> ExportedRows:
    """Return the rows of a table about tasks of one project and month, in no order.

    The columns are all of the table's but `project`, and then `project_name`. Rows of missing tasks are left
    out, but not those of `task_changes`.
    """
    source = _source(name)
    kept = [each for each in source.columns if each.name != "project"]
    statement = sa.select(*map(_selected, kept), tasks.c.project.label("project_name"))
    if source is not tasks:
        statement = statement.join_from(tasks, source, tasks.c.task_id == source.c.task_id)
    if name != "task_changes":
        statement = statement.where(tasks.c.missing_since.is_(None))
    statement = statement.where(*_within(conn, partition))
    columns = (*map(_column, kept), Column("project_name", ColumnKind.TEXT))
    return ExportedRows(columns, stream(conn, statement))


def _within(conn: sa.Connection, partition: Partition) -> Iterator[sa.ColumnElement[bool]]:
    """Yield the conditions of a partition, in a form for the index of tasks by project and time."""
    c = tasks.c
    yield (
        c.project == partition.project if partition.project else sa.or_(c.project.is_(None), c.project == "")
    )
    if not partition.month:
        yield c.created_at.is_(None)
    elif re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", partition.month):
        first = datetime.fromisoformat(f"{partition.month}-01").replace(tzinfo=UTC)
        yield c.created_at >= first
        if partition.month != "9999-12":
            yield c.created_at < (first + timedelta(days=31)).replace(day=1)
    else:
        # Of a time that somebody damaged: reading such a row is an error, and once repaired it is elsewhere.
        yield month_of(conn, c.created_at) == partition.month


def _source(name: str) -> sa.Table:
    source = VIEWS.get(name, metadata.tables.get(name))
    if source is None:
        raise ConfigurationError(f"There is no table or view {name!r}.", advice=advice.LIST_TABLES)
    return source


def _column(given: sa.ColumnElement[Any]) -> Column:
    return Column(str(given.key), kind_of(given))


def kind_of(given: sa.ColumnElement[Any]) -> ColumnKind:
    """Return the kind of a column's values, which is the same on both databases."""
    return next((kind for of, kind in _KINDS if isinstance(given.type, of)), ColumnKind.TEXT)


def _selected(given: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return day_as_text(given) if isinstance(given.type, sa.Date) else given


_IDS = ("command_id", "task_id", "first_seen_at", "seen_at", "before_digest", "rule")
"""Columns of views that, if there, order their rows; they are never empty, or behind one that is unique."""
_ORDINALS = ("after_ordinal", "before_ordinal", "ordinal")
"""The same, but one of them may be empty."""


def _key(source: sa.Table) -> Sequence[sa.ColumnElement[Any]]:
    """Return the columns that order the rows: a table's key; of a view, its ids or all text columns."""
    key: list[sa.ColumnElement[Any]] = list(source.primary_key) or [
        # Only where they are needed: with NULLS FIRST, Postgres cannot read a view in the order of an index.
        *(source.c[each] for each in _IDS if each in source.c),
        *(source.c[each].nulls_first() for each in _ORDINALS if each in source.c),
    ]
    texts = (each for each in source.columns if kind_of(each) in (ColumnKind.TEXT, ColumnKind.DAY))
    return key or [each.nulls_first() for each in texts]


def _chosen(
    source: sa.Table, statement: sa.Select[*tuple[Any, ...]], wanted: Selection
) -> sa.Select[*tuple[Any, ...]]:
    if source.name in MAPPINGS or "task_id" not in source.c:
        _check(source, wanted)
        return statement.where(*where(source, wanted))
    own = [each for each in FILTERS if each in source.c]
    statement = statement.where(*equal(source, wanted, own))
    nothing: dict[str, Any] = dict.fromkeys([*own, "limit"])
    rest = replace(wanted, **nothing)
    _check_annotation_filters(source, rest)
    # Filters that are left are about the row's task; so is the default filter that hides missing tasks.
    if rest == EVERYTHING and source.name in VIEWS:
        # Views show no missing tasks anyway, and may have rows whose task is not mirrored yet.
        return statement
    return statement.where(source.c.task_id.in_(sa.select(tasks.c.task_id).where(*where(tasks, rest))))


def _check_annotation_filters(source: sa.Table, wanted: Selection) -> None:
    """Raise ConfigurationError for a filter of annotations that is left, since no task has its column."""
    for name in OF_ANNOTATIONS:
        if getattr(wanted, name) is not None:
            raise ConfigurationError(f"--{name} does not apply to {source.name}.", advice="Leave it out.")


def _check(source: sa.Table, wanted: Selection) -> None:
    """Raise ConfigurationError for a filter whose column the table does not have."""
    when = "day" if "day" in source.c else "created_at"
    needed = FILTERED_COLUMNS | {"since": when, "until": when}
    given = [name for name in needed if getattr(wanted, name) is not None]
    needed["missing"] = "missing_since"
    for name in [*given, *(["missing"] if wanted.missing else [])]:
        if needed[name] not in source.c:
            option = name.replace("_", "-")
            raise ConfigurationError(f"--{option} does not apply to {source.name}.", advice="Leave it out.")


def month_of(conn: sa.Connection, when: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return the month of a time or a day, in UTC, as text such as 2026-11."""
    if isinstance(when.type, Instant) and conn.dialect.name == "postgresql":
        return sa.func.to_char(sa.func.timezone("UTC", when), "YYYY-MM")
    return sa.func.substr(sa.cast(sa.type_coerce(when, sa.Text), sa.Text), 1, 7)


def stream(conn: sa.Connection, statement: sa.Select[*tuple[Any, ...]]) -> Generator[Any, None, None]:
    """Yield the rows of a query in constant memory; the connection is in use until exhausted or closed."""
    with conn.execute(statement.execution_options(yield_per=_AT_ONCE)) as result:
        yield from result
