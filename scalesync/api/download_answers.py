"""Read the head of an answer to a download: redirects, refusals, and which part of a file it is."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urljoin

import requests

from scalesync.api.ssrf import Address, parse_address
from scalesync.errors import ScaleException

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", re.ASCII)
_EMPTY_RANGE = re.compile(r"bytes \*/0", re.ASCII)


Span = tuple[int, int]
"""Offsets of the first and the last byte of a part of a file."""
EXPIRED = (403, 404, 410)
"""Statuses that servers answer to an expired signed URL."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's answer, whose body is read as its pieces are taken."""

    pieces: Iterator[bytes]
    """The decompressed body. Raises if it is cut short or too large; it need not be taken to its end."""
    start: int
    """Offset of its first byte in the file; it is whole if the server knows no parts."""
    is_part: bool
    is_compressed: bool
    """Whether it was compressed for transport; of a part, `start` and `size` are of the compressed file."""
    size: int | None
    """Bytes of the whole file, None if the server did not say."""
    content_type: str
    """As the server sent it."""
    served_at: datetime
    """The server's clock (`Date` header), else this machine's."""


def place_of_part(given: str, span: Span | None, host: str) -> tuple[int, int | None]:
    """Return where the part of a file begins, and the file's size; raises ScaleException for another part."""
    found = _CONTENT_RANGE.fullmatch(given.strip())
    if found is None or span is None or int(found[1]) != span[0]:
        raise ScaleException(f"{host} answered with another part of the file than was asked for.")
    return span[0], None if found[2] == "*" else int(found[2])


def is_empty(response: requests.Response) -> bool:
    """Return whether a server refuses a part because the file has no bytes at all."""
    given = response.headers.get("Content-Range", "").strip()
    return response.status_code == 416 and _EMPTY_RANGE.fullmatch(given) is not None


def redirect_target(address: Address, location: str | None) -> Address:
    """Return the target of a redirect. Raises ScaleException if there is none, or it leaves https."""
    if not location:
        raise ScaleException(f"{address.host} redirects without saying where to.")
    target = parse_address(urljoin(address.url, location))
    if (address.scheme, target.scheme) == ("https", "http"):
        raise ScaleException(f"{address.host} redirects from https to http.")
    return target


def error_of_status(status: int, host: str, retry_after: float | None) -> ScaleException:
    """Return the error for an HTTP status."""
    message, advice = f"{host} answered {status}", ""
    if status in EXPIRED:
        message += ": the link may have expired"
        advice = "Run it again after a `scalesync sync`, which brings new links where Scale has any."
    elif status == 401:
        message += ": it wants another key, or any"
        advice = "Set SCALE_API_KEY to a live key of the account."
    return ScaleException(f"{message}.", status, advice=advice, retry_after=retry_after)
