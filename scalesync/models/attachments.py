"""References of a task to queued files, which stand for addresses that are not known yet. Pure.

A reference is a whole text anywhere in a body, such as `{"attachment": "scalesync-file:a.jpg"}`.
"""

import json
import re
from collections.abc import Mapping

_PREFIX = "scalesync-file:"
_RESOURCE = "file:"
# In JSON a quote within a text has a backslash before it, and the one that begins a text never has; a name is
# followed by a colon.
_REFERENCE = re.compile(rf'(?<!\\)"{_PREFIX}((?:[^"\\]|\\.)+)"(?!\s*:)')


def reference(resource: str) -> str:
    """Return what stands for the address of a file in the body of a task; `resource` is its command's."""
    return f"{_PREFIX}{resource.removeprefix(_RESOURCE)}"


def resources_in(payload: str) -> tuple[str, ...]:
    """Return the resources of the files that a payload refers to, each once."""
    return tuple(dict.fromkeys(map(_resource, _REFERENCE.finditer(payload))))


def with_addresses(payload: str, addresses: Mapping[str, str | None]) -> str:
    """Return a payload with the addresses of files, by resource, in place of the references that have one."""

    def address(found: re.Match[str]) -> str:
        known = addresses.get(_resource(found))
        return found[0] if known is None else json.dumps(known)

    return _REFERENCE.sub(address, payload)


def without_references(payload: str) -> str:
    """Return a payload with null in place of its references, which compares as equal to any address."""
    return _REFERENCE.sub("null", payload)


def _resource(found: re.Match[str]) -> str:
    return _RESOURCE + str(json.loads(f'"{found[1]}"'))
