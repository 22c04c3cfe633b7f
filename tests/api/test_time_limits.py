"""Every wait has an end: a request's own time, the patience of a read, a stop, and the time allowed."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from scalesync.api.client import FIRST_SECONDS
from scalesync.clock import Clock
from scalesync.errors import ScaleException, ScaleNoAnswer, ScaleNotSent
from scalesync.retry import RetryPolicy
from tests.api.conftest import Connect, Serve
from tests.support.scripted_server import ScriptedServer, Step, hang, say, trickle, trickle_head

SOON = 8.0
"""Seconds on a busy machine, and fewer than any time-out that is not meant."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def continue_forever(peer: socket.socket) -> bool:
    """Announce an answer over and over again."""
    while True:
        peer.sendall(CONTINUE)
        time.sleep(0.02)


@contextmanager
def timed(least: float = 0.0) -> Iterator[None]:
    """Hold a block to an end that comes soon, and not before its time."""
    began = time.monotonic()
    yield
    assert least <= time.monotonic() - began < SOON


def stopped_after(seconds: float) -> Clock:
    """Return a clock that is asked to stop in a moment."""
    clock = Clock()
    threading.Timer(seconds, clock.stopping.set).start()
    return clock


STUCK = [hang, trickle, trickle_head, continue_forever]
ENDS: list[Callable[[], Clock]] = [lambda: stopped_after(0.2), lambda: Clock().allowing(0.2)]


@pytest.mark.parametrize("slow", STUCK)
@pytest.mark.parametrize("ending", ENDS, ids=["stop", "limit"])
def test_the_end_of_the_work_ends_a_read(
    slow: Step, ending: Callable[[], Clock], serve: Serve, connect: Connect
) -> None:
    """A stop, or the end of the time allowed, cuts off a read after its grace, and it is not tried again."""
    server = serve(slow)
    api = connect(server, clock=ending(), grace=0.3)

    with timed(0.4), pytest.raises(ScaleNoAnswer, match="asked to stop, or its time is over"):
        api.task("t")
    with timed(), pytest.raises(ScaleNotSent):
        api.task("t")
    assert len(server.seen) == 1


def test_what_is_in_hand_at_a_stop_has_its_grace(serve: Serve, connect: Connect) -> None:
    """An answer that comes soon after a stop is taken."""

    def slow(peer: socket.socket) -> bool:
        time.sleep(0.5)
        return say({"task_id": "t"})(peer)

    api = connect(serve(slow), clock=stopped_after(0.1), grace=30.0)

    assert bytes(api.task("t").raw) == b'{"task_id": "t"}'


@pytest.mark.parametrize("ending", ENDS, ids=["stop", "limit"])
@pytest.mark.parametrize("status", [429, 503])
def test_the_end_of_the_work_ends_a_rest(
    status: int, ending: Callable[[], Clock], serve: Serve, connect: Connect
) -> None:
    """Nobody waits out what the API asks for with Retry-After, nor for a turn."""
    server = serve(say({"error": "later"}, status, headers={"Retry-After": "200"}))
    api = connect(server, clock=ending())

    for _ in range(2):
        with timed(), pytest.raises(ScaleException):
            api.task("t")


@pytest.mark.parametrize("slow", [trickle, trickle_head, continue_forever])
def test_a_hopeless_read_takes_no_longer_than_its_patience(
    slow: Step, serve: Serve, connect: Connect
) -> None:
    """All attempts together end with the patience, the last of them cut off."""
    server = serve(slow)
    api = connect(server, clock=Clock(), total=0.6, retry=RetryPolicy(attempts=99, seconds=1.5, base=0.1))

    with timed(1.4), pytest.raises(ScaleNoAnswer, match="time was up"):
        api.task("t")
    assert len(server.seen) in {2, 3}


def test_little_patience_does_not_cut_off_a_first_answer(serve: Serve, connect: Connect) -> None:
    """A read that fails is not tried again; one that is merely slow has its time."""

    def slow(peer: socket.socket) -> bool:
        time.sleep(1.0)
        return say({"task_id": "t"})(peer)

    api = connect(serve(slow), clock=Clock(), retry=RetryPolicy(seconds=0.0))

    assert bytes(api.task("t").raw) == b'{"task_id": "t"}'
    assert FIRST_SECONDS > 10


def test_no_read_is_without_an_end(serve: Serve, connect: Connect) -> None:
    """Nobody has to ask for it: a request as a whole ends within two minutes."""
    assert connect(serve(hang)).options.total == 120


def test_a_resolver_that_hangs_is_left_to_itself(monkeypatch: pytest.MonkeyPatch, connect: Connect) -> None:
    """A name that is not resolved in time ends the request, and a stop ends the wait for it."""
    never = threading.Event()
    lead = socket.getaddrinfo

    def look_up(*arguments: object) -> object:
        if arguments[-1] == socket.AI_NUMERICHOST:
            return lead(*arguments)  # type: ignore[arg-type]
        return never.wait(30)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    url = "https://scale.invalid/v1"

    with timed(0.3), pytest.raises(ScaleNotSent, match="time was up"):
        connect(url, clock=Clock(), total=0.3, retry=RetryPolicy(attempts=1)).task("t")
    with timed(0.2), pytest.raises(ScaleNotSent, match="asked to stop"):
        connect(url, clock=stopped_after(0.2), grace=0.1).task("t")
    never.set()


def test_a_name_that_stands_for_nothing(connect: Connect) -> None:
    """It is said in the resolver's words."""
    with pytest.raises(ScaleNotSent, match=r"scale\.invalid:443: .*(not known|resol)"):
        connect("https://scale.invalid/v1", retry=RetryPolicy(attempts=1)).task("t")


def test_the_second_address_is_tried(serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host of several addresses is reached where one of them refuses."""
    server = serve(say({"task_id": "t"}))
    free = socket.create_server(("127.0.0.1", 0))
    closed = free.getsockname()
    free.close()
    monkeypatch.setenv("NO_PROXY", "*")
    addresses = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", address)
        for address in (closed, ("127.0.0.1", server.port))
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: addresses)

    url = f"http://two.example:{server.port}/v1"
    assert bytes(connect(url, insecure_http=True).task("t").raw) == b'{"task_id": "t"}'


def test_a_handshake_that_hangs_is_cut_off(connect: Connect) -> None:
    """A server that takes connections and never shakes hands holds nobody after a stop."""
    clock = Clock()

    def greet() -> None:
        with deaf.accept()[0] as peer:
            peer.recv(1)
            clock.stopping.set()
            peer.recv(65536)
            peer.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as deaf:
        server = threading.Thread(target=greet)
        server.start()
        api = connect(f"https://127.0.0.1:{deaf.getsockname()[1]}/v1", clock=clock, grace=0.1)
        with timed(), pytest.raises(ScaleNotSent, match="asked to stop"):
            api.task("t")
        server.join()


def trickling_proxy(peer: socket.socket) -> bool:
    """Begin the answer to CONNECT and never end it."""
    peer.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        peer.sendall(b"n")
        time.sleep(0.02)


@pytest.mark.parametrize("proxy", [hang, trickling_proxy])
def test_a_proxy_that_hangs_is_cut_off(
    proxy: Step, serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that never makes the tunnel, whatever it says meanwhile, takes a request's time and no more."""
    server: ScriptedServer = serve(proxy)
    for variable in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(variable, f"http://127.0.0.1:{server.port}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    api = connect("https://scale.invalid/v1", clock=Clock(), total=0.5, retry=RetryPolicy(attempts=1))

    with timed(0.4), pytest.raises(ScaleNotSent):
        api.task("t")
