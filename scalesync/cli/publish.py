"""`scalesync publish`: the mirror as tables that other engines read."""

import logging
import os
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from scalesync.cli.atomic_files import sigterm_as_interrupt
from scalesync.cli.context import Context
from scalesync.cli.export import VIEWS
from scalesync.cli.output import pluralize, print_json, print_table
from scalesync.cli.param_types import DURATION, json_option
from scalesync.cli.progress import Tracker, progress
from scalesync.cli.std_streams import ignore_write_errors
from scalesync.errors import ConfigurationError, IncompleteError
from scalesync.models.publishing import (
    PublishConflict,
    PublishEvent,
    PublishFault,
    PublishFormat,
    PublishProgress,
    PublishWaiting,
)

if TYPE_CHECKING:
    from scalesync.models.publishing import Publication

_FORMATS = [str(each) for each in PublishFormat]


@click.command()
@click.argument("target")
@click.option("--format", type=click.Choice(_FORMATS), default="delta", help="The form of the tables.")
@click.option(
    "--view",
    type=click.Choice(VIEWS),
    metavar="NAME",
    multiple=True,
    help="Publish this view too; several times for more.",
)
@click.option("--compact", is_flag=True, help="Join small files of Delta tables; Parquet has none.")
@click.option("--vacuum", type=DURATION, help="Delete files that have not counted for this long, such as 7d.")
@click.option("--allow-short-retention", is_flag=True, help="Let --vacuum delete what is younger than 7d.")
@json_option
@click.pass_obj
def publish(
    context: Context,
    /,
    target: str,
    view: tuple[str, ...],
    compact: bool,
    vacuum: timedelta | None,
    allow_short_retention: bool,
    json: bool,
    **form: str,
) -> None:
    """Publish what changed as tables for other engines.

    TARGET is a directory, or an s3://, gs:// or az:// address whose credentials are in the environment. Below
    it are Delta tables, or Parquet files with a manifest; `scalesync docs lake` says how they are read. Ends
    with 1 if the mirror is not known to be complete; it is published all the same.
    """
    if allow_short_retention and vacuum is None:
        msg = "--allow-short-retention is for --vacuum."
        raise ConfigurationError(msg, advice="Add --vacuum, or leave it out.")
    # Before deltalake is loaded: it logs its attempts to find credentials.
    os.environ.setdefault("RUST_LOG", "error")
    mirror, chosen = context.mirror(), {"compact": compact, "short_retention": allow_short_retention}
    with sigterm_as_interrupt(), progress(_PublishTracker(), quiet=context.quiet) as on_event:
        done = mirror.publish(
            target, format=form["format"], views=view, vacuum=vacuum, on_event=on_event, **chosen
        )
    ignore_write_errors()
    _print(done, as_json=json, quiet=context.quiet)
    _raise_if_incomplete(done)


def _print(done: "Publication", *, as_json: bool, quiet: bool) -> None:
    if as_json:
        print_json({**asdict(done), "complete": not done.gaps})
    elif not quiet:
        rows = [
            (name, each.version, each.partitions, each.rows, each.bytes) for name, each in done.tables.items()
        ]
        print_table(("table", "version", "partitions", "rows", "bytes"), rows)
        if deleted := sum(done.deleted_files.values()):
            click.echo(f"{pluralize(deleted, 'file', 'files')} deleted that no longer counted.", err=True)


def _raise_if_incomplete(done: "Publication") -> None:
    if done.gaps:
        msg = f"Published, but not known to be complete. {' '.join(done.gaps)}"
        raise IncompleteError(msg, advice=done.advice)


class _PublishTracker(Tracker):
    """Counts partitions that were written, by table."""

    log = logging.getLogger("scalesync.publish")
    counted = PublishProgress
    minor = (PublishProgress,)

    def __init__(self) -> None:
        """Start without a table."""
        self._last: dict[str, PublishProgress] = {}

    def count(self, event: PublishEvent) -> None:
        """Keep the last event of each table."""
        if isinstance(event, PublishProgress):
            self._last[event.table] = event

    def describe(self, event: PublishEvent) -> str | None:
        """Return a line about what is unusual."""
        if isinstance(event, PublishConflict):
            return f"Another process changed {event.table}: comparing again."
        if isinstance(event, PublishFault):
            return f"Warning: {event.table} {event.reason}: it is written whole."
        if isinstance(event, PublishWaiting):
            return f"Another process is publishing there: waiting for its end, {event.seconds} s so far."
        return None

    def counter_of(self, event: Any) -> str | None:
        """Return the table that an event is about."""
        return event.table if isinstance(event, PublishProgress) else None

    def counters(self) -> dict[str, tuple[int, int | None]]:
        """Return the partitions written and to be written, by table."""
        return {table: (each.done, each.total) for table, each in self._last.items()}

    def line(self, counter: str) -> str:
        """Return how far a table is as a sentence."""
        last = self._last[counter]
        partitions = pluralize(last.total, "partition", "partitions")
        return f"{counter}: {last.done:,} of {partitions}, {last.rows:,} rows"


COMMANDS = (publish,)
