"""Errors of a ScaleClient: those of scalesync, and where the official client is installed also its own."""

import sys
from types import ModuleType
from typing import Any, NoReturn

from scalesync.errors import ScalesyncError

_CLASSES: dict[tuple[type, type], type[Exception]] = {}
"""Classes that are both ours and the official client's, by the two."""


def raise_as_official(error: ScalesyncError) -> NoReturn:
    """Raise an error so that handlers written for the official client catch it too.

    `except scaleapi.exceptions.ScaleException` catches it if the caller has imported that; its text begins
    with the status then, as theirs does.
    """
    official = _official_class(error)
    if official is None:
        raise error
    kind = type(error)
    both = _CLASSES.get((kind, official))
    if both is None:
        both = type(kind.__name__, (kind, official), {"__module__": __name__, "__str__": _text})
        _CLASSES[kind, official] = both
    raised = both.__new__(both)
    raised.__dict__.update(error.__dict__)
    raised.args = (_text(error),)
    raise raised from error


def _text(error: Any) -> str:
    """Return the message in the form of the official client."""
    code = getattr(error, "code", None)
    return f"<Response [{code}]> {error.message}" if code else f"<Response> {error.message}"


def _official_class(error: ScalesyncError) -> type | None:
    """Return the official client's class for an error, None if that client is not in use here."""
    # Never imported from here: it drags a lot along, and a caller who handles its errors has imported it.
    module: ModuleType | None = sys.modules.get("scaleapi.exceptions")
    if module is None:
        return None
    for kind in type(error).__mro__:
        found = getattr(module, kind.__name__, None)
        if isinstance(found, type) and issubclass(found, Exception) and not isinstance(error, found):
            return found
    # What has no class there, such as a lost connection or a locked database, is its base class.
    base = getattr(module, "ScaleException", None)
    return base if isinstance(base, type) else None
