"""Write rows as JSON lines or CSV, one row at a time, from declared columns or a person's own SQL."""

import csv
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import msgspec

from scalesync.export.counts import ExportCounts
from scalesync.json_sanitizing import format_json
from scalesync.models.columns import Column, ColumnKind
from scalesync.timestamps import format_instant

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Characters with which a spreadsheet begins a formula; the last four are the full-width forms."""

_encode = msgspec.json.Encoder(decimal_format="number").encode


def to_json(value: object) -> object:
    """Convert a database value for JSON: times in the API's form, bytes in hexadecimal, NaN as None.

    Values of other types, such as intervals, become text.
    """
    # Order matters: a datetime is also a date.
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
    return [to_json(each) for each in value] if isinstance(value, list | tuple) else str(value)


def json_lines(columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> Iterator[bytes]:
    """Yield one JSON object for each row, JSON columns nested; a second column `x` is called `x_2`."""
    names = _unique_names([column.name for column in columns])
    nested = [column.kind is ColumnKind.JSON for column in columns]
    for row in rows:
        values = (
            msgspec.Raw(value) if is_json and isinstance(value, str) else to_json(value)
            for value, is_json in zip(row, nested, strict=True)
        )
        # JSON text in a result may hold line breaks, which would split the line, and Postgres adds spaces.
        yield format_json(_encode(dict(zip(names, values, strict=True))))


def csv_lines(
    columns: Sequence[Column], rows: Iterable[Sequence[object]], counts: ExportCounts | None = None
) -> Iterator[bytes]:
    """Yield the header and each row as CSV (RFC 4180, but with bare line feeds); NULL is an empty cell.

    `counts` counts the texts that were altered, and the empty ones, which look like NULL.
    """
    # Text that a spreadsheet would run as a formula gets an apostrophe; exported labels come from strangers.
    counts = ExportCounts() if counts is None else counts
    # Only with \r\n as line end does the writer quote a lone \r and a lone \n within a cell.
    write: Callable[..., Any] = csv.writer(_Line(), lineterminator="\r\n").writerow
    yield write([_guard_formula(column.name) for column in columns])
    is_text = [column.kind is not ColumnKind.JSON for column in columns]
    for row in rows:
        cells = [_cell(*each) for each in zip(row, is_text, strict=True)]
        if cells != list(row):
            pairs = zip(cells, row, strict=True)
            guarded = sum(isinstance(value, str) and cell != value for cell, value in pairs)
            counts.alter("texts with an apostrophe before what could be a formula", guarded)
        counts.alter("empty texts, which CSV has no other form for than for NULL", list(row).count(""))
        yield write(cells)


class _Line:
    """A file that returns what is written to it, and so does `writerow`."""

    def write(self, text: str) -> bytes:
        return text[:-2].encode(errors="replace")


def _cell(value: object, is_text: bool) -> object:
    if isinstance(value, str):
        return _guard_formula(value) if is_text else value
    plain = to_json(value)
    if isinstance(plain, bool):
        return "true" if plain else "false"
    return _encode(plain).decode() if isinstance(plain, list) else plain


def _guard_formula(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _unique_names(names: Sequence[str]) -> list[str]:
    """Return the names with numbers added where one occurs twice."""
    seen: Counter[str] = Counter()
    used_names, distinct = set(names), []
    for name in names:
        seen[name] += 1
        # The new name may be taken by another column: count on until one is free.
        unique = name
        while seen[name] > 1 and unique in used_names:
            unique = f"{name}_{seen[name]}"
            seen[name] += unique in used_names
        used_names.add(unique)
        distinct.append(unique)
    return distinct
