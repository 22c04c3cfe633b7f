"""The conditions under which a command may be claimed: what must come before what.

Both the claim and the listing are built from these conditions, so that the reason people read is the reason
why a claim skips the command::

    c = commands.alias("c")
    query = select(c, func.coalesce(*blockers(c)).label("waits_for"))

A command is claimed only if it is pending, not on hold, due, and each of its blockers is NULL. Blockers are
meaningful for pending commands only. "Earlier" means a smaller id; priorities do not matter for it.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.selectable import NamedFromClause

from scalesync.db.schema.queue import CONTAINERS, CREATES, IN_FLIGHT, UNSETTLED, WAITING, commands
from scalesync.db.server_clock import utc_now
from scalesync.db.statements import in_json, indexed
from scalesync.models.commands import CommandKind, CommandState

Commands = sa.Table | NamedFromClause
"""The table `commands` or a named alias of it."""

_ONE: sa.ColumnElement[int] = sa.literal_column("1")


def blockers(c: Commands) -> list[sa.ColumnElement[Any]]:
    """Return one expression per rule: the smallest id that blocks `c`, or NULL.

    In order: another command on its resource, earlier or in flight; the create of its batch or project; for a
    finalize, an earlier create of a task in its batch; a file whose address it needs.
    """
    # Each lookup names its index: without ANALYZE, SQLite would choose any index on `state`, and each claim
    # would read all finished commands.
    return [
        sa.func.coalesce(_first_before(c, same_resource, "ix_commands_unsettled"), _in_flight(c)),
        _first_before(c, creates_parent, "ix_commands_containers"),
        _first_before(c, creates_batch_task, "ix_commands_scope"),
        sa.case((c.c.needs.is_not(None), _undelivered_file(c))),
    ]


def pending(c: Commands) -> sa.ColumnElement[bool]:
    """Return the condition for a command that is queued or in doubt, and not claimed."""
    return matches(c, WAITING)


def due(c: Commands) -> sa.ColumnElement[bool]:
    """Return the condition for a command whose `not_before` is empty or past, by the database's clock."""
    return sa.or_(c.c.not_before.is_(None), time_has_come(c))


def time_has_come(c: Commands) -> sa.ColumnElement[bool]:
    """Return the condition for a command whose `not_before` is past."""
    # As a subquery the clock is read once for the statement; `clock_timestamp()` is volatile, and in the bare
    # condition Postgres could not use it as the bound of an index range.
    return c.c.not_before <= sa.select(utc_now()).scalar_subquery()


def same_resource(c: Commands, e: Commands) -> sa.ColumnElement[bool]:
    """Return the condition under which `e`, if earlier, blocks `c` because both are about one resource."""
    # A dead create still blocks what follows it: an object that was never made cannot be finalized or
    # canceled. It does not block another create, and a dead cancel or update left the object as it was.
    follows_create = sa.and_(matches(e, CREATES), sa.not_(matches(c, CREATES)))
    blocks = sa.or_(e.c.state != _literal(CommandState.DEAD), follows_create)
    # A command in doubt occupies the resource already. Were it to wait for an earlier command that a person
    # revived meanwhile, each would wait for the other.
    queued = c.c.state == _literal(CommandState.QUEUED)
    return sa.and_(e.c.resource == c.c.resource, matches(e, UNSETTLED), blocks, queued)


def creates_parent(c: Commands, e: Commands) -> sa.ColumnElement[bool]:
    """Return the condition under which `e`, if earlier, creates the batch or project that `c` needs."""
    return sa.and_(e.c.resource == c.c.depends_on, uncreated(e))


def uncreated(e: Commands) -> sa.ColumnElement[bool]:
    """Return the condition for the create of a batch or project that was not delivered yet."""
    return sa.and_(matches(e, CONTAINERS), matches(e, UNSETTLED))


def creates_batch_task(c: Commands, e: Commands) -> sa.ColumnElement[bool]:
    """Return the condition under which `e`, if earlier, creates a task in the batch that `c` finalizes."""
    return sa.and_(
        e.c.scope == c.c.scope,
        e.c.kind == _literal(CommandKind.CREATE_TASK),
        matches(e, UNSETTLED),
        c.c.kind == _literal(CommandKind.FINALIZE_BATCH),
    )


def matches(c: Commands, condition: str) -> sa.ColumnElement[bool]:
    """Return a condition from `schema.queue` applied to `c`."""
    # As literal text: SQLite uses a partial index only if the query repeats its condition word for word,
    # which bound parameters would prevent.
    return sa.literal_column(f"{c.name}.{condition}")


def _first_before(
    c: Commands, blocks: Callable[[Commands, Commands], sa.ColumnElement[bool]], index: str
) -> sa.ScalarSelect[int | None]:
    e = commands.alias("earlier")
    first = sa.select(e.c.id).where(blocks(c, e), e.c.id < c.c.id).order_by(e.c.id).limit(_ONE)
    return indexed(first, e, index).correlate(c).scalar_subquery()


def _in_flight(c: Commands) -> sa.ScalarSelect[int | None]:
    """Return the command that occupies the resource of `c` now; a later one only if `c` was revived."""
    o = commands.alias("other")
    same = sa.and_(o.c.resource == c.c.resource, o.c.id != c.c.id, matches(o, IN_FLIGHT))
    query = indexed(sa.select(o.c.id).where(same).limit(_ONE), o, "ux_commands_resource_in_flight")
    return query.correlate(c).scalar_subquery()


def _undelivered_file(c: Commands) -> sa.ScalarSelect[int | None]:
    """Return the first file that `c` needs and that is not delivered, queued before `c` or anew after it."""
    e = commands.alias("file")
    needed = sa.and_(in_json(e.c.resource, c.c.needs), matches(e, UNSETTLED))
    first = sa.select(e.c.id).where(needed).order_by(e.c.id).limit(_ONE)
    return indexed(first, e, "ix_commands_unsettled").correlate(c).scalar_subquery()


def _literal(value: StrEnum) -> sa.ColumnElement[str]:
    return sa.literal_column(f"'{value}'", sa.Text)
