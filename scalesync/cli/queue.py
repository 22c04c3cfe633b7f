"""`scalesync queue`: show and repair the queue, without key or network (except `reconcile`)."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from scalesync.cli import dispatch, output, queue_format
from scalesync.cli.context import Context
from scalesync.cli.filters import warn_of_unknown
from scalesync.cli.param_types import COUNT, NAME, SECONDS, json_option
from scalesync.errors import ConfigurationError, IncompleteError
from scalesync.models.commands import CommandKind
from scalesync.models.queue_state import DiscardAnswer, DisplayState

if TYPE_CHECKING:
    from scalesync.models.queue_state import CommandView


@click.group()
def queue() -> None:
    """Commands that wait to be sent, or were sent."""


@queue.command("list")
@click.option(
    "--state", type=click.Choice([str(state) for state in DisplayState]), help="Only in this state."
)
@click.option("--kind", type=click.Choice([str(kind) for kind in CommandKind]), help="Only of this kind.")
@click.option("--batch", type=NAME, help="Only what belongs to this batch.")
@click.option("--all", is_flag=True, help="Also what is delivered or discarded.")
@click.option("--limit", type=COUNT, metavar="N", help="List at most N.")
@click.option("--check", is_flag=True, help="End with 7 if one of them is dead, in doubt or held.")
@json_option
@click.pass_obj
def queue_list(
    context: Context,
    /,
    all: bool,  # noqa: A002 - click names it
    check: bool,
    json: bool,
    **chosen: Any,
) -> None:
    """List commands, and why each of them waits."""
    warn_of_unknown(context, [("batch", chosen["batch"])], listed=True)
    listed = context.mirror().queue.commands(finished=all, **chosen)
    states = Counter[DisplayState]()
    if json:
        output.print_lines(
            output.as_json_line(queue_format.as_dict(view)) for view in _count_states(listed, states)
        )
    else:
        output.print_table(queue_format.COLUMNS, map(queue_format.row, _count_states(listed, states)))
    if check:
        queue_format.raise_if_person_needed(
            dead=states[DisplayState.DEAD],
            in_doubt=states[DisplayState.IN_DOUBT],
            held=states[DisplayState.HELD],
        )


@queue.command("show")
@click.argument("command_id", type=COUNT, metavar="ID")
@json_option
@click.pass_obj
def queue_show(context: Context, command_id: int, json: bool) -> None:
    """Show one command: payload, every step, what it waits for."""
    detail = context.mirror().queue.show(command_id)
    if json:
        output.print_json(queue_format.detail_as_dict(detail))
    else:
        queue_format.print_detail(detail)


@queue.command("why")
@click.argument("command_id", type=COUNT, metavar="ID")
@json_option
@click.pass_obj
def queue_why(context: Context, command_id: int, json: bool) -> None:
    """Say what a command waits for, and what that waits for."""
    chain = context.mirror().queue.why(command_id)
    if json:
        output.print_lines(output.as_json_line(queue_format.as_dict(view)) for view in chain)
    else:
        queue_format.print_why(chain)


@queue.command("retry")
@click.argument("command_ids", type=COUNT, nargs=-1, metavar="[ID]...")
@click.option("--dead", is_flag=True, help="Every dead command.")
@json_option
@click.pass_obj
def queue_retry(context: Context, command_ids: tuple[int, ...], dead: bool, json: bool) -> None:
    """Retry dead or held commands."""
    _require_one(command_ids, dead=dead)
    queue = context.mirror().queue
    retried = queue.retry_dead() if dead else queue.retry(command_ids)
    text = f"{output.pluralize(len(retried), 'command', 'commands')} will be tried again"
    output.print_change({"retried": retried}, [text], as_json=json, quiet=context.quiet)


@queue.command("discard")
@click.argument("command_ids", type=COUNT, nargs=-1, metavar="[ID]...")
@click.option("--dead", is_flag=True, help="Every dead command.")
@json_option
@click.pass_obj
def queue_discard(context: Context, command_ids: tuple[int, ...], dead: bool, json: bool) -> None:
    """Withdraw commands, if it is not too late.

    Ends with 1 if it is for one of them: the command that undoes it is named.
    """
    _require_one(command_ids, dead=dead)
    queue = context.mirror().queue
    answers = queue.discard_dead() if dead else queue.discard(command_ids)
    texts = list(map(queue_format.discard_sentence, answers)) or ["no command is dead"]
    output.print_change({"answers": answers}, texts, as_json=json, quiet=context.quiet)
    if too_late := [str(each.command_id) for each in answers if each.answer is DiscardAnswer.TOO_LATE]:
        raise IncompleteError(
            f"Too late for {', '.join(too_late)}.", advice="Only another command can undo it."
        )


@queue.command("pause")
@click.option("--for", type=SECONDS, help="Pause for this long, a second at least.")
@click.option("--reason", type=NAME, help="Shown to everybody while nothing is sent.")
@json_option
@click.pass_obj
def queue_pause(context: Context, /, reason: str | None, json: bool, **options: float | None) -> None:
    """Pause sending on all hosts for a while."""
    pause = context.mirror().queue.pause(seconds=options["for"], reason=reason or "")
    output.print_change(pause, [queue_format.pause_sentence(pause)], as_json=json, quiet=context.quiet)


@queue.command("resume")
@json_option
@click.pass_obj
def queue_resume(context: Context, json: bool) -> None:
    """End the pause of the queue: commands are sent again."""
    pause = context.mirror().queue.resume()
    output.print_change(pause, ["commands are sent again"], as_json=json, quiet=context.quiet)


@queue.command("distrust")
@json_option
@click.pass_obj
def queue_distrust(context: Context, json: bool) -> None:
    """After restoring a backup: ask the API about all commands.

    Each open command is looked up before it is sent, and a dead one when it is retried.
    """
    count = context.mirror().queue.distrust()
    text = f"{output.pluralize(count, 'command', 'commands')} will be looked up before anything is sent"
    output.print_change({"distrusted": count}, [text], as_json=json, quiet=context.quiet)


def _require_one(command_ids: tuple[int, ...], *, dead: bool) -> None:
    if dead == bool(command_ids):
        msg = "Name commands by their ids, or all --dead ones."
        raise ConfigurationError(msg, advice="Give one of the two.")


def _count_states(found: "Iterable[CommandView]", states: Counter[DisplayState]) -> "Iterator[CommandView]":
    for view in found:
        states[view.display] += 1
        yield view


queue.add_command(dispatch.reconcile)

COMMANDS = (queue,)
