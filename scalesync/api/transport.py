"""One request out, one whole answer in, or an error that tells whether the API can have seen it."""

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
from scalesync.api.decompression import unpacked
from scalesync.api.interruptible_connect import SendTracker
from scalesync.api.options import ApiOptions
from scalesync.api.request import ApiRequest
from scalesync.api.watchdog import Watchdog
from scalesync.clock import Clock
from scalesync.errors import ConfigurationError, ScaleException, ScaleNoAnswer, ScaleNotSent

_READ_SIZE = 64 * 1024
"""Above 128 KiB the C library asks the kernel for every piece anew, which costs more than the reading."""
_LARGEST_REFUSAL = 1 << 20
"""Bytes, unpacked, of an answer that is no success: beyond them there are no words for people in it."""
_SINGLE = 60.0
"""Seconds for which each request has a connection of its own after an answer that was another's."""
_YEARS = range(2000, 2200)
"""Years that a clock can mean: arithmetic around them never leaves the calendar."""
_SECONDS = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII)
_USABLE_KEY = re.compile(r"[!-9;-~]+")
"""Visible ASCII without the colon, which HTTP Basic would split at."""


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer, whatever its status."""

    status: int
    body: bytes
    served_at: datetime
    """The API's clock (`Date`, to the second); ours, as a last resort, where that header cannot be read."""
    retry_after: float | None
    """Seconds from Retry-After, given as a number or as a date on the API's clock."""
    dated: bool = True
    """Whether `served_at` is the API's clock."""
    too_large: bool = False
    """Whether there was more than is taken of any answer; then there is no body."""


class Transport:
    """Carries requests over one keep-alive session per thread, and counts those that left this machine."""

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
        self._wires = PerThread(lambda: Connection(auth, options.url, options.local))
        self._watchdog = Watchdog(clock, options.grace)
        self._lock = threading.Lock()
        self._sent = 0
        self._single_until = -inf
        """Until then no connection is used for a second request."""

    @property
    def requests_made(self) -> int:
        """How many requests have left this machine, over all threads."""
        return self._sent

    def close(self) -> None:
        """Close the connections of all threads, none of which may be in the middle of a request."""
        for wire in self._wires.all():
            wire.close()

    def reconnect(self) -> None:
        """Close this thread's connection, and use one connection for each request for a minute.

        Who repeats an answer, or mixes two up, does so on what is kept alive.
        """
        self._single_until = self._clock.monotonic() + _SINGLE
        self._wires.mine().close()

    def send(self, request: ApiRequest) -> Response:
        """Send `request` once and return the whole answer. A redirect is an answer: the key goes to one host.

        Raises ScaleNotSent if not a byte of the request can have reached the API, and ScaleNoAnswer if some
        did and the answer is missing, cut short, undecodable or late. Each step has its time-out, and all of
        them together take `options.total`, or `request.seconds` where that is less: then the request is cut
        off, whatever it waits for. So it is soon after a stop.
        """
        wire, clock = self._wires.mine(), self._clock
        limit = min(self._options.total, request.seconds)
        started = clock.monotonic()
        if started < self._single_until:
            wire.close()
        try:
            with self._watchdog.watching(wire.tracker, limit), wire.open(request, self._timeout) as response:
                body = self._body(response, request, started)
                if wire.tracker.late:
                    raise TimeoutError(wire.tracker.late)
                return self._answer(response, body)
        except (OSError, EOFError, zlib.error, HTTPError, HTTPException, ValueError) as error:
            raise self._failure(error, request, wire.tracker) from error
        finally:
            with self._lock:
                self._sent += wire.tracker.sent

    def _body(self, response: BaseHTTPResponse, request: ApiRequest, started: float) -> bytes | None:
        """Return the body unpacked; None as soon as more of it has come than is taken of any.

        Where an answer that is no success cannot be unpacked it is empty: its status says what matters.
        """
        largest = self._options.largest if response.status == 200 else _LARGEST_REFUSAL
        pieces, size = list[bytes](), 0
        try:
            chunks = self._chunks(response, request, started)
            for piece in unpacked(chunks, response.headers.get("Content-Encoding", "")):
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
        """Yield the body as it comes. Raises if it is cut short or late.

        It is unpacked by us: urllib3 would go on reading, deadline or not, until there is text to yield.
        """
        while chunk := response.read1(_READ_SIZE, decode_content=False):
            yield chunk
            if self._clock.monotonic() - started > self._options.deadline:
                raise ScaleNoAnswer(
                    f"The answer to {request} was not complete within {self._options.deadline:g} s."
                )

    def _answer(self, response: BaseHTTPResponse, body: bytes | None) -> Response:
        """Return what was received, on the API's clock. A refusal that repeats the key loses it."""
        text = body or b""
        if response.status != 200:
            for secret in self._secrets:
                text = text.replace(secret, b"[API key]")
        date = served_at(response.headers)
        now = date or self._clock.now()
        rest = parse_retry_after(response.headers.get("Retry-After"), now)
        return Response(response.status, text, now, rest, dated=date is not None, too_large=body is None)

    def _failure(self, error: Exception, request: ApiRequest, tracker: SendTracker) -> ScaleException:
        """Return `error` in our words: whether the API can have seen the request, and why it failed."""
        reason = tracker.late or reason_of(error)
        if tracker.sent:
            return ScaleNoAnswer(f"{request} was sent and no usable answer came: {reason}.")
        return ScaleNotSent(
            f"Could not reach the Scale API at {self._options.host}: {reason}.",
            advice="Check the network, a proxy or firewall, and the API's address.",
        )


def http_date(text: str | None) -> datetime | None:
    """Return the instant of an HTTP date, or None if there is none to be read, or none that can be meant."""
    try:
        instant = parsedate_to_datetime(text or "")
        instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return instant if instant.year in _YEARS else None


def served_at(headers: HTTPHeaderDict) -> datetime | None:
    """Return the server's clock, as the `Date` of its answer has it; None where none can be read.

    Of several the earliest, for a clock that is early makes only more to be read.
    """
    return min(filter(None, map(http_date, headers.getlist("Date"))), default=None)


def parse_retry_after(text: str | None, served_at: datetime) -> float | None:
    """Return the seconds that a Retry-After header asks for, or None if it is absent or means nothing."""
    if text is None:
        return None
    if _SECONDS.fullmatch(text.strip()):
        return float(text)
    until = http_date(text)
    return None if until is None else max(0.0, (until - served_at).total_seconds())


def reason_of(error: BaseException) -> str:
    """Return the operating system's or the TLS library's words for a failure, else the kind of error.

    Texts of requests and urllib3 are left out: they repeat the whole URL.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and not isinstance(cause, requests.RequestException | HTTPError):
            return cause.strerror or str(cause) or type(cause).__name__
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__
