"""`scalesync report`: charts and tables of the mirror in one HTML file that loads nothing."""

import sys
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scalesync.cli.atomic_files import atomic_write
from scalesync.cli.context import Context
from scalesync.cli.filters import warn_of_unknown
from scalesync.cli.output import output_errors, print_warnings, single_line
from scalesync.cli.param_types import INSTANT, NAME, number_type
from scalesync.errors import ConfigurationError, how_to_install

if TYPE_CHECKING:
    from scalesync.status import Status

_STDOUT = Path("-")


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    default=_STDOUT,
    help="Write to FILE, whole or not at all; - is stdout.",
)
@click.option("--project", type=NAME, help="Only of this project.")
@click.option("--since", type=INSTANT, help="Only days and weeks since, and what was created since.")
@click.option(
    "--with-samples",
    type=number_type(0, 200),
    metavar="N",
    default=0,
    help="Also draw the shapes of N tasks, without pictures.",
)
@click.pass_obj
def report(
    context: Context, /, output: Path, project: str | None, since: datetime | None, with_samples: int
) -> None:
    """Write charts and tables of the mirror into one HTML file.

    The file has its scripts and data inside, and nothing is loaded from anywhere. It says at its top if the
    mirror is not known to be complete, or not proven equal to the API.
    """
    _check_options(output)
    warn_of_unknown(context, [("project", project)], listed=True)
    from scalesync.web.report import report_of

    mirror = context.mirror()
    status = mirror.status()
    _warn(context, status)
    overview = mirror.overview(project=project, since=since)
    samples = mirror.samples(with_samples, project=project, since=since) if with_samples else ()
    _write(report_of(status, overview, samples), output)
    if output != _STDOUT and not context.quiet:
        click.echo(single_line(f"{overview.tasks:,} tasks in {output}"), err=True)


def _warn(context: Context, status: "Status") -> None:
    """Print on stderr what keeps the mirror from being known complete; on a terminal, that it takes time."""
    from scalesync.web.freshness import warnings

    if context.quiet:
        return
    print_warnings(warnings(status))
    if sys.stderr.isatty():
        click.echo("Counting tasks: of a million this takes some 15 seconds.", err=True)


def _check_options(output: Path) -> None:
    # Finding a spec does not import it, which would be slow.
    if any(find_spec(name) is None for name in ("jinja2", "starlette")):
        msg = "The report needs packages that are not installed."
        raise ConfigurationError(msg, advice=how_to_install("web"))
    if output == _STDOUT and sys.stdout.isatty():
        raise ConfigurationError("HTML is nothing for a terminal.", advice="Name a file with -o.")


def _write(document: bytes, output: Path) -> None:
    if output == _STDOUT:
        with output_errors():
            sys.stdout.buffer.write(document)
            sys.stdout.buffer.flush()
        return
    with atomic_write(output) as file:
        file.write(document)


COMMANDS = (report,)
