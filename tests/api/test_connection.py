"""Connections: kept, compressed, bounded, verified, and to one host only."""

import ssl
import threading
import time
from pathlib import Path

import pytest
import trustme

from scalesync.clock import Clock
from scalesync.errors import ScaleException, ScaleNoAnswer, ScaleNotSent
from scalesync.models.api import TaskFilter
from scalesync.retry import RetryPolicy
from tests.api.conftest import KEY, Connect, Serve
from tests.support.scripted_server import (
    Step,
    hang,
    raw,
    say,
    trickle,
    trickle_closing,
    trickle_head,
    trickle_zipped,
    zipped,
)

ONCE = RetryPolicy(attempts=1)
AUTHORITY = trustme.CA()
"""Made for this run, so that no private key lies in the repository."""


def test_keep_alive(serve: Serve, connect: Connect) -> None:
    """One thread uses one connection for all its requests, refusals included."""
    server = serve(say(), say({"error": "x"}, 404), zipped(T), say(b"", 400), raw(CHUNKED, keep=True), say())
    api = connect(server)

    for _ in range(8):
        try:
            api.task("t")
        except ScaleException as error:
            assert error.code in (400, 404)  # noqa: PT017 - the other six succeed
    assert (len(server.seen), server.connections) == (8, 1)


T = {"task_id": "t"}
CHUNKED = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n{"task_id":\r\n5\r\n "t"}\r\n0\r\n\r\n'


def test_chunked(serve: Serve, connect: Connect) -> None:
    """An answer in chunks is put together."""
    assert bytes(connect(serve(raw(CHUNKED))).task("t").raw) == b'{"task_id": "t"}'


def test_a_connection_for_each_thread(serve: Serve, connect: Connect) -> None:
    """Threads do not share a connection, and requests are counted over all of them."""
    server = serve(say())
    api = connect(server)
    together = threading.Barrier(4)

    def work() -> None:
        together.wait()
        for _ in range(10):
            api.task("t")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert server.connections == 4
    assert api.requests_made == len(server.seen) == 40


def test_close(serve: Serve, connect: Connect) -> None:
    """Closing ends the connections; a later request makes a new one."""
    server = serve(say())
    api = connect(server)

    api.task("t")
    api.close()
    api.task("t")

    assert server.connections == 2


def test_gzip(serve: Serve, connect: Connect) -> None:
    """A compressed page, larger than any buffer on the way, comes out whole."""
    docs = [{"task_id": str(n), "text": "ab" * 20_000} for n in range(50)]

    page = connect(serve(zipped({"docs": docs, "total": 50}))).tasks(TaskFilter())

    assert len(page.docs) == 50
    assert sum(len(memoryview(doc)) for doc in page.docs) > 2_000_000


@pytest.mark.parametrize("slow", [trickle, trickle_zipped])
def test_a_trickle_meets_the_deadline(serve: Serve, connect: Connect, slow: Step) -> None:
    """A body that comes a byte at a time, each in time, is given up at the request's deadline."""
    started = time.monotonic()

    with pytest.raises(ScaleNoAnswer, match=r"not complete within 0\.3 s"):
        connect(serve(slow), clock=Clock(), deadline=0.3, retry=ONCE).task("t")
    assert 0.3 < time.monotonic() - started < 5


@pytest.mark.parametrize("slow", [hang, trickle, trickle_closing, trickle_head])
def test_nothing_outlives_the_total(serve: Serve, connect: Connect, slow: Step) -> None:
    """With a total, whatever the API does ends by then, even an endless header; the next one works."""
    api = connect(serve(slow, say({"task_id": "t"})), clock=Clock(), total=0.3, retry=ONCE)
    started = time.monotonic()

    with pytest.raises(ScaleNoAnswer, match="was sent and no usable answer came"):
        api.create_task("chat", {})
    assert 0.3 < time.monotonic() - started < 5
    assert bytes(api.task("t").raw) == b'{"task_id": "t"}'


def test_what_is_late_is_not_sent(serve: Serve, connect: Connect) -> None:
    """A request whose time was up before the connection stood never leaves."""
    server = serve(say({}))

    with pytest.raises(ScaleNotSent, match="time was up"):
        connect(server, clock=Clock(), total=0.0).create_task("chat", {})
    assert server.seen == []


def test_silence_meets_the_read_time_out(serve: Serve, connect: Connect) -> None:
    """Silence is given up after the read time-out, or after the deadline where that is shorter."""
    for options in ({"read_timeout": 0.1}, {"deadline": 0.1}):
        started = time.monotonic()
        with pytest.raises(ScaleNoAnswer, match="timed out"):
            connect(serve(hang), clock=Clock(), retry=ONCE, **options).task("t")
        assert time.monotonic() - started < 5


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects(serve: Serve, connect: Connect, status: int) -> None:
    """A redirect is an error and is not followed: the key stays with the host it was meant for."""
    elsewhere = serve(say({}))
    server = serve(say(b"", status, headers={"Location": elsewhere.url}))
    api = connect(server)

    with pytest.raises(ScaleException) as read:
        api.task("t")
    with pytest.raises(ScaleException) as write:
        api.create_batch({})
    assert read.value.code == write.value.code == status
    assert (elsewhere.seen, len(server.seen)) == ([], 2)


def test_netrc_does_not_replace_the_key(
    serve: Serve, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, authority: str
) -> None:
    """A .netrc entry for the host does not take the key's place."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = serve(say(), tls=tls_server())

    connect(server).task("t")

    assert server.seen[0].headers["Authorization"] == "Basic bGl2ZV8wMTIzNDU2Nzg5YWJjZGVmOg=="


def test_no_proxy_between_plain_http_and_this_machine(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy of the environment never sees an unencrypted request that was meant for this machine."""
    proxy = serve(say())
    server = serve(say())
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    connect(server).task("t")

    assert (len(server.seen), proxy.seen) == (1, [])


def test_a_proxy_that_refuses(serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTPS goes through the environment's proxy; one that refuses the tunnel means that nothing was sent."""
    proxy = serve(raw(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"))
    for variable in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    api = connect("https://scale.invalid/v1")

    with pytest.raises(ScaleNotSent):
        api.create_batch({})
    assert proxy.asked == ["CONNECT scale.invalid:443"]
    assert "Authorization" not in proxy.seen[0].headers
    assert api.requests_made == 0


def tls_server() -> ssl.SSLContext:
    """Return the context of a server with a certificate for 127.0.0.1 that AUTHORITY alone vouches for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def authority(tmp_path: Path) -> str:
    """Return a file that makes AUTHORITY known."""
    path = tmp_path / "authority.pem"
    AUTHORITY.cert_pem.write_to_path(str(path))
    return str(path)


def test_certificates_are_checked(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch, authority: str
) -> None:
    """A certificate that nobody vouches for ends the request before the key is sent."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = serve(say({}), tls=tls_server())

    with pytest.raises(ScaleNotSent, match="certificate verify failed") as caught:
        connect(server).create_batch({})
    assert (server.seen, KEY in str(caught.value)) == ([], False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority)
    assert connect(server).create_batch({}).replaced == 0


def test_a_missing_certificate_bundle(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle that the environment names and that is not there is told in words."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "missing.pem")

    with pytest.raises(ScaleNotSent, match=r"missing\.pem"):
        connect("https://127.0.0.1:1/v1").create_batch({})
