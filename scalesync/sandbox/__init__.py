"""Serve a Scale API on this machine over real HTTP, with the behavior that we assume of the real one.

Without the extra `sandbox`, `SandboxServer` and `serve` cannot be imported, but all else can.
"""

from typing import TYPE_CHECKING, Any

from scalesync.sandbox.options import SandboxOptions
from scalesync.sandbox.switches import Switches, choices_of, parse_switch

if TYPE_CHECKING:
    from scalesync.sandbox.server import SandboxServer, serve

__all__ = ["SandboxOptions", "SandboxServer", "Switches", "choices_of", "parse_switch", "serve"]


def __getattr__(name: str) -> Any:
    """Import the server at its first use; raises ModuleNotFoundError without the extra."""
    if name in {"SandboxServer", "serve"}:
        from scalesync.sandbox import server

        return getattr(server, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
