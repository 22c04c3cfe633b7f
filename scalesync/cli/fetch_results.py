"""`scalesync fetch-results` and `sync --results`: download the files that responses name."""

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from scalesync.cli.context import Context
from scalesync.cli.error_handling import graceful_shutdown
from scalesync.cli.output import pluralize, print_json, single_line
from scalesync.cli.param_types import SECONDS, SIZE, json_option, workers_option
from scalesync.cli.progress import Tracker, progress
from scalesync.clock import Clock
from scalesync.errors import IncompleteError, InterruptedRunError

if TYPE_CHECKING:
    from scalesync.mirror import Mirror
    from scalesync.sync.download_events import DownloadSummary, FetchEvent
    from scalesync.sync.result_files import FetchSummary


MAX_REASONS = 10
"""Reasons printed one by one; the others are summed up."""

_RETRY_ADVICE = "Run `scalesync fetch-results` again."
_REASON_ADVICE = "`result_files.error` says of each file why."


@click.command("fetch-results")
@workers_option("Files fetched at once, 1 to 64.")
@click.option("--max-size", type=SIZE, default="64MB", help="Leave out files larger than this.")
@click.option("--timeout", type=SECONDS, default="5m", help="How long one file may take.")
@click.option("--allow-private", is_flag=True, help="Also from this machine and private networks.")
@json_option
@click.pass_obj
def fetch_results(context: Context, /, json: bool, **options: Any) -> None:
    """Fetch result files, and write the annotations in them.

    They are what responses of videos and lidar name instead of annotations. Each is fetched once. Ends with 1
    if one could not be, or could not be read; the next run tries it again.
    """
    clock = Clock()
    # A stop waits only for the file that is being written; downloads are aborted.
    with graceful_shutdown(clock, "the file in hand"):
        summary = run(context.mirror(clock), quiet=context.quiet, **options)
        if json:
            print_json(summary_as_dict(summary))
        elif not context.quiet:
            print_fetched(summary)
        raise_if_incomplete(summary)


def run(mirror: "Mirror", *, quiet: bool, **options: Any) -> "FetchSummary":
    """Fetch with progress on stderr, and print the reasons of failures there."""
    with progress(_FetchTracker(), quiet=quiet) as on_event:
        summary = mirror.fetch_results(**options, on_event=on_event)
    if not quiet:
        print_reasons(summary, "result file", "result files")
    return summary


class _FetchTracker(Tracker):
    """Counts files that were fetched or failed."""

    log = logging.getLogger("scalesync.results")
    counter = "results"

    def __init__(self) -> None:
        """Start at zero."""
        self._files, self._done = 0, 0

    def count(self, event: "FetchEvent") -> None:
        """Count an event."""
        from scalesync.sync.download_events import FetchStarted

        if isinstance(event, FetchStarted):
            self._files = event.files
        else:
            self._done += 1

    def counters(self) -> dict[str, tuple[int, int | None]]:
        """Return finished files and their total."""
        return {"results": (self._done, self._files)}

    def line(self, counter: str) -> str:
        """Return finished files and their total as a sentence."""
        return f"{counter}: {self._done:,} of {self._files:,} files"


def summary_as_dict(summary: "DownloadSummary") -> dict[str, object]:
    """Return the summary for machines."""
    return asdict(summary) | {"complete": summary.complete, "seconds": round(summary.seconds, 3)}


def print_reasons(summary: "DownloadSummary", one: str, many: str) -> None:
    """Say on stderr why files failed: a line for each reason, with how many files it holds for."""
    reasons = sorted(summary.reasons, key=lambda reason: -reason.files)
    for reason in reasons[:MAX_REASONS]:
        files = "" if reason.files == 1 else f"{pluralize(reason.files, one, many)}, such as "
        click.echo(single_line(f"{files}{reason.url}: {reason.error}"), err=True)
    if others := reasons[MAX_REASONS:]:
        files = pluralize(sum(reason.files for reason in others), one, many)
        click.echo(f"{files} for {pluralize(len(others), 'other reason', 'other reasons')}", err=True)


def advice_for(summary: "DownloadSummary", retry: str) -> str:
    """Return what may help with the failed files: each advice once, `retry` for those without one."""
    return " ".join(dict.fromkeys(reason.advice or retry for reason in summary.reasons))


def print_fetched(summary: "FetchSummary") -> None:
    """Print the numbers of fetched and failed files on stderr."""
    files = pluralize(summary.fetched, "result file", "result files")
    rows = pluralize(summary.annotations, "annotation", "annotations")
    failed = f", {summary.failed:,} failed" if summary.failed else ""
    text = f"{files} fetched ({summary.bytes:,} bytes){failed}, {rows} written"
    click.echo(f"{text}, {summary.seconds:.1f} s", err=True)


def raise_if_incomplete(summary: "FetchSummary") -> None:
    """Raise an error with advice unless every file was fetched and parsed."""
    if summary.stopped:
        raise InterruptedRunError(
            "Stopped; every file received is saved.", advice="Run `scalesync fetch-results` to go on."
        )
    if summary.failed:
        files = pluralize(summary.failed, "result file", "result files")
        what = {0: "fetched", summary.failed: "read"}.get(summary.unread, "fetched or read")
        advice = f"{advice_for(summary, _RETRY_ADVICE)} {_REASON_ADVICE}"
        raise IncompleteError(f"{files} could not be {what}.", advice=advice)


COMMANDS = (fetch_results,)
