"""What follows from a task's row, worked out before it is written, without a database."""

from collections.abc import Callable, Sequence

import msgspec
from msgspec.structs import astuple

from scalesync.annotations.flatten import flatten, result_urls
from scalesync.annotations.models import Flattened
from scalesync.annotations.urls import unsigned_digest
from scalesync.parsing.row_parser import AnnotationRows, DerivedRows, Row, RowValues, decode_fields


def derive(row: Row, repeats: Callable[[Row], int] | None = None) -> Row:
    """Return a task's row with what follows from it worked out, as far as it needs no database.

    It is worth its while for rows that are most likely written. `repeats` is asked for what only some
    databases have counted.
    """
    kind, response = task_response(row)
    drawn = None if result_urls(kind, response) else to_rows(row.key, flatten(kind, response))
    known = DerivedRows(response_digest(response), drawn, repeats(row) if repeats else None)
    return Row(row.key, row.created_at, row.values, row.digest, known, row.repeated)


def to_rows(task_id: str, flat: Flattened) -> AnnotationRows:
    """Return what was flattened as rows, numbered in the order in which they stand in the response."""
    return AnnotationRows(_numbered(task_id, flat.annotations), _numbered(task_id, flat.links), flat.read)


def _numbered(task_id: str, rows: Sequence[msgspec.Struct]) -> tuple[RowValues, ...]:
    return tuple([(task_id, ordinal, *astuple(row)) for ordinal, row in enumerate(rows)])


def response_digest(response: object) -> str | None:
    """Return the digest of a response's JSON text, the same whatever the signatures in its links."""
    return unsigned_digest(response) if isinstance(response, str) else None


def task_response(row: Row) -> tuple[str | None, str | None]:
    """Return the type of a task and its response."""
    kind, response = row.values["type"], row.values["response"]
    answered = response if isinstance(response, str) else threads_in(row.values["extra"])
    return kind if isinstance(kind, str) else None, answered


def threads_in(extra: object) -> str | None:
    """Return the conversation that the newer API has in place of a response, as one; None if there is none.

    `extra` is a JSON object of the fields without a column, as text, or None.
    """
    if not isinstance(extra, str) or '"threads"' not in extra:
        return None
    threads = decode_fields(extra).get("threads")
    if threads is None or bytes(threads) in {b"null", b"[]"}:
        return None
    return f'{{"threads":{bytes(threads).decode()}}}'
