"""Convert between the API's timestamps and whole milliseconds since 1970."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import formatdate

from scalesync.sandbox.errors import HttpError

Clock = Callable[[], datetime]
"""Returns the current time, with its offset; a parameter, so that a test can set it."""

_FOREVER = 1 << 62

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_WITHOUT_ZONE = _EPOCH.replace(tzinfo=None)
_MILLISECOND = timedelta(milliseconds=1)


def system_clock() -> datetime:
    """Return this machine's wall clock in UTC."""
    return datetime.now(UTC)


def to_millis(time: datetime) -> int:
    """Return the milliseconds since 1970 of a time with an offset, rounded down."""
    return (time - _EPOCH) // _MILLISECOND


def format_millis(millis: int) -> str:
    """Return a time as the API writes it: 2023-10-11T18:36:21.350Z (recorded)."""
    return (_EPOCH_WITHOUT_ZONE + millis * _MILLISECOND).isoformat(timespec="milliseconds") + "Z"


def parse_millis(text: str) -> int:
    """Return the milliseconds of a time in a document, rounded down; raises ValueError for no time."""
    return to_millis(_parse(text))


def http_date(millis: int) -> str:
    """Return a time as the headers `Date` and `Retry-After` write it, in whole seconds rounded down."""
    return formatdate(millis // 1000, usegmt=True)


def _parse(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time


def _micros(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Span:
    """A range of milliseconds, ends included."""

    first: int = -_FOREVER
    last: int = _FOREVER

    @property
    def bounded(self) -> bool:
        """Whether the range excludes any time at all."""
        return self.first > -_FOREVER or self.last < _FOREVER

    def __contains__(self, millis: int | None) -> bool:
        """Return whether a time is in the range; None, no time, is in one that excludes nothing."""
        return not self.bounded if millis is None else self.first <= millis <= self.last


def span_of(low: str, high: str, bounds: str) -> Span:
    """Return the range between two ISO 8601 times of a request; an empty one leaves that end open.

    `bounds` is the value of the switch of that name. A time without an offset is in UTC (documented).
    Raises HttpError 400 for anything that is no time.
    """
    # Requests have microseconds and documents milliseconds: a bound between two milliseconds is rounded
    # inwards, and one that falls on a millisecond is moved past it where the bound excludes it.
    first, last = -_FOREVER, _FOREVER
    if low:
        micros = _requested(low)
        first = micros // 1000 + 1 if bounds == "exclusive" else -(-micros // 1000)
    if high:
        micros = _requested(high)
        last = micros // 1000 if bounds == "inclusive" else -(-micros // 1000) - 1
    return Span(first, last)


def _requested(text: str) -> int:
    try:
        # A "+" that a client did not escape arrives as a blank: 2024-01-01T00:00:00 02:00.
        return _micros(_parse(text.replace(" ", "+") if "T" in text else text))
    except (ValueError, OverflowError) as error:
        raise HttpError(400, f'"{text}" is not a valid ISO 8601 date.') from error
