"""Turn errors into sentences and exit codes, and signals into a graceful stop."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click

from scalesync.cli.common_options import misplaced_option
from scalesync.cli.output import single_line, with_program_name
from scalesync.cli.std_streams import ignore_write_errors, write_to_stderr_now
from scalesync.clock import Clock
from scalesync.errors import QueueError, ScaleException, ScalesyncError, ScaleUnauthorized

INTERRUPTED = 130

_ADVICE = {
    ScaleUnauthorized.exit_code: "Is it the key of this account? Set SCALE_API_KEY, or use --api-key-file.",
    QueueError.exit_code: "Nothing was queued or changed.",
    ScaleException.exit_code: "What came is saved. Run it again later; `scalesync check` looks closer.",
}
"""Default advice by exit code, for errors whose message is the API's."""


class ErrorHandlingGroup(click.Group):
    """A group that prints a command's ScalesyncError with advice, and exits with its code."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the global options. Raises UsageError that says after which command an option belongs."""
        words = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise misplaced_option(error, self, words) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a closed pipe is left to click, and other errors are bugs."""
        try:
            return super().invoke(ctx)
        except click.NoSuchOption as error:
            within = error.ctx.command if error.ctx else None
            raise (
                misplaced_option(error, within, ()) if isinstance(within, click.Group) else error
            ) from error
        except ScalesyncError as error:
            ctx.exit(report_error(error))
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(INTERRUPTED)


def report_error(error: ScalesyncError) -> int:
    """Print an error and its advice on stderr, and return the exit code."""
    click.echo(single_line(with_program_name(f"Error: {error}")), err=True)
    if advice := error.advice or _ADVICE.get(error.exit_code):
        click.echo(single_line(with_program_name(advice)), err=True)
    return error.exit_code


@contextmanager
def graceful_shutdown(
    clock: Clock, until: str = "the page in hand", *, endless: bool = False
) -> Iterator[None]:
    """Stop the clock at the first SIGINT or SIGTERM, and end the process at the second one.

    `until` names what is finished first. A closed terminal (SIGHUP) stops only `endless` work, and from here
    on stdout may fail.
    """

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a handler
        if clock.stopping.is_set():
            os._exit(INTERRUPTED)
        clock.stopping.set()
        # Not click.echo: the signal may have interrupted one, whose lock is held.
        write_to_stderr_now(f"Stopping after {until}. Once more to stop at once.\n")

    # SIGHUP: a sync or dispatch goes on without its terminal, but a process that never ends by itself would
    # stay behind unseen. `nohup` ignores the signal already, and is left alone.
    ignore_write_errors()
    handlers: dict[int, Any] = {signal.SIGINT: stop, signal.SIGTERM: stop}
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        handlers[signal.SIGHUP] = stop if endless else signal.SIG_IGN
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
