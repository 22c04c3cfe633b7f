"""Turns a page of tasks into the parameters of the statements that insert it.

Made for tasks that the mirror is not expected to have: then nothing is left to do for a row but to bind it.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, compress
from typing import Any

import msgspec

from scalesync.annotations.models import Annotation, Audit, Link, TaskAttempt
from scalesync.parsing.annotation_rows import TaskResponse, make_task_deriver, task_response
from scalesync.parsing.row_parser import DocumentSpec, Row, RowHead

ADDED_COLUMNS = ("digest", "synced_at", "response_digest")
"""Columns of a task, after those of its row, that do not come from the document."""

_ANNOTATION_COLUMNS = ("task_id", "ordinal", *Annotation._fields)
_LINK_COLUMNS = ("task_id", "ordinal", *Link._fields)
_AUDIT_COLUMNS = ("task_id", "ordinal", *Audit._fields)
_ATTEMPT_COLUMNS = ("task_id", "ordinal", *TaskAttempt._fields)


class FlatRows(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Rows of one table in one list, without the columns that are NULL in all of them."""

    columns: tuple[str, ...]
    values: list[Any]
    """The values of the first row, then those of the second, and so on."""

    @classmethod
    def of(cls, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> "FlatRows":
        """Return rows with these columns as one list."""
        # Python's SQLite driver is slowest at binding None. The test of the first row makes the count rare.
        given = list(zip(*rows, strict=True))
        used = [column[0] is not None or column.count(None) < len(rows) for column in given]
        values = list(chain.from_iterable(zip(*compress(given, used), strict=True)))
        return cls(tuple(compress(columns, used)), values)


class TaskInserts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A page of tasks as rows to be inserted."""

    heads: tuple[RowHead, ...]
    tasks: FlatRows
    annotations: FlatRows
    links: FlatRows
    audits: FlatRows
    attempts: FlatRows
    batches: tuple[str, ...]
    without_annotations: tuple[str, ...]
    """Ids of the tasks that have none, except `with_files`."""
    with_files: tuple[TaskResponse, ...]
    """Responses that name files: their annotations are made where the files are."""
    unread: tuple[str, ...]
    """Ids of the tasks whose responses were not understood completely, except `with_files`."""
    repeated: int
    """Number of names that documents and JSON objects in them have twice."""


def make_page_inserter(
    form: DocumentSpec, *, count_repeats: bool = False
) -> Callable[[Iterable[Row], str], TaskInserts]:
    """Return a function that returns the inserts of tasks' rows, served at an instant given as text.

    With `count_repeats` it counts names that a JSON object has twice, as `make_task_deriver` does.
    """
    derive = make_task_deriver(form, count_repeats=count_repeats)
    columns, batch_at = (*form.names, *ADDED_COLUMNS), form.names.index("batch")
    response_of = task_response(form)

    def inserts(rows: Iterable[Row], synced_at: str) -> TaskInserts:
        pairs = [(row, row.derived) for row in map(derive, rows) if row.derived is not None]
        tasks = [(*row.values, row.digest, synced_at, known.response_digest) for row, known in pairs]
        inline = [known for _, known in pairs if known.annotations is not None]
        batches = {row.values[batch_at] for row, _ in pairs}
        return TaskInserts(
            tuple([RowHead(row.key, row.created_at, row.project, row.key_digest) for row, _ in pairs]),
            FlatRows.of(columns, tasks),
            FlatRows.of(_ANNOTATION_COLUMNS, [each for known in inline for each in known.annotations or ()]),
            FlatRows.of(_LINK_COLUMNS, [each for known in inline for each in known.links]),
            FlatRows.of(_AUDIT_COLUMNS, [each for _, known in pairs for each in known.audits]),
            FlatRows.of(_ATTEMPT_COLUMNS, [each for _, known in pairs for each in known.attempts]),
            tuple(sorted(batches - {None})),
            tuple([row.key for row, known in pairs if known.annotations == ()]),
            tuple([response_of(row) for row, known in pairs if known.annotations is None]),
            tuple([row.key for row, known in pairs if known.annotations is not None and not known.read]),
            sum(row.repeated + (known.repeated or 0) for row, known in pairs),
        )

    return inserts
