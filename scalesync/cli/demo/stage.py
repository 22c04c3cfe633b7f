"""What both halves of the demo do: say what comes, sync, dispatch, ask in SQL."""

from dataclasses import dataclass
from typing import Any

import click

from scalesync.cli import dispatch
from scalesync.cli.output import escape_controls, print_text
from scalesync.cli.progress import progress
from scalesync.cli.sql import print_answer
from scalesync.cli.sync import SyncTracker, print_changes
from scalesync.clock import Clock
from scalesync.errors import IncompleteError, InterruptedRunError
from scalesync.mirror import Mirror


@dataclass(frozen=True)
class Stage:
    """The mirror that the demo is about, and how much it says."""

    mirror: Mirror
    clock: Clock
    quiet: bool

    def title(self, text: str) -> None:
        """Begin a scene. Raises InterruptedRunError once the demo is to stop."""
        if self.clock.stopping.is_set():
            raise InterruptedRunError("The demo was stopped.")
        click.echo(click.style(f"\n{escape_controls(text)}", bold=True))

    def sync(self) -> None:
        """Sync, and print what changed. Raises IncompleteError if it is not complete."""
        with progress(SyncTracker(), quiet=self.quiet) as on_event:
            summary = self.mirror.sync(on_event=on_event)
        if self.clock.stopping.is_set():
            raise InterruptedRunError("The demo was stopped.")
        if not summary.complete:
            raise IncompleteError("The demo's sync did not complete.")
        print_changes(summary)

    def dispatch(self, **options: Any) -> None:
        """Dispatch with limits that suit a demo, and print what was done."""
        summary = dispatch.run(self.mirror, quiet=self.quiet, timeout=2.0, settle_time=0.5, **options)
        dispatch.print_summary(summary)

    def ask(self, statement: str) -> None:
        """Print a question in SQL and its answer."""
        print_text(statement + "\n")
        with self.mirror.exporter.answer(statement, seconds=60) as answer:
            print_answer(answer)
