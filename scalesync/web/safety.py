"""What every answer of the pages carries, and who gets one: headers, hosts, methods and the token."""

import ipaddress
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' https: http: data:; "
    "media-src 'self' https: http: data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'"
)
HEADERS: Mapping[str, str] = {
    "content-security-policy": _POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""Sent with every answer. No referrer: addresses of pages hold names, those of pictures signatures."""
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
_ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - compared with, not listened at


@dataclass(frozen=True, slots=True)
class Access:
    """Who may read the pages."""

    host: str = "127.0.0.1"
    """Where the server listens."""
    token: str | None = None
    """What a browser has to show once; None: nothing, for this machine only."""
    cookie: str = "scalesync"
    """The cookie that holds the token; named by the port, for cookies are shared by all ports of a host."""

    def hosts(self) -> list[str]:
        """Return the hosts that a request may name."""
        # Where it listens at every address, no name is known; there the token keeps strangers out.
        if self.host in _ANY_ADDRESS:
            return ["*"]
        return [*_LOOPBACK_NAMES, f"[{self.host}]" if ":" in self.host else self.host]


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine itself."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def guarded(app: ASGIApp, access: Access) -> ASGIApp:
    """Return the application behind all checks, with the headers on every answer, refusals included."""
    checked: ASGIApp = app if access.token is None else _TokenCheck(app, access.token, access.cookie)
    trusted = TrustedHostMiddleware(_ReadingOnly(checked), access.hosts(), www_redirect=False)

    async def with_headers(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await trusted(scope, receive, send_with_headers)

    return with_headers


class _ReadingOnly:
    """Refuses what is no reading of a page: other methods, and requests that other sites' pages make."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused: Response | None = None
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        if scope["method"] not in ("GET", "HEAD"):
            refused = PlainTextResponse("These pages are only read.\n", 405, {"allow": "GET, HEAD"})
        # Another site may link here, but not have its pages ask in the background.
        elif headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            refused = PlainTextResponse("Another site asks for this in the background.\n", 403)
        await (refused or self._app)(scope, receive, send)


class _TokenCheck:
    """Lets in who shows the token: in the address, where it becomes a cookie, or as that cookie."""

    def __init__(self, app: ASGIApp, token: str, cookie: str) -> None:
        self._app, self._token, self._cookie = app, token.encode(), cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        shown = [value for name, value in query if name == "token"]
        answer: ASGIApp = self._app
        if shown and self._is_token(shown[0]):
            rest = urlencode([pair for pair in query if pair[0] != "token"])
            path = scope["raw_path"].decode("latin-1")
            # Two slashes at the beginning would be the address of another host.
            path = "/" + path.lstrip("/")
            signed_in = RedirectResponse(f"{path}?{rest}" if rest else path, 303)
            signed_in.set_cookie(
                self._cookie, self._token.decode(), httponly=True, samesite="strict", path="/"
            )
            answer = signed_in
        elif shown or not self._is_token(self._cookie_of(scope)):
            answer = PlainTextResponse(
                "These pages need the token: open the address that `scalesync browse` printed.\n", 401
            )
        await answer(scope, receive, send)

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(errors="replace"), self._token)

    def _cookie_of(self, scope: Scope) -> str:
        try:
            found = SimpleCookie(Headers(scope=scope).get("cookie", "")).get(self._cookie)
        except CookieError:
            return ""
        return "" if found is None else found.value
