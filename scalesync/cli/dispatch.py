"""`scalesync dispatch` and `scalesync queue reconcile`: send commands, and look up those in doubt."""

from typing import TYPE_CHECKING, Any

import click

from scalesync import errors
from scalesync.cli import queue_format
from scalesync.cli.context import Context
from scalesync.cli.error_handling import graceful_shutdown
from scalesync.cli.output import pluralize, print_json, print_line, print_table, print_text
from scalesync.cli.param_types import COUNT, RATE, SECONDS, json_option, workers_option
from scalesync.cli.progress import progress
from scalesync.clock import Clock
from scalesync.models.queue_state import DisplayState, PausedBy, PauseState, QueueStats

if TYPE_CHECKING:
    from scalesync.mirror import Mirror
    from scalesync.queue.dispatch_options import DispatchOptions
    from scalesync.queue.dispatch_summary import DispatchSummary

_RETRY_ADVICE = (
    "What is queued stays queued. Run `scalesync dispatch` again later; `scalesync check` looks closer."
)

_timeout_option = click.option(
    "--timeout", type=SECONDS, default="60s", help="How long one request may take; then it is cut off."
)


@click.command()
@click.option("--watch", is_flag=True, help="Wait for work instead of ending.")
@click.option("--max", type=COUNT, metavar="N", help="End after N commands.")
@workers_option("Commands sent at once, 1 to 64.")
@click.option(
    "--rate", type=RATE, metavar="N", help="Requests a second at most; no less than 3 in --timeout."
)
@_timeout_option
@click.option(
    "--settle-time",
    type=SECONDS,
    default="60s",
    help="How late the API may still apply a request that was cut off.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be sent.")
@json_option
@click.pass_obj
def dispatch(context: Context, /, dry_run: bool, json: bool, **options: Any) -> None:
    """Send what is queued, and settle what is in doubt.

    Ends with 7 if something is dead, in doubt or held, and with 1 if something is left for later.
    """
    from scalesync.queue.dispatch_options import DispatchOptions

    chosen = DispatchOptions(**options)  # refuses invalid options before anything else is done
    if dry_run:
        _print_ready(context, as_json=json)
    else:
        _run_and_report(context, chosen, as_json=json)


@click.command()
@_timeout_option
@json_option
@click.pass_obj
def reconcile(context: Context, timeout: float, json: bool) -> None:
    """Ask the API about what is in doubt; send nothing.

    Ends with 7 if something is dead, in doubt or held afterwards.
    """
    from scalesync.queue.dispatch_options import DispatchOptions

    _run_and_report(context, DispatchOptions(timeout=timeout, reconcile_only=True), as_json=json)


def _run_and_report(context: Context, options: "DispatchOptions", *, as_json: bool) -> None:
    """Dispatch with progress on stderr and the summary on stdout; raise if anything is left to do."""
    clock = Clock()
    with graceful_shutdown(clock, "the requests in hand", endless=options.watch):
        mirror = context.mirror(clock).waiting(endless=options.watch)
        try:
            summary = run(mirror, options, quiet=context.quiet)
            stats, pause = mirror.queue.depth()
        except errors.DatabaseUnavailableError as error:
            if clock.stopping.is_set():
                raise _interrupted_error() from error
            raise
        if as_json:
            print_json(_as_dict(summary, stats, pause))
        elif not context.quiet:
            print_summary(summary)
            for text in queue_format.queue_sentences(stats, pause):
                print_line(text)
        _raise_if_incomplete(summary, stats, pause, reconcile_only=options.reconcile_only)


def run(
    mirror: "Mirror", options: "DispatchOptions", *, quiet: bool, patience: float | None = None
) -> "DispatchSummary":
    """Dispatch with progress on stderr, and return the summary; `patience` None: that of the settings."""
    from scalesync.cli.dispatch_progress import DispatchTracker

    stats, _ = mirror.queue.depth()
    total = stats.in_doubt if options.reconcile_only else min(stats.open, options.max or stats.open)
    with progress(DispatchTracker(None if options.watch else total), quiet=quiet) as on_event:
        return mirror.run_dispatcher(options, on_event, patience)


def print_summary(summary: "DispatchSummary") -> None:
    """Print the counts of a dispatch summary as a table."""
    columns = ("delivered", "in doubt", "dead", "discarded", "still queued", "sends", "look-ups")
    names = ("delivered", "in_doubt", "dead", "discarded", "returned", "sends", "looks")
    print_table(columns, [[getattr(summary, name) for name in names]])
    print_text(f"{pluralize(summary.requests, 'request', 'requests')}, {summary.seconds:.1f} s")


def _as_dict(summary: "DispatchSummary", stats: QueueStats, pause: PauseState) -> dict[str, object]:
    fields = {name: getattr(summary, name) for name in summary.__dataclass_fields__}
    error = None if summary.error is None else str(summary.error)
    return fields | {"seconds": round(summary.seconds, 3), "error": error, "queue": stats, "gate": pause}


def _raise_if_incomplete(
    summary: "DispatchSummary", stats: QueueStats, pause: PauseState, *, reconcile_only: bool
) -> None:
    """Raise an error with advice unless everything was done that can be done here."""
    if error_of_stop := _stop_error(summary, pause):
        raise error_of_stop
    queue_format.raise_if_person_needed(dead=stats.dead, in_doubt=stats.unheld_in_doubt, held=stats.held)
    # While another process is sending, open commands are not left for later.
    others_sending = stats.by_state.get("sending", 0) > 0
    if summary.ended == "enough" or reconcile_only or others_sending or not stats.open:
        return
    msg = f"{pluralize(stats.open, 'command is', 'commands are')} left for later."
    raise errors.IncompleteError(msg, advice="`scalesync queue list` says what they wait for.")


def _stop_error(summary: "DispatchSummary", pause: PauseState) -> errors.ScalesyncError | None:
    """Return the error for a dispatcher that ended early, None if it did not."""
    error = summary.error
    match summary.ended:
        case "stopped":
            return _interrupted_error()
        case "closed":
            msg = f"Nothing is sent: {str(pause.reason or error).rstrip('.')}."
            advice = "Correct the key or the account, then run `scalesync queue resume`."
            return errors.AccessDeniedError(msg, advice=advice)
        case "unreachable" if error is not None:
            return type(error)(error.message, error.code, advice=_RETRY_ADVICE)
        case "paused" | "resting":
            return _paused_error(pause)
    return None


def _interrupted_error() -> errors.InterruptedRunError:
    msg = "Stopped; what was being sent is settled."
    return errors.InterruptedRunError(msg, advice="Run `scalesync dispatch` again to go on.")


def _paused_error(pause: PauseState) -> errors.ScalesyncError:
    """Return the error for a queue that a person or the API paused."""
    # The pause was read after the dispatcher ended, so it may be over already.
    if not pause.paused:
        return errors.IncompleteError("The queue was paused, and is not any more.", advice="Run it again.")
    msg = f"Just now {queue_format.pause_sentence(pause)}."
    if pause.paused_by is PausedBy.PERSON:
        return errors.IncompleteError(msg, advice="Wait, or run `scalesync queue resume`.")
    return errors.ScaleException(msg, advice=_RETRY_ADVICE)


def _print_ready(context: Context, *, as_json: bool) -> None:
    """Print the commands that a dispatch would start with now."""
    queue = context.mirror().queue
    found = [view for view in queue.commands() if view.display in (DisplayState.READY, DisplayState.IN_DOUBT)]
    _, pause = queue.depth()
    if as_json:
        print_json({"commands": [queue_format.as_dict(view) for view in found], "gate": pause})
        return
    print_table(queue_format.COLUMNS, map(queue_format.row, found))
    if pause.paused:
        print_line(queue_format.pause_sentence(pause))
    print_text(
        f"{pluralize(len(found), 'command', 'commands')} at once, others after them. Nothing was sent."
    )


COMMANDS = (dispatch,)
