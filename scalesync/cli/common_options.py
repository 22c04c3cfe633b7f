"""Global options after a command's name, and the help on kinds of values that every command gets."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import click

from scalesync.cli.logs import log_to_stderr

_TYPE_HELP = {
    "time": "TIME is a date or a time, 2026-11-23 or 2026-11-23T08:30:00Z, in UTC if it does not say; or "
    "a span such as 7d: that long ago by this machine's clock.",
    "span": "SPAN is a length of time: 90s, 15m, 2h or 1d.",
    "size": "SIZE is a number of bytes: 500kB or 64MB, in steps of 1,024.",
}
"""By the name of an option's type."""
_GLOBAL_OPTIONS_HELP = "Options of `scalesync --help` such as --db and -q may stand here too."


def prepare(command: click.Command, options: Sequence[click.Parameter]) -> click.Command:
    """Add the program's options to a command and its subcommands; return the command."""
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            prepare(inner, options)
    else:
        explain(command, also=_GLOBAL_OPTIONS_HELP)
    for option in options:
        if isinstance(option, click.Option) and option.name != "version":
            command.params.append(_after_command(option))
    return command


def explain(command: click.Command, *, also: str = "") -> None:
    """Append an explanation of its kinds of values to a command's help."""
    kinds = {param.type.name for param in command.params}
    texts = [command.epilog or "", *(text for kind, text in _TYPE_HELP.items() if kind in kinds), also]
    command.epilog = "\n\n".join(filter(None, texts))


def misplaced_option(error: click.NoSuchOption, group: click.Group, words: Sequence[str]) -> click.UsageError:
    """Return an error that says after which command an option belongs, or `error` if no command has it.

    `words` is the command line, which decides between several commands with such an option.
    """
    paths = [path for path in _paths(group) if error.option_name in _shown_options(path[-1])]
    if not paths:
        return error
    path = max(paths, key=lambda path: [command.name in words for command in path])
    name = " ".join(str(command.name) for command in path)
    program = "scalesync" if error.ctx is None else error.ctx.command_path
    written = f"{program} {name} {error.option_name}"
    msg = f"{error.option_name} belongs after the command's name: `{written}`."
    return click.UsageError(msg, error.ctx)


@cache
def _after_command(option: click.Option) -> click.Option:
    """Return a hidden copy of a global option for use after a command's name, where it overrides."""
    # Cached and shared by all commands: copies for each would be a large part of the time of `--help`.

    def apply(ctx: click.Context, param: click.Parameter, value: object) -> None:  # noqa: ARG001 - click's way
        if value in (None, False, 0):
            return
        # The global options were parsed before this one, and have had their effect: change the root's
        # values and the context, and configure logging again.
        name, root = str(option.name), ctx.find_root()
        root.params[name] = root.params[name] + value if option.count else value
        if name in ("verbose", "quiet"):
            log_to_stderr(root.params["verbose"], quiet=root.params["quiet"])
        if name != "verbose":
            changed: dict[str, Any] = {name: value}
            ctx.obj = replace(ctx.obj, **changed)

    return click.Option(
        [*option.opts],
        type=None if option.is_flag or option.count else option.type,
        is_flag=option.is_flag or None,
        count=option.count,
        hidden=True,
        expose_value=False,
        allow_from_autoenv=False,
        callback=apply,
    )


def _paths(group: click.Group) -> Iterator[tuple[click.Command, ...]]:
    """Yield the path of every command below a group: its groups, then the command."""
    for name in group.commands:
        command = group.commands[name]
        if isinstance(command, click.Group):
            yield from ((command, *path) for path in _paths(command))
        else:
            yield (command,)


def _shown_options(command: click.Command) -> set[str]:
    return {name for param in command.params if not getattr(param, "hidden", False) for name in param.opts}
