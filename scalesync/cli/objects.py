"""Commands about single objects: task, batch and project, as the mirror holds them."""

from collections.abc import Iterator
from itertools import chain, islice

import click
import msgspec

from scalesync.cli import orders
from scalesync.cli.context import Context
from scalesync.cli.filters import chosen, filters
from scalesync.cli.options import NAME, json_option
from scalesync.cli.output import print_document, print_json, print_lines, print_table
from scalesync.errors import IncompleteError
from scalesync.storable import formatted

_COLUMNS = {
    "tasks": ("task_id", "project", "batch", "type", "status", "created_at", "completed_at", "unique_id"),
    "batches": ("name", "project", "status", "created_at"),
    "projects": ("name", "type", "created_at", "archived"),
}


@click.group()
def task() -> None:
    """Tasks in the mirror and the queue."""


@click.group()
def batch() -> None:
    """Batches in the mirror and the queue."""


@click.group()
def project() -> None:
    """Projects in the mirror and the queue."""


def _list(
    context: Context, stream: str, options: dict[str, object], *, as_json: bool, queued: bool = False
) -> None:
    app, selection = context.app(), chosen(stream, options)
    documents = app.documents(stream, selection)
    if queued:
        documents = islice(chain(documents, app.queue.tasks(selection)), selection.limit)
    if as_json:
        print_lines(documents)
        return
    columns = _COLUMNS[stream]
    decoded = _marked(documents) if queued else map(msgspec.json.decode, documents)
    print_table(columns, ([document.get(column) for column in columns] for document in decoded))


def _marked(documents: Iterator[bytes]) -> Iterator[dict[str, object]]:
    """Yield tasks, those that are only queued with their command in the place of an id."""
    for document in documents:
        task = msgspec.json.decode(document)
        if "task_id" not in task:
            task |= {"task_id": f"command {task['command_id']}", "status": f"queued, {task['state']}"}
        yield task


def _show(context: Context, stream: str, key: str) -> None:
    document = context.app().document(stream, key)
    if document is None:
        msg = f"{key} is not in the mirror's {stream}."
        raise IncompleteError(msg, advice="If it is new, run `scalesync sync` first.")
    print_document(formatted(document, indent=2))


@task.command("list")
@filters("tasks")
@click.option("--queued", is_flag=True, help="Also those that are queued here and not at Scale yet.")
@json_option
@click.pass_obj
def task_list(context: Context, /, queued: bool, json: bool, **options: object) -> None:
    """List tasks; --json prints whole documents, one a line."""
    _list(context, "tasks", options, as_json=json, queued=queued)


@task.command("show")
@click.argument("task_id", type=NAME)
@click.pass_obj
def task_show(context: Context, task_id: str) -> None:
    """Print one task's document."""
    _show(context, "tasks", task_id)


@batch.command("list")
@filters("batches")
@json_option
@click.pass_obj
def batch_list(context: Context, /, json: bool, **options: object) -> None:
    """List batches; --json prints whole documents, one a line."""
    _list(context, "batches", options, as_json=json)


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
    counted = context.app().batch_status(name)
    if json:
        print_json(counted)
    else:
        states = ("status", "pending", "completed", "error", "canceled")
        print_table(states, [[getattr(counted, state) for state in states]])


@project.command("list")
@filters("projects")
@json_option
@click.pass_obj
def project_list(context: Context, /, json: bool, **options: object) -> None:
    """List projects; --json prints whole documents, one a line."""
    _list(context, "projects", options, as_json=json)


@project.command("show")
@click.argument("name", type=NAME)
@click.pass_obj
def project_show(context: Context, name: str) -> None:
    """Print one project's document, all versions included."""
    _show(context, "projects", name)


for _group, _more in ((task, orders.TASK), (batch, orders.BATCH), (project, orders.PROJECT)):
    for _command in _more:
        _group.add_command(_command)

COMMANDS = (task, batch, project)
