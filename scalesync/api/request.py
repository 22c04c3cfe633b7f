"""Build API requests: method, path, query and body, encoded so that any name is safe."""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from math import inf
from urllib.parse import quote, urlencode

from scalesync.api.file_form import FileForm
from scalesync.errors import ScaleInvalidRequest
from scalesync.models.api import BatchFilter, TaskFilter
from scalesync.timestamps import format_instant

log = logging.getLogger("scalesync.api")

_COMMA_SEPARATED = frozenset({"customer_review_status"})
"""Lists sent as one value (documented); all others repeat their key."""


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One request. Its repr shows method and path, never the query or the body."""

    method: str
    route: str
    """The path template, for logs, which show no names."""
    path: str
    """Percent-encoded, without the API's URL."""
    query: str = ""
    body: bytes | FileForm | None = None
    seconds: float = inf
    """Time limit for the request, if shorter than the client's."""

    def __str__(self) -> str:
        """Return method and path."""
        return f"{self.method} /{self.path}"

    def __repr__(self) -> str:
        """Return method and path."""
        return f"Request({str(self)!r})"


def build(method: str, route: str, *names: str, query: str = "", payload: object = None) -> ApiRequest:
    """Build a request to `route`; each `{}` becomes the next of `names`, percent-encoded.

    `payload` None: no body; a FileForm is sent as a form, anything else as JSON. Raises ScaleInvalidRequest
    for a name that is invalid in a path and for a payload that is not JSON.
    """
    path = route.format(*(_segment(name) for name in names))
    body = payload if payload is None or isinstance(payload, FileForm) else _json(payload)
    return ApiRequest(method, route, path, query, body)


def _segment(name: str) -> str:
    """Return `name` as one path segment: `a b/c` becomes `a%20b%2Fc`."""
    # HTTP libraries resolve empty, `.` and `..` segments, encoded or not, to another endpoint.
    if name in ("", ".", ".."):
        raise ScaleInvalidRequest(f"{name!r} cannot be the name or id of an object at Scale.")
    try:
        return quote(name, safe="")
    except UnicodeEncodeError as error:
        raise ScaleInvalidRequest(f"{name!r} is not text that can be sent.") from error


def _json(payload: object) -> bytes:
    """Return `payload` as strict JSON: no NaN, no infinity."""
    try:
        return json.dumps(payload, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ScaleInvalidRequest(f"The payload is not JSON: {error}") from error


def query_of(chosen: TaskFilter | BatchFilter | None = None, /, **more: object) -> str:
    """Return the query string of a filter and of `more`, without None and empty values.

    Times are in UTC with milliseconds, booleans `true` and `false`, lists repeated keys
    (customer_review_status: comma separated).
    """
    given: Mapping[str, object] = {f.name: getattr(chosen, f.name) for f in fields(chosen)} if chosen else {}
    pairs = [pair for key, value in {**given, **more}.items() for pair in _pairs(key, value)]
    try:
        return urlencode(pairs)
    except UnicodeEncodeError as error:
        raise ScaleInvalidRequest("A filter holds text that cannot be sent.") from error


def _pairs(key: str, value: object) -> Iterator[tuple[str, str]]:
    """Yield the query's pairs for one parameter: none, one, or several."""
    if value is None or value in ("", ()):
        return
    if isinstance(value, tuple) and key not in _COMMA_SEPARATED:
        for item in value:
            yield key, _text(item)
    else:
        yield key, ",".join(map(_text, value)) if isinstance(value, tuple) else _text(value)


def _text(value: object) -> str:
    """Return `value` in the API's notation."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return format_instant(value) if isinstance(value, datetime) else str(value)


def log_exchange(request: ApiRequest, attempt: int, seconds: float, status: int | None) -> None:
    """Log one exchange, without key, names, query and body; `status` None: there was no answer."""
    fields = {
        "method": request.method,
        "route": request.route,
        "status": status,
        "milliseconds": round(seconds * 1000),
        "attempt": attempt,
    }
    log.debug("request", extra=fields)


def offset_of(token: str | None) -> int | None:
    """Return the offset in a page token made by `offset_token`; None for a token of the API."""
    # Our tokens have a prefix, so that a token of the API that is a number is not read as an offset.
    if token is None:
        return 0
    head, _, digits = token.partition(":")
    return int(digits) if head == "offset" and digits.isdecimal() and digits.isascii() else None


def offset_token(offset: int) -> str:
    """Return a page token for the page that starts at `offset`."""
    return f"offset:{offset}"
