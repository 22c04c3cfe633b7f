"""A complete local copy of a Scale AI annotation account, in SQLite or Postgres, with a write queue."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scalesync.mirror import Mirror

__all__ = ["Mirror", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import `Mirror` at its first use; it loads the database library, which is slow."""
    if name == "Mirror":
        from scalesync.mirror import Mirror

        return Mirror
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
