"""Subcommands of task, batch and project that queue commands; they need no key and no network."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import click

from scalesync.cli.context import Context
from scalesync.cli.filters import warn_of_unknown
from scalesync.cli.output import pluralize, print_change, single_line
from scalesync.cli.param_types import NAME, OBJECT, PAIR, json_option, number_type
from scalesync.errors import ConfigurationError, SubmissionError

if TYPE_CHECKING:
    from scalesync.models.commands import Enqueued
    from scalesync.queue.bulk_submit import IdRanges, SubmitResult, TaskTemplate
    from scalesync.queue.transaction import Transaction

Fields = tuple[tuple[str, object], ...]
"""(name, value) pairs from the command line."""

_PRIORITY = number_type(-(2**31), 2**31 - 1)

MAX_IDS = 20
"""Ids, or ranges of ids, printed for people; `--json` prints all."""


@click.command("create")
@click.argument("task_type", type=NAME, metavar="TYPE")
@click.argument("fields", nargs=-1, type=PAIR, metavar="[KEY=VALUE]...")
@click.option("--project", type=NAME, help="The project of every task that names none.")
@click.option("--batch", type=NAME, help="The batch of every task that names none.")
@click.option("--from", type=click.File("rb"), metavar="FILE|-", help="A JSON object a line: a task each.")
@click.option("--unique-id-field", type=NAME, help="Take each unique_id from this field; a.b is b in a.")
@click.option("--allow-duplicates", is_flag=True, help="Queue the same content again, as another task.")
@click.option("--priority", type=_PRIORITY, metavar="N", default=0, help="Lower goes first.")
@json_option
@click.pass_obj
def task_create(context: Context, /, task_type: str, fields: Fields, json: bool, **options: object) -> None:
    """Queue tasks of one type; KEY:=JSON for what is not text.

    With --from, the KEY=VALUE are fields of every line that has none of that name, and either all lines are
    queued or none. Without a unique_id a task gets one that is the same for the same content.
    """
    source: IO[bytes] | None = options.pop("from")  # type: ignore[assignment]
    template = _template(task_type, fields, options)
    if source is None and not template.defaults:
        raise ConfigurationError("Nothing says what the task is.", advice="Give KEY=VALUE, or --from FILE.")
    if source is None:
        queue_commands(context, lambda tx: [tx.enqueue(template.to_command({}))], as_json=json)
    else:
        with _print_problems():
            submitted = context.mirror().submit(source, template)
        _report(context, submitted, as_json=json)
    # A warning, not an error: the project may be created by a command that is queued later.
    warn_of_unknown(context, sorted(template.named))


@click.command("cancel")
@click.argument("task_ids", type=NAME, nargs=-1, metavar="[TASK_ID]...")
@click.option("--batch", type=NAME, help="Every task of this batch that is pending here or still queued.")
@click.option("--unique-id", type=NAME, multiple=True, help="By unique_id; may be given several times.")
@click.option("--clear-unique-id", is_flag=True, help="Free the unique_id for another task.")
@json_option
@click.pass_obj
def task_cancel(context: Context, /, json: bool, unique_id: tuple[str, ...], **options: Any) -> None:
    """Queue the canceling of tasks; withdraw what was not sent."""
    batch = options["batch"]
    if sum(map(bool, (options["task_ids"], batch, unique_id))) != 1:
        msg = "Name tasks by their ids, or by --unique-id, or by --batch."
        raise ConfigurationError(msg, advice="Give exactly one of the three.")
    warn_of_unknown(context, [("batch", batch)], listed=True)
    with context.mirror().transaction() as tx:
        submitted = tx.cancel_tasks(unique_ids=unique_id, **options)
    _report(context, submitted, as_json=json)


@click.command("create")
@click.argument("name", type=NAME)
@click.option("--project", type=NAME, required=True, help="The project it belongs to.")
@click.option(
    "--callback", type=NAME, metavar="URL", help="Where Scale reports to: a URL or an e-mail address."
)
@click.option("--metadata", type=OBJECT, metavar="FILE|JSON", help="A JSON object, or a file that holds one.")
@click.option("--calibration", is_flag=True, help="Make it a calibration batch.")
@click.option("--self-label", is_flag=True, help="Make it a self-label batch.")
@json_option
@click.pass_obj
def batch_create(
    context: Context, /, name: str, project: str, calibration: bool, self_label: bool, json: bool, **more: Any
) -> None:
    """Queue a new batch."""
    more |= {"calibration_batch": calibration or None, "self_label_batch": self_label or None}
    queue_commands(context, lambda tx: [tx.create_batch(name, project, **more)], as_json=json)
    warn_of_unknown(context, [("project", project)])


@click.command("finalize")
@click.argument("name", type=NAME)
@json_option
@click.pass_obj
def batch_finalize(context: Context, name: str, json: bool) -> None:
    """Queue the finalizing of a batch, after all its tasks."""
    queue_commands(context, lambda tx: [tx.finalize_batch(name)], as_json=json)
    warn_of_unknown(context, [("batch", name)])


@click.command("create")
@click.argument("name", type=NAME)
@click.option("--type", type=NAME, required=True, help="The type of its tasks.")
@click.option("--params", type=OBJECT, metavar="FILE|JSON", required=True, help="Its first parameters.")
@click.option("--rapid", is_flag=True, help="Make it a Rapid project.")
@click.option("--studio", is_flag=True, help="Make it a Studio project.")
@click.option("--dataset-id", type=NAME, metavar="ID", help="The dataset that its tasks belong to.")
@json_option
@click.pass_obj
def project_create(
    context: Context, /, name: str, rapid: bool, studio: bool, json: bool, **given: Any
) -> None:
    """Queue a new project."""
    if rapid and studio:
        raise ConfigurationError("A project is --rapid or --studio.", advice="Leave one of them out.")
    given |= {"rapid": rapid or None, "studio": studio or None}
    queue_commands(context, lambda tx: [tx.create_project(name, **given)], as_json=json)
    warn_of_unknown(context, [("type", given["type"])])


@click.command("update")
@click.argument("name", type=NAME)
@click.option("--params", type=OBJECT, metavar="FILE|JSON", required=True, help="Its new parameters.")
@click.option("--patch", is_flag=True, help="Merge them over the latest instead of replacing those.")
@json_option
@click.pass_obj
def project_update(context: Context, name: str, params: dict[str, object], patch: bool, json: bool) -> None:
    """Queue new parameters of a project."""
    queue_commands(context, lambda tx: [tx.update_project(name, params, patch=patch or None)], as_json=json)
    warn_of_unknown(context, [("project", name)])


def _template(task_type: str, fields: Fields, options: dict[str, object]) -> "TaskTemplate":
    """Return the template of all tasks. Raises ConfigurationError for a field given twice."""
    from scalesync.queue.bulk_submit import TaskTemplate

    given = [*fields, *((name, options.pop(name)) for name in ("project", "batch"))]
    defaults: dict[str, object] = {}
    for name, value in given:
        if value is not None and name in defaults:
            raise ConfigurationError(f"The field {name!r} is given twice.", advice="Leave one of them out.")
        # A field may be null (`KEY:=null`); an option that was not given is left out.
        if value is not None or name not in ("project", "batch"):
            defaults[name] = value
    return TaskTemplate(task_type, defaults, **options)  # type: ignore[arg-type]


def queue_commands(
    context: Context, add: "Callable[[Transaction], list[Enqueued]]", *, as_json: bool
) -> None:
    """Queue commands in one transaction, and print the result."""
    with context.mirror().transaction() as tx:
        enqueued = add(tx)
    from scalesync.queue.bulk_submit import SubmitResult

    submitted = SubmitResult()
    for one in enqueued:
        submitted.add(one)
    _report(context, submitted, as_json=as_json)


@contextmanager
def _print_problems() -> Iterator[None]:
    """Print the problem of each line before the error that ends the command."""
    try:
        yield
    except SubmissionError as error:
        for number, reason in error.problems:
            click.echo(single_line(f"line {number:,}: {reason}"), err=True)
        raise


def _report(context: Context, submitted: "SubmitResult", *, as_json: bool) -> None:
    ids = {name: list(getattr(submitted, name)) for name in submitted.__dataclass_fields__} if as_json else {}
    print_change(ids, _sentences(submitted), as_json=as_json, quiet=context.quiet)


def _sentences(submitted: "SubmitResult") -> Iterator[str]:
    queued, before = submitted.queued, submitted.already_queued
    mirrored, withdrawn = submitted.already_mirrored, submitted.withdrawn
    if queued or not (before or mirrored or withdrawn):
        yield f"{pluralize(len(queued), 'command', 'commands')} queued{_format_ids(queued)}"
    if before:
        yield f"{pluralize(len(before), 'was', 'were')} queued before{_format_ids(before)}"
    if mirrored:
        shown = ", ".join(mirrored[:MAX_IDS]) + (" ..." if len(mirrored) > MAX_IDS else "")
        yield f"{pluralize(len(mirrored), 'is', 'are')} in the mirror already: {shown}"
    if withdrawn:
        number = pluralize(len(withdrawn), "was", "were")
        yield f"{number} never sent and is withdrawn{_format_ids(withdrawn)}"


def _format_ids(ids: "IdRanges") -> str:
    """Return `: ` and the ids, consecutive ones as `first-last`."""
    parts = [f"{first}-{last}" if last > first else f"{first}" for first, last in ids.runs[: MAX_IDS + 1]]
    shown = ", ".join(parts[:MAX_IDS]) + (" ..." if len(parts) > MAX_IDS else "")
    return f": {shown}" if shown else ""


TASK = (task_create, task_cancel)
BATCH = (batch_create, batch_finalize)
PROJECT = (project_create, project_update)
"""Subcommands that `resources` adds to its groups."""
