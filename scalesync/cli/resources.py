"""`scalesync task`, `batch` and `project`: list and show mirrored objects, and queue changes to them."""

from collections.abc import Sequence

import click

from scalesync.cli import submit, task_changes
from scalesync.cli.context import Context
from scalesync.cli.filters import filters, warn_of_unknown
from scalesync.cli.lists import list_options, print_objects
from scalesync.cli.output import print_document, print_json, print_table
from scalesync.cli.param_types import NAME, json_option
from scalesync.errors import ConfigurationError, IncompleteError, ScaleResourceNotFound
from scalesync.json_sanitizing import format_json

_QUEUED = click.option("--queued", is_flag=True, help="Also those that are queued here and not at Scale yet.")


def _list_command(stream: str, about_json: str = "") -> click.Command:
    """Return the command that lists the objects of a stream."""

    def print_list(context: Context, /, json: bool, queued: bool = False, **options: object) -> None:
        print_objects(context, stream, options, as_json=json, queued=queued)

    command = json_option(click.pass_obj(print_list))
    if stream == "tasks":
        command = _QUEUED(command)
    about = f"List {stream}: on a terminal the 30 newest, otherwise all."
    return click.command("list", help=f"{about}\n\n--json prints documents, one a line.{about_json}")(
        filters(stream)(list_options(command))
    )


def _show_command(kind: str, stream: str, key_name: str, also: str = "") -> click.Command:
    """Return the command that prints one object's document."""

    @click.command("show", help=f"Print one {kind}'s document{also}.")
    @click.argument("key", type=NAME, metavar=key_name)
    @click.pass_obj
    def show(context: Context, key: str) -> None:
        document = context.mirror().document(stream, key)
        if document is None:
            # A task id has no near name that could be meant.
            warn_of_unknown(context, [] if kind == "task" else [(kind, key)], listed=True)
            msg = f"{key} is not in the mirror's {stream}."
            raise IncompleteError(msg, advice="If it is new, run `scalesync sync` first.")
        print_document(format_json(document, indent=2))

    return show


@click.command("status")
@click.argument("name", type=NAME)
@json_option
@click.pass_obj
def batch_status(context: Context, name: str, json: bool) -> None:
    """Ask the API how many of a batch's tasks are done."""
    try:
        counted = context.mirror().batch_status(name)
    except ScaleResourceNotFound as error:
        msg = f"There is no batch {name!r} in this account."
        raise ConfigurationError(msg, advice="`scalesync batch list` shows those that are.") from error
    if json:
        print_json(counted)
    else:
        states = ("status", "pending", "completed", "error", "canceled")
        print_table(states, [[getattr(counted, state) for state in states]])


def _group(name: str, stream: str, commands: Sequence[click.Command]) -> click.Group:
    about = f"{stream.capitalize()} in the mirror and the queue."
    return click.Group(name, commands=commands, help=about)


_COUNTS = " `pending` and `completed` are counts of their tasks here."
_TASK = (_list_command("tasks"), _show_command("task", "tasks", "TASK_ID"), *submit.TASK, *task_changes.TASK)
_BATCH = (
    _list_command("batches", _COUNTS),
    _show_command("batch", "batches", "NAME"),
    batch_status,
    *submit.BATCH,
    *task_changes.BATCH,
)
_PROJECT = (
    _list_command("projects"),
    _show_command("project", "projects", "NAME", also=", all versions included"),
    *submit.PROJECT,
)
COMMANDS = (
    _group("task", "tasks", _TASK),
    _group("batch", "batches", _BATCH),
    _group("project", "projects", _PROJECT),
)
