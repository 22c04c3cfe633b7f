"""Send one request and read its whole answer, or raise an error that says whether it was sent.

Hazard: ScaleNotSent means "safe to send again". It may be raised only if no byte of the request left.
"""

import re
import threading
import zlib
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from math import inf

import requests
from urllib3 import BaseHTTPResponse, HTTPHeaderDict, Timeout
from urllib3.exceptions import HTTPError

from scalesync.api.connection import Connection, KeyAuth, PerThread
from scalesync.api.decompression import decompress
from scalesync.api.interruptible_connect import SendTracker
from scalesync.api.options import ApiOptions
from scalesync.api.request import ApiRequest
from scalesync.api.watchdog import Watchdog
from scalesync.clock import Clock
from scalesync.errors import ConfigurationError, ScaleException, ScaleNoAnswer, ScaleNotSent

_READ_SIZE = 64 * 1024
"""Above 128 KiB malloc maps and unmaps memory for every piece, which costs more than the reading."""
_MAX_ERROR_BYTES = 1 << 20
"""Of the body of an error, decompressed: a larger one holds no message for people."""
_NO_KEEP_ALIVE_SECONDS = 60.0
"""For which each request gets a new connection after a wrong answer."""
_VALID_YEARS = range(2000, 2200)
"""Of a server's clock; time arithmetic around them cannot overflow."""
_SECONDS = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII)
_USABLE_KEY = re.compile(r"[!-9;-~]+")
"""Visible ASCII without the colon, at which HTTP Basic splits."""


@dataclass(frozen=True, slots=True)
class Response:
    """A complete answer of any status."""

    status: int
    body: bytes
    served_at: datetime
    """The API's clock (`Date` header, in seconds), else this machine's."""
    retry_after: float | None
    """Seconds from Retry-After, given as a number or as a date on the API's clock."""
    dated: bool = True
    """Whether `served_at` is the API's clock."""
    too_large: bool = False
    """Whether the body exceeded the limit and was dropped."""


class Transport:
    """Sends requests over one keep-alive connection per thread, and counts those that left."""

    def __init__(self, key: str, options: ApiOptions, clock: Clock) -> None:
        if not _USABLE_KEY.fullmatch(key):
            raise ConfigurationError(
                "The API key is empty or holds characters that no key has.",
                advice="Copy it again from the Scale dashboard, without spaces or line ends.",
            )
        auth = KeyAuth(key)
        self._secrets = (key.encode(), b64encode(f"{key}:".encode()))
        self._options = options
        self._clock = clock
        self._timeout = Timeout(
            connect=min(options.connect_timeout, options.deadline),
            read=min(options.read_timeout, options.deadline),
        )
        self._connections = PerThread(lambda: Connection(auth, options.url, options.local))
        self._watchdog = Watchdog(clock, options.grace)
        self._lock = threading.Lock()
        self._sent = 0
        self._no_keep_alive_until = -inf
        """Until this monotonic time no connection is used for a second request."""

    @property
    def requests_made(self) -> int:
        """Requests that left this machine, over all threads."""
        return self._sent

    def close(self) -> None:
        """Close the connections of all threads; none may be in the middle of a request."""
        for conn in self._connections.all():
            conn.close()

    def reconnect(self) -> None:
        """Close this thread's connection, and use a new one for each request for a minute."""
        # Answers get mixed up or repeated only on connections that are kept alive.
        self._no_keep_alive_until = self._clock.monotonic() + _NO_KEEP_ALIVE_SECONDS
        self._connections.mine().close()

    def send(self, request: ApiRequest) -> Response:
        """Send `request` once and return the complete answer; redirects are returned, not followed.

        Raises ScaleNotSent if no byte of the request left, and ScaleNoAnswer if some did and the answer is
        missing, cut short, malformed or late. The request is aborted after `options.total` or
        `request.seconds`, and soon after a stop.
        """
        conn, clock = self._connections.mine(), self._clock
        limit = min(self._options.total, request.seconds)
        started = clock.monotonic()
        if started < self._no_keep_alive_until:
            conn.close()
        try:
            with self._watchdog.watching(conn.tracker, limit), conn.open(request, self._timeout) as response:
                body = self._body(response, request, started)
                # An aborted connection can look like the regular end of a body without a length.
                if conn.tracker.late:
                    raise TimeoutError(conn.tracker.late)
                return self._answer(response, body)
        except (OSError, EOFError, zlib.error, HTTPError, HTTPException, ValueError) as error:
            raise self._failure(error, request, conn.tracker) from error
        finally:
            with self._lock:
                self._sent += conn.tracker.sent

    def _body(self, response: BaseHTTPResponse, request: ApiRequest, started: float) -> bytes | None:
        """Read and decompress the body; None if it exceeds the limit.

        The body of an error that cannot be decompressed is empty: its status is enough.
        """
        largest = self._options.largest if response.status == 200 else _MAX_ERROR_BYTES
        pieces, size = list[bytes](), 0
        try:
            chunks = self._chunks(response, request, started)
            for piece in decompress(chunks, response.headers.get("Content-Encoding", "")):
                size += len(piece)
                if size > largest:
                    return None
                pieces.append(piece)
        except (EOFError, zlib.error, ValueError):
            if response.status == 200:
                raise
            return b""
        return b"".join(pieces)

    def _chunks(self, response: BaseHTTPResponse, request: ApiRequest, started: float) -> Iterator[bytes]:
        """Yield the body as received, still compressed. Raises if it is cut short or late."""
        # Not decoded by urllib3, which would keep reading past the deadline until it has text to yield.
        while chunk := response.read1(_READ_SIZE, decode_content=False):
            yield chunk
            if self._clock.monotonic() - started > self._options.deadline:
                raise ScaleNoAnswer(
                    f"The answer to {request} was not complete within {self._options.deadline:g} s."
                )

    def _answer(self, response: BaseHTTPResponse, body: bytes | None) -> Response:
        """Build the response; an error's body loses the key if it repeats it."""
        text = body or b""
        if response.status != 200:
            for secret in self._secrets:
                text = text.replace(secret, b"[API key]")
        date = served_at(response.headers)
        now = date or self._clock.now()
        wait = parse_retry_after(response.headers.get("Retry-After"), now)
        return Response(response.status, text, now, wait, dated=date is not None, too_large=body is None)

    def _failure(self, error: Exception, request: ApiRequest, tracker: SendTracker) -> ScaleException:
        """Convert a transport error to ScaleNoAnswer if the request was sent, else to ScaleNotSent."""
        reason = tracker.late or reason_of(error)
        if tracker.sent:
            return ScaleNoAnswer(f"{request} was sent and no usable answer came: {reason}.")
        return ScaleNotSent(
            f"Could not reach the Scale API at {self._options.host}: {reason}.",
            advice="Check the network, a proxy or firewall, and the API's address.",
        )


def http_date(text: str | None) -> datetime | None:
    """Parse an HTTP date; None if it is missing, malformed or out of range."""
    try:
        instant = parsedate_to_datetime(text or "")
        instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return instant if instant.year in _VALID_YEARS else None


def served_at(headers: HTTPHeaderDict) -> datetime | None:
    """Return the server's time from its `Date` header; None if it is missing or malformed."""
    # Of several the earliest: too early a time only makes the next sync read more.
    return min(filter(None, map(http_date, headers.getlist("Date"))), default=None)


def parse_retry_after(text: str | None, served_at: datetime) -> float | None:
    """Parse a Retry-After header into seconds; None if it is missing or malformed."""
    if text is None:
        return None
    if _SECONDS.fullmatch(text.strip()):
        return float(text)
    until = http_date(text)
    return None if until is None else max(0.0, (until - served_at).total_seconds())


def reason_of(error: BaseException) -> str:
    """Return the operating system's or the TLS library's message for a failure, else the error's type."""
    # Messages of requests and urllib3 are not used: they repeat the whole URL, with its signature.
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and not isinstance(cause, requests.RequestException | HTTPError):
            return cause.strerror or str(cause) or type(cause).__name__
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__
