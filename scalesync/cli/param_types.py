"""Kinds of option values, each refusing what it cannot read with one sentence."""

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

LARGEST = 2**63 - 1
"""The largest number that both databases take."""

_F = TypeVar("_F", bound=Callable[..., object])

LONGEST = timedelta(days=36_500)

LARGEST_FILE = 256 << 20
"""Bytes. What replaces a byte that is no text takes three, and a value in SQLite takes less than a GiB."""

_STEPS = ("", "K", "M", "G")

_NOT_TEXT = re.compile("[\ud800-\udfff]")
"""What bytes that are not UTF-8 become on the command line. No database and no request can hold it."""


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
        if span > LONGEST:
            self.fail(f"{value!r} is too long a time span. Write for example 90s, 15m, 2h or 1d.", param, ctx)
        return span


class SizeType(click.ParamType[int]):
    """A number of bytes such as 500kB or 64MB, in steps of 1,024."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the bytes."""
        match = re.fullmatch(r"(\d{1,9}) ?([kMG]?)B?", str(value).strip(), re.IGNORECASE | re.ASCII)
        size = int(match[1]) << 10 * _STEPS.index(match[2].upper()) if match else 0
        if not 0 < size <= LARGEST_FILE:
            self.fail(f"{value!r} is no size up to 256MB. Write for example 500kB or 64MB.", param, ctx)
        return size


class GivenType(click.ParamType[str]):
    """Text such as a path or an address: an option that is given but empty is not taken for one left out."""

    name = "text"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text as it was typed."""
        if not value:
            self.fail("It is empty.", param, ctx)
        return str(value)


class NameType(GivenType):
    """A name, taken as it was typed, spaces and all; a variable has commas between several of them."""

    name = "name"
    envvar_list_splitter = ","

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name."""
        name = super().convert(value, param, ctx)
        if _NOT_TEXT.search(name):
            self.fail(f"{name!r} is not text in UTF-8.", param, ctx)
        return name


class NumberType(click.ParamType[int]):
    """A whole number of at least `least`."""

    name = "number"

    def __init__(self, least: int, most: int = LARGEST) -> None:
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
    """Give a command the --json switch."""
    return click.option("--json", is_flag=True, help="Print JSON for machines.")(command)


def workers_option(what: str) -> Callable[[_F], _F]:
    """Give a command the --workers option; `what` says what there may be so many of at once."""
    return click.option(
        "--workers", type=NumberType(1, 64), metavar="N", default=8, show_default=True, help=what
    )
