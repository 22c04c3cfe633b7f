"""Types of option values; each fails with one sentence."""

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from math import inf
from typing import TypeVar

import click

from scalesync.clock import Clock
from scalesync.errors import ConfigurationError
from scalesync.timestamps import instant_of, parse_duration

MAX_INTEGER = 2**63 - 1
"""The largest integer that both databases store."""

_F = TypeVar("_F", bound=Callable[..., object])

MAX_SPAN = timedelta(days=36_500)

MAX_FILE_BYTES = 256 << 20
"""An invalid byte becomes three, and a value in SQLite must stay below 1 GiB."""

_SIZE_UNITS = ("", "K", "M", "G")

_SURROGATES = re.compile("[\ud800-\udfff]")
"""How Python represents invalid UTF-8 on the command line; it cannot be stored or sent."""


class InstantType(click.ParamType[datetime]):
    """A date or a time in ISO 8601, without an offset in UTC; or a span such as 7d, that long ago."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the instant."""
        try:
            return instant_of(value, Clock().now())
        except ConfigurationError as error:
            self.fail(f"{error.message} {error.advice}", param, ctx)


class DurationType(click.ParamType[timedelta]):
    """A time span such as 90s, 15m, 2h or 1d."""

    name = "span"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the time span."""
        if isinstance(value, timedelta):
            return value
        try:
            span = parse_duration(str(value))
        except ConfigurationError as error:
            self.fail(f"{error.message} {error.advice}", param, ctx)
        if span > MAX_SPAN:
            self.fail(f"{value!r} is too long a time span. Write for example 90s, 15m, 2h or 1d.", param, ctx)
        return span


class SizeType(click.ParamType[int]):
    """A number of bytes such as 500kB or 64MB, in steps of 1,024."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the bytes."""
        # At most nine digits: enough for the limit, and no number is too long to compute with.
        match = re.fullmatch(r"(\d{1,9}) ?([kMG]?)B?", str(value).strip(), re.IGNORECASE | re.ASCII)
        size = int(match[1]) << 10 * _SIZE_UNITS.index(match[2].upper()) if match else 0
        if not 0 < size <= MAX_FILE_BYTES:
            self.fail(f"{value!r} is no size up to 256MB. Write for example 500kB or 64MB.", param, ctx)
        return size


class GivenType(click.ParamType[str]):
    """Text such as a path or a URL; an empty value is an error, not a missing option."""

    name = "text"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text as it was typed."""
        if not value:
            self.fail("It is empty.", param, ctx)
        return str(value)


class NameType(GivenType):
    """A name, exactly as typed; an environment variable separates several by commas."""

    name = "name"
    envvar_list_splitter = ","

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name."""
        name = super().convert(value, param, ctx)
        if _SURROGATES.search(name):
            self.fail(f"{name!r} is not text in UTF-8.", param, ctx)
        return name


class NumberType(click.ParamType[int]):
    """A whole number of at least `least`."""

    name = "number"

    def __init__(self, least: int, most: int = MAX_INTEGER) -> None:
        self._least, self._most = least, most

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        try:
            number = int(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a whole number.", param, ctx)
        if number < self._least:
            self.fail(f"{number} is less than {self._least}.", param, ctx)
        if number > self._most:
            self.fail(f"{number} is more than {self._most}.", param, ctx)
        return number


class RateType(click.ParamType[float]):
    """A number above 0."""

    name = "number"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number."""
        try:
            number = float(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a number.", param, ctx)
        if not 0 < number < inf:
            self.fail(f"{value!r} is not a number above 0.", param, ctx)
        return number


class PairType(click.ParamType[tuple[str, object]]):
    """A field and its value: KEY=VALUE gives text, KEY:=JSON anything else."""

    name = "pair"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, object]:
        """Return key and value."""
        key, equals, text = str(value).partition("=")
        if not equals or key in ("", ":"):
            self.fail(f"{value!r} is neither KEY=VALUE nor KEY:=JSON.", param, ctx)
        if not key.endswith(":"):
            return key, text
        try:
            return key[:-1], json.loads(text)
        except ValueError as error:
            self.fail(f"What follows {key}= is not JSON: {error}.", param, ctx)


class ObjectType(click.ParamType[dict[str, object]]):
    """A JSON object: itself, the name of a file that holds it, or - for stdin."""

    name = "object"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, object]:
        """Return the object."""
        text, where = str(value), "It"
        if not text.lstrip().startswith("{"):
            where = "stdin" if text == "-" else text
            # utf-8-sig: files written on Windows may begin with a byte order mark, which JSON forbids.
            text = click.File(encoding="utf-8-sig").convert(text, param, ctx).read()
        try:
            found = json.loads(text)
        except ValueError as error:
            self.fail(f"{where} is not JSON: {error}.", param, ctx)
        if not isinstance(found, dict):
            self.fail(f"{where} is not a JSON object.", param, ctx)
        return found


INSTANT = InstantType()
DURATION = DurationType()
SIZE = SizeType()
GIVEN = GivenType()
NAME = NameType()
COUNT = NumberType(1)
RATE = RateType()
PAIR = PairType()
OBJECT = ObjectType()


def json_option(command: _F) -> _F:
    """Add --json to a command."""
    return click.option("--json", is_flag=True, help="Print JSON for machines.")(command)


def workers_option(what: str) -> Callable[[_F], _F]:
    """Return a decorator that adds --workers to a command; `what` is its help text."""
    return click.option(
        "--workers", type=NumberType(1, 64), metavar="N", default=8, show_default=True, help=what
    )
