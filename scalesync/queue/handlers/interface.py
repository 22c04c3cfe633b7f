"""What the queue asks of a kind of command: how to send it, and how to find out whether it was applied."""

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
    """What a look-up found, as `command_attempts.outcome` keeps it."""

    PRESENT = "present"
    ABSENT = "absent"
    CONFLICT = "conflict"
    TOO_LATE = "toolate"
    FOREIGN = "foreign"
    FAILED = "failed"
    """The API did not show whether the effect is there."""


@dataclass(frozen=True, slots=True)
class Present:
    """The effect is there, and it is what the command asks for."""

    outcome: ClassVar = LookUpOutcome.PRESENT
    document: Document | None
    """The object as it is now; None where it could not be had."""


@dataclass(frozen=True, slots=True)
class Absent:
    """The effect is not there, as far as this look can see; a request on its way may still bring it."""

    outcome: ClassVar = LookUpOutcome.ABSENT


@dataclass(frozen=True, slots=True)
class Conflict:
    """Something else has the name, so that the command can never be applied."""

    outcome: ClassVar = LookUpOutcome.CONFLICT
    words: str


@dataclass(frozen=True, slots=True)
class TooLate:
    """The object has gone where the command cannot follow."""

    outcome: ClassVar = LookUpOutcome.TOO_LATE
    words: str


@dataclass(frozen=True, slots=True)
class Foreign:
    """Somebody else changed the object, and not as the command asks: a person has to look at it."""

    outcome: ClassVar = LookUpOutcome.FOREIGN
    words: str


Seen = Present | Conflict | TooLate | Foreign
"""What settles a doubt at once."""
LookUp = Seen | Absent
"""What a look-up found."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What had to be known before the first send."""

    base: int | None = None
    """The project's last version, -1 for none; None for kinds that have no versions."""
    target: str | None = None
    """The id of the object that was found under another name; None for kinds that need none."""
    no_op: Document | None = None
    """The object, if sending would change nothing."""


class CommandHandler(ABC):
    """One kind of command. It holds no state: one object serves all threads."""

    stream: ClassVar[str]
    """The mirrored stream whose row the answer becomes."""
    resend_before_settle: ClassVar[bool] = True
    """Whether the API itself refuses a second application, so that an absent effect may be sent for again
    while the first request may still arrive."""
    rejects_402: ClassVar[bool] = False
    """Whether a 402 is about this command alone; else it is about the account."""

    @abstractmethod
    def send(self, api: ScaleApi, payload: Payload) -> Document | None:
        """Send once and return what the API made of it, None for a bare `OK`. Raises ScaleException."""

    @abstractmethod
    def proves(self, command: Command, answer: Document) -> bool:
        """Return whether the answer to a send names the command's object and shows its effect.

        A 200 alone proves nothing: it may be the answer to somebody else's request. Raises ScaleNoAnswer for
        what cannot be read. Asks nobody.
        """

    @abstractmethod
    def look_up(self, api: ScaleApi, command: Command) -> LookUp:
        """Ask the API whether the effect is there.

        Raises ScaleResourceNotFound where the object is not there that the command is about, see `missing`,
        and any other ScaleException where the look failed: that is never to be taken for an absence.
        """

    def try_look_up(
        self, api: ScaleApi, command: Command, since_created: float | None
    ) -> LookUp | ScaleException:
        """Return what `look_up` sees, or the error for which nothing could be seen.

        `since_created` is the seconds since an object was created whose 404 may mean that the API does not
        show it yet; None: there is none.
        """
        try:
            return self.look_up(api, command)
        except ScaleResourceNotFound as error:
            not_visible_yet = since_created is not None and since_created < READ_LAG
            return error if not_visible_yet else self.missing(command)
        except ScaleException as error:
            return error

    def missing(self, command: Command) -> LookUp:  # noqa: ARG002 - what a kind may decide by
        """Return what it means that the object which the command is about does not exist. Asks nobody."""
        return Absent()

    def prepare(self, api: ScaleApi, command: Command) -> Prepared:  # noqa: ARG002 - as above
        """Return what must be known before the first send. Raises ScaleException."""
        return Prepared()

    def result(self, document: Document) -> str | None:
        """Return what the API named, as the JSON text of `commands.result`; None if it named nothing."""
        key = MAPPINGS[self.stream].key
        named = fields_of(document).get(key)
        return json.dumps({key: named}) if isinstance(named, str) and named else None

    def frees_key(self, payload: Payload) -> bool:  # noqa: ARG002 - as above
        """Return whether the effect frees the resource's name for another object."""
        return False


def payload_of(command: Command) -> dict[str, Any]:
    """Return a command's payload; of a cancel with the `task_id` that it was armed for, once it was."""
    payload: dict[str, Any] = json.loads(command.payload)
    return payload if command.target is None else {**payload, "task_id": command.target}


def fields_of(document: Document) -> dict[str, Any]:
    """Return a document's fields. Raises ScaleNoAnswer if they cannot be read."""
    try:
        fields = json.loads(bytes(document.raw))
    except (ValueError, RecursionError) as error:
        raise ScaleNoAnswer("The API's answer cannot be read.") from error
    if not isinstance(fields, dict):
        raise ScaleNoAnswer("The API's answer is not an object.")
    return fields
