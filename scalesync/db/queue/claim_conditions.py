"""What must come before what: the conditions under which a command may be claimed.

`claims` builds its query from these pieces and the views show them, so that what people read is why the claim
passes a command by. A view selects `is_waiting(c)`, `is_held(c)`, `is_due(c)` and each of `blockers(c)`
over one alias::

    c = commands.alias("c")
    query = select(c, func.coalesce(*blockers(c)).label("waits_for"))

A command is claimed only if it is waiting, not held, due, and every blocker of it is NULL. Blockers mean
something for waiting commands only. "Earlier" is a smaller id, whatever the priorities.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.selectable import NamedFromClause

from scalesync.db.schema.queue import CONTAINERS, CREATES, IN_FLIGHT, UNSETTLED, WAITING, commands
from scalesync.db.server_clock import utc_now
from scalesync.db.statements import indexed
from scalesync.models.commands import CommandKind, CommandState

Commands = sa.Table | NamedFromClause
"""The table `commands` or a named alias of it."""

_ONE: sa.ColumnElement[int] = sa.literal_column("1")


def blockers(c: Commands) -> list[sa.ColumnElement[Any]]:
    """Return, rule by rule, the smallest id that keeps `c` from being claimed; NULL: none does.

    In turn: another command on its resource, earlier or in flight; the create of what it is to be made in;
    for a finalize, the create of a task that was queued for its batch before.
    """
    return [
        sa.func.coalesce(_first_before(c, same_resource, "ix_commands_unsettled"), _in_flight(c)),
        _first_before(c, creates_parent, "ix_commands_containers"),
        _first_before(c, creates_batch_task, "ix_commands_scope"),
    ]


def pending(c: Commands) -> sa.ColumnElement[bool]:
    """Return the condition for a command that nobody works on and that has not ended."""
    return matches(c, WAITING)


def on_hold(c: Commands) -> sa.ColumnElement[bool]:
    """Return the condition for a command that nobody claims before a person acts."""
    return c.c.hold_reason.is_not(None)


def due(c: Commands) -> sa.ColumnElement[bool]:
    """Return the condition for a command whose own time has come, by the database's clock.

    The clock is read once for the whole statement.
    """
    return sa.or_(c.c.not_before.is_(None), time_has_come(c))


def time_has_come(c: Commands) -> sa.ColumnElement[bool]:
    """Return the condition for a command that had to wait for a time which is past."""
    return c.c.not_before <= sa.select(utc_now()).scalar_subquery()


def same_resource(c: Commands, e: Commands) -> sa.ColumnElement[bool]:
    """Return the condition under which `e`, if earlier, keeps `c` from their common resource.

    What is dead keeps only a create's followers: an object that was never made cannot be finalized or
    canceled, but another create can make it, and a dead cancel or update leaves it as it was. A command in
    doubt has the resource already and waits for nobody on it: an earlier one that a person revived meanwhile
    waits for it.
    """
    follows = sa.and_(matches(e, CREATES), sa.not_(matches(c, CREATES)))
    stands = sa.or_(e.c.state != _literal(CommandState.DEAD), follows)
    queued = c.c.state == _literal(CommandState.QUEUED)
    return sa.and_(e.c.resource == c.c.resource, matches(e, UNSETTLED), stands, queued)


def creates_parent(c: Commands, e: Commands) -> sa.ColumnElement[bool]:
    """Return the condition under which `e`, if earlier, makes the batch or project that `c` is to be in."""
    return sa.and_(e.c.resource == c.c.depends_on, uncreated(e))


def uncreated(e: Commands) -> sa.ColumnElement[bool]:
    """Return the condition for the create of a batch or project that is not there yet."""
    return sa.and_(matches(e, CONTAINERS), matches(e, UNSETTLED))


def creates_batch_task(c: Commands, e: Commands) -> sa.ColumnElement[bool]:
    """Return the condition under which `e`, if earlier, makes a task of the batch that `c` finalizes."""
    return sa.and_(
        e.c.scope == c.c.scope,
        e.c.kind == _literal(CommandKind.CREATE_TASK),
        matches(e, UNSETTLED),
        c.c.kind == _literal(CommandKind.FINALIZE_BATCH),
    )


def matches(c: Commands, condition: str) -> sa.ColumnElement[bool]:
    """Return a condition of `queue_tables` on `c`, in the words by which partial indexes are matched."""
    return sa.literal_column(f"{c.name}.{condition}")


def _first_before(
    c: Commands, blocks: Callable[[Commands, Commands], sa.ColumnElement[bool]], index: str
) -> sa.ScalarSelect[int | None]:
    e = commands.alias("earlier")
    first = sa.select(e.c.id).where(blocks(c, e), e.c.id < c.c.id).order_by(e.c.id).limit(_ONE)
    return indexed(first, e, index).correlate(c).scalar_subquery()


def _in_flight(c: Commands) -> sa.ScalarSelect[int | None]:
    """Return the command that has the resource of `c` now: a later one, if `c` was revived by a person."""
    o = commands.alias("other")
    same = sa.and_(o.c.resource == c.c.resource, o.c.id != c.c.id, matches(o, IN_FLIGHT))
    query = indexed(sa.select(o.c.id).where(same).limit(_ONE), o, "ux_commands_resource_in_flight")
    return query.correlate(c).scalar_subquery()


def _literal(value: StrEnum) -> sa.ColumnElement[str]:
    return sa.literal_column(f"'{value}'", sa.Text)
