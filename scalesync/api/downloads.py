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
from typing import Self, TypeVar

import requests
from urllib3.exceptions import HTTPError

from scalesync.api.connection import KeyAuth, PerThread
from scalesync.api.decompression import decompress, is_compressed
from scalesync.api.download_answers import (
    Answer,
    Span,
    error_of_status,
    is_empty,
    place_of_part,
    redirect_target,
)
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
_T = TypeVar("_T")


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
    as_sent: bool = False
    """Whether files are kept as they are, also if they are gzip themselves; else those are decompressed."""
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
        """Download the file at `url`, with retries; raises as `read` does."""
        return self.read(url, self._download)

    def read(self, url: str, take: Callable[[Answer], _T], span: Span | None = None) -> _T:
        """Ask for the file at `url`, or a part of it, and return what `take` makes of the answer.

        A server may answer with the whole in place of the part. `take` is called again for each retry. Raises
        ScaleException, whose `.message` is one sentence without signature and key, and what `take` raises
        except OSError, EOFError and ValueError, which are taken for those of the transport.
        """
        started, attempts = self._clock.monotonic(), 0
        policy = replace(self._options.retry, seconds=self._options.seconds)
        while True:
            attempts += 1
            left = self._options.seconds - (self._clock.monotonic() - started)
            try:
                return self._attempt(url, take, span, max(left, 0.001))
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

    def _attempt(self, url: str, take: Callable[[Answer], _T], span: Span | None, seconds: float) -> _T:
        """Request the file once, within `seconds`."""
        connection = self._connections.mine()
        try:
            with self._watchdog.watching(connection.tracker, seconds):
                return self._follow(connection, url, take, span)
        except (OSError, EOFError, zlib.error, HTTPError, HTTPException, ValueError) as error:
            if isinstance(error, ScaleException):
                raise
            raise self._failure(connection.tracker, error) from error

    def _follow(
        self, connection: SafeConnection, url: str, take: Callable[[Answer], _T], span: Span | None
    ) -> _T:
        """Follow redirects to the file and take the answer."""
        # A part is one of the bytes that are sent: compressed for transport, it could not be read alone.
        headers = (
            {} if span is None else {"Range": "bytes={}-{}".format(*span), "Accept-Encoding": "identity"}
        )
        address, send_key = parse_address(url), self._auth is not None
        for _ in range(_MAX_REDIRECTS + 1):
            if self._clock.stopping.is_set():
                raise ScaleNotSent("The process was asked to stop.")
            if not self._options.allow_private:
                check_host(address.host)
            # Once a redirect has left the allowed origins the key is not sent again, even if the next one
            # leads back: whoever redirects could otherwise choose where a request with the key goes.
            send_key = send_key and may_send_key(address, self._api)
            auth = self._auth if send_key else None
            with connection.open(address, auth, self._timeouts(), headers) as response:
                if response.status_code not in _REDIRECT_STATUSES:
                    return take(self._answer(connection.tracker, response, address, span))
                address = redirect_target(address, response.headers.get("Location"))
        raise ScaleException(f"It was redirected more than {_MAX_REDIRECTS} times.")

    def _timeouts(self) -> tuple[float, float]:
        options = self._options
        # Twice, so that the limit of the whole file, which has the clearer message, always comes first.
        return min(options.connect_timeout, options.seconds), min(options.read_timeout, 2 * options.seconds)

    def _answer(
        self, tracker: SendTracker, response: requests.Response, address: Address, span: Span | None
    ) -> Answer:
        """Return the answer if it is a file or the part asked for. Raises ScaleException for any other."""
        now = served_at(response.raw.headers) or self._clock.now()
        length, encoding = (response.headers.get(name, "") for name in ("Content-Length", "Content-Encoding"))
        start, size = 0, int(length) if length.isdecimal() and not is_compressed(encoding) else None
        is_part = span is not None and response.status_code == 206
        if is_part:
            start, size = place_of_part(response.headers.get("Content-Range", ""), span, address.host)
        elif span is not None and is_empty(response):
            size = 0
        elif response.status_code != 200:
            asked = parse_retry_after(response.headers.get("Retry-After"), now)
            raise error_of_status(response.status_code, address.host, asked)
        pieces = iter(()) if size == 0 else self._pieces(tracker, response, encoding)
        content_type = response.headers.get("Content-Type", "")
        return Answer(pieces, start, is_part, is_compressed(encoding), size, content_type, now)

    def _pieces(self, tracker: SendTracker, response: requests.Response, encoding: str) -> Iterator[bytes]:
        """Yield the decompressed body; raises ScaleException once it is too large."""
        size = 0
        for piece in decompress(_chunks(response), encoding, by_magic=not self._options.as_sent):
            size += len(piece)
            self.check_size(size)
            yield piece
        # A connection that is cut off can look like the regular end of a body without a length.
        if tracker.late:
            raise TimeoutError

    def _download(self, answer: Answer) -> Download:
        """Return the whole file, in memory."""
        self.check_size(answer.size or 0)
        pieces, digest = list[bytes](), hashlib.sha256()
        for piece in answer.pieces:
            digest.update(piece)
            pieces.append(piece)
        return Download(b"".join(pieces), digest.hexdigest(), answer.served_at)

    def check_size(self, size: int) -> None:
        """Raise ScaleException if a file of this size, in bytes, is larger than is allowed."""
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


def _chunks(response: requests.Response) -> Iterator[bytes]:
    """Yield the body as received, still compressed. Raises if it is cut short."""
    while chunk := response.raw.read1(_READ_SIZE, decode_content=False):
        yield chunk
