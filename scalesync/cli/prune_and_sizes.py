"""`scalesync prune`, and what `scalesync status --sizes` prints."""

import logging
from typing import TYPE_CHECKING, Any

import click

from scalesync.cli import output
from scalesync.cli.context import Context
from scalesync.cli.error_handling import graceful_shutdown
from scalesync.cli.param_types import DURATION, json_option
from scalesync.cli.progress import Tracker, progress
from scalesync.clock import Clock
from scalesync.errors import InterruptedRunError
from scalesync.models.storage import PrunableKind, PruneProgress, VacuumStarted
from scalesync.timestamps import format_instant

if TYPE_CHECKING:
    from scalesync.models.storage import DatabaseSizes, PruneSummary


KINDS = [kind.value for kind in PrunableKind]


@click.command()
@click.option("--kind", type=click.Choice(KINDS), multiple=True, help="Only of this kind.  [all kinds]")
@click.option("--older-than", type=DURATION, default="90d", help="How old it has to be.")
@click.option("--yes", is_flag=True, help="Delete it, instead of counting it.")
@click.option("--vacuum", is_flag=True, help="Then give the free room of the SQLite file back.")
@json_option
@click.pass_obj
def prune(context: Context, /, kind: tuple[str, ...], json: bool, **options: Any) -> None:
    """Delete old runs, steps, responses that others replaced.

    Without --yes it only says what it would delete. Nothing that a sync, a verification or the queue relies
    on is deleted: tasks, annotations, commands and the last complete run stay, however old.
    """
    clock = Clock()
    with graceful_shutdown(clock, "the rows in hand"):
        with progress(_PruneTracker(), quiet=context.quiet) as on_event:
            summary = context.mirror(clock).prune(*kind, **options, on_event=on_event)
        if json:
            output.print_json(summary)
        elif summary.deleted is False or not context.quiet:
            _print_pruned(summary)
        if summary.stopped:
            raise InterruptedRunError("Stopped; what was deleted until then is gone.", advice=_GO_ON)


_GO_ON = "Run `scalesync prune` again for the rest."


class _PruneTracker(Tracker):
    """Counts deleted rows by table."""

    log = logging.getLogger("scalesync.prune")

    def __init__(self) -> None:
        """Start at zero."""
        self._tables: dict[str, tuple[int, int | None]] = {}

    def count(self, event: PruneProgress | VacuumStarted) -> None:
        """Count an event."""
        if isinstance(event, PruneProgress):
            self._tables[event.table] = (event.rows, event.total)

    def describe(self, event: PruneProgress | VacuumStarted) -> str | None:
        """Return a line for the vacuum, which may take minutes and counts nothing."""
        is_vacuum = isinstance(event, VacuumStarted)
        return "Writing the file anew, without what is free in it." if is_vacuum else None

    def counter_of(self, event: PruneProgress | VacuumStarted) -> str | None:
        """Return the table that an event is about."""
        return event.table if isinstance(event, PruneProgress) else None

    def counters(self) -> dict[str, tuple[int, int | None]]:
        """Return deleted rows and their total by table."""
        return self._tables

    def line(self, counter: str) -> str:
        """Return deleted rows and their total as a sentence."""
        done, total = self._tables[counter]
        return f"{counter}: {done:,} of {total:,} rows deleted"


def _print_pruned(summary: "PruneSummary") -> None:
    rows = ((each.table, each.kind, each.rows, format_bytes(each.bytes)) for each in summary.tables)
    output.print_table(("table", "kind", "rows", "size"), rows)
    older = f"older than {format_instant(summary.before)}"
    if not summary.deleted:
        output.print_text(f"\nThat is {older}. Nothing was deleted: --yes deletes it.")
    elif summary.bytes_returned is not None:
        output.print_text(f"\nDeleted what is {older}; {format_bytes(summary.bytes_returned)} given back.")
    else:
        output.print_text(f"\nDeleted what is {older}. The database uses the room again.")


def print_sizes(sizes: "DatabaseSizes") -> None:
    """Print what each table and its indexes take, largest first, and then the whole database."""
    rows = (
        (each.table, each.rows, format_bytes(each.bytes), format_bytes(each.index_bytes))
        for each in sizes.tables
    )
    about = "rows, about" if sizes.rows_estimated else "rows"
    output.print_table(("table", about, "size", "indexes"), rows)
    free = "" if sizes.free_bytes is None else f", {format_bytes(sizes.free_bytes)} of it free"
    whole = "database" if sizes.rows_estimated else "file"
    output.print_text(f"\nThe whole {whole}: {format_bytes(sizes.bytes)}{free}.")
    if any(each.bytes is None for each in sizes.tables):
        output.print_text("This SQLite does not know the sizes of single tables.")


def format_bytes(number: int | None) -> str:
    """Return a number of bytes in kB or MB; `-` if it is not known."""
    if number is None:
        return "-"
    return f"{number / 1e6:,.1f} MB" if abs(number) >= 100_000 else f"{number / 1e3:,.1f} kB"


COMMANDS = (prune,)
