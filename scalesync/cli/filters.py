"""The filters that the lists and `export` share."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

import click

from scalesync.cli.output import single_line
from scalesync.cli.param_types import INSTANT, NAME, NumberType
from scalesync.errors import ConfigurationError, ScalesyncError

if TYPE_CHECKING:
    from scalesync.cli.context import Context
    from scalesync.models.selection import Selection

_F = TypeVar("_F", bound=Callable[..., object])

_SAID = 5
"""Unknown names that are said one by one."""

_OPTIONS = {
    "project": click.option("--project", type=NAME, help="Only of this project."),
    "batch": click.option("--batch", type=NAME, help="Only of this batch."),
    "status": click.option("--status", type=NAME, metavar="STATUS", help="Only with this status."),
    "type": click.option("--type", type=NAME, metavar="TYPE", help="Only of this type."),
    "unique_id": click.option("--unique-id", type=NAME, help="Only with this unique_id."),
    "customer_review_status": click.option(
        "--customer-review-status", type=NAME, metavar="STATUS", help="Only with this review."
    ),
    "since": click.option("--since", type=INSTANT, help="Only created at this time or later."),
    "until": click.option("--until", type=INSTANT, help="Only created before this time."),
    "limit": click.option("--limit", type=NumberType(0), metavar="N", help="List at most N; 0 lists all."),
    "missing": click.option("--missing", is_flag=True, help="Also those that are gone at the API."),
}

_OF_STREAM = {
    "tasks": tuple(_OPTIONS),
    "batches": ("project", "status", "since", "until", "limit", "missing"),
    "projects": ("type", "limit", "missing"),
}


def filters(stream: str) -> Callable[[_F], _F]:
    """Give a command the options that choose among the mirrored objects of a stream."""

    def decorate(command: _F) -> _F:
        for name in reversed(_OF_STREAM[stream]):
            command = _OPTIONS[name](command)
        return command

    return decorate


def warn_of_unknown(context: "Context", names: Iterable[tuple[str, object]], *, listed: bool = False) -> None:
    """Say on stderr which names nothing here has, and which one may be meant; it changes nothing else.

    Each comes with what it is of, None for a name that was not given. `listed` says that they choose among
    what is here, and do not order anything.
    """
    given = [(what, name) for what, name in names if isinstance(name, str)]
    if context.quiet or not given:
        return
    try:
        found = context.mirror().queue.unknown(given, listed=listed)
    except ScalesyncError:
        return  # It was an extra: what was asked for says by itself what is wrong with the database.
    for one in found[:_SAID]:
        meant = "" if one.nearest is None else f": did you mean {one.nearest!r}?"
        click.echo(single_line(f"Warning: no {one.what} {one.name!r} is known here{meant}"), err=True)
    if len(found) > _SAID:
        click.echo(f"Warning: {len(found) - _SAID} more are not known here either", err=True)


def warn_of_filters(context: "Context", stream: str, options: dict[str, object]) -> None:
    """Warn on stderr of filters that name what neither mirror nor queue knows."""
    whats = {name: name for name in ("project", "batch", "type", "status")}
    whats |= {"status": "batch status"} if stream == "batches" else {"customer_review_status": "review"}
    warn_of_unknown(context, [(what, options.get(name)) for name, what in whats.items()], listed=True)


def selection_from(stream: str, options: dict[str, object]) -> "Selection":
    """Return the filter that the options make. Raises ConfigurationError for one the stream does not have.

    Whether other tables and views have it is known only to the database's door.
    """
    from scalesync.models.selection import Selection

    given = {name: value for name, value in options.items() if value not in (None, False)}
    for name in given:
        if name not in _OF_STREAM.get(stream, _OPTIONS):
            msg = f"--{name} does not apply to {stream}."
            raise ConfigurationError(msg, advice="Leave it out.")
    return Selection(**given)  # type: ignore[arg-type]
