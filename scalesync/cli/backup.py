"""`scalesync backup`: a copy of an SQLite mirror that others may write to meanwhile."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scalesync.cli.context import Context
from scalesync.cli.files import ended_by_sigterm
from scalesync.cli.output import one_line

if TYPE_CHECKING:
    from scalesync.db.backup import Watcher


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace FILE if it is there already.")
@click.pass_obj
def backup(context: Context, file: Path, overwrite: bool) -> None:
    """Copy an SQLite mirror into FILE while others use it.

    FILE is the mirror as it was at one moment; it appears whole or not at all. To restore it, end whatever
    uses the mirror, delete its -wal and -shm, copy FILE in its place, and run `scalesync queue distrust`.
    """
    with ended_by_sigterm(), _watching(quiet=context.quiet) as watch:
        size = context.app().back_up(file, watch, overwrite=overwrite)
    if not context.quiet:
        click.echo(one_line(f"{size / 1e6:,.1f} MB in {file}"), err=True)


@contextmanager
def _watching(*, quiet: bool) -> "Iterator[Watcher]":
    """Yield a watcher that draws a bar where stderr is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda _copied, _pages: None
        return
    from scalesync.cli.progress import drawing

    with drawing() as bars:
        bar = bars.add_task("pages", total=None)
        yield lambda copied, pages: bars.update(bar, completed=copied, total=pages)


COMMANDS = (backup,)
