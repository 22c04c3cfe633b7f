"""A drop-in for the official client: the same methods, answered by the mirror and written exactly once.

>>> from scalesync.client import ScaleClient
"""

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import wraps
from inspect import isgenerator
from typing import Any

from scalesync.client.errors import raise_as_official
from scalesync.client.objects import (
    Batch,
    Batchlist,
    EvaluationTask,
    File,
    Project,
    ProjectTemplate,
    Task,
    Tasklist,
    TrainingTask,
)
from scalesync.client.online import Online, StudioBatch, StudioLabelerAssignment, StudioProjectGroup, Teammate
from scalesync.client.reads import Reads
from scalesync.client.unmirrored import UnmirroredWrites
from scalesync.client.writes import WriteMode, Writes
from scalesync.errors import ConfigurationError, ScaleException, ScaleInvalidRequest, ScalesyncError
from scalesync.mirror import Mirror
from scalesync.settings import DEFAULT_DATABASE, read_max_age

__all__ = [
    "Batch",
    "Batchlist",
    "EvaluationTask",
    "File",
    "Project",
    "ScaleClient",
    "ScaleException",
    "ScaleInvalidRequest",
    "StudioBatch",
    "StudioLabelerAssignment",
    "StudioProjectGroup",
    "Task",
    "TaskTemplate",
    "Tasklist",
    "Teammate",
    "TrainingTask",
    "WriteMode",
]


TaskTemplate = ProjectTemplate
"""The official name."""


class ScaleClient(Reads, UnmirroredWrites, Online):
    """A client with the methods of the official one, over a mirror.

    Lists and single objects come from the mirror, writes go through its queue. Errors are those of scalesync,
    and where the official client is imported its own too.
    """

    def __init__(
        self,
        api_key: str | None = None,
        source: str | None = None,  # noqa: ARG002 - of the official client
        api_instance_url: str | None = None,
        verify: Any = None,
        proxies: Any = None,
        cert: Any = None,
        *,
        database: str | os.PathLike[str] | None = None,
        writes: WriteMode = "send",
        max_age: timedelta | float | None = None,
        patience: float | None = None,
    ) -> None:
        """Use the mirror in `database`, which `scalesync init` and `sync` have made.

        Default for `database`: the environment's SCALESYNC_DB, else `scalesync.db`. `writes`: "send" at once,
        "queue" for `scalesync dispatch`, or "refuse". Lists older than `max_age` (seconds or a timedelta)
        come from the API; None: never, unless SCALESYNC_MAX_AGE is set. `patience`: seconds for which a write
        that is sent is tried. `source` is ignored. Raises ConfigurationError for a malformed key.
        """
        if verify is not None or proxies is not None or cert is not None:
            msg = "Certificates and proxies are set in the environment, for every part of scalesync."
            raise ConfigurationError(msg, advice="Set SSL_CERT_FILE, HTTPS_PROXY and the like.")
        if api_key == "":
            raise_as_official(ScaleException("The API key is empty."))
        if writes not in ("send", "queue", "refuse"):
            raise ConfigurationError(f"writes={writes!r} is none of the ways.", advice="See its docstring.")
        chosen = os.environ.get("SCALESYNC_DB") or DEFAULT_DATABASE if database is None else database
        self.mirror = Mirror(chosen, api_key=api_key, api_url=api_instance_url).keeping_open()
        self.writes: WriteMode = writes
        given = timedelta(seconds=max_age) if isinstance(max_age, int | float) else max_age
        if given is not None and (not isinstance(given, timedelta) or given < timedelta()):
            msg = f"max_age={max_age!r} is no age."
            raise ConfigurationError(msg, advice="Give seconds, 0 or more, or a timedelta.")
        self.max_age = read_max_age(os.environ) if given is None else given
        self.patience = patience

    def close(self) -> None:
        """Close the database, which stays open between two calls; a later call opens it again."""
        self.mirror.close()

    def __repr__(self) -> str:
        """Show how it writes, and nothing of the key."""
        return f"ScaleClient({self.mirror!r}, writes={self.writes!r})"


def _with_official_errors(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return the method with its errors raised as `raise_as_official` does, those of an iterator too."""

    @wraps(method)
    def call(*arguments: Any, **named: Any) -> Any:
        try:
            returned = method(*arguments, **named)
        except ScalesyncError as error:
            raise_as_official(error)
        return _iterated(returned) if isgenerator(returned) else returned

    return call


def _iterated(items: Iterator[Any]) -> Iterator[Any]:
    try:
        yield from items
    except ScalesyncError as error:
        raise_as_official(error)


for _part in (Reads, Writes, UnmirroredWrites, Online):
    for _name, _method in list(vars(_part).items()):
        if callable(_method) and not _name.startswith("_"):
            setattr(ScaleClient, _name, _with_official_errors(_method))
