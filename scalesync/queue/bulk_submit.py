"""Many tasks from one source, such as a file of JSON lines: all of them are queued, or none is."""

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

_BYTE_ORDER_MARK = "\ufeff"
_NAMES = 1_000
"""Names of types, projects and batches that are kept at most."""
_SPOOLED = msgspec.json.Decoder(tuple[int, NewCommand])


@dataclass(frozen=True, slots=True)
class TaskTemplate:
    """What all tasks of a submission have in common."""

    task_type: str
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Fields that every task gets which has none of that name itself."""
    unique_id_field: str | None = None
    """The field whose text or whole number is each task's unique_id; dots reach into objects."""
    allow_duplicates: bool = False
    """Whether a task without a unique_id is another one each time, whatever its content."""
    priority: int = 0
    named: set[tuple[str, str]] = field(default_factory=set, compare=False)
    """The types, projects and batches of the tasks so far, each with what it is of."""

    def to_command(self, fields: Mapping[str, Any]) -> NewCommand:
        """Return the command that creates the task. Raises QueueError for what cannot be one."""
        body = {**self.defaults, **fields}
        if self.unique_id_field is not None:
            body["unique_id"] = _unique_id(body, self.unique_id_field)
        duplicate = uuid.uuid4().hex if self.allow_duplicates else None
        order = new_commands.create_task(self.task_type, body, duplicate=duplicate)
        if order.creates is not None and len(self.named) < _NAMES:
            self.named.update(order.creates.match_on)
        return replace(order, priority=self.priority) if self.priority else order


@dataclass(slots=True)
class IdRanges:
    """Rising numbers, of which long runs take no more room than short ones."""

    runs: list[tuple[int, int]] = field(default_factory=list)

    def add(self, number: int) -> None:
        """Put a number behind the others."""
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
    """What became of everything that was to be queued."""

    queued: IdRanges = field(default_factory=IdRanges)
    """Commands that are new in the queue."""
    already_queued: IdRanges = field(default_factory=IdRanges)
    """Commands that were there before with the same content: nothing was queued twice."""
    already_mirrored: list[str] = field(default_factory=list)
    """Keys of objects that the mirror holds already under the same name."""
    withdrawn: IdRanges = field(default_factory=IdRanges)
    """Creates that were never sent, and now never will be."""

    def add(self, enqueued: Enqueued) -> None:
        """Count one more."""
        if enqueued.withdrew is not None:
            self.withdrawn.add(enqueued.withdrew)
        elif enqueued.mirrored is not None:
            self.already_mirrored.append(enqueued.mirrored)
        elif enqueued.command_id is not None:
            (self.queued if enqueued.new else self.already_queued).add(enqueued.command_id)


class ValidatedSpool:
    """Orders that are each fit to be queued, kept on disk, and what is wrong with the others."""

    def __init__(self, file: IO[bytes]) -> None:
        self.problems: list[SubmissionProblem] = []
        self.count = 0
        """How many there were, good and bad."""
        self._file = file

    def add(self, number: int, given: bytes | Mapping[str, Any], recipe: TaskTemplate) -> None:
        """Keep one order, or what is wrong with it; a blank line is neither."""
        if isinstance(given, bytes) and not given.strip():
            return
        self.count += 1
        try:
            self._file.write(msgspec.json.encode((number, recipe.to_command(_fields(given)))) + b"\n")
        except QueueError as error:
            self.problems.append(SubmissionProblem(number, error.message))

    def __iter__(self) -> Iterator[tuple[int, NewCommand]]:
        """Yield every good order with its number, from the first."""
        self._file.seek(0)
        yield from map(_SPOOLED.decode, self._file)

    def first(self, resources: set[str]) -> dict[str, int]:
        """Return the number of the first order on each of these resources."""
        found: dict[str, int] = {}
        for number, order in self if resources else ():
            if order.resource in resources:
                found.setdefault(order.resource, number)
        return found


@contextmanager
def validate(given: Iterable[bytes | Mapping[str, Any]], recipe: TaskTemplate) -> Iterator[ValidatedSpool]:
    """Lend the orders of a source, each looked at by itself; numbers count from 1, blank lines included.

    The source may be slow and large: no transaction is open while it is read, and no more than one line is in
    memory. Raises ConfigurationError where it cannot be read or there is no room for a copy.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(tempfile.TemporaryFile())
            spool = ValidatedSpool(file)
            for number, one in enumerate(given, 1):
                spool.add(number, _without_mark(one) if number == 1 else one, recipe)
            file.flush()
        except OSError as error:
            msg = f"The tasks cannot be read and kept: {error.strerror}."
            raise ConfigurationError(msg, advice="Nothing was queued. Look after file and disk.") from error
        yield spool


def enqueue(conn: Connection, spool: ValidatedSpool) -> SubmitResult:
    """Queue every order and return what became of them.

    Raises SubmissionError, with everything that is wrong, and leaves nothing of them in the transaction.
    """
    submitted, refused = SubmitResult(), list[tuple[int, str, QueueError]]()
    under_way = deque[tuple[int, str]]()

    def tracked() -> Iterator[NewCommand]:
        for number, order in spool:
            under_way.append((number, order.resource))
            yield order

    with savepoint(conn):
        for result in enqueue_many(conn, tracked()):
            number, resource = under_way.popleft()
            if isinstance(result, QueueError):
                refused.append((number, resource, result))
            else:
                submitted.add(result)
        if spool.problems or refused:
            problems = sorted([*spool.problems, *_explained(spool, refused)])
            raise SubmissionError(problems, spool.count)
    return submitted


def _explained(
    spool: ValidatedSpool, refused: list[tuple[int, str, QueueError]]
) -> Iterator[SubmissionProblem]:
    """Yield what is wrong; where two of the source are in each other's way, by the number of the first."""
    first = spool.first({resource for _, resource, error in refused if isinstance(error, ConflictError)})
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


def _without_mark(given: bytes | Mapping[str, Any]) -> bytes | Mapping[str, Any]:
    return given.removeprefix(_BYTE_ORDER_MARK.encode()) if isinstance(given, bytes) else given


def _fields(given: bytes | Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a task's own fields. Raises QueueError for what is no JSON object."""
    if isinstance(given, Mapping):
        return given
    if not isinstance(given, bytes):
        raise QueueError("It is not a mapping of fields.")
    try:
        value = _DECODER.decode(given.decode())
    except UnicodeDecodeError as error:
        raise QueueError("It is not UTF-8 text.") from error
    except json.JSONDecodeError as error:
        raise QueueError(f"It is not JSON: {error.msg} at column {error.colno}.") from error
    except (ValueError, RecursionError) as error:
        raise QueueError(f"It is not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise QueueError("It is not a JSON object.")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = next(name for number, (name, _) in enumerate(pairs) if name in dict(pairs[:number]))
        raise ValueError(f"the field {twice!r} stands there twice")
    return made


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not a number")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_number)


def _unique_id(body: Mapping[str, Any], field_name: str) -> str:
    """Return the unique_id that a field names. Raises QueueError where it names none, or another one."""
    value = _reach(body, field_name)
    if isinstance(value, bool) or not isinstance(value, str | int):
        what = "is not there" if value is None else "is neither a text nor a whole number"
        raise QueueError(f"The field {field_name!r}, which is to give the unique_id, {what}.")
    own = body.get("unique_id")
    if own is not None and str(own) != str(value):
        raise QueueError(f"Its unique_id is {own!r}, and its field {field_name!r} says {value!r}.")
    return str(value)


def _reach(body: Mapping[str, Any], path: str) -> object:
    value: object = body
    if path in body:
        return body[path]
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
