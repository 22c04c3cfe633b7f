"""Subcommands of task and batch that queue changes of what exists: reviews, tags, metadata, unique_ids."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from scalesync.cli.context import Context
from scalesync.cli.filters import warn_of_unknown
from scalesync.cli.param_types import GIVEN, NAME, OBJECT, json_option
from scalesync.cli.submit import queue_commands
from scalesync.errors import ConfigurationError

if TYPE_CHECKING:
    from scalesync.models.commands import Enqueued
    from scalesync.queue.transaction import Transaction

_F = TypeVar("_F", bound=Callable[..., object])

_METADATA = click.option(
    "--metadata", type=OBJECT, metavar="FILE|JSON", required=True, help="A JSON object, or a file with one."
)


def _named_tasks(command: _F) -> _F:
    """Add the arguments that name tasks, by id or unique_id."""
    by_id = click.argument("task_ids", type=NAME, nargs=-1, metavar="[TASK_ID]...")
    by_unique_id = click.option(
        "--unique-id",
        type=NAME,
        multiple=True,
        help="By unique_id; also one still queued here.",
    )
    return by_id(by_unique_id(json_option(click.pass_obj(command))))  # type: ignore[return-value]


@click.command("audit")
@click.option("--accept", is_flag=True, help="The annotations are right.")
@click.option("--reject", is_flag=True, help="They are not.")
@click.option("--comments", type=GIVEN, metavar="TEXT", help="What the annotators should know.")
@_named_tasks
def task_audit(context: Context, /, accept: bool, reject: bool, comments: str | None, **named: Any) -> None:
    """Queue the review of completed tasks."""
    if accept == reject:
        raise ConfigurationError("A review accepts or rejects.", advice="Give --accept or --reject.")
    _change_each(context, named, lambda tx, **one: tx.audit_task(**one, accepted=accept, comments=comments))


@click.command("tag")
@click.option("--add", type=NAME, multiple=True, metavar="TAG", help="Add this one; several times for more.")
@click.option("--remove", type=NAME, multiple=True, metavar="TAG", help="Remove this one.")
@click.option("--set", type=NAME, multiple=True, metavar="TAG", help="Have this one, and no others.")
@click.option("--clear", is_flag=True, help="Have none.")
@_named_tasks
def task_tag(
    context: Context,
    /,
    add: tuple[str, ...],
    remove: tuple[str, ...],
    set: tuple[str, ...],  # noqa: A002 - the option's name
    clear: bool,
    **named: Any,
) -> None:
    """Queue changes of the tags of tasks."""
    if sum(map(bool, (add or remove, set, clear))) != 1:
        msg = "Say which tags, in one way."
        raise ConfigurationError(msg, advice="Give --add and --remove, or --set, or --clear.")
    if both := sorted({*add} & {*remove}):
        raise ConfigurationError(f"{both[0]!r} is added and removed.", advice="Leave one of them out.")
    if set or clear:
        _change_each(context, named, lambda tx, **one: tx.set_task_tags(**one, tags=set))
        return
    changes: list[Callable[..., Enqueued]] = []
    if add:
        changes.append(lambda tx, **one: tx.add_task_tags(**one, tags=add))
    if remove:
        changes.append(lambda tx, **one: tx.delete_task_tags(**one, tags=remove))
    _change_each(context, named, *changes)


@click.command("set-metadata")
@_METADATA
@_named_tasks
def task_set_metadata(context: Context, /, metadata: dict[str, object], **named: Any) -> None:
    """Queue the metadata of tasks, in place of all that they have."""
    _change_each(context, named, lambda tx, **one: tx.set_task_metadata(**one, metadata=metadata))


@click.command("set-unique-id")
@click.argument("task_id", type=NAME, required=False)
@click.option("--unique-id", type=NAME, help="Name the task by the unique_id that it has.")
@click.option("--to", type=NAME, required=True, metavar="NEW", help="The unique_id that it is to have.")
@json_option
@click.pass_obj
def task_set_unique_id(
    context: Context, task_id: str | None, unique_id: str | None, to: str, json: bool
) -> None:
    """Queue another unique_id for a task."""
    named = {"task_ids": (task_id,) if task_id else (), "unique_id": (unique_id,) if unique_id else ()}
    _change_each(
        context,
        {**named, "json": json},
        lambda tx, **one: tx.update_task_unique_id(**one, new_unique_id=to),
    )


@click.command("clear-unique-id")
@_named_tasks
def task_clear_unique_id(context: Context, /, **named: Any) -> None:
    """Queue the removal of unique_ids; other tasks can have them."""
    _change_each(context, named, lambda tx, **one: tx.clear_task_unique_id(**one))


@click.command("send-callback")
@_named_tasks
def task_send_callback(context: Context, /, **named: Any) -> None:
    """Queue requests to send the callbacks of tasks again."""
    _change_each(context, named, lambda tx, **one: tx.send_callback(**one))


@click.command("set-metadata")
@click.argument("name", type=NAME)
@_METADATA
@json_option
@click.pass_obj
def batch_set_metadata(context: Context, name: str, metadata: dict[str, object], json: bool) -> None:
    """Queue the metadata of a batch, in place of all that it has."""
    queue_commands(context, lambda tx: [tx.set_batch_metadata(name, metadata)], as_json=json)
    warn_of_unknown(context, [("batch", name)])


def _change_each(context: Context, named: dict[str, Any], *changes: "Callable[..., Enqueued]") -> None:
    """Queue the changes of each named task, all of them or none, and print the result."""
    task_ids, unique_ids = named["task_ids"], named["unique_id"]
    if bool(task_ids) == bool(unique_ids):
        raise ConfigurationError(
            "Name tasks by their ids, or by --unique-id.", advice="Give exactly one of the two."
        )
    # Each task once: a review or a callback would otherwise be made as often as its task is named.
    tasks = [
        {name: each}
        for name, given in (("task_id", task_ids), ("unique_id", unique_ids))
        for each in dict.fromkeys(given)
    ]

    def add(tx: "Transaction") -> "list[Enqueued]":
        return [change(tx, **one) for one in tasks for change in changes]

    queue_commands(context, add, as_json=named["json"])


TASK = (
    task_audit,
    task_tag,
    task_set_metadata,
    task_set_unique_id,
    task_clear_unique_id,
    task_send_callback,
)
BATCH = (batch_set_metadata,)
"""Subcommands that `resources` adds to its groups."""
