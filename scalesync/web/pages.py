"""What a page is made from and what it answers: one value as HTML, as JSON and as CSV."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from scalesync.errors import ConfigurationError
from scalesync.export.csv_jsonl import csv_lines, to_json
from scalesync.models.columns import Column, ColumnKind
from scalesync.timestamps import format_instant

if TYPE_CHECKING:
    from scalesync.mirror import Mirror

Query = Sequence[tuple[str, str]]
"""Names and values after the question mark of an address, in their order."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What a page is asked for."""

    mirror: "Mirror"
    path: str
    """As it was sent, without `.json` or `.csv`: percent-encoded."""
    name: str
    """The decoded rest of the path, such as a task's id; empty if there is none."""
    query: Query
    form: str = "html"
    """Or `json` or `csv`."""

    def one(self, name: str, default: str = "") -> str:
        """Return a value of the address. Raises ConfigurationError if it is there twice."""
        found = [value for key, value in self.query if key == name and value]
        if len(found) > 1:
            raise ConfigurationError(f"{name} is in the address {len(found)} times.", advice="Leave one.")
        return found[0] if found else default

    def number(self, name: str, default: int, most: int) -> int:
        """Return a whole number from 0 to `most`. Raises ConfigurationError for anything else."""
        text = self.one(name)
        if not text:
            return default
        # Digits of other scripts are numbers to Python too, and thousands of digits take long to read.
        if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= most):
            msg = f"{name} is not a whole number from 0 to {most}."
            raise ConfigurationError(msg, advice="Correct the address, or leave it out.")
        return int(text)


class Table(NamedTuple):
    """The rows that a page answers as CSV."""

    columns: Sequence[Column]
    rows: Iterator[Sequence[object]] | Sequence[Sequence[object]]

    @classmethod
    def of(cls, names: Sequence[str], objects: Sequence[Mapping[str, Any]]) -> "Table":
        """Return the values of these names of each object; objects and lists in them as JSON."""
        rows = [[_cell(each.get(name)) for name in names] for each in objects]
        return cls([Column(name, ColumnKind.UNDECLARED) for name in names], rows)

    def csv(self) -> bytes:
        """Return the table as CSV, in which a spreadsheet runs nothing."""
        return b"".join(line + b"\n" for line in csv_lines(self.columns, iter(self.rows)))


@dataclass(frozen=True, slots=True)
class WebPage:
    """The answer to a request: the same content in three forms."""

    template: str
    values: Mapping[str, object]
    """What the template shows."""
    document: object
    """What `.json` answers: plain values, times, and JSON texts as msgspec.Raw."""
    table: Table | None = None
    """What `.csv` answers; None: this page has no rows."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    stream: Iterator[bytes] | None = None
    """The whole answer as JSON or CSV, where it may be long."""

    def json(self) -> bytes:
        """Return the document as JSON, times in the API's form, NaN and infinity as null."""
        return msgspec.json.encode(_as_document(self.document), enc_hook=to_json)


class NoSuchPageError(Exception):
    """There is no page at this address, or nothing here has that name."""


PageFunction = Callable[[PageRequest], WebPage]


def _cell(value: object) -> object:
    return msgspec.json.encode(value, enc_hook=to_json).decode() if isinstance(value, dict | list) else value


def _as_document(value: object) -> object:
    """Return a value for JSON, with all times within in the API's form."""
    if isinstance(value, datetime):
        return format_instant(value)
    if isinstance(value, Mapping):
        return {name: _as_document(each) for name, each in value.items()}
    return [_as_document(each) for each in value] if isinstance(value, list | tuple) else value


def plain(value: object) -> object:
    """Return a value as a page shows it: None as nothing, times in the API's form."""
    if value is None:
        return ""
    return format_instant(value) if isinstance(value, datetime) else value


_LONGEST = 2_000
"""Characters of a value that a page shows; the JSON of the page has all."""


def as_text(value: object) -> str:
    """Return any value of a document as short text: texts as they are, everything else as JSON."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return format_instant(value)
    try:
        text = value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=to_json).decode()
    except (RecursionError, msgspec.MsgspecError, OverflowError):
        text = "a value that is nested too deeply"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} … ({len(text):,} characters)"
