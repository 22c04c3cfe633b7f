"""`scalesync browse`: read-only pages over the mirror, in a browser."""

import os
import secrets
import signal
import threading
import webbrowser
from contextlib import AbstractContextManager, ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scalesync.cli.context import Context, enable_gc
from scalesync.cli.output import print_line
from scalesync.cli.param_types import NAME, number_type
from scalesync.cli.sandbox import require_sandbox
from scalesync.errors import ConfigurationError, how_to_install
from scalesync.settings import read_secret

if TYPE_CHECKING:
    from scalesync.mirror import Mirror

_LIBRARIES = ("jinja2", "starlette", "uvicorn")
_VARIABLE = "SCALESYNC_BROWSE_TOKEN"
_SHORTEST_TOKEN = 16
_DEMO_TASKS = 500


@click.command()
@click.option(
    "--port",
    type=number_type(0, 65_535),
    metavar="N",
    default=8400,
    help="Where to listen; 0: any free port.",
)
@click.option("--host", type=NAME, default="127.0.0.1", help="The address to listen at; others need a token.")
@click.option(
    "--token",
    is_flag=True,
    allow_from_autoenv=False,
    help=f"Ask for a token: that of {_VARIABLE} or --token-file, or a random one.",
)
@click.option(
    "--token-file", type=click.Path(path_type=Path), metavar="FILE", help="Read the token from FILE."
)
@click.option("--open/--no-open", default=False, help="Open the pages in a browser.")
@click.option("--demo", is_flag=True, help="Show a made-up account instead, without a key.")
@click.pass_obj
def browse(
    context: Context,
    port: int,
    host: str,
    open: bool,  # noqa: A002 - the option's name
    *,
    demo: bool,
    token: bool,
    token_file: Path | None,
) -> None:
    """Show the mirror in a browser, read-only. Ctrl-C ends it."""
    _require_libraries()
    known = _token_given(token_file)
    from scalesync.web.server import PagesServer

    _check_host(host, asked=token or known is not None)
    chosen = known or (secrets.token_urlsafe(24) if token else None)
    with ExitStack() as stack:
        mirror = stack.enter_context(_made_up(context)) if demo else context.mirror()
        mirror.as_of()  # says what is wrong with the database before anybody opens a page
        server = stack.enter_context(PagesServer(mirror, host, port, chosen))
        shown = server.url if known or chosen is None else f"{server.url}?token={chosen}"
        _serve(shown, open_it=open)


def _made_up(context: Context) -> AbstractContextManager["Mirror"]:
    """Return the mirror of a made-up account, which is gone at the end of the block."""
    require_sandbox()
    from scalesync.cli.demo.walkthrough import made_up_mirror

    enable_gc()
    if not context.quiet:
        click.echo(f"A made-up account of {_DEMO_TASKS} tasks; it is gone when this ends.", err=True)
    return made_up_mirror(_DEMO_TASKS)


def _serve(shown: str, *, open_it: bool) -> None:
    """Print the address and wait for SIGINT or SIGTERM."""
    stopping = threading.Event()
    with ExitStack() as stack:
        for number in (signal.SIGINT, signal.SIGTERM):
            stack.callback(signal.signal, number, signal.signal(number, lambda *_: stopping.set()))
        print_line(shown)
        if open_it:
            webbrowser.open(shown)
        stopping.wait()


def _require_libraries() -> None:
    # Finding a spec does not import it, which would be slow.
    if any(find_spec(name) is None for name in _LIBRARIES):
        msg = "The pages need packages that are not installed."
        raise ConfigurationError(msg, advice=how_to_install("web"))


def _check_host(host: str, *, asked: bool) -> None:
    from scalesync.web.safety import is_loopback

    if not asked and not is_loopback(host):
        msg = f"At {host} others could read the whole mirror."
        raise ConfigurationError(msg, advice="Add --token, or leave --host out.")


def _token_given(file: Path | None) -> str | None:
    """Return the token of a file or the environment, None if there is none."""
    found = os.environ.get(_VARIABLE) or None
    if file is not None:
        found = read_secret(file, "token", option="--token-file").strip()
    if found is None:
        return None
    # A cookie holds it as it is, and only such tokens cannot be guessed.
    if len(found) < _SHORTEST_TOKEN or not all(each.isalnum() or each in "-_" for each in found):
        msg = f"The token is not one of {_SHORTEST_TOKEN} or more letters, digits, - and _."
        raise ConfigurationError(msg, advice="Write one, or leave it out: --token makes a random one.")
    return found


COMMANDS = (browse,)
