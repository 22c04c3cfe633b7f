"""The Python API: `Mirror`, with a method for everything that the command line can do."""

from scalesync.mirror.facade import Mirror
from scalesync.mirror.queries import Document

__all__ = ["Document", "Mirror"]
