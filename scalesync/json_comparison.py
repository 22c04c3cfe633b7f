"""Whether an object is the one that was asked for, by value, though the API may have added to it. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from scalesync.models.commands import CommandKind

_OWN = (
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
"""What of a create's body is the task's own and not among its params (recorded)."""
_ORDERS = frozenset({"force", "clear_unique_id_on_error"})
"""What of a create's body is an order to the API and is kept nowhere (official client)."""
_SAID = frozenset(
    {
        "callback_url",
        "urgency",
        "priority",
        "callback",
        "calibration_batch",
        "self_label_batch",
        "rapid",
        "studio",
    }
)
"""What an object does not always say of itself, so that only another value there is a difference."""
_STAMPS = ("version", "created_at")

Difference = tuple[str, object, object]
"""Where it is, what is asked for, and what is there; None: nothing."""


def params_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the params that the body of a task's create gives it."""
    return {name: value for name, value in body.items() if name not in _OWN and name not in _ORDERS}


def differences(kind: str, payload: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[Difference]:
    """Return in what an object, as the API's document says it, is not the one that a create would make.

    What the API added does not count, nor do further tags. A project's params are those it began with, or the
    latest.
    """
    match kind:
        case CommandKind.CREATE_TASK:
            body = payload["body"]
            own = {name: body.get(name) for name in _OWN if name != "unique_id"}
            ours = {"type": payload["type"], **own, "params": params_of(body)}
        case CommandKind.CREATE_PROJECT:
            ours = {name: value for name, value in payload.items() if name != "name"}
            return min((_differing(ours, {**theirs, "params": one}) for one in _versions(theirs)), key=len)
        case _:
            ours = {name: value for name, value in payload.items() if name != "name"}
    return _differing(ours, theirs)


def _differing(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[Difference]:
    found: list[Difference] = []
    for name, value in ours.items():
        held = theirs.get(name)
        if held is None and name in _SAID:
            continue
        if name == "tags" and isinstance(value, list) and isinstance(held, list):
            found += [] if all(tag in held for tag in value) else [(name, value, held)]
        else:
            found += _paths(name, value, held)
    return found


def _versions(project: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the params that a project began with and those it has now."""
    history = project.get("param_history")
    entries = [one for one in history if isinstance(one, dict)] if isinstance(history, list) else []
    ends = [entries[0], entries[-1]] if entries else [{}]
    return [{name: value for name, value in entry.items() if name not in _STAMPS} for entry in ends]


def _paths(path: str, ours: object, theirs: object) -> Iterator[Difference]:
    """Yield the places, however deep, where `ours` is not contained in `theirs`."""
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
        elif _is_one(ours) or _is_one(theirs) or _plain(ours) != _plain(theirs):
            yield path, ours, theirs


def _is_one(value: object) -> bool:
    return isinstance(value, Mapping | list)


def first_difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str | None:
    """Return the name of the first field of ours that theirs does not contain; None: all are there.

    Fields of ours that are None do not count: the API leaves out what is not set.
    """
    return next(
        (name for name, value in ours.items() if any(_paths(name, value, theirs.get(name)))),
        None,
    )


def same(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    """Return whether both say the same, where None says nothing."""
    return _plain(ours) == _plain(theirs)


def _plain(value: object) -> object:
    """Return a value that equals another one where JSON does: true is not 1, and None is not there."""
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return (bool, value) if isinstance(value, bool) else value
