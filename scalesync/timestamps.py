"""Parses and formats instants and time spans, as the API and as people write them."""

import re
from datetime import UTC, date, datetime, timedelta

from scalesync.errors import ConfigurationError

When = datetime | date | timedelta | str
"""ISO 8601 text, a date, a time; or a span (`7d`, a timedelta): that long ago. UTC without an offset."""


def format_instant(instant: datetime) -> str:
    """Return the instant in the API's form: UTC, milliseconds, `Z` (2023-10-11T18:36:21.350Z)."""
    if instant.tzinfo is UTC:
        return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    # Not strftime: it writes the year 1 as "1", which nothing reads again.
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def parse_instant(text: str) -> datetime:
    """Return the instant of an ISO 8601 date or time, UTC if it has no offset.

    Raises ValueError for anything else.
    """
    instant = datetime.fromisoformat(text)
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def check_order(since: datetime | None, until: datetime | None) -> None:
    """Raise ConfigurationError if no instant is at `since` or later and before `until`."""
    if since is None or until is None or since < until:
        return
    first, end = format_instant(since), format_instant(until)
    msg = f"--since {first} lies after --until {end}."
    if since == until:
        msg = f"Nothing lies between --since {first} and --until {end}, which is not included."
    raise ConfigurationError(msg, advice="Exchange the two, or leave one out.")


def whole_milliseconds(instant: datetime) -> datetime:
    """Return the instant cut to whole milliseconds, the API's resolution."""
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


YEARS = range(1900, 2200)
"""Accepted years: arithmetic around them stays within the calendar."""

_ALMOST_A_MILLISECOND = timedelta(microseconds=999)

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_duration(text: str) -> timedelta:
    """Return the time span of `90s`, `15m`, `2h`, `1d` or a plain number of seconds.

    Raises ConfigurationError for anything else.
    """
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)([smhd]?)", text.strip())
    if match is None:
        msg = f"{text!r} is not a time span."
        raise ConfigurationError(msg, advice="Write for example 90s, 15m, 2h or 1d.")
    try:
        return timedelta(**{_UNITS[match[2] or "s"]: float(match[1])})
    except OverflowError as error:
        msg = f"{text!r} is too long a time span."
        raise ConfigurationError(msg, advice="Write for example 90s, 15m, 2h or 1d.") from error


def instant_of(given: object, now: datetime) -> datetime:
    """Return the instant of an ISO 8601 text, a date, a time, or a span back from `now`.

    A date is its first instant, `7d` or a timedelta that long ago; without an offset it is UTC. Raises
    ConfigurationError for anything else and for years outside YEARS.
    """
    try:
        # Rounded up: the API's times have whole milliseconds, and none before the instant may match.
        instant = _instant(given, now)
        instant = None if instant is None else whole_milliseconds(instant + _ALMOST_A_MILLISECOND)
    except (ValueError, OverflowError, ConfigurationError):
        instant = None
    if instant is None or instant.year not in YEARS:
        msg = f"{given!r} is not a time."
        raise ConfigurationError(
            msg, advice="Write 2026-11-23 or 2026-11-23T08:30:00Z, or 7d for seven days ago."
        )
    return instant


def _instant(given: object, now: datetime) -> datetime | None:
    match given:
        case str() if re.fullmatch(r"[\d.]+[smhd]", given):
            return now - parse_duration(given)
        case str():
            return parse_instant(given)
        case datetime():
            return given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)
        case date():
            return datetime(given.year, given.month, given.day, tzinfo=UTC)
        case timedelta():
            return now - given
    return None
