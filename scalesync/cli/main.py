"""The `scalesync` command: global options, and commands that are imported on use."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any

import click

import scalesync
from scalesync.cli.common_options import explain, prepare
from scalesync.cli.context import Context
from scalesync.cli.error_handling import ErrorHandlingGroup
from scalesync.cli.logs import log_to_stderr
from scalesync.cli.param_types import DURATION, GIVEN

_MODULES = {
    "backup": "setup_and_status",
    "batch": "resources",
    "browse": "browse",
    "changes": "lists",
    "check": "setup_and_status",
    "demo": "sandbox",
    "diff": "diff",
    "dispatch": "dispatch",
    "docs": "setup_and_status",
    "export": "export",
    "fetch-attachments": "fetch_attachments",
    "fetch-results": "fetch_results",
    "file": "files",
    "findings": "findings",
    "init": "setup_and_status",
    "project": "resources",
    "prune": "prune_and_sizes",
    "publish": "publish",
    "queue": "queue",
    "report": "report",
    "sandbox": "sandbox",
    "sql": "sql",
    "status": "setup_and_status",
    "sync": "sync",
    "task": "resources",
    "verify": "verify",
}
"""The module of each command, which lists it in COMMANDS."""

CONTEXT = {
    "auto_envvar_prefix": "SCALESYNC",
    "help_option_names": ["-h", "--help"],
    "max_content_width": 110,
    "show_default": True,
}


class Commands(Mapping[str, click.Command]):
    """All commands by name; each is imported on access, because importing all of them is slow."""

    def __getitem__(self, name: str) -> click.Command:
        """Return the command with this name. Raises KeyError for an unknown name."""
        return _load(name)

    def __iter__(self) -> Iterator[str]:
        """Yield the names."""
        return iter(_MODULES)

    def __len__(self) -> int:
        """Return the number of commands."""
        return len(_MODULES)


@click.group(cls=ErrorHandlingGroup, commands=Commands(), context_settings=CONTEXT)
@click.option(
    "--db",
    type=GIVEN,
    metavar="URL|PATH",
    help="The mirror: an SQLite file, or postgresql://...  [scalesync.db]",
)
@click.option("--api-url", type=GIVEN, metavar="URL", help="The API.  [https://api.scale.com/v1]")
@click.option(
    "--api-key-file", type=GIVEN, metavar="FILE", help="Read the API key from FILE, not SCALE_API_KEY."
)
@click.option("--api-key-keyring", type=GIVEN, metavar="SERVICE", help="Read it from the keyring's SERVICE.")
@click.option(
    "--insecure-http", is_flag=True, help="Let the key go to another machine by http://, for all to read."
)
@click.option(
    "--patience", type=DURATION, help="How long one read is tried again when the API fails.  [240s]"
)
@click.option(
    "-v", "--verbose", count=True, show_default=False, help="Say more on stderr; twice for every request."
)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors and what was asked for.")
@click.version_option(scalesync.__version__, prog_name="scalesync")
@click.pass_context
def cli(ctx: click.Context, /, verbose: int, quiet: bool, **options: Any) -> None:
    """Keep a complete local copy of a Scale AI account, in SQLite or Postgres."""
    log_to_stderr(verbose, quiet=quiet)
    ctx.obj = Context(**options, quiet=quiet)


explain(cli)


@cache
def _load(name: str) -> click.Command:
    """Import a command and add the global options to it. Raises KeyError for an unknown name."""
    commands: Sequence[click.Command] = import_module(f"scalesync.cli.{_MODULES[name]}").COMMANDS
    return prepare(next(command for command in commands if command.name == name), cli.params)
