"""Types of option values; each fails with one sentence."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from math import inf
from typing import Any, TypeVar

import click

from scalesync.clock import Clock
from scalesync.errors import ConfigurationError
from scalesync.timestamps import instant_of, parse_duration

MAX_INTEGER = 2**63 - 1
"""The largest integer that both databases store."""

_F = TypeVar("_F", bound=Callable[..., object])
_T = TypeVar("_T")

MAX_SPAN = timedelta(days=36_500)

MAX_FILE_BYTES = 256 << 20
"""An invalid byte becomes three, and a value in SQLite must stay below 1 GiB."""

_SIZE_UNITS = ("", "K", "M", "G")

_SURROGATES = re.compile("[\ud800-\udfff]")
"""How Python represents invalid UTF-8 on the command line; it cannot be stored or sent."""


class ParsedType(click.ParamType[_T]):
    """A value that `parse` returns for what was typed; it raises BadParameter or ConfigurationError."""

    def __init__(self, name: str, parse: Callable[[Any], _T]) -> None:
        self.name, self._parse = name, parse

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> _T:
        """Return the parsed value."""
        try:
            return self._parse(value)
        except ConfigurationError as error:
            self.fail(f"{error.message} {error.advice}", param, ctx)


class NameType(ParsedType[str]):
    """A name, exactly as typed; an environment variable separates several by commas."""

    envvar_list_splitter = ","


def number_type(least: int, most: int = MAX_INTEGER) -> ParsedType[int]:
    """Return the type of a whole number from `least` to `most`."""

    def parse(value: object) -> int:
        try:
            number = int(str(value))
        except ValueError:
            raise click.BadParameter(f"{value!r} is not a whole number.") from None
        if number < least:
            raise click.BadParameter(f"{number} is less than {least}.")
        if number > most:
            raise click.BadParameter(f"{number} is more than {most}.")
        return number

    return ParsedType("number", parse)


def _span(value: object) -> timedelta:
    span = value if isinstance(value, timedelta) else parse_duration(str(value))
    if span > MAX_SPAN:
        raise click.BadParameter(f"{value!r} is too long a time span. Write for example 90s, 15m, 2h or 1d.")
    return span


def _size(most: int, value: object) -> int:
    # At most nine digits: enough for the limit, and no number is too long to compute with.
    match = re.fullmatch(r"(\d{1,9}) ?([kMG]?)B?", str(value).strip(), re.IGNORECASE | re.ASCII)
    size = int(match[1]) << 10 * _SIZE_UNITS.index(match[2].upper()) if match else 0
    if not 0 < size <= most:
        named = f"{most >> 20}MB" if most < 1 << 30 else f"{most >> 30}GB"
        raise click.BadParameter(f"{value!r} is no size up to {named}. Write for example 500kB or 64MB.")
    return size


def _given(value: object) -> str:
    if not value:
        raise click.BadParameter("It is empty.")
    return str(value)


def _name(value: object) -> str:
    name = _given(value)
    if _SURROGATES.search(name):
        raise click.BadParameter(f"{name!r} is not text in UTF-8.")
    return name


def _rate(value: object) -> float:
    try:
        rate = float(str(value))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a number.") from None
    if not 0 < rate < inf:
        raise click.BadParameter(f"{value!r} is not a number above 0.")
    return rate


def _pair(value: object) -> tuple[str, object]:
    key, equals, text = str(value).partition("=")
    if not equals or key in ("", ":"):
        raise click.BadParameter(f"{value!r} is neither KEY=VALUE nor KEY:=JSON.")
    if not key.endswith(":"):
        return key, text
    return key[:-1], _json(text, f"What follows {key}=")


def _json(text: str, where: str) -> object:
    """Return the value of a JSON text; `where` names it in the error."""
    try:
        return json.loads(text)
    except RecursionError:
        raise click.BadParameter(f"{where} is nested too deeply.") from None
    except ValueError as error:
        raise click.BadParameter(f"{where} is not JSON: {error}.") from error


_JSON_WORDS = {"", "null", "true", "false"}
"""Values that are no object and that nobody means as the name of a file."""


def _object(value: object) -> dict[str, object]:
    text, where = str(value), "It"
    if text.strip() in _JSON_WORDS or text.lstrip()[:1] in {"[", '"'}:
        raise click.BadParameter(f"{value!r} is not a JSON object.")
    if not text.lstrip().startswith("{"):
        where = "stdin" if text == "-" else text
        # utf-8-sig: files written on Windows may begin with a byte order mark, which JSON forbids.
        with click.File(encoding="utf-8-sig").convert(text, None, click.get_current_context()) as file:
            try:
                text = file.read()
            except UnicodeDecodeError:
                raise click.BadParameter(f"{where} is not text in UTF-8.") from None
    found = _json(text, where)
    if not isinstance(found, dict):
        raise click.BadParameter(f"{where} is not a JSON object.")
    return found


INSTANT = ParsedType("time", lambda value: instant_of(value, Clock().now()))
"""A date or a time in ISO 8601, without an offset in UTC; or a span such as 7d, that long ago."""
DURATION = ParsedType("span", _span)
"""A time span such as 90s, 15m, 2h or 1d."""
SECONDS = ParsedType("span", lambda value: _span(value).total_seconds())
"""The same, in seconds."""
SIZE = ParsedType("size", partial(_size, MAX_FILE_BYTES))
DISK_SIZE = ParsedType("size", partial(_size, 64 << 30))
"""Of files that are written as they come, and never held in memory."""
"""A number of bytes such as 500kB or 64MB, in steps of 1,024."""
GIVEN = ParsedType("text", _given)
"""Text such as a path or a URL; an empty value is an error, not a missing option."""
NAME = NameType("name", _name)
COUNT = number_type(1)
RATE = ParsedType("number", _rate)
"""A number above 0."""
PAIR = ParsedType("pair", _pair)
"""A field and its value: KEY=VALUE gives text, KEY:=JSON anything else."""
OBJECT = ParsedType("object", _object)
"""A JSON object: itself, the name of a file that holds it, or - for stdin."""


def json_option(command: _F) -> _F:
    """Add --json to a command."""
    return click.option("--json", is_flag=True, help="Print JSON for machines.")(command)


def workers_option(what: str) -> Callable[[_F], _F]:
    """Return a decorator that adds --workers to a command; `what` is its help text."""
    return click.option("--workers", type=number_type(1, 64), metavar="N", default=8, help=what)
