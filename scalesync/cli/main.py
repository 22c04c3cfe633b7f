"""The `scalesync` command: global options, and the commands by name."""

import io
import sys
from typing import Any

import click

import scalesync
from scalesync.cli import (
    changes,
    dispatch,
    export,
    mirror,
    objects,
    orders,
    queue,
    results,
    sql,
    sync,
    try_out,
    verify,
)
from scalesync.cli.boundary import BoundedGroup
from scalesync.cli.context import Context
from scalesync.cli.logs import log_to_stderr
from scalesync.cli.options import DURATION

CONTEXT = {"auto_envvar_prefix": "SCALESYNC", "help_option_names": ["-h", "--help"], "max_content_width": 110}


@click.group(cls=BoundedGroup, context_settings=CONTEXT)
@click.option(
    "--db", metavar="URL|PATH", help="The mirror: a file for SQLite, or postgresql://...  [scalesync.db]"
)
@click.option("--api-url", metavar="URL", help="The API.  [https://api.scale.com/v1]")
@click.option("--api-key-file", metavar="FILE", help="Read the API key from FILE instead of SCALE_API_KEY.")
@click.option("--api-key-keyring", metavar="SERVICE", help="Read it from the keyring, where SERVICE has it.")
@click.option(
    "--insecure-http", is_flag=True, help="Let the key go to another machine by http://, for all to read."
)
@click.option(
    "--patience", type=DURATION, help="How long one read is tried again when the API fails.  [240s]"
)
@click.option("-v", "--verbose", count=True, help="Say more on stderr; twice for every request.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors and what was asked for.")
@click.version_option(scalesync.__version__, prog_name="scalesync")
@click.pass_context
def cli(ctx: click.Context, /, verbose: int, quiet: bool, **options: Any) -> None:
    """Keep a complete local copy of a Scale AI account, in SQLite or Postgres."""
    _write_whatever_comes()
    log_to_stderr(verbose, quiet=quiet)
    ctx.obj = Context(**options, quiet=quiet)


def _write_whatever_comes() -> None:
    """Let names in any script be spelled out where the terminal's encoding has no letters for them."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


_GROUPS = (
    (cli, (*mirror.COMMANDS, *sync.COMMANDS, *results.COMMANDS, *changes.COMMANDS, *objects.COMMANDS)),
    (cli, (*verify.COMMANDS, *sql.COMMANDS, *export.COMMANDS)),
    (cli, (*queue.COMMANDS, *dispatch.COMMANDS, *try_out.COMMANDS)),
    (queue.queue, dispatch.QUEUE),
    (objects.task, orders.TASK),
    (objects.batch, orders.BATCH),
    (objects.project, orders.PROJECT),
)
for group, commands in _GROUPS:
    for command in commands:
        group.add_command(command)
