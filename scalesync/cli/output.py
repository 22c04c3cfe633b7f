"""Print JSON for machines and tables for people, with terminal controls escaped.

Hazard: names come from the API and from other people; nothing of them may be printed unescaped.
"""

import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import click
import msgspec

from scalesync.cli.std_streams import ignore_write_errors
from scalesync.errors import ConfigurationError
from scalesync.timestamps import format_instant

GAP = "  "
MIN_COLUMN_WIDTH = 8
"""On a narrow terminal; a column with a longer heading keeps that width."""
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_CHUNK_ROWS, _CHUNK_CHARACTERS = 1_000, 1_000_000
"""Limits of the part of a table that is in memory."""
_TERMINAL_CONTROLS = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Characters that JSON need not escape and terminals obey: controls and marks of text direction."""


def escape_controls(text: str) -> str:
    """Return `text` with control characters escaped, except line breaks."""
    return "".join(char if char.isprintable() or char == "\n" else repr(char)[1:-1] for char in text)


def single_line(text: str) -> str:
    """Return `text` with all control characters escaped, so that no name can imitate a second line."""
    return escape_controls(text).replace("\n", "\\n")


def escape_json(document: bytes) -> bytes:
    """Return equivalent JSON with terminal controls escaped."""
    text = document.decode(errors="backslashreplace")
    return _TERMINAL_CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()


def as_json_line(value: object) -> bytes:
    """Return a value as one line of JSON; times are in the API's format."""
    builtins = msgspec.to_builtins(value, builtin_types=(datetime,))
    text = json.dumps(builtins, default=format_instant, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="replace")  # a file name need not be valid text


def print_json(value: object) -> None:
    """Print one value as one line of JSON."""
    print_document(as_json_line(value))


def print_document(document: bytes) -> None:
    """Print a JSON document that is formatted already."""
    with output_errors():
        click.echo(escape_json(document))


def print_lines(documents: Iterable[bytes]) -> None:
    """Print JSON documents, one a line."""
    _write_lines(map(escape_json, documents))


def print_data(lines: Iterable[bytes]) -> None:
    """Print lines of JSON or CSV byte for byte; on a terminal controls are escaped."""
    _write_lines(map(_escape_for_terminal, lines) if sys.stdout.isatty() else lines)


def print_text(text: str = "") -> None:
    """Print text of this program for people; it may have several lines."""
    with output_errors():
        click.echo(escape_controls(with_program_name(text)))


def print_line(text: str) -> None:
    """Print one line for people; it may hold names from the API."""
    with output_errors():
        click.echo(single_line(text))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
    """Print a table and return its number of rows; on a terminal the widest columns are cut.

    Numbers are to the right.
    """
    from rich.cells import cell_len

    # Printed in chunks, so that a table of any length needs little memory: later chunks may widen columns,
    # and the first one decides which columns hold numbers.
    head = [single_line(column) for column in columns]
    widths = [cell_len(name) for name in head]
    minimum = [max(width, MIN_COLUMN_WIDTH) for width in widths]
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    numeric: list[bool] = []
    count = 0
    for body in _chunks(rows):
        cells = [[_format_cell(value) for value in row] for row in body]
        count += len(body)
        # Widths only grow from chunk to chunk, so that columns do not jump back and forth.
        longest = (max(map(cell_len, column)) for column in zip(head, *cells, strict=True))
        widths = [max(pair) for pair in zip(widths, longest, strict=True)]
        if not numeric:
            numeric = [bool(body) and all(_is_number(row[n]) for row in body) for n in range(len(head))]
            cells.insert(0, head)
        if width is not None:
            minimum = [
                max(pair) for pair in zip(minimum, map(_min_width, zip(*cells, strict=True)), strict=True)
            ]
        fitted = widths if width is None else _fit_widths(widths, minimum, width)
        with output_errors():
            for row in cells:
                line = GAP.join(map(_pad, row, fitted, numeric))
                click.secho(line.rstrip(), bold=row is head or None)
    return count


def _chunks(rows: Iterable[Sequence[object]]) -> Iterator[list[Sequence[object]]]:
    """Yield lists of rows of limited size; one empty list if there are no rows."""
    chunk: list[Sequence[object]] = []
    size, first = 0, True
    for row in rows:
        chunk.append(row)
        size += sum(len(value) for value in row if isinstance(value, str))
        if len(chunk) == _CHUNK_ROWS or size > _CHUNK_CHARACTERS:
            yield chunk
            chunk, size, first = [], 0, False
    if chunk or first:
        yield chunk


def program_name() -> str:
    """Return how to call this program: `scalesync` if it is on PATH, else its script or `python -m`."""
    if shutil.which("scalesync"):
        return "scalesync"
    if Path(sys.argv[0]).name == "scalesync":
        return shlex.quote(sys.argv[0])
    return f"{shlex.quote(sys.executable)} -m scalesync"


def print_warnings(sentences: Iterable[str]) -> None:
    """Print each sentence on stderr as a warning."""
    for sentence in sentences:
        click.echo(single_line(with_program_name(f"Warning: {sentence}")), err=True)


def with_program_name(text: str) -> str:
    """Return a sentence with its `scalesync ...` commands as they can be called here."""
    return text.replace("`scalesync ", f"`{program_name()} ") if "`scalesync " in text else text


def format_duration(seconds: float | None) -> str:
    """Return a time span in days, hours, minutes or seconds."""
    if seconds is None:
        return "never"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s" if 0 < seconds < 1 else f"{seconds:.0f} s"


def pluralize(number: int, one: str, many: str) -> str:
    """Return a number with its noun in singular or plural."""
    return f"{number:,} {one if number == 1 else many}"


def print_change(value: object, texts: Iterable[str], *, as_json: bool, quiet: bool) -> None:
    """Print the result of a change that is committed: `value` as JSON, or unless `quiet` the `texts`."""
    ignore_write_errors()
    if as_json:
        print_json(value)
    elif not quiet:
        for text in texts:
            print_line(text)


@contextmanager
def output_errors() -> Iterator[None]:
    """Translate write errors of stdout to ConfigurationError, except a closed pipe."""
    try:
        yield
    except BrokenPipeError:
        # The reader has what it wanted, such as `head`: click ends the program quietly.
        raise
    except OSError as error:
        raise output_error(error) from error


def output_error(error: OSError) -> ConfigurationError:
    """Return the error for a stdout that cannot be written."""
    msg = f"Cannot write the output: {error.strerror}."
    return ConfigurationError(msg, advice="Send it somewhere else.")


def _format_cell(value: object) -> str:
    """Return a value as text for people."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return format_instant(value)
    return single_line(f"{value:,}" if _is_number(value) else str(value))


def _write_lines(lines: Iterable[bytes]) -> None:
    out = sys.stdout.buffer
    for line in lines:
        with output_errors():
            out.write(line + b"\n")
    with output_errors():
        out.flush()


def _escape_for_terminal(line: bytes) -> bytes:
    """Return a line of JSON or CSV with all control characters escaped."""
    # CSV may hold C0 controls (escape sequences) that JSON always escapes.
    text = escape_json(line).decode()
    return "".join(char if char >= " " or char == "\n" else f"\\u{ord(char):04x}" for char in text).encode()


def _pad(text: str, width: int, right: bool) -> str:
    from rich.cells import cell_len, set_cell_size

    # By terminal cells, not characters: CJK letters take two cells, combining marks none.
    if cell_len(text) > width:
        return set_cell_size(text, width - 1) + "…"
    return " " * (width - cell_len(text)) + text if right else set_cell_size(text, width)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _min_width(column: Sequence[str]) -> int:
    """Return the minimum width of a column of these cells: times are not cut."""
    return max((len(cell) for cell in column if _INSTANT.fullmatch(cell)), default=0)


def _fit_widths(widths: list[int], minimum: list[int], width: int) -> list[int]:
    """Return column widths that fit into a line; none is below its minimum, and the first is unchanged."""
    # Always narrow the widest column by one: long texts shrink first, and short columns stay readable.
    narrowed = list(widths)
    while sum(narrowed) + len(GAP) * (len(narrowed) - 1) > width:
        shrinkable = [number for number in range(1, len(narrowed)) if narrowed[number] > minimum[number]]
        if not shrinkable:
            break
        narrowed[max(shrinkable, key=narrowed.__getitem__)] -= 1
    return narrowed
