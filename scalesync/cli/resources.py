"""`scalesync task`, `batch` and `project`: list and show mirrored objects, and queue changes to them."""

import click

from scalesync.cli import submit
from scalesync.cli.context import Context
from scalesync.cli.filters import filters, warn_of_unknown
from scalesync.cli.lists import list_options, print_objects
from scalesync.cli.output import print_document, print_json, print_table
from scalesync.cli.param_types import NAME, json_option
from scalesync.errors import ConfigurationError, IncompleteError, ScaleResourceNotFound
from scalesync.json_sanitizing import format_json

_SINGULAR = {"batches": "batch", "projects": "project"}


@click.group()
def task() -> None:
    """Tasks in the mirror and the queue."""


@click.group()
def batch() -> None:
    """Batches in the mirror and the queue."""


@click.group()
def project() -> None:
    """Projects in the mirror and the queue."""


def _show(context: Context, stream: str, key: str) -> None:
    document = context.mirror().document(stream, key)
    if document is None:
        # A task id has no near name that could be meant.
        warn_of_unknown(context, [] if stream == "tasks" else [(_SINGULAR[stream], key)], listed=True)
        msg = f"{key} is not in the mirror's {stream}."
        raise IncompleteError(msg, advice="If it is new, run `scalesync sync` first.")
    print_document(format_json(document, indent=2))


@task.command("list")
@filters("tasks")
@list_options
@click.option("--queued", is_flag=True, help="Also those that are queued here and not at Scale yet.")
@json_option
@click.pass_obj
def task_list(context: Context, /, queued: bool, json: bool, **options: object) -> None:
    """List tasks: on a terminal the 30 newest, otherwise all.

    --json prints documents, one a line.
    """
    print_objects(context, "tasks", options, as_json=json, queued=queued)


@task.command("show")
@click.argument("task_id", type=NAME)
@click.pass_obj
def task_show(context: Context, task_id: str) -> None:
    """Print one task's document."""
    _show(context, "tasks", task_id)


@batch.command("list")
@filters("batches")
@list_options
@json_option
@click.pass_obj
def batch_list(context: Context, /, json: bool, **options: object) -> None:
    """List batches: on a terminal the 30 newest, otherwise all.

    --json prints documents, one a line. `pending` and `completed` are counts of their tasks here.
    """
    print_objects(context, "batches", options, as_json=json)


@batch.command("show")
@click.argument("name", type=NAME)
@click.pass_obj
def batch_show(context: Context, name: str) -> None:
    """Print one batch's document."""
    _show(context, "batches", name)


@batch.command("status")
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


@project.command("list")
@filters("projects")
@list_options
@json_option
@click.pass_obj
def project_list(context: Context, /, json: bool, **options: object) -> None:
    """List projects: on a terminal the 30 newest, otherwise all.

    --json prints documents, one a line.
    """
    print_objects(context, "projects", options, as_json=json)


@project.command("show")
@click.argument("name", type=NAME)
@click.pass_obj
def project_show(context: Context, name: str) -> None:
    """Print one project's document, all versions included."""
    _show(context, "projects", name)


for _group, _more in ((task, submit.TASK), (batch, submit.BATCH), (project, submit.PROJECT)):
    for _command in _more:
        _group.add_command(_command)

COMMANDS = (task, batch, project)
