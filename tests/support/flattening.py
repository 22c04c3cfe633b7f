"""Flatten responses that a test writes as Python values."""

import json
from collections.abc import Mapping
from typing import Any

from scalesync.annotations.flatten import flatten
from scalesync.annotations.models import Flattened

A_FILE = "https://results.example/a"
EVENTS_FILE = "https://results.example/e"


def flat(task_type: str | None, response: object, files: Mapping[str, bytes] | None = None) -> Flattened:
    """Return what a response comes to that the API would have sent as JSON."""
    return flatten(task_type, json.dumps(response), files or {})


def from_files(task_type: str, content: object, events: object = None) -> Flattened:
    """Return what a response comes to whose annotations and events are in files."""
    files = {A_FILE: as_file(content)} | ({} if events is None else {EVENTS_FILE: as_file(events)})
    response = {"annotations": {"url": A_FILE}, "events": {"url": EVENTS_FILE}}
    return flat(task_type, response, files)


def as_file(content: object) -> bytes:
    """Return bytes as they are, anything else as JSON."""
    return content if isinstance(content, bytes) else json.dumps(content).encode()


def extras(flattened: Flattened) -> list[Any]:
    """Return what the rows keep in `extra`."""
    return [None if row.extra is None else json.loads(row.extra) for row in flattened.annotations]
