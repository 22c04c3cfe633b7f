"""`scalesync changes`: the history of the mirrored tasks, for another job to follow."""

from datetime import datetime
from typing import TYPE_CHECKING

import click

from scalesync.cli.context import Context
from scalesync.cli.options import INSTANT, NumberType, json_option
from scalesync.cli.output import as_json_line, print_line, print_lines
from scalesync.model import format_instant

if TYPE_CHECKING:
    from scalesync.db.mirror.changes import Change


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
    found = context.app().changes(after_id=since_id, since=since, until=until)
    if json:
        print_lines(map(as_json_line, found))
        return
    for change in found:
        print_line(_line(change))


def _line(change: "Change") -> str:
    seen = f"{change.id:>8}  {format_instant(change.seen_at)}  {change.task_id}"
    return f"{seen}  {change.field:<22}  {change.before or '-'} -> {change.after or '-'}"


COMMANDS = (changes,)
