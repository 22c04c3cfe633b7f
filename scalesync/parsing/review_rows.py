"""Makes the rows of `task_audits` and `task_attempts` from a task's fields without a column. No database.

These fields stay in `extra` too: the rows are for SQL, and the document comes back from the task's row alone.
"""

from typing import Any, NamedTuple

import msgspec

from scalesync.annotations.columns import AnnotationColumn, FieldMap, json_in, number_in, text_in
from scalesync.annotations.json_values import UnreadableError, decoded, encoded
from scalesync.annotations.models import Audit, TaskAttempt
from scalesync.parsing.column_parsers import ColumnParser, parse_column
from scalesync.parsing.row_parser import RowValues, decode_fields


def _instant(value: object) -> object:
    given = msgspec.Raw(encoded(value).encode())
    return parse_column(ColumnParser.INSTANT, given) if isinstance(value, str) else None


_AUDITS = FieldMap(
    {
        "audit_source": text_in("source"),
        "audit_result": text_in("result"),
        "comments": text_in("comments"),
        "audited_at": AnnotationColumn("at", None, _instant),
        "audited_by": text_in("audited_by"),
        "audit_time_secs": number_in("seconds"),
    },
    row_type=Audit,
)
_ATTEMPTS = FieldMap({"response": json_in("response")}, row_type=TaskAttempt)


class ReviewRows(NamedTuple):
    """What reviewers and annotators did to a task, as rows of two tables."""

    audits: tuple[RowValues, ...] = ()
    attempts: tuple[RowValues, ...] = ()


NO_REVIEWS = ReviewRows()


def review_rows(task_id: str, extra: str) -> ReviewRows:
    """Return the audits and attempts in a task's `extra`, JSON text, numbered in the API's order.

    Of a list, what is no object is a row with the value in `extra`; a value that is no list is its only
    element.
    """
    fields = decode_fields(extra)
    return ReviewRows(
        _rows(task_id, fields.get("audits"), _AUDITS, Audit._fields),
        _rows(task_id, fields.get("attempts"), _ATTEMPTS, TaskAttempt._fields),
    )


def _rows(task_id: str, given: Any, columns: FieldMap, names: tuple[str, ...]) -> tuple[RowValues, ...]:
    try:
        value = None if given is None else decoded(bytes(given))
    except UnreadableError:
        # Nested beyond the stack: the text is in the task's own `extra`.
        value = None
    elements = value if isinstance(value, list) else [value]
    rows: list[RowValues] = []
    for element in elements:
        if element is not None:
            values, rest = columns.split(element)
            if rest:
                values["extra"] = encoded(rest)
            rows.append((task_id, len(rows), *map(values.get, names)))
    return tuple(rows)
