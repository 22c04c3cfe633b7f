"""Protect downloads against server-side request forgery: check URLs, peers, and where the key may go.

Hazard: URLs come from responses. A host name can resolve to a private address, so the address that was
connected to is checked, not the name.
"""

import contextlib
import ipaddress
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy
from urllib3.connection import HTTPConnection
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from scalesync import __version__
from scalesync.api.connection import KeyAuth
from scalesync.api.interruptible_connect import SendTracker, tracked
from scalesync.api.options import is_loopback
from scalesync.errors import ScaleException
from scalesync.models.api import DEFAULT_API_URL

_HEADERS = {"Accept": "*/*", "Accept-Encoding": "gzip", "User-Agent": f"scalesync/{__version__}"}

_PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_PRIVATE = "is a private address, and such are asked only with --allow-private"
_ALLOW = "Run it with `--allow-private` if those servers are yours."


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed http(s) URL."""

    url: str
    """Normalized; it may hold a signature, so it must not be printed."""
    scheme: str
    host: str
    """In lower case; an IPv6 address has no brackets."""
    port: int

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port."""
        return self.scheme, self.host, self.port


def parse_address(url: str) -> Address:
    """Parse a URL. Raises ScaleException if it is not http(s) or has a user."""
    try:
        parts = parse_url(url)
    except LocationParseError as error:
        raise ScaleException("The link is no address that can be read.") from error
    if parts.scheme not in _PORTS:
        raise ScaleException("Only http and https are asked, and the link is neither.")
    if not parts.host or parts.auth is not None:
        raise ScaleException("The link names no host, or a user.")
    port = parts.port or _PORTS[parts.scheme]
    return Address(parts.url, parts.scheme, parts.host.strip("[]").lower(), port)


def may_send_key(address: Address, api: Address) -> bool:
    """Return whether the key may be sent: only to the origin of the API in use, or of Scale's own API."""
    return address.origin in (api.origin, parse_address(DEFAULT_API_URL).origin)


def check_host(host: str) -> None:
    """Raise ScaleException for a private address in any notation and for localhost."""
    with contextlib.suppress(OSError, UnicodeError):
        # Proxies and resolvers read 127.1 and 0x7f000001 as addresses too.
        host = socket.inet_ntoa(socket.inet_aton(host))
    named = host.rstrip(".")
    if named == "localhost" or named.endswith(".localhost") or (_is_literal(host) and is_private(host)):
        raise ScaleException(f"{host} {_PRIVATE}.", advice=_ALLOW)


def is_private(peer: str) -> bool:
    """Return whether an IP address is private, loopback, link-local, multicast or reserved."""
    # IPv6 addresses that embed an IPv4 address (mapped, 6to4, NAT64) are judged by that one.
    address = ipaddress.ip_address(peer)
    if isinstance(address, ipaddress.IPv6Address):
        inside = address.ipv4_mapped or address.sixtofour
        if inside is not None:
            address = inside
        elif address in _NAT64:
            address = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        elif address.is_site_local:
            return True
    return not address.is_global or address.is_multicast or address.is_reserved


def private_address_check(kind: type[HTTPConnection]) -> type[HTTPConnection]:
    """Return a subclass of `kind` that closes a connection to a private address before the first byte."""
    # Checking the peer of the connected socket is safe against DNS that changes its answer after a check.

    class Guarding(kind):  # type: ignore[valid-type, misc]
        def _new_conn(self) -> Any:
            sock = super()._new_conn()
            peer = sock.getpeername()[0]
            if is_private(peer):
                sock.close()
                raise ScaleException(f"{self.host} {_PRIVATE}.", advice=_ALLOW)
            return sock

    return Guarding


class _CheckedAdapter(HTTPAdapter):
    """An adapter without retries; its connections are tracked and, without a proxy, check their peer."""

    def __init__(self, tracker: SendTracker, *, guarded: bool) -> None:
        self._tracker = tracker
        self._guarded = guarded
        super().__init__(pool_connections=4, pool_maxsize=1, max_retries=0)

    def get_connection_with_tls_context(
        self, request: Any, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """Return the host's pool, whose new connections are tracked and checked."""
        pool: Any = super().get_connection_with_tls_context(request, verify, proxies, cert)
        if "ConnectionCls" not in vars(pool):
            kind = tracked(pool.ConnectionCls, self._tracker)
            guarded = self._guarded and not select_proxy(request.url, proxies)
            pool.ConnectionCls = private_address_check(kind) if guarded else kind
        return pool


class SafeConnection:
    """One thread's connections, and the tracker of its download."""

    def __init__(self, *, guarded: bool) -> None:
        self.tracker = SendTracker()
        self.adapter = _CheckedAdapter(self.tracker, guarded=guarded)
        self._environment = requests.Session()

    def open(
        self, address: Address, auth: KeyAuth | None, timeouts: tuple[float, float], headers: dict[str, str]
    ) -> requests.Response:
        """Send one GET with more headers; return the answer, redirect or not, with its body unread."""
        # Bypasses `requests.Session`: it would read redirect bodies of any size and keep cookies.
        request = requests.Request("GET", address.url, headers=_HEADERS | headers, auth=auth).prepare()
        parts = urlsplit(request.url or "")
        # requests parses the URL again; if it understands another host than the checked one, refuse.
        if (parts.scheme, parts.hostname) != (address.scheme, address.host):
            raise ScaleException("The link is no address that can be read.")
        settings: Any = self._environment.merge_environment_settings(address.url, {}, True, None, None)
        proxies = {} if is_loopback(address.host) else settings["proxies"]
        return self.adapter.send(
            request, stream=True, timeout=timeouts, verify=settings["verify"], proxies=proxies
        )


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
