"""The client of the Scale API: the only package that makes HTTP requests."""

from scalesync.api.client import ScaleApi
from scalesync.api.options import ApiOptions

__all__ = ["ApiOptions", "ScaleApi"]
