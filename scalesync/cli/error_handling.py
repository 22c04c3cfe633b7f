"""The one place where an error becomes a sentence and an exit code."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click

from scalesync.cli.common_options import misplaced
from scalesync.cli.output import as_called, single_line
from scalesync.cli.std_streams import report_only, say_at_once
from scalesync.clock import Clock
from scalesync.errors import QueueError, ScaleException, ScalesyncError, ScaleUnauthorized

INTERRUPTED = 130

_ADVICE = {
    ScaleUnauthorized.exit_code: "Is it the key of this account? Set SCALE_API_KEY, or use --api-key-file.",
    QueueError.exit_code: "Nothing was queued or changed.",
    ScaleException.exit_code: "What came is saved. Run it again later; `scalesync check` looks closer.",
}
"""What to do about errors in the API's own words, which say nothing of it, by exit code."""


class ErrorHandlingGroup(click.Group):
    """A group whose commands may raise ScalesyncError: people get its sentence, advice and exit code."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the global options. Raises UsageError, which says where an option of a command belongs."""
        words = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise misplaced(error, self, words) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. A reader that has gone is click's to deal with; anything else is a bug."""
        try:
            return super().invoke(ctx)
        except click.NoSuchOption as error:
            within = error.ctx.command if error.ctx else None
            raise misplaced(error, within, ()) if isinstance(within, click.Group) else error from error
        except ScalesyncError as error:
            ctx.exit(say(error))
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(INTERRUPTED)


def say(error: ScalesyncError) -> int:
    """Say on stderr what went wrong and what to do about it, and return the exit code."""
    click.echo(single_line(as_called(f"Error: {error}")), err=True)
    if advice := error.advice or _ADVICE.get(error.exit_code):
        click.echo(single_line(as_called(advice)), err=True)
    return error.exit_code


@contextmanager
def graceful_shutdown(
    clock: Clock, after: str = "the page in hand", *, endless: bool = False
) -> Iterator[None]:
    """Let SIGINT and SIGTERM end the work within `after` that; a second one ends it at once.

    The work does not depend on being seen: stdout may fail, and a terminal that closes ends only what would
    be `endless`.
    """

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a handler
        if clock.stopping.is_set():
            os._exit(INTERRUPTED)
        clock.stopping.set()
        # Not click.echo: the signal may come in the middle of one.
        say_at_once(f"Stopping after {after}. Once more to stop at once.\n")

    report_only()
    handlers: dict[int, Any] = {signal.SIGINT: stop, signal.SIGTERM: stop}
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        handlers[signal.SIGHUP] = stop if endless else signal.SIG_IGN
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
