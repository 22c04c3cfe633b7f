"""`scalesync sync`: sync with progress, then optionally verify and fetch result files."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from scalesync.cli.context import Context
from scalesync.cli.error_handling import graceful_shutdown
from scalesync.cli.output import pluralize, print_json, print_table, print_text
from scalesync.cli.param_types import DURATION, INSTANT, NAME, SECONDS, json_option, workers_option
from scalesync.clock import Clock
from scalesync.errors import DatabaseUnavailableError, IncompleteError, InterruptedRunError, ScaleException
from scalesync.sync.planner import EVERY_STREAM

if TYPE_CHECKING:
    from scalesync.mirror import Mirror
    from scalesync.models.sync import WriteCounts
    from scalesync.sync.planner import Plan
    from scalesync.sync.runner import SyncSummary


@dataclass(frozen=True)
class PostSyncSteps:
    """Steps after a complete sync."""

    verify: bool
    results: bool
    allow_private: bool


@click.command()
@click.argument("streams", nargs=-1, type=click.Choice(EVERY_STREAM))
@click.option("--full", is_flag=True, help="Read everything again, and notice what is gone.")
@click.option("--since", type=INSTANT, help="Backfill what was created at this time or later.")
@click.option("--until", type=INSTANT, help="Backfill what was created before this time.")
@click.option("--project", type=NAME, multiple=True, help="Only this project; may be given several times.")
@workers_option("Pages read at once, 1 to 64.")
@click.option("--lookback", type=DURATION, default="15m", help="Overlap with the last sync.")
@click.option("--time-limit", type=SECONDS, help="Begin nothing new after this long; the next sync goes on.")
@click.option("--results", is_flag=True, help="Then fetch the files that responses name.")
@click.option("--allow-private", is_flag=True, help="With --results: also from private addresses.")
@click.option("--verify", is_flag=True, help="Then compare what was read with the API.")
@click.option(
    "--keep-responses/--no-keep-responses",
    default=True,
    help="Keep the responses that others replace (default), or not.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be read.")
@json_option
@click.pass_obj
def sync(
    context: Context,
    /,
    streams: tuple[str, ...],
    project: tuple[str, ...],
    dry_run: bool,
    json: bool,
    results: bool,
    allow_private: bool,
    verify: bool,
    **scope: Any,
) -> None:
    """Read everything at first, afterwards what changed."""
    scope["projects"] = project
    limits = {name: scope.pop(name) for name in ("workers", "time_limit", "keep_responses")}
    if dry_run:
        _print_plan(*context.mirror().plan_sync(*streams, **scope), as_json=json)
        return
    _sync_and_report(
        context, streams, scope | limits, PostSyncSteps(verify, results, allow_private), as_json=json
    )


def _sync_and_report(
    context: Context, streams: tuple[str, ...], scope: dict[str, Any], steps: PostSyncSteps, *, as_json: bool
) -> None:
    """Sync and run the further steps, with progress on stderr and the summary on stdout.

    Raises IncompleteError if anything is left.
    """
    from scalesync.cli.progress import progress
    from scalesync.cli.sync_progress import SyncTracker

    clock = Clock(asked_at=context.asked_at)
    with graceful_shutdown(clock), _as_interruption(clock):
        mirror = context.mirror(clock).waiting()
        with progress(SyncTracker(), quiet=context.quiet) as on_event:
            summary = mirror.sync(*streams, **scope, on_event=on_event)
        if not (as_json or context.quiet):
            _print_summary(summary)
        if not summary.complete:
            if as_json:
                print_json(_as_dict(summary))
            raise _incomplete(summary, clock)
        _run_steps(context, mirror, summary, steps, as_json=as_json)


def _run_steps(
    context: Context, mirror: "Mirror", summary: "SyncSummary", steps: PostSyncSteps, *, as_json: bool
) -> None:
    """Verify and fetch result files if asked for, print what is left to print; raise if incomplete."""
    # Everything is printed before anything is raised: an incomplete verification must not hide the files.
    from scalesync.cli import fetch_results, verify

    found = verify.run_after_sync(mirror, summary.runs, quiet=context.quiet) if steps.verify else None
    fetched = None
    if steps.results:
        fetched = fetch_results.run(mirror, quiet=context.quiet, allow_private=steps.allow_private)
    if as_json:
        more = {"verification": verify.verification_as_dict(found)} if found else {}
        more |= {"results": fetch_results.summary_as_dict(fetched)} if fetched else {}
        print_json(_as_dict(summary) | more)
    elif not context.quiet:
        if found:
            verify.print_verification(found)
        if fetched:
            fetch_results.print_fetched(fetched)
    if found:
        verify.raise_if_unproven(found)
    if fetched:
        fetch_results.raise_if_incomplete(fetched)


@contextmanager
def _as_interruption(clock: Clock) -> Iterator[None]:
    """Raise InterruptedRunError for an error that is the consequence of a stop."""
    # Requests that are aborted by a stop fail like requests whose connection broke.
    try:
        yield
    except (ScaleException, DatabaseUnavailableError) as error:
        if clock.stopping.is_set():
            raise _stopped() from error
        raise


def _stopped() -> InterruptedRunError:
    return InterruptedRunError(
        "Stopped; everything received is saved.", advice="Run `scalesync sync` again to go on."
    )


def _incomplete(summary: "SyncSummary", clock: Clock) -> IncompleteError | InterruptedRunError:
    """Return the error that says why the mirror is not complete, with advice."""
    if clock.stopping.is_set():
        return _stopped()
    reasons = [run.error for run in summary.runs if run.error]
    if reasons:
        msg = f"Not everything could be read: {'; '.join(reasons)}"
        return IncompleteError(msg, advice="No watermark moved. Run `scalesync sync` again to retry.")
    msg = "Not everything was read in the time allowed."
    return IncompleteError(msg, advice="Run `scalesync sync` again to go on where it stopped.")


def _as_dict(summary: "SyncSummary") -> dict[str, object]:
    """Return the summary for JSON."""
    return {
        "complete": summary.complete,
        "runs": summary.runs,
        "streams": dict(_in_order(summary)),
        "missing": summary.totals.missed,
        "texts_replaced": summary.totals.replaced,
        "values_replaced": summary.values_replaced,
        "requests": summary.requests,
        "seconds": round(summary.seconds, 3),
        "rows_per_second": round(summary.rate, 1),
    }


def _in_order(summary: "SyncSummary") -> "list[tuple[str, WriteCounts]]":
    """Return (stream, write counts) of the streams that were read, in the order of EVERY_STREAM."""
    written = summary.totals.written
    return [(stream, written[stream]) for stream in EVERY_STREAM if stream in written]


def print_changes(summary: "SyncSummary") -> None:
    """Print new, changed and unchanged rows by stream."""
    rows = ((stream, w.new, w.changed, w.unchanged + w.stale) for stream, w in _in_order(summary))
    print_table(("stream", "new", "changed", "unchanged"), rows)
    requests = pluralize(summary.requests, "request", "requests")
    print_text(f"{requests}, {summary.seconds:.1f} s, {summary.rate:,.0f} rows/s")


def _print_summary(summary: "SyncSummary") -> None:
    totals = summary.totals
    print_changes(summary)
    if totals.missed:
        gone = pluralize(totals.missed, "object is", "objects are")
        print_text(f"{gone} gone at the API; the rows stay, with missing_since.")
    if totals.replaced:
        replaced = pluralize(totals.replaced, "character", "characters")
        print_text(f"{replaced} that no database can hold became U+FFFD.")
    if summary.values_replaced:
        values = pluralize(summary.values_replaced, "value was", "values were")
        print_text(
            f"{values} replaced, for the database does not give them back: of a name that an object has "
            "twice only the last value is kept, and a number beyond what Postgres holds is text."
        )
    if summary.unread:
        unread = pluralize(summary.unread, "response has", "responses have")
        print_text(f"{unread} a form that scalesync does not know: in `tasks`, but not in `annotations`.")


def _print_plan(plan: "Plan", counts: tuple[int, ...], *, as_json: bool) -> None:
    names = ("stream", "project", "created_from", "created_to", "updated_from")
    rows = [
        {name: getattr(window, name) for name in names} | {"rows": count}
        for window, count in zip(plan.windows, counts, strict=True)
    ]
    if as_json:
        print_json({"kind": plan.kind, "windows": rows, "rows": sum(counts)})
        return
    print_table((*names, "rows"), (list(row.values()) for row in rows))
    from scalesync.sync.streams import PAGE_SIZE

    pages = sum(max(1, -(-count // PAGE_SIZE)) for count in counts)
    print_text(f"{plan.kind} run: {sum(counts):,} rows, about {pages:,} requests. Nothing was written.")


COMMANDS = (sync,)
