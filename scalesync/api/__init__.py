"""The HTTP door: the only package that speaks to the Scale API, and the only one that imports requests."""

from scalesync.api.client import ScaleApi
from scalesync.api.options import ApiOptions

__all__ = ["ApiOptions", "ScaleApi"]
