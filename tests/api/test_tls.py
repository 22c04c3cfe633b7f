"""Certificates are checked whatever the environment holds, and nothing is sent where they are wrong."""

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from scalesync.api.downloads import DownloadOptions, Downloads
from scalesync.errors import ScaleException, ScaleNotSent
from scalesync.retry import RetryPolicy
from tests.api.conftest import KEY, Connect, Serve
from tests.api.test_connection import AUTHORITY
from tests.support.scripted_server import ScriptedServer, SteppingClock, say

ONCE = RetryPolicy(attempts=1)


def certified(name: str) -> ssl.SSLContext:
    """Return the context of a server with a certificate for a host of that name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(name).configure_cert(context)
    return context


@pytest.fixture
def trusting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    """Return what names, in this variable, a bundle that has AUTHORITY in it; None: in no variable."""
    path = tmp_path / "authority.pem"
    AUTHORITY.cert_pem.write_to_path(str(path))
    (tmp_path / "netrc").write_text("default login someone password else\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def use(variable: str | None) -> None:
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            monkeypatch.setenv(name, str(path) if name == variable else "")

    return use


def fetched(server: ScriptedServer, *, keyed: bool) -> bytes:
    """Return a file of a server, which is the API's own if it may see the key."""
    options = DownloadOptions(
        server.url if keyed else "https://api.example/v1", allow_private=True, retry=ONCE
    )
    with Downloads(KEY, options, clock=SteppingClock()) as downloads:
        return downloads.fetch(f"{server.url}/file").content


@pytest.mark.parametrize(
    ("variable", "name"),
    [(None, "127.0.0.1"), ("REQUESTS_CA_BUNDLE", "other.example"), ("CURL_CA_BUNDLE", "other.example")],
    ids=["nobody vouches for it", "it is another host's", "it is another host's, to curl"],
)
@pytest.mark.parametrize("insecure_http", [False, True])
def test_a_wrong_certificate_ends_it_before_anything_is_sent(
    variable: str | None,
    name: str,
    insecure_http: bool,
    serve: Serve,
    connect: Connect,
    trusting: Callable[[str | None], None],
) -> None:
    """For reads, writes and files alike; the word for plain http changes nothing about it."""
    trusting(variable)
    server = serve(say({}), tls=certified(name))
    api = connect(server, insecure_http=insecure_http, retry=ONCE)

    for send in (
        lambda: api.task("t"),
        lambda: api.create_batch({"name": "b"}),
        lambda: fetched(server, keyed=True),
        lambda: fetched(server, keyed=False),
    ):
        with pytest.raises(ScaleException, match="certificate verify failed") as caught:
            send()
        assert isinstance(caught.value, ScaleNotSent)
    assert (server.seen, api.requests_made) == ([], 0)


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_an_authority_of_ones_own_is_named_by_the_environment(
    variable: str, serve: Serve, connect: Connect, trusting: Callable[[str | None], None]
) -> None:
    """And a .netrc adds nothing: the key goes to the API, and a file's server gets no authorization."""
    trusting(variable)
    server = serve(say(), tls=certified("127.0.0.1"))

    connect(server).task("t")
    fetched(server, keyed=True)
    fetched(server, keyed=False)

    basic = "Basic bGl2ZV8wMTIzNDU2Nzg5YWJjZGVmOg=="
    assert [seen.headers.get("Authorization") for seen in server.seen] == [basic, basic, None]
