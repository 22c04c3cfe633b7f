"""`scalesync sandbox` and `scalesync demo`: try scalesync without a key."""

import sqlite3
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scalesync.cli.context import Context, enable_gc
from scalesync.cli.output import program_name
from scalesync.cli.param_types import NAME, number_type
from scalesync.errors import ConfigurationError, how_to_install

if TYPE_CHECKING:
    from scalesync.sandbox import SandboxOptions

_ADVICE = "Choose another --port or --state."


@click.command()
@click.option(
    "--port",
    type=number_type(0, 65_535),
    metavar="N",
    default=8008,
    help="Where to listen; 0: any free port.",
)
@click.option("--tasks", type=number_type(0), metavar="N", default=1000, help="Made-up tasks.")
@click.option("--seed", type=int, metavar="N", default=1, help="The same seed makes the same data.")
@click.option("--mode", type=click.Choice(["live", "test"]), default="live", help="Of which keys.")
@click.option("--state", type=click.Path(path_type=Path), metavar="FILE", help="Keep everything in FILE.")
@click.option(
    "--annotate", type=float, default=0.0, show_default=False, metavar="RATE", help="Tasks done per second."
)
@click.option(
    "--fault", type=NAME, multiple=True, metavar="KIND[:SHARE]", help="500:2%, 429:1%, reset, hang ..."
)
@click.option("--latency", metavar="DELAY", help="Delay every answer, for example 40ms.")
@click.option("--switch", type=NAME, multiple=True, metavar="NAME=VALUE", help="Another way of the API.")
@click.option(
    "--churn-per-page",
    type=number_type(0),
    metavar="N",
    default=0,
    show_default=False,
    help="Random changes before each page.",
)
@click.pass_obj
def sandbox(context: Context, /, latency: str | None, switch: tuple[str, ...], **options: object) -> None:
    """Run a Scale API on this machine. Ctrl-C ends it."""
    chosen = _options(latency, switch, options)
    from scalesync.sandbox import serve

    enable_gc()
    try:
        serve(chosen, lambda server: None if context.quiet else _print_ready(server.url))
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(f"The sandbox cannot start: {reason}.", advice=_ADVICE) from error


@click.command()
@click.option(
    "--tasks", type=number_type(100, 100_000), metavar="N", default=3000, help="Made-up tasks, 100 to 100000."
)
@click.pass_obj
def demo(context: Context, tasks: int) -> None:
    """Show it all on a made-up account, without a key."""
    require_sandbox()
    from scalesync.cli.demo.walkthrough import run

    enable_gc()
    run(context, tasks)


def _options(latency: str | None, switches: tuple[str, ...], options: dict[str, object]) -> "SandboxOptions":
    """Return the sandbox's options. Raises ConfigurationError for an invalid one."""
    require_sandbox()
    from scalesync.sandbox import SandboxOptions, Switches, parse_switch

    try:
        faults = (*options.pop("fault"), *([f"latency:{latency}"] if latency else []))  # type: ignore[misc]
        parsed = Switches(**dict(map(parse_switch, switches)))  # type: ignore[arg-type]
        mode = options.pop("mode")
        return SandboxOptions(faults=faults, switches=parsed, seed_mode=mode, **options)  # type: ignore[arg-type]
    except ValueError as error:
        raise ConfigurationError(f"{error}.", advice="See `scalesync sandbox --help`.") from error


def require_sandbox() -> None:
    """Raise ConfigurationError if a package is missing that the sandbox needs."""
    # The package has two names; finding a spec does not import it, which would be slow.
    multipart = find_spec("python_multipart") or find_spec("multipart")
    if multipart is None or find_spec("starlette") is None or find_spec("uvicorn") is None:
        msg = "The sandbox needs packages that are not installed."
        raise ConfigurationError(msg, advice=how_to_install("sandbox"))


def _print_ready(url: str) -> None:
    click.echo(f"A Scale API at {url}; any key that begins with live_ or test_ opens it.", err=True)
    click.echo(f"  export SCALESYNC_API_URL={url} SCALE_API_KEY=live_anything", err=True)
    click.echo(f"  {program_name()} --db try.db init && {program_name()} --db try.db sync", err=True)


COMMANDS = (sandbox, demo)
