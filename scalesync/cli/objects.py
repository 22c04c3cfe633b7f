"""Commands about single objects: task, batch and project, as the mirror holds them."""

import click
import msgspec

from scalesync.cli.context import Context
from scalesync.cli.filters import chosen, filters
from scalesync.cli.options import json_option
from scalesync.cli.output import print_json, print_lines, print_table, printing
from scalesync.errors import IncompleteError

_COLUMNS = {
    "tasks": ("task_id", "project", "batch", "type", "status", "created_at", "completed_at", "unique_id"),
    "batches": ("name", "project", "status", "created_at"),
    "projects": ("name", "type", "created_at", "archived"),
}


@click.group()
def task() -> None:
    """Tasks in the mirror."""


@click.group()
def batch() -> None:
    """Batches in the mirror."""


@click.group()
def project() -> None:
    """Projects in the mirror."""


def _list(context: Context, stream: str, options: dict[str, object], *, as_json: bool) -> None:
    documents = context.app().documents(stream, chosen(stream, options))
    if as_json:
        print_lines(documents)
        return
    columns = _COLUMNS[stream]
    decoded = (msgspec.json.decode(document) for document in documents)
    print_table(columns, ([document.get(column) for column in columns] for document in decoded))


def _show(context: Context, stream: str, key: str) -> None:
    document = context.app().document(stream, key)
    if document is None:
        msg = f"{key} is not in the mirror's {stream}."
        raise IncompleteError(msg, advice="If it is new, run `scalesync sync` first.")
    with printing():
        click.echo(msgspec.json.format(document, indent=2))


@task.command("list")
@filters("tasks")
@json_option
@click.pass_obj
def task_list(context: Context, /, json: bool, **options: object) -> None:
    """List tasks; --json prints whole documents, one a line."""
    _list(context, "tasks", options, as_json=json)


@task.command("show")
@click.argument("task_id")
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
@click.argument("name")
@click.pass_obj
def batch_show(context: Context, name: str) -> None:
    """Print one batch's document."""
    _show(context, "batches", name)


@batch.command("status")
@click.argument("name")
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
@click.argument("name")
@click.pass_obj
def project_show(context: Context, name: str) -> None:
    """Print one project's document, all versions included."""
    _show(context, "projects", name)


COMMANDS = (task, batch, project)
