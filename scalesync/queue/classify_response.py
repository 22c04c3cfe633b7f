"""Classify the answer to a send, or its absence: was the command applied, and who has to wait? Pure.

Hazard: an error that is classified as REFUSED although the request was applied gets sent twice.
"""

from dataclasses import dataclass
from enum import StrEnum

from scalesync.errors import ScaleException, ScaleNoAnswer, ScaleNotSent

READ_LAG = 60.0
"""Seconds after its creation during which the API may not find an object (assumed, not documented)."""
_MAX_THROTTLE = 3600.0
_MIN_THROTTLE = 0.5
_DEFAULT_THROTTLE = 5.0


class ResponseClass(StrEnum):
    """The meaning of an answer for the command that was sent."""

    DELIVERED = "delivered"
    """It was applied."""
    NOT_SENT = "not sent"
    """Nothing of it reached the API."""
    REFUSED = "refused"
    """It was not applied, and never will be as it is."""
    NOT_VISIBLE_YET = "lagging"
    """It was not applied: the API does not know yet what was created just before."""
    THROTTLED = "rest"
    """It was not applied: all hosts have to wait."""
    ACCESS_DENIED = "closed"
    """It was not applied: nobody can send anything before a person acts."""
    NEEDS_LOOKUP = "look"
    """It may be caused by an earlier request that was applied: a look-up has to decide."""
    UNKNOWN = "unknown"
    """It may have been applied, or may yet be."""


QUEUE_WIDE = frozenset({ResponseClass.NOT_SENT, ResponseClass.THROTTLED, ResponseClass.ACCESS_DENIED})
"""What concerns all commands."""


@dataclass(frozen=True, slots=True)
class SendContext:
    """What the meaning of an answer depends on besides the answer."""

    ambiguous: bool = False
    """Whether an earlier request of the same command may have been applied."""
    rejects_402: bool = False
    """Whether a 402 is about this command alone."""
    since_created: float | None = None
    """Seconds since this queue created the command's object; None: not by this queue, or long ago."""


@dataclass(frozen=True, slots=True)
class QueueWideSignal:
    """An answer, or the lack of one, that concerns all commands of the queue."""

    meaning: ResponseClass
    """NOT_SENT, THROTTLED or ACCESS_DENIED."""
    error: ScaleException
    seconds: float | None = None
    """For how long the queue is paused; None: the API asked for no pause."""


def classify(error: ScaleException, context: SendContext) -> ResponseClass:
    """Return the meaning of an error that a send raised."""
    if isinstance(error, ScaleNotSent):
        return ResponseClass.NOT_SENT
    code = error.code
    if isinstance(error, ScaleNoAnswer) or code is None or not 400 <= code < 500:
        # A 5xx may come from a gateway while the server behind it still works on the request.
        return ResponseClass.UNKNOWN
    return _queue_wide(code, context) or _command_only(code, context)


def _queue_wide(code: int, context: SendContext) -> ResponseClass | None:
    """Return the meaning of a status that is about the account or the connection, else None."""
    if code == 429:
        return ResponseClass.THROTTLED
    # 407 comes from a proxy: counted as a refusal, one wrong setting would kill every queued command.
    denied = code in (401, 403, 407) or (code == 402 and not context.rejects_402)
    return ResponseClass.ACCESS_DENIED if denied else None


def _command_only(code: int, context: SendContext) -> ResponseClass:
    # If an earlier request may have been applied, any refusal can be a consequence of that one
    # ("already exists", "already canceled"): only a look-up can decide.
    if code == 409 or context.ambiguous:
        return ResponseClass.NEEDS_LOOKUP
    if code == 408:
        return ResponseClass.UNKNOWN
    # A 404 soon after a create does not mean that the object is gone: reads lag behind writes.
    recent = context.since_created is not None and context.since_created < READ_LAG
    return ResponseClass.NOT_VISIBLE_YET if code == 404 and recent else ResponseClass.REFUSED


def throttle_seconds(asked: float | None, chance: float) -> float:
    """Return for how many seconds to pause after a 429 that asked for `asked` seconds.

    5 s if the API asked for nothing, and at most an hour. `chance` is from 0 to 1.
    """
    # Up to a tenth more, so that not all hosts come back in the same second.
    wanted = _DEFAULT_THROTTLE if asked is None else max(_MIN_THROTTLE, asked)
    return min(_MAX_THROTTLE, wanted * (1 + chance / 10))


def pause_reason(error: ScaleException) -> str:
    """Return the sentence that explains a pause caused by the API's answer."""
    return f"The API answered {error.code}: {error.message}"
