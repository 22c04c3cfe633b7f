"""Keep the responses that others replace, and what differs between one and the next.

The response that a task has now is in `tasks` only: what is never replaced takes no room twice.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice

import sqlalchemy as sa

from scalesync.annotations.difference import ResponseDiff, StoredResponse, compare_responses
from scalesync.db import bulk_insert
from scalesync.db.mirror.changes import UNKNOWN
from scalesync.db.mirror.documents import TASKS
from scalesync.db.schema.annotations_and_changes import task_changes
from scalesync.db.schema.mirror import tasks
from scalesync.db.schema.reviews_and_versions import annotation_differences, replaced_responses
from scalesync.db.statements import Insert, in_list
from scalesync.db.types import Json
from scalesync.errors import ConfigurationError, IncompleteError
from scalesync.models.changes import SeenBy
from scalesync.parsing.annotation_rows import task_response, threads_in
from scalesync.parsing.json_equality import same_content
from scalesync.parsing.row_parser import Row, RowValues
from scalesync.timestamps import format_instant

# Tasks whose earlier responses are held in memory at once.
_AT_ONCE = 100
_response_of = task_response(TASKS.spec)


def _first_seen(digest: sa.ColumnElement[str]) -> sa.ColumnElement[datetime]:
    """Return when a task's response with this digest was first seen, by the history of changes."""
    c = task_changes.c
    of_task = sa.select(sa.func.min(c.seen_at)).where(c.task_id == tasks.c.task_id).correlate(tasks)
    came = of_task.where(c.field == "response", c.after == digest).scalar_subquery()
    # A response that was there at the first sight of its task has no change of its own.
    return sa.func.coalesce(came, of_task.scalar_subquery(), tasks.c.synced_at)


_beside = sa.type_coerce(sa.case((tasks.c.response.is_(None), tasks.c.extra)), Json)
_STORED = sa.select(
    tasks.c.task_id,
    tasks.c.response_digest,
    sa.type_coerce(_first_seen(tasks.c.response_digest), tasks.c.synced_at.type),
    tasks.c.response,
    _beside,
).where(in_list(tasks.c.task_id, "tasks"), tasks.c.response_digest.is_not(None))
_LAST_REPLACED = (
    sa.select(
        replaced_responses.c.task_id,
        replaced_responses.c.response_digest,
        replaced_responses.c.first_seen_at,
        replaced_responses.c.response,
    )
    .where(in_list(replaced_responses.c.task_id, "tasks"))
    .order_by(replaced_responses.c.replaced_at)
)


def _renew(insert: Insert) -> Insert:
    # A response that came back, and is replaced again: the first time it was seen stays.
    kept = replaced_responses.c
    return insert.on_conflict_do_update(
        index_elements=[kept.task_id, kept.response_digest],
        set_={"replaced_at": insert.excluded.replaced_at},
    )


def _keep(insert: Insert) -> Insert:
    return insert.on_conflict_do_nothing()


_REPLACED = bulk_insert.InsertTarget.of(replaced_responses, replaced_responses.c.keys(), _renew)
_DIFFERENCES = bulk_insert.InsertTarget.of(annotation_differences, annotation_differences.c.keys(), _keep)


def record(conn: sa.Connection, rows: Sequence[Row], here: Mapping[str, sa.RowMapping], seen: SeenBy) -> None:
    """Keep the responses that these rows of tasks are about to replace, and record what differs.

    Call it before the rows are written; `here` has the stored rows by key. A response that comes after a time
    without one, as after a recall, is compared with the last one before.
    """
    changed = iter([row for row in rows if _digest(row) != here[row.key]["response_digest"]])
    while portion := list(islice(changed, _AT_ONCE)):
        _record(conn, portion, here, seen)


def _record(
    conn: sa.Connection, rows: Sequence[Row], here: Mapping[str, sa.RowMapping], seen: SeenBy
) -> None:
    at = format_instant(seen.at)
    later = {row.key: (row, _response_of(row)) for row in rows}
    replaced = {
        task_id: stored
        for task_id, stored in _stored(conn, list(later))
        # Without a digest only the content shows whether it changed.
        if stored.digest != UNKNOWN or not same_content(stored.response, later[task_id][1].response or "null")
    }
    bulk_insert.write(
        conn,
        _REPLACED,
        [
            (
                task_id,
                each.digest,
                format_instant(each.first_seen_at),
                at,
                len(each.response.encode()),
                each.response,
            )
            for task_id, each in replaced.items()
        ],
    )
    without = [key for key in later if here[key]["response_digest"] is None]
    before = _last_replaced(conn, without) | replaced
    found: list[RowValues] = []
    for task_id, stored in before.items():
        row, now = later[task_id]
        if now.response is not None:
            key = (task_id, stored.digest, _digest(row))
            found += [
                (*key, ordinal, *each, at)
                for ordinal, each in enumerate(compare_responses(now.type, stored.response, now.response))
            ]
    bulk_insert.write(conn, _DIFFERENCES, found)


def of_task(conn: sa.Connection, task_id: str) -> list[StoredResponse]:
    """Return the different responses that a task had, in the order in which it last had them.

    The last one is that of now, unless the task has none.
    """
    now = [stored for _, stored in _stored(conn, [task_id])]
    earlier = conn.execute(_LAST_REPLACED, {"tasks": [task_id]})
    current = {stored.digest for stored in now}
    return [StoredResponse(*row[1:]) for row in earlier if row.response_digest not in current] + now


def diff(conn: sa.Connection, task_id: str, before: str | None, after: str | None) -> ResponseDiff:
    """Compare two responses of a task, named by the beginnings of their digests.

    `after` None: the last one; `before` None: the one before that. Raises IncompleteError if the task is not
    here or that response was not kept, and ConfigurationError for a digest of no response or of several.
    """
    kinds = conn.execute(sa.select(tasks.c.type).where(tasks.c.task_id == task_id)).all()
    if not kinds:
        msg = f"{task_id} is not in the mirror's tasks."
        raise IncompleteError(msg, advice="If it is new, run `scalesync sync` first.")
    responses = of_task(conn, task_id)
    if not responses and before is None and after is None:
        return ResponseDiff(task_id, None, None, [])
    later = responses[-1] if after is None and responses else _named(responses, after or before or "")
    earlier = _previous(conn, task_id, later, responses) if before is None else _named(responses, before)
    found = compare_responses(kinds[0].type, earlier.response, later.response) if earlier else []
    return ResponseDiff(task_id, earlier, later, found)


def _named(responses: Sequence[StoredResponse], beginning: str) -> StoredResponse:
    found = [each for each in responses if each.digest.startswith(beginning)]
    if len(found) == 1:
        return found[0]
    known = ", ".join(each.digest for each in responses) or "none"
    which = "Several of the task's responses have" if found else "None of the task's responses has"
    raise ConfigurationError(
        f"{which} a digest that begins with {beginning!r}.", advice=f"Its responses here: {known}."
    )


def _previous(
    conn: sa.Connection, task_id: str, later: StoredResponse, responses: Sequence[StoredResponse]
) -> StoredResponse | None:
    """Return the response before another one. Raises IncompleteError if there was one and it was not kept."""
    c = task_changes.c
    steps = sa.select(c.before, c.after).where(c.task_id == task_id, c.field == "response").order_by(c.id)
    had = [digest for step in conn.execute(steps) for digest in step if digest not in {None, UNKNOWN}]
    until = len(had) - had[::-1].index(later.digest) if later.digest in had else 0
    others = [digest for digest in had[:until] if digest != later.digest]
    kept = {each.digest: each for each in responses}
    if others and others[-1] not in kept:
        msg = f"The response that task {task_id} had before was not kept, so that it cannot be compared."
        raise IncompleteError(
            msg, advice="`scalesync sync` keeps them unless told not to, until `scalesync prune`."
        )
    if others:
        return kept[others[-1]]
    place = responses.index(later)
    return responses[place - 1] if place else None


def _stored(conn: sa.Connection, task_ids: Collection[str]) -> Iterator[tuple[str, StoredResponse]]:
    """Yield the tasks that have a response now, with it."""
    for task_id, digest, first_seen_at, given, extra in conn.execute(_STORED, {"tasks": list(task_ids)}):
        response = threads_in(extra) if given is None else given
        if response is not None:
            yield task_id, StoredResponse(digest, first_seen_at, response)


def _last_replaced(conn: sa.Connection, task_ids: Collection[str]) -> dict[str, StoredResponse]:
    found = conn.execute(_LAST_REPLACED, {"tasks": list(task_ids)}) if task_ids else ()
    return {row[0]: StoredResponse(*row[1:]) for row in found}


def _digest(row: Row) -> str | None:
    return row.derived.response_digest if row.derived else None
