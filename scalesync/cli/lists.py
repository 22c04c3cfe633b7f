"""Lists of tasks, batches and projects, and `scalesync changes`: all for a pipe, a screenful for a person."""

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
from scalesync.cli.output import GAP, NARROWEST, as_json_line, print_line, print_lines, print_table
from scalesync.cli.param_types import INSTANT, NAME, NumberType, json_option
from scalesync.errors import ConfigurationError
from scalesync.json_sanitizing import read_json
from scalesync.timestamps import format_instant

if TYPE_CHECKING:
    from scalesync.mirror import Mirror
    from scalesync.models.changes import Change
    from scalesync.models.selection import Selection

_F = TypeVar("_F", bound=Callable[..., object])
_Object = dict[str, Any]

SCREENFUL = 30
"""Objects that a list shows on a terminal, unless --limit says how many."""

_COLUMNS = {
    "tasks": ("task_id", "project", "batch", "type", "status", "created_at", "completed_at", "unique_id"),
    "batches": ("name", "project", "status", "created_at", "pending", "completed"),
    "projects": ("name", "type", "created_at", "archived"),
}
_DISPENSABLE = {
    "tasks": ("unique_id", "batch", "completed_at", "type", "project"),
    "batches": ("project", "created_at"),
    "projects": ("archived",),
}
"""Columns that a narrow terminal goes without, the first one first."""
_COUNTS = ("pending", "completed")
"""Fields that no document of a batch has: how many of its tasks are so here."""
_TIME, _ID = 24, 24
"""Letters."""


def list_options(command: _F) -> _F:
    """Give a command the options that say in which order and with which fields it lists."""
    command = click.option(
        "--fields", type=NAME, metavar="NAMES", help="These fields, as in `task_id,status,metadata.image`."
    )(command)
    return click.option(
        "--sort", type=NAME, metavar="FIELD", help="In order of this field; `-created_at`: descending."
    )(command)


def print_objects(
    context: Context, stream: str, options: dict[str, Any], *, as_json: bool, queued: bool = False
) -> None:
    """Print the objects of a stream that the options choose, as they say.

    On a terminal a table has the newest objects, as many as fill a screen, and then how many more there are.
    """
    mirror, fields, sort = context.mirror(), _names(options.pop("fields")), options.pop("sort")
    wanted = replace(selection_from(stream, options), sort=sort)
    warn_of_filters(context, stream, options)
    on_terminal = sys.stdout.isatty() and not as_json
    if on_terminal:
        limit = SCREENFUL if options["limit"] is None else wanted.limit
        wanted = replace(wanted, newest_first=True, limit=limit)
    if as_json and not fields:
        print_lines(_documents(mirror, stream, wanted, queued=queued, queued_first=False))
        return
    columns = fields or _COLUMNS[stream]
    found = _objects(mirror, stream, wanted, columns, queued=queued, queued_first=on_terminal)
    if as_json:
        print_lines(as_json_line({name: _value(each, name) for name in columns}) for each in found)
        return
    if on_terminal and not fields:
        columns = _that_fit(stream, shutil.get_terminal_size().columns)
    shown = _Counted(found)
    print_table(columns, ([_cell(_value(each, name)) for name in columns] for each in shown))
    if on_terminal:
        _say_how_many_more(mirror, stream, wanted, shown.number, queued=queued)


class _Counted:
    """Objects, counted as they are read."""

    def __init__(self, items: Iterator[_Object]) -> None:
        self._items = items
        self.number = 0

    def __iter__(self) -> Iterator[_Object]:
        for item in self._items:
            self.number += 1
            yield item


def _names(given: str | None) -> tuple[str, ...]:
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
    waiting = mirror.queue.tasks(wanted)
    both = (waiting, documents) if queued_first else (documents, waiting)
    return islice(chain(*both), wanted.limit)


def _objects(
    mirror: "Mirror", stream: str, wanted: "Selection", columns: Sequence[str], **how: bool
) -> Iterator[_Object]:
    """Yield documents, those of tasks that are only queued with their command in the place of an id."""
    counts: dict[str, dict[str, int | None]] = {}
    if stream == "batches" and not set(columns).isdisjoint(_COUNTS):
        counts = mirror.exporter.task_counts()
    for document in _documents(mirror, stream, wanted, **how):
        found: _Object = read_json(document)
        if stream == "tasks" and "task_id" not in found:
            found |= {"task_id": f"command {found['command_id']}", "status": f"queued, {found['state']}"}
        yield found | counts.get(found.get("name", ""), {})


def _value(of: _Object, name: str) -> object:
    """Return a field, or what lies within it where the name has dots."""
    if name in of:
        return of[name]
    value: object = of
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _cell(value: object) -> object:
    return as_json_line(value).decode() if isinstance(value, dict | list) else value


def _that_fit(stream: str, room: int) -> tuple[str, ...]:
    """Return the columns that a terminal of this width has room for; headings and times stay whole."""
    columns = list(_COLUMNS[stream])
    for name in _DISPENSABLE[stream]:
        if sum(map(_least_width, columns)) + len(GAP) * (len(columns) - 1) <= room:
            break
        columns.remove(name)
    return tuple(columns)


def _least_width(name: str) -> int:
    if name.endswith("_at"):
        return _TIME
    return _ID if name == "task_id" else max(NARROWEST, len(name))


def _say_how_many_more(
    mirror: "Mirror", stream: str, wanted: "Selection", shown: int, *, queued: bool
) -> None:
    if wanted.limit is None or shown < wanted.limit:
        return
    more = mirror.exporter.total(stream, wanted) - shown
    if queued:
        more += sum(1 for _ in mirror.queue.tasks(replace(wanted, limit=None)))
    if more > 0:
        print_line(f"{more:,} more {stream}: `--limit 0` lists all.")


@click.command()
@click.option("--since", type=INSTANT, help="Only what was seen at this time or later.")
@click.option("--until", type=INSTANT, help="Only what was seen before this time.")
@click.option("--since-id", type=NumberType(0), metavar="N", help="Only what came after change number N.")
@json_option
@click.pass_obj
def changes(
    context: Context, since: datetime | None, until: datetime | None, since_id: int | None, json: bool
) -> None:
    """Print what changed in the mirrored tasks, oldest first.

    To follow the mirror, remember the id of the last line and give it to --since-id: nothing that came before
    it appears later. `response` changes are told by digests of the responses, without signatures of links.
    """
    found = context.mirror().changes(since_id=since_id, since=since, until=until)
    if json:
        print_lines(map(as_json_line, found))
        return
    for change in found:
        print_line(_line(change))


def _line(change: "Change") -> str:
    seen = f"{change.id:>8}  {format_instant(change.seen_at)}  {change.task_id}"
    return f"{seen}  {change.field:<22}  {change.before or '-'} -> {change.after or '-'}"


COMMANDS = (changes,)
