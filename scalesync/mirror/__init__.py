"""The way in, for the command line and for Python: everything that can be asked of a mirror is a method."""

from scalesync.mirror.facade import Mirror
from scalesync.mirror.queries import Document

__all__ = ["Document", "Mirror"]
