"""Whether an object is the one that was asked for, though the API may have added to it. Pure."""

from collections.abc import Mapping
from typing import Any


def first_difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str | None:
    """Return the name of the first field of ours that theirs does not contain; None: all are there.

    Fields of ours that are None do not count: the API leaves out what is not set.
    """
    differing = (name for name, value in ours.items() if not _holds(theirs.get(name), value))
    return next(differing, None)


def same(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    """Return whether both say the same, where None says nothing."""
    return _plain(ours) == _plain(theirs)


def _holds(theirs: object, ours: object) -> bool:
    if ours is None:
        return True
    if isinstance(ours, Mapping):
        return isinstance(theirs, Mapping) and first_difference(ours, theirs) is None
    if isinstance(ours, list):
        return (
            isinstance(theirs, list) and len(ours) == len(theirs) and all(map(_holds, theirs, ours))
        )  # fmt: skip
    return _plain(ours) == _plain(theirs)


def _plain(value: object) -> object:
    """Return a value that equals another one where JSON does: true is not 1, and None is not there."""
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return (bool, value) if isinstance(value, bool) else value
