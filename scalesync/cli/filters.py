"""Filter options of the lists and of `export`, and warnings about unknown names."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

import click

from scalesync.cli.output import single_line
from scalesync.cli.param_types import INSTANT, NAME, number_type
from scalesync.errors import ConfigurationError, ScalesyncError

if TYPE_CHECKING:
    from scalesync.cli.context import Context
    from scalesync.models.selection import Selection

_F = TypeVar("_F", bound=Callable[..., object])

_MAX_NAMES = 5
"""Unknown names printed one by one; the others are counted."""

_OPTIONS = {
    "project": click.option("--project", type=NAME, help="Only of this project."),
    "batch": click.option("--batch", type=NAME, help="Only of this batch."),
    "status": click.option("--status", type=NAME, metavar="STATUS", help="Only with this status."),
    "type": click.option("--type", type=NAME, metavar="TYPE", help="Only of this type."),
    "unique_id": click.option(
        "--unique-id", type=NAME, multiple=True, help="Only with this unique_id; several times for more."
    ),
    "customer_review_status": click.option(
        "--customer-review-status",
        type=NAME,
        multiple=True,
        metavar="STATUS",
        help="Only with this review; several times for more.",
    ),
    "tags": click.option(
        "--tags", type=NAME, multiple=True, help="Only with this tag; several times for any of them."
    ),
    "since": click.option("--since", type=INSTANT, help="Only created at this time or later."),
    "until": click.option("--until", type=INSTANT, help="Only created before this time."),
    "completed_since": click.option("--completed-since", type=INSTANT, help="Only completed since then."),
    "completed_until": click.option("--completed-until", type=INSTANT, help="Only completed before."),
    "updated_since": click.option("--updated-since", type=INSTANT, help="Only updated since then."),
    "updated_until": click.option("--updated-until", type=INSTANT, help="Only updated before."),
    "limit": click.option("--limit", type=number_type(0), metavar="N", help="At most N; 0 for all."),
    "missing": click.option("--missing", is_flag=True, help="Also those that are gone at the API."),
}

_ANNOTATION_OPTIONS = {
    "geometry": click.option(
        "--geometry", type=NAME, multiple=True, help="Only annotations of it; several times for more."
    ),
    "label": click.option(
        "--label", type=NAME, multiple=True, help="Only annotations with it; several times for more."
    ),
}

_STREAM_OPTIONS = {
    "tasks": tuple(_OPTIONS),
    "batches": ("project", "status", "since", "until", "limit", "missing"),
    "projects": ("type", "limit", "missing"),
}


def filters(stream: str) -> Callable[[_F], _F]:
    """Return a decorator that adds a stream's filter options to a command."""

    def decorate(command: _F) -> _F:
        # Reversed, because click lists the option that was added last first.
        for name in reversed(_STREAM_OPTIONS[stream]):
            command = _OPTIONS[name](command)
        return command

    return decorate


def annotation_filters(command: _F) -> _F:
    """Add the filter options of annotations to a command."""
    for name in reversed(_ANNOTATION_OPTIONS):
        command = _ANNOTATION_OPTIONS[name](command)
    return command


def warn_of_unknown(context: "Context", names: Iterable[tuple[str, object]], *, listed: bool = False) -> None:
    """Warn on stderr of names that neither mirror nor queue knows, with the nearest known one.

    `names` are pairs (kind, name), None for an option that was not given. `listed`: the names filter what is
    in the mirror. Nothing is printed if the database cannot be read.
    """
    given = [(kind, name) for kind, name in names if isinstance(name, str)]
    if context.quiet or not given:
        return
    try:
        found = context.mirror().queue.unknown(given, listed=listed)
    except ScalesyncError:
        return  # The warning is optional: the command itself reports what is wrong with the database.
    for name in found[:_MAX_NAMES]:
        suggestion = "" if name.nearest is None else f": did you mean {name.nearest!r}?"
        click.echo(single_line(f"Warning: no {name.what} {name.name!r} is known here{suggestion}"), err=True)
    if len(found) > _MAX_NAMES:
        click.echo(f"Warning: {len(found) - _MAX_NAMES} more are not known here either", err=True)


def warn_of_filters(context: "Context", stream: str, options: dict[str, object]) -> None:
    """Warn on stderr of filters with names that neither mirror nor queue knows."""
    kinds = {name: name for name in ("project", "batch", "type", "status")}
    kinds |= {"status": "batch status"} if stream == "batches" else {"customer_review_status": "review"}
    given = ((kind, options.get(name)) for name, kind in kinds.items())
    names = [
        (kind, each) for kind, value in given for each in (value if isinstance(value, tuple) else (value,))
    ]
    warn_of_unknown(context, names, listed=True)


def selection_from(stream: str, options: dict[str, object]) -> "Selection":
    """Build a selection from options. Raises ConfigurationError for a filter that the stream lacks.

    Filters of other tables and views, and of annotations, are checked when they are queried.
    """
    from scalesync.models.selection import Selection

    given = {name: value for name, value in options.items() if value not in (None, False, ())}
    for name in given:
        if name not in _ANNOTATION_OPTIONS and name not in _STREAM_OPTIONS.get(stream, _OPTIONS):
            raise ConfigurationError(
                f"--{name.replace('_', '-')} does not apply to {stream}.", advice="Leave it out."
            )
    return Selection(**given)  # type: ignore[arg-type]
