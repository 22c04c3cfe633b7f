"""Steps that both halves of the demo use: titles, sync, dispatch and SQL queries."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from scalesync.cli import dispatch, fetch_attachments
from scalesync.cli.output import escape_controls, print_text
from scalesync.cli.progress import progress
from scalesync.cli.sql import print_answer
from scalesync.cli.sync import print_changes
from scalesync.cli.sync_progress import SyncTracker
from scalesync.clock import Clock
from scalesync.errors import IncompleteError, InterruptedRunError
from scalesync.mirror import Mirror
from scalesync.queue.dispatch_options import DispatchOptions


@dataclass(frozen=True)
class Stage:
    """The demo's mirror and output."""

    mirror: Mirror
    clock: Clock
    attachments: Path
    """The directory in which they are kept."""
    quiet: bool

    def title(self, text: str) -> None:
        """Print a title. Raises InterruptedRunError if the demo was stopped."""
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

    def keep_attachments(self, **filters: Any) -> None:
        """Keep the attachments of the chosen tasks. Raises IncompleteError if one is missing."""
        options = {"to": self.attachments, "allow_private": True, **filters}
        with progress(fetch_attachments.AttachmentTracker(), quiet=self.quiet) as on_event:
            summary = self.mirror.fetch_attachments(on_event=on_event, **options)
        fetch_attachments.print_summary(summary, kept=True)
        if not summary.complete:
            raise IncompleteError("The demo's attachments did not all come.")

    def dispatch(self, patience: float, **options: Any) -> None:
        """Dispatch with short time limits, and print the summary."""
        chosen = DispatchOptions(timeout=2.0, settle_time=0.5, **options)
        summary = dispatch.run(self.mirror, chosen, quiet=self.quiet, patience=patience)
        dispatch.print_summary(summary)

    def query(self, statement: str) -> None:
        """Print an SQL statement and its result."""
        print_text(statement + "\n")
        with self.mirror.exporter.answer(statement, seconds=60) as answer:
            print_answer(answer)
