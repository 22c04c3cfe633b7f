"""What a publication reads of the mirror, and what the mirror remembers of it."""

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa

from scalesync import advice
from scalesync.db.export.rows import month_of
from scalesync.db.schema.mirror import tasks
from scalesync.db.schema.publishing import partition_changes, publications, publisher
from scalesync.db.schema.views import VIEWS
from scalesync.errors import ConfigurationError
from scalesync.models.publishing import Partition

_C = partition_changes.c


def publisher_name(conn: sa.Connection) -> str:
    """Return the name by which this mirror's published tables are known."""
    return str(conn.execute(sa.select(publisher.c.name)).scalar_one())


def last_change(conn: sa.Connection) -> int:
    """Return the number of the last change of a partition; 0 if there was none."""
    return conn.scalar(sa.select(sa.func.max(_C.change_number))) or 0


def partitions(conn: sa.Connection, after: int | None) -> list[Partition]:
    """Return the partitions with a change after this one, or all that have tasks; sorted."""
    if after is None:
        project = sa.func.coalesce(tasks.c.project, "")
        month = sa.func.coalesce(month_of(conn, tasks.c.created_at), "")
        query = sa.select(project, month).distinct()
    else:
        query = sa.select(_C.project, _C.month).where(_C.change_number > after)
    return sorted(Partition(*found) for found in conn.execute(query))


def check_views(names: Collection[str]) -> None:
    """Raise ConfigurationError for a name that is no view's."""
    unknown = [name for name in names if name not in VIEWS]
    if unknown:
        raise ConfigurationError(f"There is no view {unknown[0]!r}.", advice=advice.LIST_TABLES)


def known_change(conn: sa.Connection, publication: int | None, table: str) -> int | None:
    """Return the last change that a publication of this table includes; None if it is not this mirror's."""
    if publication is None:
        return None
    c = publications.c
    query = sa.select(c.change_id).where(c.id == publication, c.table == table)
    found: int | None = conn.scalar(query)
    return found


def view_names() -> tuple[str, ...]:
    """Return the names of the views that can be published."""
    return tuple(VIEWS)


def check_writable(conn: sa.Connection) -> None:
    """Raise DatabaseError if the database only reads, such as a standby."""
    conn.execute(sa.delete(publications).where(sa.false()))


def begin(
    conn: sa.Connection, publication: int, place: tuple[str, str], change_id: int, as_of: datetime | None
) -> list[int]:
    """Store that a table is about to be published at a target; return the publications stored before.

    Call it after the state of the table was read. Each earlier publication has been committed by then, or
    cannot be committed once this one is.
    """
    target, table = place
    c = publications.c
    before = list(conn.scalars(sa.select(c.id).where(c.target == target, c.table == table)))
    given = {"id": publication, "target": target, "table": table, "change_id": change_id, "as_of": as_of}
    conn.execute(sa.insert(publications).values(given))
    return before


def finish(
    conn: sa.Connection, publication: int, before: Collection[int], version: int | None, at: datetime
) -> None:
    """Remember that a publication was made at `at`, and forget those that were known `before` it."""
    c = publications.c
    conn.execute(sa.update(publications).where(c.id == publication).values(version=version, published_at=at))
    conn.execute(sa.delete(publications).where(c.id.in_(list(before))))
