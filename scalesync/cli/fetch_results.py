"""`scalesync fetch-results`, which `sync --results` does too: the files that responses name."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from scalesync.cli.context import Context
from scalesync.cli.error_handling import graceful_shutdown
from scalesync.cli.logs import fields_of
from scalesync.cli.output import pluralize, print_json, single_line
from scalesync.cli.param_types import DURATION, SIZE, json_option, workers_option
from scalesync.clock import Clock
from scalesync.errors import IncompleteError, InterruptedRunError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from scalesync.app import App
    from scalesync.sync.result_files.fetcher import FetchEvent, FetchOptions, FetchSummary, FetchWatcher

log = logging.getLogger("scalesync.results")

SAID = 10
"""Reasons that have a line of their own; the files of the others are counted."""

_AGAIN = "Run `scalesync fetch-results` again."
_WHY = "`result_files.error` says of each file why."

HAND = "the file in hand"
"""What a stop waits for: only what is being written; downloads are cut off."""


@click.command("fetch-results")
@workers_option("Files fetched at once, 1 to 64.")
@click.option(
    "--max-size", type=SIZE, default="64MB", show_default=True, help="Leave out files larger than this."
)
@click.option("--timeout", type=DURATION, default="5m", show_default=True, help="How long one file may take.")
@click.option("--allow-private", is_flag=True, help="Also from this machine and private networks.")
@json_option
@click.pass_obj
def fetch_results(
    context: Context, workers: int, max_size: int, timeout: timedelta, allow_private: bool, json: bool
) -> None:
    """Fetch result files, and write the annotations in them.

    They are what responses of videos and lidar name instead of annotations. Each is fetched once. Ends with 1
    if one could not be, or could not be read; the next run tries it again.
    """
    from scalesync.sync.result_files.fetcher import FetchOptions

    how = FetchOptions(workers, max_size, timeout.total_seconds(), allow_private)
    clock = Clock()
    with graceful_shutdown(clock, HAND):
        summary = watched(context.app(clock), how, quiet=context.quiet)
        if json:
            print_json(as_dict(summary))
        elif not context.quiet:
            tell_summary(summary)
        raise_if_incomplete(summary)


def watched(app: "App", how: "FetchOptions", *, quiet: bool) -> "FetchSummary":
    """Fetch with progress on stderr."""
    with _watching(quiet=quiet) as watch:
        summary = app.fetch_results(how, watch)
    if not quiet:
        _tell_reasons(summary)
    return summary


def as_dict(summary: "FetchSummary") -> dict[str, object]:
    """Return the summary for machines."""
    return asdict(summary) | {"complete": summary.complete, "seconds": round(summary.seconds, 3)}


def _tell_reasons(summary: "FetchSummary") -> None:
    """Say on stderr why files failed: a line for each reason, with how many it holds for."""
    reasons = sorted(summary.reasons, key=lambda reason: -reason.files)
    for reason in reasons[:SAID]:
        files = (
            "" if reason.files == 1 else f"{pluralize(reason.files, 'result file', 'result files')}, such as "
        )
        click.echo(single_line(f"{files}{reason.url}: {reason.error}"), err=True)
    if others := reasons[SAID:]:
        files = pluralize(sum(reason.files for reason in others), "result file", "result files")
        click.echo(f"{files} for {pluralize(len(others), 'other reason', 'other reasons')}", err=True)


def tell_summary(summary: "FetchSummary") -> None:
    """Say on stderr what was fetched."""
    files = pluralize(summary.fetched, "result file", "result files")
    rows = pluralize(summary.annotations, "annotation", "annotations")
    failed = f", {summary.failed:,} failed" if summary.failed else ""
    came = f"{files} fetched ({summary.bytes:,} bytes){failed}, {rows} written"
    click.echo(f"{came}, {summary.seconds:.1f} s", err=True)


def raise_if_incomplete(summary: "FetchSummary") -> None:
    """Return if every file is here and was read; raise what says why not, and how to go on."""
    if summary.stopped:
        raise InterruptedRunError(
            "Stopped; every file received is saved.", advice="Run `scalesync fetch-results` to go on."
        )
    if summary.failed:
        files = pluralize(summary.failed, "result file", "result files")
        what = {0: "fetched", summary.failed: "read"}.get(summary.unread, "fetched or read")
        advices = dict.fromkeys(reason.advice or _AGAIN for reason in summary.reasons)
        raise IncompleteError(f"{files} could not be {what}.", advice=" ".join([*advices, _WHY]))


@contextmanager
def _watching(*, quiet: bool) -> "Iterator[FetchWatcher]":
    """Lend a watcher that fits stderr: a bar, lines, or nothing. It also logs every event."""
    if quiet:
        yield _logging(lambda _: None)
    elif sys.stderr.isatty():
        from scalesync.cli.progress import drawing

        with drawing() as bars:
            yield _logging(Bar(bars, bars.add_task("results", total=None)))
    else:
        yield _logging(Lines())


def _logging(watch: "FetchWatcher") -> "FetchWatcher":
    def note(event: "FetchEvent") -> None:
        log.info(event.name, extra=fields_of(event))
        watch(event)

    return note


@dataclass
class Told:
    """How many files are done with, of how many."""

    files: int = 0
    done: int = 0

    def note(self, event: "FetchEvent") -> None:
        """Count an event."""
        from scalesync.sync.result_files.fetcher import FetchStarted

        if isinstance(event, FetchStarted):
            self.files = event.files
        else:
            self.done += 1


@dataclass
class Lines:
    """Says now and then in a plain line how far it is."""

    told: Told = field(default_factory=Told)
    counted_at: float = field(default_factory=time.monotonic)

    def __call__(self, event: "FetchEvent") -> None:
        """Count the event, and say the count if it is time."""
        from scalesync.cli.progress import EVERY

        self.told.note(event)
        now = time.monotonic()
        if now - self.counted_at >= EVERY:
            self.counted_at = now
            click.echo(f"results: {self.told.done:,} of {self.told.files:,} files", err=True)


@dataclass
class Bar:
    """Draws how many files are done with."""

    progress: "Progress"
    bar: "TaskID"
    told: Told = field(default_factory=Told)

    def __call__(self, event: "FetchEvent") -> None:
        """Move the bar."""
        self.told.note(event)
        self.progress.update(self.bar, completed=self.told.done, total=self.told.files)


COMMANDS = (fetch_results,)
