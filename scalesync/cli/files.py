"""`scalesync file`: queue files for Scale, whose addresses tasks refer to."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from scalesync.cli.context import Context
from scalesync.cli.filters import warn_of_unknown
from scalesync.cli.param_types import GIVEN, NAME, OBJECT, json_option
from scalesync.cli.submit import queue_commands

if TYPE_CHECKING:
    from scalesync.models.commands import Enqueued
    from scalesync.queue.transaction import Transaction

_F = TypeVar("_F", bound=Callable[..., object])


def _described(command: _F) -> _F:
    """Add the options that describe a file."""
    for option in (
        click.option(
            "--metadata", type=OBJECT, metavar="FILE|JSON", help="A JSON object, or a file with one."
        ),
        click.option("--display-name", type=NAME, metavar="TEXT", help="Its name for people."),
        click.option("--project", type=NAME, help="The project it is for."),
        click.option("--reference-id", type=NAME, help="Its own name; else from name and content."),
    ):
        command = option(command)
    return json_option(click.pass_obj(command))  # type: ignore[return-value]


@click.command("import")
@click.argument("url", type=GIVEN)
@_described
def file_import(context: Context, /, url: str, **options: Any) -> None:
    """Queue a file that Scale fetches from a URL."""
    _queue(context, options, lambda tx, fields: tx.import_file(url, **fields))


@click.command("upload")
@click.argument("path", type=GIVEN)
@_described
def file_upload(context: Context, /, path: str, **options: Any) -> None:
    """Queue the upload of a file; it has to stay until then."""
    _queue(context, options, lambda tx, fields: tx.upload_file(path, **fields))


def _queue(
    context: Context,
    options: dict[str, Any],
    add: "Callable[[Transaction, dict[str, Any]], Enqueued]",
) -> None:
    as_json, project = options.pop("json"), options.pop("project")
    fields = {**options, "project_name": project}
    queue_commands(context, lambda tx: [add(tx, fields)], as_json=as_json)
    warn_of_unknown(context, [("project", project)] if project else [])


COMMANDS = (
    click.Group(
        "file", commands=(file_import, file_upload), help="Files for tasks to refer to, sent by the queue."
    ),
)
