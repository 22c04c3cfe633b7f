"""Where the API is and how patient to be with it: everything about the connection except the key."""

import ipaddress
from dataclasses import dataclass, field
from math import inf
from urllib.parse import urlsplit

from scalesync.errors import ConfigurationError
from scalesync.models.api import DEFAULT_API_URL
from scalesync.retry import RetryPolicy


def is_loopback(host: str) -> bool:
    """Tell whether `host` is this machine by its very spelling: localhost, 127.0.0.0/8 or ::1."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@dataclass(frozen=True)
class ApiOptions:
    """How to reach the API. Holds no secret, so it may be printed.

    Construction raises ConfigurationError if `url` is not http(s), carries a user, a password, a query or a
    fragment, or is plain http to another machine without `insecure_http`: the key travels with every request.
    """

    url: str = DEFAULT_API_URL
    """Without a slash at its end, whatever was given."""
    connect_timeout: float = 10.0
    """Seconds for making a connection, and for handing over a request's body."""
    read_timeout: float = 60.0
    """Seconds without a single byte of the answer."""
    deadline: float = 120.0
    """Seconds for one request from its first byte to the last of its answer."""
    total: float = 120.0
    """Seconds for one request in all: name look-up, connection and answer, after which it is cut off even in
    the middle of being sent or of a trickling header."""
    grace: float = 2.0
    """Seconds that the requests in hand may still take after a stop, or after the time allowed is over."""
    largest: int = 256 << 20
    """Bytes of one answer, unpacked: a page of 100 tasks with 3,000 shapes each has about 100 MB."""
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    """For reads; writes are sent once."""
    rate: float | None = None
    """Requests per second at most, over all threads; None: as fast as the API allows."""
    insecure_http: bool = False
    """Allow http:// to another machine, where anybody on the way can read the key."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", self.url.strip().rstrip("/"))
        _check_url(self.url, insecure_http=self.insecure_http)
        if self.rate is not None and not 0 < self.rate < inf:
            raise ConfigurationError("The request rate must be a number above 0 per second.")

    @property
    def local(self) -> bool:
        """Whether requests go unencrypted to this machine, so that no proxy may be put between."""
        parts = urlsplit(self.url)
        return parts.scheme == "http" and is_loopback(parts.hostname or "")

    @property
    def sends_key_in_clear(self) -> bool:
        """Whether requests go unencrypted to another machine, so that the key can be read on the way."""
        return urlsplit(self.url).scheme == "http" and not self.local

    @property
    def host(self) -> str:
        """Host and port, for messages."""
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def _check_url(url: str, *, insecure_http: bool) -> None:
    """Raise ConfigurationError, without repeating credentials, if `url` is no address to send a key to."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigurationError(
            "The API's address is not a usable http(s) URL.", advice=f"Try {DEFAULT_API_URL}"
        )
    if "@" in parts.netloc:
        raise ConfigurationError(
            "The API's address carries a user name or password.", advice="Hand over the key as SCALE_API_KEY."
        )
    if parts.query or parts.fragment:
        raise ConfigurationError("The API's address must end with its path, without ? and #.")
    if parts.scheme == "http" and not insecure_http and not is_loopback(parts.hostname or ""):
        raise ConfigurationError(
            f"Refusing to send the API key unencrypted to {parts.hostname}.",
            advice="Use https://, or --insecure-http if everybody on the way may read the key.",
        )
