"""Rows as JSON lines and as CSV: any values, known columns or not, one row at a time."""

import csv
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal

import msgspec

from scalesync.export.counts import ExportCounts
from scalesync.json_sanitizing import format_json
from scalesync.models.columns import Column, ColumnKind
from scalesync.timestamps import format_instant

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet takes for the beginning of a formula; the last four are wide forms of the first."""

_encode = msgspec.json.Encoder(decimal_format="number").encode


def told(value: object) -> object:
    """Return a value of any database as JSON can hold it: times in the API's form, bytes in hexadecimal.

    What JSON has no form of, such as an interval or an address, becomes text; NaN and infinity become None.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float | Decimal):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return format_instant(value) if value.tzinfo else value.isoformat(timespec="milliseconds")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    return [told(each) for each in value] if isinstance(value, list | tuple) else str(value)


def json_lines(columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> Iterator[bytes]:
    """Yield one JSON object a row, JSON columns nested; a second column of a name is called name_2."""
    names = _distinct([column.name for column in columns])
    nested = [column.kind is ColumnKind.JSON for column in columns]
    for row in rows:
        values = (
            msgspec.Raw(value) if is_json and isinstance(value, str) else told(value)
            for value, is_json in zip(row, nested, strict=True)
        )
        # JSON that a person wrote may hold line ends, and those that Postgres gives hold spaces.
        yield format_json(_encode(dict(zip(names, values, strict=True))))


def csv_lines(
    columns: Sequence[Column], rows: Iterable[Sequence[object]], tally: ExportCounts | None = None
) -> Iterator[bytes]:
    """Yield the column names and then each row as CSV (RFC 4180, but with bare line feeds), NULL as nothing.

    Text that a spreadsheet would run as a formula has an apostrophe before it; JSON and numbers stay. The
    tally counts such texts, and empty ones, which look like NULL.
    """
    tally = ExportCounts() if tally is None else tally
    line = _Line()
    # Only so does the writer quote a lone \r as well as a \n.
    writer = csv.writer(line, lineterminator="\r\n")
    writer.writerow([_harmless(column.name) for column in columns])
    yield line.text[:-2].encode(errors="replace")
    is_text = [column.kind is not ColumnKind.JSON for column in columns]
    for row in rows:
        cells = [_cell(*each) for each in zip(row, is_text, strict=True)]
        if cells != list(row):
            tally.alter("texts with an apostrophe before what could be a formula", _guarded(cells, row))
        tally.alter("empty texts, which CSV has no other form for than for NULL", list(row).count(""))
        writer.writerow(cells)
        yield line.text[:-2].encode(errors="replace")


def _guarded(cells: Sequence[object], row: Sequence[object]) -> int:
    """Return how many of the cells have an apostrophe that their values do not have."""
    pairs = zip(cells, row, strict=True)
    return sum(isinstance(value, str) and cell != value for cell, value in pairs)


class _Line:
    """What the writer wrote last."""

    text = ""

    def write(self, text: str) -> None:
        self.text = text


def _cell(value: object, is_text: bool) -> object:
    if isinstance(value, str):
        return _harmless(value) if is_text else value
    plain = told(value)
    if isinstance(plain, bool):
        return "true" if plain else "false"
    return _encode(plain).decode() if isinstance(plain, list) else plain


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _distinct(names: Sequence[str]) -> list[str]:
    """Return the names, none of them twice."""
    seen: Counter[str] = Counter()
    taken, distinct = set(names), []
    for name in names:
        seen[name] += 1
        unique = name
        while seen[name] > 1 and unique in taken:
            unique = f"{name}_{seen[name]}"
            seen[name] += unique in taken
        taken.add(unique)
        distinct.append(unique)
    return distinct
