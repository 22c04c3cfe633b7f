"""The interface of command handlers: send a command, and find out whether it was applied.

Hazard: `look_up` decides whether a command is sent again. If the API cannot show the effect reliably, raise;
never return `Absent`.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from scalesync.api.client import ScaleApi
from scalesync.db.mirror.documents import MAPPINGS
from scalesync.errors import ScaleException, ScaleNoAnswer, ScaleResourceNotFound
from scalesync.models.api import Document
from scalesync.models.commands import Command
from scalesync.queue.classify_response import READ_LAG

Payload = Mapping[str, Any]


class LookUpOutcome(StrEnum):
    """The result of a look-up, as stored in `command_attempts.outcome`."""

    PRESENT = "present"
    ABSENT = "absent"
    CONFLICT = "conflict"
    TOO_LATE = "toolate"
    FOREIGN = "foreign"
    FAILED = "failed"
    """The look-up failed: unknown whether the effect is there."""


@dataclass(frozen=True, slots=True)
class Present:
    """The effect that the command asks for is there."""

    outcome: ClassVar = LookUpOutcome.PRESENT
    document: Document | None
    """The object as it is now; None if it can no longer be read."""


@dataclass(frozen=True, slots=True)
class Absent:
    """No effect yet; an earlier request may still arrive and bring it."""

    outcome: ClassVar = LookUpOutcome.ABSENT


@dataclass(frozen=True, slots=True)
class Conflict:
    """Another object has the name: the command can never be applied."""

    outcome: ClassVar = LookUpOutcome.CONFLICT
    words: str


@dataclass(frozen=True, slots=True)
class TooLate:
    """The object is in a status that the command cannot change any more."""

    outcome: ClassVar = LookUpOutcome.TOO_LATE
    words: str


@dataclass(frozen=True, slots=True)
class Foreign:
    """Somebody else changed the object in another way than the command asks: a person has to decide."""

    outcome: ClassVar = LookUpOutcome.FOREIGN
    words: str


@dataclass(frozen=True, slots=True)
class Unseen:
    """The API has no way to ask for the effect: whether an earlier request was applied cannot be seen."""

    words: str
    """What a person reads who has to decide."""
    taken: str | None = None
    """The same after a 409; None for kinds without a name that the API takes only once. For the others
    another send takes the place of the look-up: it creates the object, or shows that it is there."""


Seen = Present | Conflict | TooLate | Foreign
"""Results that settle a command at once."""
LookUp = Seen | Absent | Unseen


@dataclass(frozen=True, slots=True)
class Prepared:
    """Facts that were read before the first send."""

    base: int | None = None
    """The project's last version, -1 if it has none; None for kinds without versions."""
    target: str | None = None
    """The object's id, found by its name; None for kinds that need none."""
    no_op: Document | None = None
    """The object, if sending would change nothing."""


class CommandHandler(ABC):
    """One kind of command. Stateless: one object serves all threads."""

    stream: ClassVar[str | None]
    """The mirrored stream that the answer is an object of; None: it is not mirrored."""
    result_fields: ClassVar[tuple[str, ...]] = ()
    """The fields of the answer that name the object; none given: the key of the stream."""
    resend_before_settle: ClassVar[bool] = True
    """Whether the API refuses a second application by itself, so that sending again while the first request
    may still arrive is harmless."""
    unseen: ClassVar[Unseen | None] = None
    """The result of every look-up, of a kind that the API cannot be asked about."""
    rejects_402: ClassVar[bool] = False
    """Whether a 402 concerns this command only, and not the whole account."""

    @abstractmethod
    def send(self, api: ScaleApi, payload: Payload) -> Document | None:
        """Send once; return the object in the answer, None for a bare `OK`. Raises ScaleException."""

    @abstractmethod
    def confirms(self, command: Command, answer: Document) -> bool:
        """Return whether the answer to a send names the command's object and shows its effect.

        A 200 alone is not enough: it may be the answer to another request. Raises ScaleNoAnswer if the answer
        is malformed. Makes no request.
        """

    @abstractmethod
    def look_up(self, api: ScaleApi, command: Command) -> LookUp:
        """Ask the API whether the effect is there.

        Raises ScaleResourceNotFound if the command's object does not exist, see `missing`, and any other
        ScaleException if the look-up failed: callers must not treat that as absence.
        """

    def try_look_up(
        self, api: ScaleApi, command: Command, since_created: float | None
    ) -> LookUp | ScaleException:
        """Return the result of `look_up`, or its error.

        `since_created`: seconds since this queue created the command's object; None: it did not.
        """
        try:
            return self.look_up(api, command)
        except ScaleResourceNotFound as error:
            # Soon after a create the API may not show the object yet: its 404 then says nothing.
            not_visible_yet = since_created is not None and since_created < READ_LAG
            return error if not_visible_yet else self.missing(command)
        except ScaleException as error:
            return error

    def missing(self, command: Command) -> LookUp:  # noqa: ARG002 - for overriding kinds
        """Return the result of a look-up whose object does not exist. Makes no request."""
        return Absent()

    def prepare(self, api: ScaleApi, command: Command) -> Prepared:  # noqa: ARG002 - as above
        """Read what the first send depends on. Raises ScaleException."""
        return Prepared()

    def result(self, document: Document) -> str | None:
        """Return what names the object as the JSON text of `commands.result`; None if anything is missing."""
        fields = fields_of(document)
        found = {name: fields.get(name) for name in self.result_fields or (MAPPINGS[str(self.stream)].key,)}
        return json.dumps(found) if all(isinstance(each, str) and each for each in found.values()) else None

    def frees_key(self, payload: Payload) -> bool:  # noqa: ARG002 - as above
        """Return whether the effect frees the resource's name for another object."""
        return False


def payload_of(command: Command) -> dict[str, Any]:
    """Return a command's payload, with the `task_id` that a cancel was armed for."""
    # A cancel by unique_id keeps the task it found first: another task may have the unique_id later.
    payload: dict[str, Any] = json.loads(command.payload)
    return payload if command.target is None else {**payload, "task_id": command.target}


def fields_of(document: Document) -> dict[str, Any]:
    """Parse a document. Raises ScaleNoAnswer if it is not a JSON object."""
    try:
        fields = json.loads(bytes(document.raw))
    except (ValueError, RecursionError) as error:
        raise ScaleNoAnswer("The API's answer cannot be read.") from error
    if not isinstance(fields, dict):
        raise ScaleNoAnswer("The API's answer is not an object.")
    return fields
