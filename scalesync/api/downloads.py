"""Download the files that responses name, from Scale and from other servers.

Hazard: URLs come from other people. The key goes only to the API's and Scale's own origin, private addresses
are refused, and size and time are limited.
"""

import hashlib
import random
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from http.client import HTTPException
from typing import Self
from urllib.parse import urljoin

import requests
from urllib3.exceptions import HTTPError

from scalesync.api.connection import KeyAuth, PerThread
from scalesync.api.decompression import decompress
from scalesync.api.interruptible_connect import SendTracker
from scalesync.api.options import ApiOptions
from scalesync.api.ssrf import Address, SafeConnection, check_host, may_send_key, parse_address
from scalesync.api.transport import parse_retry_after, reason_of, served_at
from scalesync.api.watchdog import Watchdog
from scalesync.clock import Clock
from scalesync.errors import ScaleException, ScaleNoAnswer, ScaleNotSent
from scalesync.models.api import DEFAULT_API_URL
from scalesync.retry import RetryPolicy, retry_delay

_READ_SIZE = 256 * 1024
_MAX_REDIRECTS = 5
_REDIRECT_STATUSES = (301, 302, 303, 307, 308)
EXPIRED = (403, 404, 410)
"""Statuses that servers answer to an expired signed URL."""


@dataclass(frozen=True)
class DownloadOptions:
    """Limits of a download. Holds no secret."""

    api_url: str = DEFAULT_API_URL
    """The key may go to its origin, and to that of Scale's own API."""
    largest: int = 64 << 20
    """Bytes of a file, decompressed."""
    seconds: float = 300.0
    """For one whole file: redirects, waits and retries included."""
    connect_timeout: float = 10.0
    """Seconds for making a connection."""
    read_timeout: float = 60.0
    """Seconds without a single byte."""
    allow_private: bool = False
    """Whether addresses of this machine and of private networks are allowed."""
    insecure_http: bool = False
    """Whether the key may go to `api_url` unencrypted."""
    retry: RetryPolicy = field(default_factory=lambda: RetryPolicy(attempts=4, cap=8.0))
    """Its `seconds` are replaced by those above."""


@dataclass(frozen=True, slots=True)
class Download:
    """A complete file."""

    content: bytes
    """Decompressed."""
    sha256: str
    """Hash of the content."""
    served_at: datetime
    """The server's clock (`Date` header), else this machine's."""


class Downloads:
    """A thread-safe downloader.

    The key goes by HTTP Basic to the origin of the API, or of Scale's own, and to no other. Private addresses
    are refused by the address connected to; behind a proxy, which resolves names itself, only by spelling.
    Construction raises ConfigurationError for an API URL that the key may not be sent to.
    """

    def __init__(
        self,
        key: str | None,
        options: DownloadOptions | None = None,
        *,
        clock: Clock | None = None,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._auth = None if key is None else KeyAuth(key)
        self._options = options or DownloadOptions()
        api = ApiOptions(url=self._options.api_url, insecure_http=self._options.insecure_http)
        self._api = parse_address(api.url)
        self._clock = clock or Clock()
        self._random = random
        guarded = not self._options.allow_private
        self._connections = PerThread(lambda: SafeConnection(guarded=guarded))
        self._watchdog = Watchdog(self._clock, grace=0.0)

    def __enter__(self) -> Self:
        """Return this downloader; its connections close at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections of all threads; none may be in the middle of a file."""
        for connection in self._connections.all():
            connection.adapter.close()

    def cut_off(self) -> None:
        """Abort all active downloads; set `clock.stopping` first, so that no other one starts."""
        for connection in self._connections.all():
            connection.tracker.abort("the process was asked to stop")

    def fetch(self, url: str) -> Download:
        """Download the file at `url`, with retries.

        Raises ScaleException, whose `.message` is one sentence without signature and key.
        """
        started, attempts = self._clock.monotonic(), 0
        policy = replace(self._options.retry, seconds=self._options.seconds)
        while True:
            attempts += 1
            left = self._options.seconds - (self._clock.monotonic() - started)
            try:
                return self._attempt(url, max(left, 0.001))
            except ScaleException as error:
                wait = retry_delay(
                    error,
                    attempts=attempts,
                    elapsed=self._clock.monotonic() - started,
                    chance=self._random(),
                    policy=policy,
                )
                if wait is None or self._clock.stopping.is_set():
                    raise
                self._clock.sleep(wait)

    def _attempt(self, url: str, seconds: float) -> Download:
        """Request the file once, within `seconds`."""
        connection = self._connections.mine()
        try:
            with self._watchdog.watching(connection.tracker, seconds):
                return self._follow(connection, url)
        except (OSError, EOFError, zlib.error, HTTPError, HTTPException, ValueError) as error:
            if isinstance(error, ScaleException):
                raise
            raise self._failure(connection.tracker, error) from error

    def _follow(self, connection: SafeConnection, url: str) -> Download:
        """Follow redirects to the file and read it."""
        address, send_key = parse_address(url), self._auth is not None
        for _ in range(_MAX_REDIRECTS + 1):
            if self._clock.stopping.is_set():
                raise ScaleNotSent("The process was asked to stop.")
            if not self._options.allow_private:
                check_host(address.host)
            # Once a redirect has left the allowed origins the key is not sent again, even if the next one
            # leads back: whoever redirects could otherwise choose where a request with the key goes.
            send_key = send_key and may_send_key(address, self._api)
            with connection.open(address, self._auth if send_key else None, self._timeouts()) as response:
                if response.status_code not in _REDIRECT_STATUSES:
                    return self._read_body(connection.tracker, response, address)
                address = _redirect_target(address, response.headers.get("Location"))
        raise ScaleException(f"It was redirected more than {_MAX_REDIRECTS} times.")

    def _timeouts(self) -> tuple[float, float]:
        options = self._options
        # Twice, so that the limit of the whole file, which has the clearer message, always comes first.
        return min(options.connect_timeout, options.seconds), min(options.read_timeout, 2 * options.seconds)

    def _read_body(self, tracker: SendTracker, response: requests.Response, address: Address) -> Download:
        """Read the body of a 200. Raises ScaleException for any other status and for too large a file."""
        now = served_at(response.raw.headers) or self._clock.now()
        if response.status_code != 200:
            asked = parse_retry_after(response.headers.get("Retry-After"), now)
            raise _error_of_status(response.status_code, address.host, asked)
        self._check_size(int(response.headers.get("Content-Length", "0") or 0))
        pieces, size, digest = list[bytes](), 0, hashlib.sha256()
        for piece in decompress(_chunks(response), response.headers.get("Content-Encoding", "")):
            size += len(piece)
            self._check_size(size)
            digest.update(piece)
            pieces.append(piece)
        # A connection that is cut off can look like the regular end of a body without a length.
        if tracker.late:
            raise TimeoutError
        return Download(b"".join(pieces), digest.hexdigest(), now)

    def _check_size(self, size: int) -> None:
        if size > self._options.largest:
            message = f"The file is larger than the limit of {self._options.largest:,} bytes."
            raise ScaleException(message, advice="Give a larger `--max-size`.")

    def _failure(self, tracker: SendTracker, error: Exception) -> ScaleException:
        """Convert a transport error."""
        if tracker.late:
            message = f"The file did not come whole within {self._options.seconds:g} s."
            return ScaleNoAnswer(message, advice="Run it again, perhaps with a longer `--timeout`.")
        if tracker.sent:
            return ScaleNoAnswer(f"The file did not come whole: {reason_of(error)}.")
        return ScaleNotSent(f"The file's server could not be reached: {reason_of(error)}.")


def _redirect_target(address: Address, location: str | None) -> Address:
    """Return the target of a redirect. Raises ScaleException if there is none, or it leaves https."""
    if not location:
        raise ScaleException(f"{address.host} redirects without saying where to.")
    target = parse_address(urljoin(address.url, location))
    if (address.scheme, target.scheme) == ("https", "http"):
        raise ScaleException(f"{address.host} redirects from https to http.")
    return target


def _error_of_status(status: int, host: str, retry_after: float | None) -> ScaleException:
    """Return the error for an HTTP status."""
    message, advice = f"{host} answered {status}", ""
    if status in EXPIRED:
        message += ": the link may have expired"
        advice = "Run it again after a `scalesync sync`, which brings new links where Scale has any."
    elif status == 401:
        message += ": it wants another key, or any"
        advice = "Set SCALE_API_KEY to a live key of the account."
    return ScaleException(f"{message}.", status, advice=advice, retry_after=retry_after)


def _chunks(response: requests.Response) -> Iterator[bytes]:
    """Yield the body as received, still compressed. Raises if it is cut short."""
    while chunk := response.raw.read1(_READ_SIZE, decode_content=False):
        yield chunk
