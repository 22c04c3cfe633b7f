"""What both halves of the demo do on their stage."""

from dataclasses import dataclass, replace

import click

from scalesync.app import App
from scalesync.cli.dispatch import print_summary, watched
from scalesync.cli.output import escape_controls, print_text
from scalesync.cli.progress import watching
from scalesync.cli.sql import print_answer
from scalesync.cli.sync import print_changes
from scalesync.errors import IncompleteError, InterruptedRunError
from scalesync.queue.dispatch_summary import DispatchSummary
from scalesync.queue.sending import Sending
from scalesync.sync.planner import SyncRequest


@dataclass(frozen=True)
class Stage:
    """The mirror that the demo is about, and how much it says."""

    app: App
    quiet: bool

    def title(self, text: str) -> None:
        """Begin a scene. Raises InterruptedRunError once the demo is to stop."""
        if self.app.clock.stopping.is_set():
            raise InterruptedRunError("The demo was stopped.")
        click.echo(click.style(f"\n{escape_controls(text)}", bold=True))

    def sync(self) -> None:
        """Sync, and print what changed. Raises IncompleteError if it is not complete."""
        with watching(quiet=self.quiet) as watch:
            summary = self.app.sync(SyncRequest(), watch, workers=8, time_limit=None)
        if self.app.clock.stopping.is_set():
            raise InterruptedRunError("The demo was stopped.")
        if not summary.complete:
            raise IncompleteError("The demo's sync did not complete.")
        print_changes(summary)

    def dispatch(self, how: Sending, *, patience: float) -> DispatchSummary:
        """Dispatch with little patience, and print what was done."""
        hasty = App(replace(self.app.settings, patience=patience), self.app.clock)
        summary = watched(hasty, how, quiet=self.quiet)
        print_summary(summary)
        return summary

    def ask(self, statement: str) -> None:
        """Print a question in SQL and its answer."""
        print_text(statement + "\n")
        with self.app.ways_out.answer(statement, seconds=60) as answer:
            print_answer(answer)
