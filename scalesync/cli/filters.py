"""The filters that the lists and `export` share."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

from scalesync.cli.options import INSTANT, NAME, NumberType
from scalesync.errors import ConfigurationError

if TYPE_CHECKING:
    from scalesync.db.exports import Selection

_F = TypeVar("_F", bound=Callable[..., object])

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
    "limit": click.option("--limit", type=NumberType(0), metavar="N", help="At most so many; 0: all."),
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


def chosen(stream: str, options: dict[str, object]) -> "Selection":
    """Return the filter that the options make. Raises ConfigurationError for one the stream does not have.

    Whether other tables and views have it is known only to the database's door.
    """
    from scalesync.db.exports import Selection

    given = {name: value for name, value in options.items() if value not in (None, False)}
    for name in given:
        if name not in _OF_STREAM.get(stream, _OPTIONS):
            msg = f"--{name} does not apply to {stream}."
            raise ConfigurationError(msg, advice="Leave it out.")
    return Selection(**given)  # type: ignore[arg-type]
