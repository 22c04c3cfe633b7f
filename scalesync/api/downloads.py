"""Files that responses name, at Scale or elsewhere: fetched within limits, the key kept at home."""

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
from scalesync.api.decompression import unpacked
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
_REDIRECTS = 5
_REDIRECTING = (301, 302, 303, 307, 308)
EXPIRED = (403, 404, 410)
"""What servers answer to a signed link whose time is over."""


@dataclass(frozen=True)
class DownloadOptions:
    """Which files are fetched, and how much each is worth. Holds no secret."""

    api_url: str = DEFAULT_API_URL
    """Its origin may see the key, as that of Scale's own API may."""
    largest: int = 64 << 20
    """Bytes of a file, unpacked."""
    seconds: float = 300.0
    """For one file as a whole: redirects, waits and further attempts included."""
    connect_timeout: float = 10.0
    """Seconds for making a connection."""
    read_timeout: float = 60.0
    """Seconds without a single byte."""
    allow_private: bool = False
    """Whether addresses of this machine and of private networks may be asked."""
    insecure_http: bool = False
    """Whether the key may go to `api_url` unencrypted, as in ApiOptions."""
    retry: RetryPolicy = field(default_factory=lambda: RetryPolicy(attempts=4, cap=8.0))
    """Its `seconds` do not count; those above do."""


@dataclass(frozen=True, slots=True)
class Download:
    """A whole file."""

    content: bytes
    """Unpacked, where it came packed, and otherwise as it came."""
    sha256: str
    """Of the content."""
    served_at: datetime
    """The server's clock (`Date`); ours where it says none."""


class Downloads:
    """Fetches files, for any number of threads at once.

    The key goes by HTTP Basic to the origin of the API, or of Scale's own, and to no other; once a redirect
    has led elsewhere it is not sent any more, wherever the next one leads. Private addresses are refused, by
    the address really connected to. Through a proxy of the environment it is the proxy that resolves names:
    then only hosts that are private by their very spelling are refused. Construction raises
    ConfigurationError for an API address that no key may be sent to.
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
        self._wires = PerThread(lambda: SafeConnection(guarded=guarded))
        self._watchdog = Watchdog(self._clock, grace=0.0)

    def __enter__(self) -> Self:
        """Return this; its connections close at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections of all threads, none of which may be in the middle of a file."""
        for wire in self._wires.all():
            wire.adapter.close()

    def cut_off(self) -> None:
        """End every download in hand. Together with `clock.stopping` no other one begins."""
        for wire in self._wires.all():
            wire.mark.abort("the process was asked to stop")

    def fetch(self, url: str) -> Download:
        """Return the file at `url`, tried again as the options say where that may help.

        Raises ScaleException, whose `.message` is one sentence with neither signature nor key in it.
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
        """Return the file, asked for once and within `seconds`."""
        wire = self._wires.mine()
        try:
            with self._watchdog.watching(wire.mark, seconds):
                return self._follow(wire, url)
        except (OSError, EOFError, zlib.error, HTTPError, HTTPException, ValueError) as error:
            if isinstance(error, ScaleException):
                raise
            raise self._failure(wire.mark, error) from error

    def _follow(self, wire: SafeConnection, url: str) -> Download:
        """Return the file at the end of a chain of redirects."""
        address, keyed = parse_address(url), self._auth is not None
        for _ in range(_REDIRECTS + 1):
            if self._clock.stopping.is_set():
                raise ScaleNotSent("The process was asked to stop.")
            if not self._options.allow_private:
                check_host(address.host)
            keyed = keyed and may_send_key(address, self._api)
            with wire.open(address, self._auth if keyed else None, self._timeouts()) as response:
                if response.status_code not in _REDIRECTING:
                    return self._whole(wire.mark, response, address)
                address = _target(address, response.headers.get("Location"))
        raise ScaleException(f"It was redirected more than {_REDIRECTS} times.")

    def _timeouts(self) -> tuple[float, float]:
        options = self._options
        # Twice: the limit of the whole ends what hangs, and says so. Equal, the two would race.
        return min(options.connect_timeout, options.seconds), min(options.read_timeout, 2 * options.seconds)

    def _whole(self, tracker: SendTracker, response: requests.Response, address: Address) -> Download:
        """Return the body of a 200. Raises ScaleException for any other status, and for too large a file."""
        now = served_at(response.raw.headers) or self._clock.now()
        if response.status_code != 200:
            asked = parse_retry_after(response.headers.get("Retry-After"), now)
            raise _refusal(response.status_code, address.host, asked)
        self._check_size(int(response.headers.get("Content-Length", "0") or 0))
        pieces, size, digest = list[bytes](), 0, hashlib.sha256()
        for piece in unpacked(_chunks(response), response.headers.get("Content-Encoding", "")):
            size += len(piece)
            self._check_size(size)
            digest.update(piece)
            pieces.append(piece)
        if tracker.late:
            raise TimeoutError
        return Download(b"".join(pieces), digest.hexdigest(), now)

    def _check_size(self, size: int) -> None:
        if size > self._options.largest:
            said = f"The file is larger than the limit of {self._options.largest:,} bytes."
            raise ScaleException(said, advice="Give a larger `--max-size`.")

    def _failure(self, tracker: SendTracker, error: Exception) -> ScaleException:
        """Return `error` in our words."""
        if tracker.late:
            said = f"The file did not come whole within {self._options.seconds:g} s."
            return ScaleNoAnswer(said, advice="Run it again, perhaps with a longer `--timeout`.")
        if tracker.sent:
            return ScaleNoAnswer(f"The file did not come whole: {reason_of(error)}.")
        return ScaleNotSent(f"The file's server could not be reached: {reason_of(error)}.")


def _target(address: Address, location: str | None) -> Address:
    """Return where a redirect leads. Raises ScaleException where it leads nowhere, or out of TLS."""
    if not location:
        raise ScaleException(f"{address.host} redirects without saying where to.")
    target = parse_address(urljoin(address.url, location))
    if (address.scheme, target.scheme) == ("https", "http"):
        raise ScaleException(f"{address.host} redirects from https to http.")
    return target


def _refusal(status: int, host: str, retry_after: float | None) -> ScaleException:
    """Return the error that a status stands for."""
    said, advice = f"{host} answered {status}", ""
    if status in EXPIRED:
        said += ": the link may have expired"
        advice = "Run it again after a `scalesync sync`, which brings new links where Scale has any."
    elif status == 401:
        said += ": it wants another key, or any"
        advice = "Set SCALE_API_KEY to a live key of the account."
    return ScaleException(f"{said}.", status, advice=advice, retry_after=retry_after)


def _chunks(response: requests.Response) -> Iterator[bytes]:
    """Yield the body as it comes, packed or not. Raises if it is cut short."""
    while chunk := response.raw.read1(_READ_SIZE, decode_content=False):
        yield chunk
