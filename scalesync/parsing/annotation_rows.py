"""Computes a task's annotation rows and response digest. No database."""

from collections.abc import Callable

from scalesync.annotations.flatten import flatten, result_urls
from scalesync.annotations.models import Flattened
from scalesync.annotations.urls import unsigned_digest
from scalesync.parsing.row_parser import AnnotationRows, DerivedRows, Row, decode_fields


def derive(row: Row, repeats: Callable[[Row], int] | None = None) -> Row:
    """Return a task's row with its derived values, except those that need the database.

    Costs CPU; call it only for rows that will probably be written. `repeats` counts names that a JSON object
    has twice, which only Postgres has to know.
    """
    kind, response = task_response(row)
    # A response that names files has its annotations in them, and only the database knows which are fetched.
    annotation_rows = None if result_urls(kind, response) else to_rows(row.key, flatten(kind, response))
    known = DerivedRows(response_digest(response), annotation_rows, repeats(row) if repeats else None)
    return Row(row.key, row.created_at, row.values, row.digest, known, row.repeated)


def to_rows(task_id: str, flat: Flattened) -> AnnotationRows:
    """Return flattened annotations and links as rows, numbered in the order of the response."""
    annotations = [(task_id, ordinal, *row) for ordinal, row in enumerate(flat.annotations)]
    links = [(task_id, ordinal, *row) for ordinal, row in enumerate(flat.links)]
    return AnnotationRows(tuple(annotations), tuple(links), flat.read)


def response_digest(response: object) -> str | None:
    """Return a digest of a response that ignores the signatures of its links; None without a response."""
    return unsigned_digest(response) if isinstance(response, str) else None


def task_response(row: Row) -> tuple[str | None, str | None]:
    """Return the type of a task and its response or, without one, its conversation; None if missing."""
    kind, response = row.values["type"], row.values["response"]
    if not isinstance(response, str):
        response = threads_in(row.values["extra"])
    return kind if isinstance(kind, str) else None, response


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
