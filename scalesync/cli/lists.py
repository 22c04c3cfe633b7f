"""List tasks, batches and projects, and `scalesync changes`: 30 rows on a terminal, else all."""

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeVar

import click

from scalesync.cli.context import Context
from scalesync.cli.filters import selection_from, warn_of_filters
from scalesync.cli.output import GAP, MIN_COLUMN_WIDTH, as_json_line, print_line, print_lines, print_table
from scalesync.cli.param_types import INSTANT, NAME, json_option, number_type
from scalesync.errors import ConfigurationError
from scalesync.json_sanitizing import read_json
from scalesync.timestamps import format_instant

if TYPE_CHECKING:
    from scalesync.mirror import Mirror
    from scalesync.models.selection import Selection

_F = TypeVar("_F", bound=Callable[..., object])
_Object = dict[str, Any]

SCREENFUL = 30
"""Rows printed on a terminal without --limit."""

_COLUMNS = {
    "tasks": ("task_id", "project", "batch", "type", "status", "created_at", "completed_at", "unique_id"),
    "batches": ("name", "project", "status", "created_at", "pending", "completed"),
    "projects": ("name", "type", "created_at", "archived"),
}
_DROP_ORDER = {
    "tasks": ("unique_id", "batch", "completed_at", "type", "project"),
    "batches": ("project", "created_at"),
    "projects": ("archived",),
}
"""Columns left out on a narrow terminal, in this order."""
_COUNTS = ("pending", "completed")
"""Columns of batches that are counted from their tasks in the mirror."""
_TIME_WIDTH, _ID_WIDTH = 24, 24
"""In characters."""


def list_options(command: _F) -> _F:
    """Add --sort and --fields to a command."""
    command = click.option(
        "--fields", type=NAME, metavar="NAMES", help="These fields, as in `task_id,status,metadata.image`."
    )(command)
    return click.option(
        "--sort", type=NAME, metavar="FIELD", help="In order of this field; `-created_at`: descending."
    )(command)


def print_objects(
    context: Context, stream: str, options: dict[str, Any], *, as_json: bool, queued: bool = False
) -> None:
    """Print the objects of a stream that the options select.

    A table on a terminal has the newest SCREENFUL objects, and the number of the others.
    """
    mirror, fields, sort = context.mirror(), _field_names(options.pop("fields")), options.pop("sort")
    wanted = replace(selection_from(stream, options), sort=sort)
    warn_of_filters(context, stream, options)
    on_terminal = sys.stdout.isatty() and not as_json
    if on_terminal:
        limit = SCREENFUL if options["limit"] is None else wanted.limit
        wanted = replace(wanted, newest_first=True, limit=limit)
    # JSON without --fields: documents are passed on as text, without parsing them.
    if as_json and not fields:
        print_lines(_documents(mirror, stream, wanted, queued=queued, queued_first=False))
        return
    columns = fields or _COLUMNS[stream]
    found = _objects(mirror, stream, wanted, columns, queued=queued, queued_first=on_terminal)
    if as_json:
        print_lines(as_json_line({name: _field_value(obj, name) for name in columns}) for obj in found)
        return
    if on_terminal and not fields:
        columns = _columns_that_fit(stream, shutil.get_terminal_size().columns)
    shown = print_table(
        columns, ([_format_cell(_field_value(obj, name)) for name in columns] for obj in found)
    )
    if on_terminal:
        _print_remaining(mirror, stream, wanted, shown, queued=queued)


def _field_names(given: str | None) -> tuple[str, ...]:
    if given is None:
        return ()
    names = tuple(name.strip() for name in given.split(","))
    if not all(names):
        raise ConfigurationError("--fields has an empty name.", advice="Write names with commas between.")
    return names


def _documents(
    mirror: "Mirror", stream: str, wanted: "Selection", *, queued: bool, queued_first: bool
) -> Iterator[bytes]:
    documents = mirror.documents(stream, wanted)
    if not queued:
        return documents
    # Each source applies the limit by itself, and `islice` applies it to both together.
    waiting = mirror.queue.tasks(wanted)
    both = (waiting, documents) if queued_first else (documents, waiting)
    return islice(chain(*both), wanted.limit)


def _objects(
    mirror: "Mirror", stream: str, wanted: "Selection", columns: Sequence[str], **how: bool
) -> Iterator[_Object]:
    """Yield documents with computed columns; a queued task's id is its command."""
    counts: dict[str, dict[str, int | None]] = {}
    if stream == "batches" and not set(columns).isdisjoint(_COUNTS):
        counts = mirror.exporter.task_counts()
    for document in _documents(mirror, stream, wanted, **how):
        found: _Object = read_json(document)
        if stream == "tasks" and "task_id" not in found:
            found |= {"task_id": f"command {found['command_id']}", "status": f"queued, {found['state']}"}
        yield found | counts.get(found.get("name", ""), {})


def _field_value(obj: _Object, name: str) -> object:
    """Return a field; dots in the name reach into objects, unless a field has that very name."""
    if name in obj:
        return obj[name]
    value: object = obj
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _format_cell(value: object) -> object:
    return as_json_line(value).decode() if isinstance(value, dict | list) else value


def _columns_that_fit(stream: str, width: int) -> tuple[str, ...]:
    """Return the columns that fit into a terminal of this width."""
    columns = list(_COLUMNS[stream])
    for name in _DROP_ORDER[stream]:
        if sum(map(_min_width, columns)) + len(GAP) * (len(columns) - 1) <= width:
            break
        columns.remove(name)
    return tuple(columns)


def _min_width(name: str) -> int:
    if name.endswith("_at"):
        return _TIME_WIDTH
    return _ID_WIDTH if name == "task_id" else max(MIN_COLUMN_WIDTH, len(name))


def _print_remaining(mirror: "Mirror", stream: str, wanted: "Selection", shown: int, *, queued: bool) -> None:
    if wanted.limit is None or shown < wanted.limit:
        return
    # `shown` includes queued tasks, so their total is added to that of the mirror.
    more = mirror.exporter.total(stream, wanted) - shown
    if queued:
        more += sum(1 for _ in mirror.queue.tasks(replace(wanted, limit=None)))
    if more > 0:
        print_line(f"{more:,} more {stream}: `--limit 0` lists all.")


@click.command()
@click.option("--since", type=INSTANT, help="Only what was seen at this time or later.")
@click.option("--until", type=INSTANT, help="Only what was seen before this time.")
@click.option("--since-id", type=number_type(0), metavar="N", help="Only what came after change number N.")
@json_option
@click.pass_obj
def changes(
    context: Context, since: datetime | None, until: datetime | None, since_id: int | None, json: bool
) -> None:
    """Print what changed in the mirrored tasks, oldest first.

    To follow the mirror, remember the id of the last line and give it to --since-id: nothing that came before
    it appears later. `response` changes are shown as digests of the responses, without signatures of links.
    """
    found = context.mirror().changes(since_id=since_id, since=since, until=until)
    if json:
        print_lines(map(as_json_line, found))
        return
    for change in found:
        seen = f"{change.id:>8}  {format_instant(change.seen_at)}  {change.task_id}"
        print_line(f"{seen}  {change.field:<22}  {change.before or '-'} -> {change.after or '-'}")


COMMANDS = (changes,)
