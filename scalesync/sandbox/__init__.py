"""A Scale API server on this machine, over real HTTP: the executable statement of what we assume of the API.

Needs the extra `sandbox`; without it only `SandboxServer` and `serve` cannot be imported.
"""

from typing import TYPE_CHECKING, Any

from scalesync.sandbox.options import SandboxOptions
from scalesync.sandbox.switches import Switches, choices_of, parse_switch

if TYPE_CHECKING:
    from scalesync.sandbox.server import SandboxServer, serve

__all__ = ["SandboxOptions", "SandboxServer", "Switches", "choices_of", "parse_switch", "serve"]


def __getattr__(name: str) -> Any:
    """Import the server only when it is asked for. Raises ModuleNotFoundError without the extra."""
    if name in {"SandboxServer", "serve"}:
        from scalesync.sandbox import server

        return getattr(server, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
