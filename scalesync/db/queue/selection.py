"""Select the commands that a claim takes: the first in order that are not blocked, in a queue of any length.

Fast path: test the first 200 pending commands, which nearly always has enough. If those wait for their batch
or their time, the slow path finds the first claimable command of each batch, skipping the rest of the batch.
Both use the conditions of `claim_conditions` only.
"""

from collections.abc import Collection
from functools import cache

import sqlalchemy as sa
from sqlalchemy.sql.selectable import Subquery

from scalesync.db.queue.claim_conditions import (
    Commands,
    blockers,
    due,
    matches,
    pending,
    time_has_come,
    uncreated,
)
from scalesync.db.schema.queue import TIMED, UNHELD, UNTIMED, commands
from scalesync.db.statements import ONCE, in_list, in_subquery, indexed
from scalesync.models.commands import CommandState

FRONT = 200
"""The number of commands that the fast path tests."""

# Literals, not parameters: Postgres plans for the LIMIT 1 and the bounds that it sees.
_LARGEST_ID: sa.ColumnElement[int] = sa.literal_column(str(2**62))
_SMALLEST_ID: sa.ColumnElement[int] = sa.literal_column("0")
_NEEDED = ("id", "kind", "state", "resource", "scope", "depends_on", "needs", "not_before", "priority")

Ids = sa.Select[int]
_LIMIT: sa.ColumnElement[int] = sa.bindparam("limit", type_=sa.Integer)
_FIRST: sa.ColumnElement[int] = sa.literal_column("1")
_G = commands.alias("grouped")
# Until the transaction ends, Postgres may read in order only by an index. While a hundred thousand new
# commands are not in its statistics yet, it believes that there is next to nothing to sort, and would sort
# all of them again for every batch.
_ORDER_BY_INDEX = sa.select(
    *(sa.func.set_config(f"enable_{way}", "off", True) for way in ("sort", "seqscan", "bitmapscan")),
    sa.func.set_config("jit", "off", True),
)
_STILL_WAITING = sa.select(commands.c.id).where(
    in_list(commands.c.id, "chosen"), pending(commands), matches(commands, UNHELD)
)


def first_claimable(conn: sa.Connection, limit: int) -> list[int]:
    """Return the ids of the first `limit` claimable commands by priority and id, unordered.

    Commands with a `not_before` that is past come by that time instead, unless the fast path finds enough.
    """
    found = list(conn.scalars(_claimable_at_front(conn.dialect.name), {"limit": limit}))
    if len(found) == limit:
        return found
    if conn.dialect.name == "postgresql":
        conn.execute(_ORDER_BY_INDEX)
    return list(conn.scalars(_claimable_anywhere(conn.dialect.name), {"limit": limit}))


@cache
def _claimable_at_front(dialect: str) -> Ids:
    """Return a query for the first `limit` (a parameter) claimable commands among the front of the queue."""
    # The LIMIT is inside, before blockers are tested: the work is bounded by FRONT, and not by the queue.
    c = commands.alias("waiting")
    first = sa.select(*(c.c[name] for name in _NEEDED)).where(pending(c), matches(c, UNHELD))
    front = indexed(first, c, "ix_commands_waiting").order_by(c.c.priority, c.c.id).limit(FRONT)
    f = front.subquery("front")
    query = sa.select(f.c.id).where(due(f), unblocked(f)).limit(_LIMIT)
    # SQLite returns the subquery's rows in its order (observed) and stops at the limit; with an ORDER BY it
    # would test all 200 and sort them once more.
    return query if dialect == "sqlite" else query.order_by(f.c.priority, f.c.id)


@cache
def _claimable_anywhere(dialect: str) -> Ids:
    """Return a query for the first `limit` (a parameter) claimable commands of the whole queue."""
    # Three sources, each with an index in its own order; a command is in exactly one of them. Without a
    # container are projects, cancels, updates and finalizes.
    c = commands.alias("free")
    free = _ready(c, c.c.depends_on.is_(None), _LIMIT).subquery("free_ones")
    sources = [sa.select(part) for part in (free, _in_containers(dialect), _timed())]
    found = sa.union_all(*sources).subquery("found")
    return sa.select(found.c.id).order_by(found.c.priority, found.c.id).limit(_LIMIT)


def unblocked(c: Commands) -> sa.ColumnElement[bool]:
    """Return the condition for a command that no other command blocks."""
    return sa.and_(*(blocking.is_(None) for blocking in blockers(c)))


def _timed() -> Subquery:
    """Return the first claimable commands with a `not_before` that is past, by that time."""
    c = commands.alias("timed")
    query = sa.select(c.c.id, c.c.priority).where(pending(c), matches(c, UNHELD), matches(c, TIMED))
    query = query.where(time_has_come(c), unblocked(c)).order_by(c.c.not_before, c.c.id).limit(_LIMIT)
    return indexed(query, c, "ix_commands_timed").subquery("timed_ones")


def _in_containers(dialect: str) -> Subquery:
    """Return the first claimable commands that are created in a batch or project.

    A group is the commands of one priority in one batch or project.
    """
    # 1. Find the first claimable command of each group, by one index look-up per group.
    groups = _groups(dialect)
    head = _inside(dialect, groups, "head", _FIRST).scalar_subquery().label("head")
    heads = sa.select(groups, head).cte("heads").prefix_with(ONCE)
    # 2. Keep the `limit` groups with the smallest heads: the first `limit` commands can only be in these.
    first = sa.select(heads).where(heads.c.head.is_not(None)).order_by(heads.c.priority, heads.c.head)
    tops = first.limit(_LIMIT).cte("tops").prefix_with(ONCE)
    # 3. Read up to `limit` commands of each of them, and take the first of all.
    c = commands.alias("placed")
    member = in_subquery(c.c.id, _inside(dialect, tops, "member", _LIMIT))
    query = sa.select(c.c.id, c.c.priority).join_from(tops, c, member).order_by(c.c.priority, c.c.id)
    return query.limit(_LIMIT).subquery("placed_ones")


def _groups(dialect: str) -> sa.CTE:
    """Return the groups (container, priority) that have pending commands.

    `unmade` is the smallest id of an undelivered create of the container: later commands wait for it.
    """
    # A loose index scan: jump from the first command of a group to the first of the next. SELECT DISTINCT
    # would read every pending command instead.
    f, n = commands.alias("first_one"), commands.alias("next_one")
    head = _first_of_group(_G.c.depends_on.is_not(None))
    first = sa.select(f.c.depends_on, f.c.priority).where(f.c.id == head)
    groups = first.cte("groups", recursive=True)
    following = sa.select(n.c.depends_on, n.c.priority)
    groups = groups.union_all(following.join_from(groups, n, n.c.id == _first_beyond(dialect, groups)))
    e = commands.alias("maker")
    making = (
        sa.select(e.c.id)
        .where(uncreated(e), e.c.resource == groups.c.depends_on)
        .order_by(e.c.id)
        .limit(_FIRST)
    )
    waits = indexed(making, e, "ix_commands_containers").correlate(groups).scalar_subquery()
    return (
        sa.select(groups, sa.func.coalesce(waits, _LARGEST_ID).label("unmade")).cte("named").prefix_with(ONCE)
    )


def _first_beyond(dialect: str, groups: sa.CTE) -> sa.ColumnElement[int]:
    """Return the first command of the group after `groups` in the order of the index."""
    place, priority = groups.c.depends_on, groups.c.priority
    # For (a, b) > (x, y) SQLite searches the index by `a` alone and walks through the whole group: ask for
    # the next priority of the container, and else for the next container.
    if dialect == "sqlite":
        same = sa.and_(_G.c.depends_on == place, _G.c.priority > priority)
        return sa.func.coalesce(_first_of_group(same), _first_of_group(_G.c.depends_on > place))
    return _first_of_group(sa.tuple_(_G.c.depends_on, _G.c.priority) > sa.tuple_(place, priority))


def _first_of_group(which: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    query = sa.select(_G.c.id).where(pending(_G), matches(_G, UNHELD), matches(_G, UNTIMED), which)
    query = query.order_by(_G.c.depends_on, _G.c.priority, _G.c.id).limit(_FIRST)
    return indexed(query, _G, "ix_commands_ready").scalar_subquery()


def _inside(dialect: str, groups: sa.CTE, name: str, limit: sa.ColumnElement[int]) -> Ids:
    c = commands.alias(name)
    group = (groups.c.depends_on, groups.c.priority)
    if dialect == "sqlite":
        inside = sa.and_(c.c.depends_on == group[0], c.c.priority == group[1], c.c.id < groups.c.unmade)
    else:
        # As comparisons of rows it is one range of ix_commands_ready, the only index with this order, so that
        # Postgres chooses it; SQLite has a hint.
        place = sa.tuple_(c.c.depends_on, c.c.priority, c.c.id)
        inside = sa.and_(place > sa.tuple_(*group, _SMALLEST_ID), place < sa.tuple_(*group, groups.c.unmade))
    return _ready(c, inside, limit).with_only_columns(c.c.id).correlate(groups)


def _ready(c: Commands, where: sa.ColumnElement[bool], limit: sa.ColumnElement[int]) -> sa.Select[int, int]:
    query = sa.select(c.c.id, c.c.priority).where(
        pending(c), matches(c, UNHELD), matches(c, UNTIMED), where, unblocked(c)
    )
    query = indexed(query, c, "ix_commands_ready").limit(limit)
    return query.order_by(c.c.depends_on, c.c.priority, c.c.id)


def in_doubt(conn: sa.Connection) -> list[int]:
    """Return the ids of all commands in doubt, held ones included, in claim order."""
    columns = commands.c
    query = sa.select(columns.id).where(columns.state == CommandState.IN_DOUBT)
    return list(conn.scalars(query.order_by(columns.priority, columns.id)))


def still_waiting(conn: sa.Connection, ids: Collection[int]) -> set[int]:
    """Return the `ids` of commands that are pending and not held, so that they can be claimed once due."""
    return set(conn.scalars(_STILL_WAITING, {"chosen": list(ids)}))
