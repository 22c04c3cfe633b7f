"""One thread's connection to the API, whose tracker knows whether a request has left this machine."""

import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import requests
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, Timeout

from scalesync import __version__
from scalesync.api.file_form import FileForm
from scalesync.api.interruptible_connect import SendTracker, tracked
from scalesync.api.request import ApiRequest

_T = TypeVar("_T")

_HEADERS: Mapping[str, str] = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "User-Agent": f"scalesync/{__version__}",
}
_JSON_HEADER: Mapping[str, str] = {"Content-Type": "application/json"}


class KeyAuth(HTTPBasicAuth):
    """HTTP Basic with the key as user name and an empty password (documented); never prints the key."""

    # An auth object on the session also keeps requests from reading credentials for the host in .netrc.
    def __init__(self, key: str) -> None:
        super().__init__(key, "")

    def __repr__(self) -> str:
        """Return nothing of the key."""
        return "KeyAuth(...)"


class PerThread(Generic[_T]):
    """One value per thread, like `threading.local`, but all living threads' values can be listed."""

    def __init__(self, make: Callable[[], _T]) -> None:
        self._make = make
        self._local = threading.local()
        self._made: weakref.WeakSet[_T] = weakref.WeakSet()
        self._lock = threading.Lock()

    def mine(self) -> _T:
        """Return this thread's value; it is created at the first call."""
        value: _T | None = getattr(self._local, "value", None)
        if value is None:
            value = self._local.value = self._make()
            with self._lock:
                self._made.add(value)
        return value

    def all(self) -> list[_T]:
        """Return the values of all living threads."""
        with self._lock:
            return list(self._made)


class _Adapter(HTTPAdapter):
    """An adapter without retries, whose connections report to the tracker."""

    def __init__(self, tracker: SendTracker) -> None:
        self._tracker = tracker
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Return the host's pool, whose new connections report to the tracker."""
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        if "ConnectionCls" not in vars(pool):
            pool.ConnectionCls = tracked(pool.ConnectionCls, self._tracker)
        return pool


def _headers_of(body: bytes | FileForm | None) -> Mapping[str, str]:
    if isinstance(body, FileForm):
        return body.headers
    return {} if body is None else _JSON_HEADER


@dataclass(frozen=True, slots=True)
class Route:
    """Pool, path prefix and headers, resolved once per connection (requests would for every call)."""

    pool: HTTPConnectionPool
    """The pool of the host, or of its proxy, with the environment's certificates."""
    start: str
    """Prefix of every request target: the URL's path, or for a plain-http proxy the whole URL."""
    headers: Mapping[str, str] = field(repr=False)


@dataclass(eq=False)
class Connection:
    """One thread's keep-alive session with verified certificates, and the tracker of its request."""

    auth: KeyAuth = field(repr=False)
    url: str
    """The API's URL; requests go nowhere else."""
    local: bool
    """Whether the API is on this machine without TLS: then no proxy is used."""
    tracker: SendTracker = field(default_factory=SendTracker)
    _session: requests.Session = field(init=False, repr=False)
    _route: Route | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self._session = requests.Session()
        self._session.auth = self.auth
        self._session.trust_env = not self.local
        self._session.headers.clear()
        self._session.headers.update(_HEADERS)
        self._adapter = _Adapter(self.tracker)

    def open(self, request: ApiRequest, timeout: Timeout) -> BaseHTTPResponse:
        """Send `request` once and return the answer, of any status, with its body unread.

        `redirect=False`: the key must not follow a redirect to another host.
        """
        if self._route is None:
            self._route = self._resolve_route()
        route = self._route
        target, body = f"{route.start}/{request.path}", request.body
        return route.pool.urlopen(
            request.method,
            f"{target}?{request.query}" if request.query else target,
            body=body.chunks() if isinstance(body, FileForm) else body,
            headers={**route.headers, **_headers_of(body)},
            timeout=timeout,
            retries=self._adapter.max_retries,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
        )

    def close(self) -> None:
        """Close the connection; the next request makes a new one."""
        self._route = None
        self._adapter.close()

    def _resolve_route(self) -> Route:
        """Resolve proxy, certificates and headers as a session of requests does before it sends."""
        prepared = self._session.prepare_request(requests.Request("GET", self.url))
        address = str(prepared.url)
        chosen = self._session.merge_environment_settings(address, {}, None, None, None)
        proxies, verify, cert = chosen["proxies"], chosen["verify"], chosen["cert"]
        pool = self._adapter.get_connection_with_tls_context(prepared, verify, proxies=proxies, cert=cert)
        self._adapter.cert_verify(pool, address, verify, cert)  # type: ignore[no-untyped-call]
        start = self._adapter.request_url(prepared, proxies).rstrip("/")
        return Route(pool, start, dict(prepared.headers))
