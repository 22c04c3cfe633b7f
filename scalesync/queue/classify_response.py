"""What an answer to a send, or its absence, means for the command that was sent. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from scalesync.errors import ScaleException, ScaleNoAnswer, ScaleNotSent

READ_LAG = 60.0
"""Seconds after its creation during which the API may not find an object (not known; assumed)."""
_LONGEST_REST = 3600.0
_SHORTEST_REST = 0.5
_USUAL_REST = 5.0
_CLOSED = "The API answered"
"""How the reason of a pause begins that an answer caused, and no person."""


class ResponseClass(StrEnum):
    """What is known of a request from the answer to it."""

    DELIVERED = "delivered"
    """It was applied."""
    NOT_SENT = "not sent"
    """Nothing of it reached the API."""
    REFUSED = "refused"
    """It was not applied, and never will be as it is."""
    NOT_VISIBLE_YET = "lagging"
    """It was not applied: the API does not know yet what was created just before."""
    THROTTLED = "rest"
    """It was not applied: everybody is to wait."""
    ACCESS_DENIED = "closed"
    """It was not applied: nobody can send anything before a person acts."""
    NEEDS_LOOKUP = "look"
    """It may be the echo of an earlier request that was applied: the API has to be asked."""
    UNKNOWN = "unknown"
    """It may have been applied, or may yet be."""


@dataclass(frozen=True, slots=True)
class SendContext:
    """What an answer's meaning depends on besides itself."""

    ambiguous: bool = False
    """Whether an earlier request of the same command may have been applied."""
    rejects_402: bool = False
    """Whether a 402 is about this command alone."""
    since_created: float | None = None
    """Seconds since what the command is about was created by this queue; None: not here, or long ago."""


@dataclass(frozen=True, slots=True)
class QueueWideSignal:
    """An answer, or the lack of one, that concerns more than the command it was about."""

    meaning: ResponseClass
    """NOT_SENT, THROTTLED or ACCESS_DENIED."""
    error: ScaleException
    seconds: float | None = None
    """How long nobody sends anything; None where the API asks for no rest."""


def classify(error: ScaleException, seen: SendContext) -> ResponseClass:
    """Return what an error raised by a send means; `seen` is what else is known."""
    if isinstance(error, ScaleNotSent):
        return ResponseClass.NOT_SENT
    code = error.code
    if isinstance(error, ScaleNoAnswer) or code is None or not 400 <= code < 500:
        return ResponseClass.UNKNOWN
    return _about_all(code, seen) or _about_one(code, seen)


def _about_all(code: int, seen: SendContext) -> ResponseClass | None:
    """Return the meaning of a status that says nothing of this command, None for any other."""
    if code == 429:
        return ResponseClass.THROTTLED
    # A 407 is a proxy's: were it taken for a refusal, one wrong setting would give up the whole queue.
    return (
        ResponseClass.ACCESS_DENIED
        if code in (401, 403, 407) or (code == 402 and not seen.rejects_402)
        else None
    )


def _about_one(code: int, seen: SendContext) -> ResponseClass:
    if code == 409 or seen.ambiguous:
        return ResponseClass.NEEDS_LOOKUP
    if code == 408:
        return ResponseClass.UNKNOWN
    young = seen.since_created is not None and seen.since_created < READ_LAG
    return ResponseClass.NOT_VISIBLE_YET if code == 404 and young else ResponseClass.REFUSED


def throttle_seconds(asked: float | None, chance: float) -> float:
    """Return for how long to rest after a 429 that asked for so many seconds; `chance` is from 0 to 1.

    At most an hour whatever was asked for, 5 s if nothing was, and up to a tenth more, so that not everybody
    comes back at once.
    """
    wanted = _USUAL_REST if asked is None else max(_SHORTEST_REST, asked)
    return min(_LONGEST_REST, wanted * (1 + chance / 10))


def pause_reason(error: ScaleException) -> str:
    """Return why the gate is closed after such an answer."""
    return f"{_CLOSED} {error.code}: {error.message}"
