"""Computes the rows and the response digest that are derived from a task. No database."""

from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from scalesync.annotations.flatten import flatten, result_urls
from scalesync.annotations.models import Flattened
from scalesync.annotations.urls import unsigned_digest
from scalesync.parsing.review_rows import NO_REVIEWS, review_rows
from scalesync.parsing.row_parser import DerivedRows, DocumentSpec, Row, RowValues, decode_fields, repeats


def make_task_deriver(form: DocumentSpec, *, count_repeats: bool = False) -> Callable[[Row], Row]:
    """Return a function that adds to a task's row its derived values, except those that need the database.

    It costs CPU: call it only for rows that will probably be written. With `count_repeats` it counts names
    that a JSON object has twice, which only Postgres has to know.
    """
    response_of, count = task_response(form), repeats(form) if count_repeats else None

    def derive(row: Row) -> Row:
        given = response_of(row)
        kind, response = given.type, given.response
        digest = None if response is None else unsigned_digest(response)
        repeated = count(row) if count else None
        extra = row.values[-1]
        # A search in the text first: most tasks have neither, and a call for each would cost all of them.
        reviewed = extra is not None and ('"audits"' in extra or '"attempts"' in extra)
        audits, attempts = review_rows(row.key, extra) if reviewed else NO_REVIEWS
        # A response that names files has its annotations in them, and only the database has what is fetched.
        if result_urls(kind, response):
            return replace(row, derived=DerivedRows(digest, None, (), True, repeated, audits, attempts))
        flat = flatten(kind, response)
        rows = numbered(row.key, flat)
        return replace(row, derived=DerivedRows(digest, *rows, flat.read, repeated, audits, attempts))

    return derive


def numbered(task_id: str, flat: Flattened) -> tuple[tuple[RowValues, ...], tuple[RowValues, ...]]:
    """Return flattened annotations and links as rows, numbered in the order of the response."""
    annotations = [(task_id, ordinal, *row) for ordinal, row in enumerate(flat.annotations)]
    links = [(task_id, ordinal, *row) for ordinal, row in enumerate(flat.links)]
    return tuple(annotations), tuple(links)


class TaskResponse(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A task's response, from which its annotations are made."""

    task_id: str
    type: str | None
    response: str | None
    """None if there is none. The conversation of a task stands in for it."""
    derived: DerivedRows | None = None
    """Its annotations, if they are made already; None if the response names files."""


def task_response(form: DocumentSpec) -> Callable[[Row], TaskResponse]:
    """Return a function that returns the response of a task's row."""
    kind_at, response_at, extra_at = map(form.names.index, ("type", "response", "extra"))

    def response_of(row: Row) -> TaskResponse:
        values, known = row.values, row.derived
        response = values[response_at]
        if response is None:
            response = threads_in(values[extra_at])
        inline = known if known and known.annotations is not None else None
        return TaskResponse(row.key, values[kind_at], response, inline)

    return response_of


def threads_in(extra: object) -> str | None:
    """Return a task's conversation in the form of a response, or None.

    The newer API has `threads` in place of a response (observed). `extra` is the JSON text of an object, the
    fields without a column, or None.
    """
    if not isinstance(extra, str) or '"threads"' not in extra:
        return None
    threads = decode_fields(extra).get("threads")
    if threads is None or bytes(threads) in {b"null", b"[]"}:
        return None
    return f'{{"threads":{bytes(threads).decode()}}}'
