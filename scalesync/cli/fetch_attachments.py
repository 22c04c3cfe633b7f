"""`scalesync fetch-attachments`: read the sizes of the pictures that tasks name, or keep the files."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scalesync.cli.context import Context
from scalesync.cli.error_handling import graceful_shutdown
from scalesync.cli.fetch_results import advice_for, print_reasons, summary_as_dict
from scalesync.cli.filters import filters, warn_of_filters
from scalesync.cli.output import pluralize, print_json, single_line
from scalesync.cli.param_types import DISK_SIZE, SECONDS, json_option, workers_option
from scalesync.cli.progress import Tracker, progress
from scalesync.clock import Clock
from scalesync.errors import ConfigurationError, IncompleteError, InterruptedRunError

if TYPE_CHECKING:
    from scalesync.sync.attachments import AttachmentEvent, AttachmentSummary

_RETRY_ADVICE = "Run `scalesync fetch-attachments` again."
_REASON_ADVICE = "`attachments.error` says of each why."


@click.command("fetch-attachments")
@click.option("--sizes", is_flag=True, help="Read widths and heights from the first bytes.")
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Keep the files in DIR; sizes as well.",
)
@click.option("--refresh", is_flag=True, help="Ask again for what is known or kept.")
@filters("tasks")
@workers_option("Files fetched at once, 1 to 64.")
@click.option("--max-size", type=DISK_SIZE, default="64MB", help="Leave out files larger than this.")
@click.option("--timeout", type=SECONDS, default="5m", help="How long one file may take.")
@click.option("--allow-private", is_flag=True, help="Also from this machine and private networks.")
@json_option
@click.pass_obj
def fetch_attachments(context: Context, /, json: bool, sizes: bool, to: Path | None, **options: Any) -> None:
    """Read the sizes of the pictures of tasks, or keep the files.

    What is known, or kept, is not asked for again. Ends with 1 if something could not be had, or is not what
    it should be; the next run tries it again.
    """
    if not sizes and to is None:
        raise ConfigurationError(
            "Nothing is asked for.", advice="Add --sizes, or --to DIR to keep files too."
        )
    warn_of_filters(context, "tasks", options)
    clock = Clock()
    with graceful_shutdown(clock, "the files in hand"):
        summary = _run(context, clock, {"to": to, **options})
        if json:
            print_json(summary_as_dict(summary))
        elif not context.quiet:
            print_summary(summary, kept=to is not None)
        _raise_if_incomplete(summary)


def _run(context: Context, clock: Clock, options: dict[str, Any]) -> "AttachmentSummary":
    """Fetch with progress on stderr, and print the reasons of failures there."""
    given = {name: value for name, value in options.items() if value is not None and value != ()}
    # As in lists, a limit of 0 is none.
    given = {name: value for name, value in given.items() if name != "limit" or value}
    with progress(AttachmentTracker(), quiet=context.quiet) as on_event:
        summary = context.mirror(clock).fetch_attachments(**given, on_event=on_event)
    if not context.quiet:
        print_reasons(summary, "attachment", "attachments")
    return summary


class AttachmentTracker(Tracker):
    """Counts attachments, and the tasks that were looked at."""

    log = logging.getLogger("scalesync.attachments")
    counter = "attachments"

    def __init__(self) -> None:
        """Start at zero."""
        self._done = self._tasks = self._total = 0

    def count(self, event: "AttachmentEvent") -> None:
        """Count an event."""
        from scalesync.sync.attachments import TasksLookedAt

        if isinstance(event, TasksLookedAt):
            self._tasks, self._total = event.tasks, event.total
        else:
            self._done += 1

    def counters(self) -> dict[str, tuple[int, int | None]]:
        """Return the tasks that were looked at, and their total."""
        # How many attachments there are is known only once all tasks were looked at.
        return {"tasks": (self._tasks, self._total)}

    def line(self, counter: str) -> str:
        """Return the numbers as a sentence."""
        return f"{counter}: {self._done:,} done, {self._tasks:,} of {self._total:,} tasks looked at"


def print_summary(summary: "AttachmentSummary", *, kept: bool) -> None:
    """Print on stderr what was fetched, what has no size, and what failed."""
    files = pluralize(summary.fetched, "attachment", "attachments")
    size = f" ({summary.bytes:,} bytes)" if kept else ""
    failed = f", {summary.failed:,} failed" if summary.failed else ""
    tasks = pluralize(summary.tasks, "task", "tasks")
    verb = "kept" if kept else "looked at"
    click.echo(f"{files} of {tasks} {verb}{size}{failed}, {summary.seconds:.1f} s", err=True)
    if summary.others:
        kinds = ", ".join(f"{kind} {number:,}" for kind, number in sorted(summary.others.items()))
        number = sum(summary.others.values())
        click.echo(single_line(f"{number:,} without a size, as they are no pictures: {kinds}"), err=True)


def _raise_if_incomplete(summary: "AttachmentSummary") -> None:
    """Raise an error with advice unless everything was had."""
    if summary.stopped:
        raise InterruptedRunError("Stopped; what came is saved.", advice="Run the same again to go on.")
    if summary.failed:
        files = pluralize(summary.failed, "attachment", "attachments")
        advice = f"{advice_for(summary, _RETRY_ADVICE)} {_REASON_ADVICE}"
        raise IncompleteError(f"{files} could not be had.", advice=advice)


COMMANDS = (fetch_attachments,)
