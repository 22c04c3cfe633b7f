"""The HTTP door: the only package that speaks to the Scale API, and the only one that imports requests."""

from scalesync.api.client import ScaleApi
from scalesync.api.options import DEFAULT_URL, ApiOptions

__all__ = ["DEFAULT_URL", "ApiOptions", "ScaleApi"]
