"""One thread's connection to the API, which knows whether a request has left this machine."""

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
from scalesync.api.interruptible_connect import SendTracker, tracked
from scalesync.api.request import ApiRequest

_T = TypeVar("_T")

_HEADERS: Mapping[str, str] = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "User-Agent": f"scalesync/{__version__}",
}
_JSON: Mapping[str, str] = {"Content-Type": "application/json"}


class KeyAuth(HTTPBasicAuth):
    """HTTP Basic with the key as user name and an empty password (documented); never prints either.

    An auth object on the session also keeps requests from looking the host up in .netrc.
    """

    def __init__(self, key: str) -> None:
        super().__init__(key, "")

    def __repr__(self) -> str:
        """Return nothing of the key."""
        return "KeyAuth(...)"


class PerThread(Generic[_T]):
    """Something of its own for each thread, which ends with the thread, and until then is in reach of all."""

    def __init__(self, make: Callable[[], _T]) -> None:
        self._make = make
        self._local = threading.local()
        self._made: weakref.WeakSet[_T] = weakref.WeakSet()
        self._lock = threading.Lock()

    def mine(self) -> _T:
        """Return this thread's own, made when it is first asked for."""
        own: _T | None = getattr(self._local, "own", None)
        if own is None:
            own = self._local.own = self._make()
            with self._lock:
                self._made.add(own)
        return own

    def all(self) -> list[_T]:
        """Return those of every thread that lives."""
        with self._lock:
            return list(self._made)


class _Adapter(HTTPAdapter):
    """Sends each request once (no retries beneath us) and over connections that mark it."""

    def __init__(self, tracker: SendTracker) -> None:
        self._mark = tracker
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Return the host's pool, with every connection made from now on marking what it sends."""
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        if "ConnectionCls" not in vars(pool):
            pool.ConnectionCls = tracked(pool.ConnectionCls, self._mark)
        return pool


@dataclass(frozen=True, slots=True)
class Route:
    """What requests finds out for every request anew, and is the same for all that go to one address."""

    pool: HTTPConnectionPool
    """Of the address, or of the proxy before it, trusting whom the environment says."""
    start: str
    """Of every target: the address's path, or all of it where a proxy is asked for the whole."""
    headers: Mapping[str, str] = field(repr=False)


@dataclass(eq=False)
class Connection:
    """One thread's session with keep-alive and checked certificates, and the mark of its request in hand."""

    auth: KeyAuth = field(repr=False)
    url: str
    """The API's address, the only one that is asked."""
    local: bool
    """No proxy, whatever the environment says: the request is unencrypted and meant for this machine."""
    tracker: SendTracker = field(default_factory=SendTracker)
    _session: requests.Session = field(init=False, repr=False)
    _way: Route | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self._session = requests.Session()
        self._session.auth = self.auth
        self._session.trust_env = not self.local
        self._session.headers.clear()
        self._session.headers.update(_HEADERS)
        self._adapter = _Adapter(self.tracker)

    def open(self, request: ApiRequest, timeout: Timeout) -> BaseHTTPResponse:
        """Send `request` once and return the answer, whatever it is, with the body still on the wire.

        Where it goes, past which proxy, trusting whom and with which headers is settled at the first request.
        """
        if self._way is None:
            self._way = self._find()
        way = self._way
        target = f"{way.start}/{request.path}"
        return way.pool.urlopen(
            request.method,
            f"{target}?{request.query}" if request.query else target,
            body=request.body,
            headers=way.headers if request.body is None else {**way.headers, **_JSON},
            timeout=timeout,
            retries=self._adapter.max_retries,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
        )

    def close(self) -> None:
        """Close the connection; the next request makes a new one."""
        self._way = None
        self._adapter.close()

    def _find(self) -> Route:
        """Do what a session of requests does before it sends, and keep what comes of it."""
        prepared = self._session.prepare_request(requests.Request("GET", self.url))
        address = str(prepared.url)
        chosen = self._session.merge_environment_settings(address, {}, None, None, None)
        proxies, verify, cert = chosen["proxies"], chosen["verify"], chosen["cert"]
        pool = self._adapter.get_connection_with_tls_context(prepared, verify, proxies=proxies, cert=cert)
        self._adapter.cert_verify(pool, address, verify, cert)  # type: ignore[no-untyped-call]
        start = self._adapter.request_url(prepared, proxies).rstrip("/")
        return Route(pool, start, dict(prepared.headers))
