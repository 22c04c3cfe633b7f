"""Submit many tasks from one source, such as a file of JSON lines: all of them are queued, or none.

Two phases: `validate` copies the source to disk without a transaction, `enqueue` writes it in one.
"""

import codecs
import json
import tempfile
import uuid
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import IO, Any

import msgspec

from scalesync.db.caller_transaction import Connection, savepoint
from scalesync.db.queue.enqueue import enqueue_many
from scalesync.errors import ConfigurationError, ConflictError, QueueError, SubmissionError, SubmissionProblem
from scalesync.models.commands import Enqueued, NewCommand
from scalesync.queue import new_commands

_MAX_NAMES = 1_000
_SPOOL_DECODER = msgspec.json.Decoder(tuple[int, NewCommand])


@dataclass(frozen=True, slots=True)
class TaskTemplate:
    """The settings that all tasks of a submission share."""

    task_type: str
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Fields for every task that does not have them itself."""
    unique_id_field: str | None = None
    """The field that holds each task's unique_id, a text or whole number; dots reach into objects."""
    allow_duplicates: bool = False
    """Whether a task without a unique_id is a new one each time, even with equal content."""
    priority: int = 0
    named: set[tuple[str, str]] = field(default_factory=set, compare=False)
    """(kind, name) of the types, projects and batches used so far, to warn of unknown ones; 1,000 at most."""

    def to_command(self, fields: Mapping[str, Any]) -> NewCommand:
        """Return the command that creates a task with these fields. Raises QueueError if it is invalid."""
        body = {**self.defaults, **fields}
        if self.unique_id_field is not None:
            body["unique_id"] = _unique_id(body, self.unique_id_field)
        duplicate = uuid.uuid4().hex if self.allow_duplicates else None
        command = new_commands.create_task(self.task_type, body, duplicate=duplicate)
        if command.creates is not None and len(self.named) < _MAX_NAMES:
            self.named.update(command.creates.match_on)
        return replace(command, priority=self.priority) if self.priority else command


@dataclass(slots=True)
class IdRanges:
    """Increasing ids, stored as (first, last) ranges: a million consecutive ones need one pair."""

    runs: list[tuple[int, int]] = field(default_factory=list)

    def add(self, number: int) -> None:
        """Append a number."""
        if self.runs and number == self.runs[-1][1] + 1:
            self.runs[-1] = (self.runs[-1][0], number)
        else:
            self.runs.append((number, number))

    def __iter__(self) -> Iterator[int]:
        for first, last in self.runs:
            yield from range(first, last + 1)

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.runs)


@dataclass(frozen=True, slots=True)
class SubmitResult:
    """The outcome of a submission, by command id."""

    queued: IdRanges = field(default_factory=IdRanges)
    """New commands."""
    already_queued: IdRanges = field(default_factory=IdRanges)
    """Commands that were in the queue before with the same content."""
    already_mirrored: list[str] = field(default_factory=list)
    """Keys of objects that the mirror holds already under the same name."""
    withdrawn: IdRanges = field(default_factory=IdRanges)
    """Creates that were never sent, and were withdrawn by their cancel."""

    def add(self, enqueued: Enqueued) -> None:
        """Add the outcome of one enqueueing."""
        if enqueued.withdrew is not None:
            self.withdrawn.add(enqueued.withdrew)
        elif enqueued.mirrored is not None:
            self.already_mirrored.append(enqueued.mirrored)
        elif enqueued.command_id is not None:
            (self.queued if enqueued.new else self.already_queued).add(enqueued.command_id)


class ValidatedSpool:
    """Valid commands, kept in a file on disk, and the problems of the invalid ones."""

    def __init__(self, file: IO[bytes]) -> None:
        self.problems: list[SubmissionProblem] = []
        self.count = 0
        """Tasks added, valid and invalid."""
        self._file = file

    def add(self, number: int, row: bytes | Mapping[str, Any], template: TaskTemplate) -> None:
        """Store the command of one task, or its problem; skip a blank line."""
        if isinstance(row, bytes):
            row = row.removeprefix(codecs.BOM_UTF8) if number == 1 else row
            if not row.strip():
                return
        self.count += 1
        try:
            self._file.write(msgspec.json.encode((number, template.to_command(_parse_fields(row)))) + b"\n")
        except QueueError as error:
            self.problems.append(SubmissionProblem(number, error.message))

    def __iter__(self) -> Iterator[tuple[int, NewCommand]]:
        """Yield (number, command) of every valid task, from the first."""
        self._file.seek(0)
        yield from map(_SPOOL_DECODER.decode, self._file)


@contextmanager
def validate(rows: Iterable[bytes | Mapping[str, Any]], template: TaskTemplate) -> Iterator[ValidatedSpool]:
    """Yield a spool of checked tasks from a source; numbers start at 1 and count blank lines.

    Raises ConfigurationError if the source cannot be read or there is no room for a copy.
    """
    # The source may be slow and large (a pipe): one line is in memory at a time, and no transaction is open
    # while it is read, since that would block other writers.
    with ExitStack() as stack:
        try:
            file = stack.enter_context(tempfile.TemporaryFile())
            spool = ValidatedSpool(file)
            for number, line in enumerate(rows, 1):
                spool.add(number, line, template)
            file.flush()
        except OSError as error:
            msg = f"The tasks cannot be read and kept: {error.strerror}."
            raise ConfigurationError(
                msg, advice="Nothing was queued. Check the file and the disk."
            ) from error
        yield spool


def enqueue(conn: Connection, spool: ValidatedSpool) -> SubmitResult:
    """Queue every command, or raise SubmissionError with all problems and leave the transaction as it was."""
    submitted, refused = SubmitResult(), list[tuple[int, str, QueueError]]()
    # `enqueue_many` reads ahead and answers in order, so the numbers of unanswered commands are a queue.
    in_flight = deque[tuple[int, str]]()

    def tracked() -> Iterator[NewCommand]:
        for number, command in spool:
            in_flight.append((number, command.resource))
            yield command

    with savepoint(conn):
        for result in enqueue_many(conn, tracked()):
            number, resource = in_flight.popleft()
            if isinstance(result, QueueError):
                refused.append((number, resource, result))
            else:
                submitted.add(result)
        if spool.problems or refused:
            problems = sorted([*spool.problems, *_explain(spool, refused)])
            raise SubmissionError(problems, spool.count)
    return submitted


def _explain(
    spool: ValidatedSpool, refused: list[tuple[int, str, QueueError]]
) -> Iterator[SubmissionProblem]:
    """Yield a problem for each refused command; a conflict within the source names the earlier number."""
    conflicts = {resource for _, resource, error in refused if isinstance(error, ConflictError)}
    first: dict[str, int] = {}
    for number, command in spool if conflicts else ():
        if command.resource in conflicts:
            first.setdefault(command.resource, number)
    numbers = {number for number, _, _ in refused}
    for number, resource, error in refused:
        before = first.get(resource, number)
        if before in numbers:
            yield SubmissionProblem(number, error.message)
        else:
            name = resource.partition(":")[2]
            yield SubmissionProblem(
                number, f"Number {before} has the same unique_id {name!r} and other content."
            )


def _parse_fields(row: bytes | Mapping[str, Any]) -> Mapping[str, Any]:
    """Parse one task. Raises QueueError if it is not a JSON object."""
    if isinstance(row, Mapping):
        return row
    if not isinstance(row, bytes):
        raise QueueError("It is not a mapping of fields.")
    try:
        value = _DECODER.decode(row.decode())
    except UnicodeDecodeError as error:
        raise QueueError("It is not UTF-8 text.") from error
    except json.JSONDecodeError as error:
        raise QueueError(f"It is not JSON: {error.msg} at column {error.colno}.") from error
    except (ValueError, RecursionError) as error:
        raise QueueError(f"It is not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise QueueError("It is not a JSON object.")
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = next(name for number, (name, _) in enumerate(pairs) if name in dict(pairs[:number]))
        raise ValueError(f"the field {twice!r} occurs twice")
    return made


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is not a number")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)


def _unique_id(body: Mapping[str, Any], field_name: str) -> str:
    """Return the task's unique_id from a field. Raises QueueError if that is missing or contradicts it."""
    value = _value_at(body, field_name)
    if isinstance(value, bool) or not isinstance(value, str | int):
        what = "is not there" if value is None else "is neither a text nor a whole number"
        raise QueueError(f"The field {field_name!r}, which is to give the unique_id, {what}.")
    own = body.get("unique_id")
    if own is not None and str(own) != str(value):
        raise QueueError(f"Its unique_id is {own!r}, and its field {field_name!r} says {value!r}.")
    return str(value)


def _value_at(body: Mapping[str, Any], path: str) -> object:
    # A field whose own name has dots goes first.
    value: object = body
    if path in body:
        return body[path]
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
