"""Instants as whole milliseconds since 1970, the precision in which the API answers."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import formatdate

from scalesync.sandbox.errors import RefusalError

Clock = Callable[[], datetime]
"""Tells the present instant, with its offset. Handed in, so that a test can turn it."""

_FOREVER = 1 << 62

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_WITHOUT_ZONE = _EPOCH.replace(tzinfo=None)
_MILLISECOND = timedelta(milliseconds=1)


def system_clock() -> datetime:
    """Return this machine's wall clock in UTC."""
    return datetime.now(UTC)


def to_millis(instant: datetime) -> int:
    """Return the whole milliseconds of `instant` since 1970, rounded down."""
    return (instant - _EPOCH) // _MILLISECOND


def format_millis(millis: int) -> str:
    """Return an instant as the API writes it: 2023-10-11T18:36:21.350Z (recorded)."""
    return (_EPOCH_WITHOUT_ZONE + millis * _MILLISECOND).isoformat(timespec="milliseconds") + "Z"


def parse_millis(text: str) -> int:
    """Return the milliseconds of an instant in a document, rounded down. Raises ValueError."""
    return to_millis(_parse(text))


def http_date(millis: int) -> str:
    """Return an instant as the `Date` and `Retry-After` headers write it, in whole seconds."""
    return formatdate(millis // 1000, usegmt=True)


def _parse(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant


def _micros(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Span:
    """A range of milliseconds, both ends belonging to it."""

    first: int = -_FOREVER
    last: int = _FOREVER

    @property
    def bounded(self) -> bool:
        """Whether the range leaves anything out."""
        return self.first > -_FOREVER or self.last < _FOREVER

    def __contains__(self, millis: int) -> bool:
        return self.first <= millis <= self.last


def span_of(low: str, high: str, bounds: str) -> Span:
    """Return the milliseconds between two instants as a request writes them; empty means open.

    `bounds` is the reading of the switch of that name. ISO 8601 with or without an offset is
    accepted, naive means UTC (documented). Raises RefusalError 400 for anything else.
    """
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
        return _micros(_parse(text.replace(" ", "+") if "T" in text else text))
    except (ValueError, OverflowError) as error:
        raise RefusalError(400, f'"{text}" is not a valid ISO 8601 date.') from error
