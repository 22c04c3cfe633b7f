"""Compares a created object with the order for it, by value: the API may add fields, not change them.

Pure functions. Open it for fields that are not compared, or compared otherwise.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from scalesync.models.commands import CommandKind

_OWN_FIELDS = (
    "unique_id",
    "project",
    "batch",
    "instruction",
    "metadata",
    "tags",
    "callback_url",
    "urgency",
    "priority",
)
"""Fields of a create's body that the task has itself and not in its `params` (observed)."""
_OPTIONS = frozenset({"force", "clear_unique_id_on_error"})
"""Fields of a create's body that steer the request and are stored nowhere (official client)."""
_OPTIONAL = frozenset(
    {
        "callback_url",
        "urgency",
        "priority",
        "callback",
        "calibration_batch",
        "self_label_batch",
        "rapid",
        "studio",
        "datasetId",
    }
)
"""Fields that the API does not always return: only another value there is a difference."""
_VERSION_FIELDS = ("version", "created_at")

Difference = tuple[str, object, object]
"""Path, the value asked for, and the value there (None if there is none)."""


def params_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `params` of the task that a create with this body makes."""
    return {name: value for name, value in body.items() if name not in _OWN_FIELDS and name not in _OPTIONS}


def differences(kind: str, payload: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[Difference]:
    """Return how the API's document of an object differs from what a create with `payload` makes.

    Fields that the API added are ignored, and so are further tags. A project is compared with its first and
    with its latest params; the smaller difference is returned.
    """
    ours = {name: value for name, value in payload.items() if name != "name"}
    match kind:
        case CommandKind.CREATE_TASK:
            body = payload["body"]
            own = {name: body.get(name) for name in _OWN_FIELDS if name != "unique_id"}
            ours = {"type": payload["type"], **own, "params": params_of(body)}
        case CommandKind.CREATE_PROJECT:
            return min(
                (_differing(ours, {**theirs, "params": params}) for params in _versions(theirs)), key=len
            )
    return _differing(ours, theirs)


def _differing(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[Difference]:
    differing: list[Difference] = []
    for name, value in ours.items():
        actual = theirs.get(name)
        if actual is None and name in _OPTIONAL:
            continue
        if name == "tags" and isinstance(value, list) and isinstance(actual, list):
            differing += [] if all(tag in actual for tag in value) else [(name, value, actual)]
        else:
            differing += _paths(name, value, actual)
    return differing


def _versions(project: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the first and the latest params of a project."""
    history = project.get("param_history")
    entries = [entry for entry in history if isinstance(entry, dict)] if isinstance(history, list) else []
    ends = [entries[0], entries[-1]] if entries else [{}]
    return [{name: value for name, value in entry.items() if name not in _VERSION_FIELDS} for entry in ends]


def _paths(path: str, ours: object, theirs: object) -> Iterator[Difference]:
    """Yield the places, at any depth, where `ours` is not contained in `theirs`."""
    # A stack instead of recursion: metadata may be nested beyond Python's limit.
    rest = [(path, ours, theirs)]
    while rest:
        path, ours, theirs = rest.pop()
        if ours is None or (ours == {} and theirs is None):
            continue
        if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
            rest += [(f"{path}.{name}", ours[name], theirs.get(name)) for name in reversed(list(ours))]
        elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
            pairs = list(enumerate(zip(ours, theirs, strict=True)))
            rest += [(f"{path}[{number}]", *pair) for number, pair in reversed(pairs)]
        elif _is_container(ours) or _is_container(theirs) or _plain(ours) != _plain(theirs):
            yield path, ours, theirs


def _is_container(value: object) -> bool:
    return isinstance(value, Mapping | list)


def first_difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str | None:
    """Return the name of the first field of `ours` that differs in `theirs`, or None.

    Fields of `ours` that are None are ignored: the API leaves out what is not set.
    """
    return next((name for name, value in ours.items() if any(_paths(name, value, theirs.get(name)))), None)


def same(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    """Return whether both are equal as JSON, fields that are None ignored."""
    return _plain(ours) == _plain(theirs)


def _plain(value: object) -> object:
    """Return a value for comparison as JSON: true is not 1, and fields that are None are left out."""
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return (bool, value) if isinstance(value, bool) else value
