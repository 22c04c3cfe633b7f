"""Printing: JSON for machines, tables for people, and nothing that could command a terminal."""

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

from scalesync.errors import ConfigurationError
from scalesync.timestamps import format_instant

GAP = "  "
NARROWEST = 8
"""What a column keeps on a narrow terminal; one with a longer heading keeps that."""
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_ROWS, _CHARACTERS = 1_000, 1_000_000
"""Of a table, held in memory at once: whichever comes first."""


_COMMANDING = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What JSON need not escape and a terminal obeys: controls, and marks that turn the direction of text."""


def escape_controls(text: str) -> str:
    """Return `text` with control characters spelled out: no name from the API can move the cursor."""
    return "".join(char if char.isprintable() or char == "\n" else repr(char)[1:-1] for char in text)


def single_line(text: str) -> str:
    """Return `text` like `plain`, and on one line: no name can pretend to be a line of ours."""
    return escape_controls(text).replace("\n", "\\n")


def escape_json(document: bytes) -> bytes:
    """Return JSON of the same meaning in which nothing commands a terminal."""
    text = document.decode(errors="backslashreplace")
    return _COMMANDING.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()


def as_json_line(value: object) -> bytes:
    """Return one value as one line of JSON; times look as they do in the API's documents."""
    builtins = msgspec.to_builtins(value, builtin_types=(datetime,))
    text = json.dumps(builtins, default=format_instant, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="replace")  # a file may have a name that is no text


def print_json(value: object) -> None:
    """Print one value as one line of JSON."""
    text = escape_json(as_json_line(value))
    with printing():
        click.echo(text)


def print_document(document: bytes) -> None:
    """Print a JSON document that has lines and indents already."""
    with printing():
        click.echo(escape_json(document))


def print_lines(documents: Iterable[bytes]) -> int:
    """Print JSON documents, a line each, and return how many there were."""
    return _write(map(escape_json, documents))


def print_data(lines: Iterable[bytes]) -> None:
    """Print lines of data, JSON or CSV: byte for byte, but harmless where it goes straight to a terminal."""
    _write(map(_visible, lines) if sys.stdout.isatty() else lines)


def print_text(text: str = "") -> None:
    """Print text of our own for people, with as many lines as it has."""
    with printing():
        click.echo(escape_controls(as_called(text)))


def print_line(text: str) -> None:
    """Print one line for people, whatever names are in it."""
    with printing():
        click.echo(single_line(text))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table, numbers to the right. On a terminal its widest columns give way; piped, nothing does.

    Rows are printed some at a time and not held: columns become wider where later rows need it. Which
    columns hold numbers is decided by the first rows.
    """
    from rich.cells import cell_len

    head = [single_line(column) for column in columns]
    widths = [cell_len(name) for name in head]
    least = [max(width, NARROWEST) for width in widths]
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    numeric: list[bool] = []
    for body in _portions(rows):
        cells = [[_shown(value) for value in row] for row in body]
        longest = (max(map(cell_len, column)) for column in zip(head, *cells, strict=True))
        widths = [max(pair) for pair in zip(widths, longest, strict=True)]
        if not numeric:
            numeric = [bool(body) and all(_is_number(row[n]) for row in body) for n in range(len(head))]
            cells.insert(0, head)
        if room is not None:
            least = [max(pair) for pair in zip(least, map(_least, zip(*cells, strict=True)), strict=True)]
        fitting = widths if room is None else _fitting(widths, least, room)
        with printing():
            for row in cells:
                line = GAP.join(map(_cell, row, fitting, numeric))
                click.secho(line.rstrip(), bold=row is head or None)


def _portions(rows: Iterable[Sequence[object]]) -> Iterator[list[Sequence[object]]]:
    """Yield rows, as many at a time as memory holds easily; one empty list where there are none."""
    portion: list[Sequence[object]] = []
    size, first = 0, True
    for row in rows:
        portion.append(row)
        size += sum(len(value) for value in row if isinstance(value, str))
        if len(portion) == _ROWS or size > _CHARACTERS:
            yield portion
            portion, size, first = [], 0, False
    if portion or first:
        yield portion


def program() -> str:
    """Return what calls this program here: `scalesync` if PATH has it, else the script or Python it is."""
    if shutil.which("scalesync"):
        return "scalesync"
    if Path(sys.argv[0]).name == "scalesync":
        return shlex.quote(sys.argv[0])
    return f"{shlex.quote(sys.executable)} -m scalesync"


def as_called(text: str) -> str:
    """Return a sentence of ours with the commands in it as they can be called here."""
    return text.replace("`scalesync ", f"`{program()} ") if "`scalesync " in text else text


def format_duration(seconds: float | None) -> str:
    """Return a time span in the unit that a person would use."""
    if seconds is None:
        return "never"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s" if 0 < seconds < 1 else f"{seconds:.0f} s"


def pluralize(number: int, one: str, many: str) -> str:
    """Return a number with the noun that fits it."""
    return f"{number:,} {one if number == 1 else many}"


@contextmanager
def printing() -> Iterator[None]:
    """Translate what stdout cannot take. A reader that has gone is another matter, and stays as it is."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise cannot_write(error) from error


def cannot_write(error: OSError) -> ConfigurationError:
    """Return what is said where stdout takes nothing."""
    msg = f"Cannot write the output: {error.strerror}."
    return ConfigurationError(msg, advice="Send it somewhere else.")


def _shown(value: object) -> str:
    """Return what a person reads of a value."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return format_instant(value)
    return single_line(f"{value:,}" if _is_number(value) else str(value))


def _write(lines: Iterable[bytes]) -> int:
    out, count = sys.stdout.buffer, 0
    for line in lines:
        with printing():
            out.write(line + b"\n")
        count += 1
    with printing():
        out.flush()
    return count


def _visible(line: bytes) -> bytes:
    """Return a line of JSON or CSV for a terminal. JSON has no control characters that CSV may have."""
    text = escape_json(line).decode()
    return "".join(char if char >= " " or char == "\n" else f"\\u{ord(char):04x}" for char in text).encode()


def _cell(text: str, width: int, right: bool) -> str:
    from rich.cells import cell_len, set_cell_size

    if cell_len(text) > width:
        return set_cell_size(text, width - 1) + "…"
    return " " * (width - cell_len(text)) + text if right else set_cell_size(text, width)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _least(column: Sequence[str]) -> int:
    """Return how narrow a column of these cells may become: times stay whole."""
    return max((len(cell) for cell in column if _INSTANT.fullmatch(cell)), default=0)


def _fitting(widths: list[int], least: list[int], room: int) -> list[int]:
    """Return the widths with the widest of them narrowed until a line has room, none below its least.

    The first keeps its own.
    """
    narrowed = list(widths)
    while sum(narrowed) + len(GAP) * (len(narrowed) - 1) > room:
        can_give = [number for number in range(1, len(narrowed)) if narrowed[number] > least[number]]
        if not can_give:
            break
        narrowed[max(can_give, key=narrowed.__getitem__)] -= 1
    return narrowed
