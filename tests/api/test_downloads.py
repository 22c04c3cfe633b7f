"""Downloads: whole or not at all, within limits, and the key only where it belongs."""

import gzip
import hashlib
import socket
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scalesync.api.downloads import DownloadOptions, Downloads
from scalesync.api.ssrf import is_private, may_send_key, parse_address
from scalesync.clock import Clock
from scalesync.errors import ConfigurationError, ScaleException
from tests.api.conftest import KEY, Serve
from tests.api.test_connection import AUTHORITY, tls_server
from tests.support.scripted_server import (
    ScriptedServer,
    Step,
    SteppingClock,
    cut_chunk,
    hang,
    raw,
    reset,
    say,
    trickle,
    trickle_closing,
    trickle_head,
    trickle_zipped,
    truncated,
    zipped,
)

BASIC = f"Basic {b64encode(f'{KEY}:'.encode()).decode()}"
SIGNATURE = "X-Amz-Signature=5ec4e7"
FILE = b'[{"annotations": []}]\0\0'

PACKED = {
    "packed without a word": say(gzip.compress(FILE)),
    "packed and packed again": say(gzip.compress(gzip.compress(FILE)), headers={"Content-Encoding": "gzip"}),
    "what buckets say": say(gzip.compress(FILE), headers={"Content-Encoding": "gzip, aws-chunked"}),
    "an encoding that is none": say(FILE, headers={"Content-Encoding": "utf-8"}),
}

Fetcher = Callable[..., Downloads]


@pytest.fixture
def fetcher() -> Iterator[Fetcher]:
    """Return what makes downloads: no waits in real time; private addresses are allowed unless refused."""
    with ExitStack() as stack:

        def make(
            api: ScriptedServer | None = None, *, clock: Clock | None = None, **options: Any
        ) -> Downloads:
            chosen = DownloadOptions(**{"allow_private": True, **options})
            if api is not None:
                chosen = DownloadOptions(**{**vars(chosen), "api_url": api.url})
            return stack.enter_context(
                Downloads(KEY, chosen, clock=clock or SteppingClock(), random=lambda: 0.5)
            )

        yield make


def file_at(server: ScriptedServer, name: str = "file") -> str:
    """Return the signed address of a file."""
    return f"{server.url}/{name}?{SIGNATURE}"


def refusal(downloads: Downloads, url: str) -> ScaleException:
    """Return why a file cannot be had; the sentence has neither signature nor key in it."""
    with pytest.raises(ScaleException) as caught:
        downloads.fetch(url)
    message = caught.value.message
    assert not any(secret in message for secret in (KEY, BASIC, "5ec4e7", "X-Amz"))
    assert message.endswith(".")
    assert "\n" not in message
    return caught.value


# The file ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "step",
    [
        say(FILE),
        say(gzip.compress(FILE), headers={"Content-Encoding": "gzip"}),
        say(
            gzip.compress(FILE[:9]) + gzip.compress(FILE[9:]) + b"\0\0", headers={"Content-Encoding": "gzip"}
        ),
        *PACKED.values(),
    ],
    ids=["plain", "packed", "packed in two members and padded", *PACKED],
)
def test_a_file_comes_unpacked_and_otherwise_as_it_is(step: Step, serve: Serve, fetcher: Fetcher) -> None:
    """With the digest of its bytes and the time that its server says; the query goes out as it was given."""
    server = serve(step)

    file = fetcher().fetch(file_at(server))

    assert (file.content, file.sha256) == (FILE, hashlib.sha256(FILE).hexdigest())
    assert file.served_at == datetime(2026, 11, 3, 10, tzinfo=UTC)
    assert server.asked == [f"GET /v1/file?{SIGNATURE}"]


def test_what_fails_for_a_moment_is_tried_again(serve: Serve, fetcher: Fetcher) -> None:
    """5xx, 429 after the time it asks for, a broken connection; four attempts in all."""
    clock = SteppingClock()
    server = serve(say(b"", 503), say(b"", 429, headers={"Retry-After": "3"}), reset, say(FILE))

    assert fetcher(clock=clock).fetch(file_at(server)).content == FILE
    assert [seconds for seconds in clock.slept if seconds >= 3] == [3.5]
    error = refusal(fetcher(), file_at(always := serve(say(b"", 500))))
    assert (error.code, len(always.seen)) == (500, 4)


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_link_that_may_have_expired(status: int, serve: Serve, fetcher: Fetcher) -> None:
    """Is not tried again as it is; the sentence says what may be the matter."""
    server = serve(say(b"<Error>expired</Error>", status))

    error = refusal(fetcher(), file_at(server))

    assert f"127.0.0.1 answered {status}: the link may have expired" in error.message
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "step",
    [
        truncated(FILE),
        cut_chunk(),
        reset,
        raw(b"garbage\r\n\r\n"),
        say(gzip.compress(FILE)[:-9], headers={"Content-Encoding": "gzip"}),
        say(b"not packed", headers={"Content-Encoding": "gzip"}),
        say(FILE, headers={"Content-Encoding": "br"}),
        say(FILE, 206),
        say(gzip.compress(FILE)[:-9]),
        say(b"", 401),
    ],
    ids=[
        "short",
        "cut chunk",
        "reset",
        "garbage",
        "cut gzip",
        "no gzip",
        "other packing",
        "206",
        "cut gzip without a word",
        "401",
    ],
)
def test_half_a_file_is_none(step: Step, serve: Serve, fetcher: Fetcher) -> None:
    """Whatever is not a whole 200 is an error in one sentence."""
    refusal(fetcher(), file_at(serve(step)))


@pytest.mark.parametrize(
    "step",
    [
        say(b"1" * 1001),
        raw(b"HTTP/1.1 200 OK\r\n\r\n" + b"1" * 1001),
        zipped("1" * 50_000_000),
        say(gzip.compress(b"1" * 990) + gzip.compress(b"1" * 990), headers={"Content-Encoding": "gzip"}),
        say(gzip.compress(gzip.compress(b"1" * 5_000_000))[:900], headers={"Content-Encoding": "gzip"}),
        say(gzip.compress(b"1" * 900_000)[:900]),
    ],
    ids=["told", "untold", "a bomb", "two members", "a bomb in a packet", "a bomb without a word"],
)
def test_a_file_larger_than_the_limit(step: Step, serve: Serve, fetcher: Fetcher) -> None:
    """Is refused once, by its size unpacked."""
    server = serve(step)

    error = refusal(fetcher(largest=1000), file_at(server))

    assert ("1,000 bytes" in error.message, len(server.seen)) == (True, 1)
    assert fetcher(largest=1001).fetch(file_at(serve(say(b"1" * 1001)))).content == b"1" * 1001


@pytest.mark.parametrize("step", [trickle, trickle_closing, trickle_head, trickle_zipped, hang])
def test_a_file_takes_no_longer_than_its_time(step: Step, serve: Serve, fetcher: Fetcher) -> None:
    """As a whole: a byte now and then does not help, nor does a further attempt."""
    server = serve(step)

    error = refusal(fetcher(clock=Clock(), seconds=0.3), file_at(server))

    assert (error.message, len(server.seen)) == ("The file did not come whole within 0.3 s.", 1)


def test_a_stop_cuts_off_what_is_in_hand(serve: Serve, fetcher: Fetcher) -> None:
    """The download ends at once, and no other one begins."""
    server, clock = serve(hang), Clock()
    downloads = fetcher(clock=clock)
    errors: list[ScaleException] = []
    thread = threading.Thread(target=lambda: errors.append(refusal(downloads, file_at(server))))
    thread.start()
    while not server.seen:
        pass

    clock.stopping.set()
    downloads.cut_off()
    thread.join(10)

    refusal(downloads, file_at(server))
    assert (len(errors), len(server.seen)) == (1, 1)


# The key ----------------------------------------------------------------------------------------------------


def test_the_key_goes_to_the_apis_own_origin_and_to_no_other(serve: Serve, fetcher: Fetcher) -> None:
    """Another port is another origin."""
    api, other = serve(say(FILE)), serve(say(FILE))
    downloads = fetcher(api)

    downloads.fetch(file_at(api))
    downloads.fetch(file_at(other))

    assert api.seen[0].headers["Authorization"] == BASIC
    assert "Authorization" not in other.seen[0].headers


def test_a_redirect_elsewhere_takes_no_key_along(serve: Serve, fetcher: Fetcher) -> None:
    """Nor is it sent again where a further redirect leads back to the API."""
    api, other = serve(), serve()
    api.steps = [say(b"", 302, headers={"Location": file_at(other)}), say(FILE)]
    other.steps = [say(b"", 307, headers={"Location": f"{api.url}/again"})]

    assert fetcher(api).fetch(file_at(api)).content == FILE

    assert [seen.headers.get("Authorization") for seen in api.seen + other.seen] == [BASIC, None, None]


def test_a_redirect_within_the_api_keeps_the_key(serve: Serve, fetcher: Fetcher) -> None:
    """A relative one, for instance; at most five are followed."""
    api = serve(*[say(b"", 301, headers={"Location": "/v1/there"})] * 5, say(FILE))

    assert fetcher(api).fetch(file_at(api)).content == FILE
    assert [seen.headers.get("Authorization") for seen in api.seen] == [BASIC] * 6
    error = refusal(fetcher(), file_at(endless := serve(say(b"", 302, headers={"Location": "/v1/there"}))))
    assert ("more than 5 times" in error.message, len(endless.seen)) == (True, 6)


@pytest.mark.parametrize(
    ("url", "sees"),
    [
        ("https://scale.com/f", False),
        ("https://api.scale.com/v1/f", True),
        ("https://API.Scale.com:443/v1/f", True),
        ("https://dashboard.scale.com/f", False),
        ("https://files.api.scale.com/f", False),
        ("https://api.scale.com:8443/v1/f", False),
        ("http://api.scale.com/v1/f", False),
        ("https://scale-results.s3.amazonaws.com/f", False),
        ("https://s3.us-west-2.amazonaws.com/scale.com/f", False),
        ("https://api.scale.com.example.net/f", False),
        ("https://notscale.com/f", False),
        ("https://example.net/api.scale.com", False),
        ("https://example.net\\.scale.com/f", False),
        ("https://example.net#.scale.com/f", False),
        ("http://127.0.0.1:8000/f", True),
        ("http://127.0.0.1:8001/f", False),
        ("https://127.0.0.1:8000/f", False),
        ("http://localhost:8000/f", False),
    ],
)
def test_who_may_see_the_key(url: str, sees: bool) -> None:
    """The very origin of the API, and of Scale's own: scheme, host and port. No other host of Scale's."""
    assert may_send_key(parse_address(url), parse_address("http://127.0.0.1:8000/v1")) is sees


def test_no_key_to_an_api_that_no_key_may_be_sent_to() -> None:
    """An address of the API that is plain http to another machine is refused as for the API itself."""
    with pytest.raises(ConfigurationError):
        Downloads(KEY, DownloadOptions(api_url="http://api.scale.com/v1"))


# Where to ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "ftp://files.example/f",
        "file:///etc/passwd",
        "//files.example/f",
        "files.example/f",
        "https:///f",
        "https://user:secret@files.example/f",
        "https://files.example:port/f",
        "http://[::1/f",
        "",
    ],
)
def test_only_http_and_https(url: str, fetcher: Fetcher) -> None:
    """Everything else, and a link that names a user, is refused before anything is asked."""
    assert refusal(fetcher(), url).message.startswith(("Only http and https are asked", "The link "))


@pytest.mark.parametrize(
    "peer",
    [
        "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "224.0.0.1", "240.0.0.1", "255.255.255.255", "198.18.0.1", "::1", "::", "fe80::1",
        "fe80::1%lo", "fc00::1", "fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1",
        "64:ff9b::10.0.0.1", "2002:7f00:1::", "2001:db8::1",
    ],
)  # fmt: skip
def test_private_addresses(peer: str) -> None:
    """Those of this machine, of networks that are nobody's on the internet, and IPv6 that stands for them."""
    assert is_private(peer)


@pytest.mark.parametrize(
    "peer", ["8.8.8.8", "52.216.1.1", "2600:1f00::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]
)
def test_public_addresses(peer: str) -> None:
    """Those of the internet, IPv6 that stands for them included."""
    assert not is_private(peer)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "0x7f000001", "2130706433", "localhost", "a.localhost."]
)
def test_this_machine_in_any_spelling(host: str, serve: Serve, fetcher: Fetcher) -> None:
    """Is refused without a connection."""
    server = serve(say(FILE))

    error = refusal(fetcher(allow_private=False), f"http://{host}:{server.port}/f?{SIGNATURE}")

    assert ("is a private address" in error.message, server.connections) == (True, 0)


def test_a_name_is_known_by_the_address_it_led_to(
    serve: Serve, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that leads to this machine gets not a byte."""
    server = serve(say(FILE))
    lead = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _host, *rest: lead("127.0.0.1", *rest[:1]))

    error = refusal(fetcher(allow_private=False), f"http://files.example:{server.port}/f")

    assert (error.message.split()[0], server.accepted(1), server.seen) == ("files.example", 1, [])
    assert fetcher().fetch(f"http://files.example:{server.port}/f").content == FILE


def test_a_redirect_out_of_tls_is_refused(
    serve: Serve, fetcher: Fetcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From http into https it is followed."""
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    plain, secure = serve(say(FILE)), serve(say(FILE), tls=tls_server())
    out = serve(say(b"", 302, headers={"Location": file_at(plain)}), tls=tls_server())
    into = serve(say(b"", 302, headers={"Location": file_at(secure)}))

    assert fetcher().fetch(file_at(into)).content == FILE
    assert "from https to http" in refusal(fetcher(), file_at(out)).message
    assert plain.seen == []


@pytest.mark.parametrize("location", ["", "ftp://files.example/f", "http://[", "file:///etc/passwd"])
def test_a_redirect_to_nowhere(location: str, serve: Serve, fetcher: Fetcher) -> None:
    """Is an error in one sentence."""
    refusal(fetcher(), file_at(serve(say(b"", 302, headers={"Location": location}))))


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> Callable[[ScriptedServer], None]:
    """Return what makes a server the proxy of the environment."""

    def use(proxy: ScriptedServer) -> None:
        for variable in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
        for variable in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(variable, raising=False)

    return use


def test_a_proxy_resolves_and_sees_no_key(
    serve: Serve, fetcher: Fetcher, proxied: Callable[[ScriptedServer], None]
) -> None:
    """One on this machine is no private address to be refused; a private host by its spelling still is."""
    proxied(proxy := serve(say(FILE)))
    downloads = fetcher(allow_private=False)

    assert downloads.fetch("http://files.example/f").content == FILE
    refusal(downloads, "http://192.168.1.1/f")

    assert proxy.asked == ["GET http://files.example/f"]
    assert "Authorization" not in proxy.seen[0].headers


def test_a_redirect_to_a_private_address_is_refused(
    serve: Serve, fetcher: Fetcher, proxied: Callable[[ScriptedServer], None]
) -> None:
    """Wherever it comes from."""
    proxied(proxy := serve(say(b"", 302, headers={"Location": "http://169.254.169.254/latest"})))

    error = refusal(fetcher(allow_private=False), "http://files.example/f")

    assert ("169.254.169.254 is a private address" in error.message, len(proxy.seen)) == (True, 1)
