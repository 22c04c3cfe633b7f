"""Options of the API client: URL, time limits, retries and rate; everything but the key."""

import ipaddress
from dataclasses import dataclass, field
from math import inf
from urllib.parse import urlsplit

from scalesync.errors import ConfigurationError
from scalesync.models.api import DEFAULT_API_URL
from scalesync.retry import RetryPolicy


def is_loopback(host: str) -> bool:
    """Return whether `host` is localhost, in 127.0.0.0/8 or ::1; names are not resolved."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@dataclass(frozen=True)
class ApiOptions:
    """Options of the API client. Holds no secret, so it may be printed.

    Construction raises ConfigurationError if `url` is not http(s), has a user, a password, a query or a
    fragment, or is plain http to another machine without `insecure_http`: every request carries the key.
    """

    url: str = DEFAULT_API_URL
    """Stored without a slash at its end."""
    connect_timeout: float = 10.0
    """Seconds for making a connection, and for sending a request's body."""
    read_timeout: float = 60.0
    """Seconds without a single byte of the answer."""
    deadline: float = 120.0
    """Seconds for one request from its first byte to the last of its answer."""
    total: float = 120.0
    """Seconds for one request, name resolution and connecting included; then it is aborted in any phase."""
    grace: float = 2.0
    """Seconds that active requests may still take after a stop or the end of the time limit."""
    largest: int = 256 << 20
    """Bytes of one answer, decompressed; a page of 100 tasks with 3,000 shapes each has about 100 MB."""
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    """For reads; writes are sent once."""
    rate: float | None = None
    """Requests per second at most, over all threads; None: as fast as the API allows."""
    insecure_http: bool = False
    """Whether http:// to another machine is allowed, where the key can be read on the way."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", self.url.strip().rstrip("/"))
        _check_url(self.url, insecure_http=self.insecure_http)
        if self.rate is not None and not 0 < self.rate < inf:
            raise ConfigurationError("The request rate must be a number above 0 per second.")

    @property
    def local(self) -> bool:
        """Whether requests go unencrypted to this machine; then no proxy may be used."""
        parts = urlsplit(self.url)
        return parts.scheme == "http" and is_loopback(parts.hostname or "")

    @property
    def sends_key_in_clear(self) -> bool:
        """Whether requests go unencrypted to another machine."""
        return urlsplit(self.url).scheme == "http" and not self.local

    @property
    def host(self) -> str:
        """Host and port, for messages."""
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def _check_url(url: str, *, insecure_http: bool) -> None:
    """Raise ConfigurationError if the key may not be sent to `url`; the message repeats no credentials."""
    try:
        # ValueError comes from `.port` too, which is parsed only when it is read.
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
