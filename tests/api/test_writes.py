"""Writes are sent exactly once, and their errors tell what became of them."""

from typing import Any

import pytest

from scalesync.api import ScaleApi
from scalesync.clock import Clock
from scalesync.errors import (
    BY_STATUS,
    ScaleException,
    ScaleNoAnswer,
    ScaleNotSent,
    ScaleTooManyRequests,
)
from tests.api.conftest import Connect, Serve
from tests.support.scripted_server import (
    SteppingClock,
    cut_chunk,
    hang,
    hang_up,
    raw,
    reset,
    say,
    trickle,
    truncated,
)

WRITES: dict[str, Any] = {
    "create_task": lambda api: api.create_task("chat", {"a": 1}),
    "cancel_task": lambda api: api.cancel_task("t"),
    "create_batch": lambda api: api.create_batch({"name": "b"}),
    "finalize_batch": lambda api: api.finalize_batch("b"),
    "create_project": lambda api: api.create_project({"name": "p"}),
    "update_project": lambda api: api.update_project("p", {"a": 1}),
}
UNKNOWN: dict[str, Any] = {
    "reset": reset,
    "hang up": hang_up,
    "silence": hang,
    "trickle": trickle,
    "truncated": truncated(),
    "cut chunk": cut_chunk(),
    "garbage": raw(b"garbage\r\n\r\n"),
    "HTML": say(b"<html>"),
    "nothing": say(b""),
    "half": say(b'{"task_id": "5'),
    "list": say([]),
    "201": say({"task_id": "t"}, 201),
    "204": raw(b"HTTP/1.1 204 No Content\r\n\r\n"),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
@pytest.mark.parametrize("fault", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_no_answer(serve: Serve, connect: Connect, write: Any, fault: Any) -> None:
    """A write whose answer is missing or unusable was sent once, and its effect is unknown."""
    server = serve(fault, say({"task_id": "t"}))
    patience = {"read_timeout": 0.3, "deadline": 0.3} if fault in (hang, trickle) else {}
    api = connect(server, clock=Clock(), **patience)

    with pytest.raises(ScaleNoAnswer) as caught:
        write(api)
    assert (len(server.seen), api.requests_made, caught.value.code) == (1, 1, None)


@pytest.mark.parametrize("write", [w for name, w in WRITES.items() if name != "finalize_batch"])
def test_bare_ok_where_a_document_is_promised(serve: Serve, connect: Connect, write: Any) -> None:
    """A bare OK in place of the document leaves open what exists now: the API must be asked."""
    with pytest.raises(ScaleNoAnswer, match="not what the API promises"):
        write(connect(serve(say(b"OK"))))


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 429, 500, 502, 503, 504, 520, 303])
def test_answered_status(serve: Serve, connect: Connect, write: Any, status: int) -> None:
    """A write that was answered with a status is not sent again either, and raises that status's error."""
    server = serve(say({"status_code": status, "error": "the API's words"}, status), say({}))
    clock = SteppingClock()

    with pytest.raises(ScaleException) as caught:
        write(connect(server, clock=clock))
    assert type(caught.value) is BY_STATUS.get(status, ScaleException)
    assert (caught.value.code, caught.value.message) == (status, "the API's words")
    assert (len(server.seen), clock.slept) == (1, [])


def unreachable(serve: Serve, connect: Connect) -> ScaleApi:
    """Return a client whose server refuses connections."""
    server = serve(say())
    server.__exit__()
    return connect(server)


def unresolvable(_: Serve, connect: Connect) -> ScaleApi:
    """Return a client for a host that does not exist, nor ever will."""
    return connect("https://scale.invalid/v1")


def without_tls(serve: Serve, connect: Connect) -> ScaleApi:
    """Return a client that speaks TLS to a server that does not."""
    return connect(
        serve(say(), at_once=raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")).url.replace("http:", "https:")
    )


def broken_handshake(serve: Serve, connect: Connect) -> ScaleApi:
    """Return a client whose server resets the connection before the TLS handshake is done."""
    return connect(serve(say(), at_once=reset).url.replace("http:", "https:"))


def impossible_host(_: Serve, connect: Connect) -> ScaleApi:
    """Return a client for a host name that no resolver takes."""
    return connect(f"https://{'a' * 70}.example/v1")


@pytest.mark.parametrize(
    "situation", [unreachable, unresolvable, without_tls, broken_handshake, impossible_host]
)
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_not_sent(
    serve: Serve, connect: Connect, write: Any, situation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no connection was made, the write says that nothing can have reached the API."""
    for variable in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    api = situation(serve, connect)

    with pytest.raises(ScaleNotSent, match=r"Could not reach the Scale API at .+: .+") as caught:
        write(api)
    assert api.requests_made == 0
    assert caught.value.__cause__ is not None


def test_reset_on_a_kept_connection(serve: Serve, connect: Connect) -> None:
    """A write on a kept connection that breaks may have arrived, and is not repeated."""
    server = serve(say({"task_id": "t"}), reset, say({"task_id": "u"}))
    api = connect(server)
    api.create_task("chat", {})

    with pytest.raises(ScaleNoAnswer):
        api.create_task("chat", {})
    assert (len(server.seen), server.connections) == (2, 1)


def test_a_write_waits_for_the_rate_limit(serve: Serve, connect: Connect) -> None:
    """After a 429 the next write waits its turn; a rest beyond the deadline is told without sending."""
    clock = SteppingClock()
    server = serve(
        say({}, 429, headers={"Retry-After": "30"}),
        say({}),
        say({}, 429, headers={"Retry-After": "500"}),
        say({}),
    )
    api = connect(server, clock=clock)

    with pytest.raises(ScaleTooManyRequests):
        api.create_task("chat", {})
    api.create_task("chat", {})
    clock.sleep(1)
    for _ in range(2):
        with pytest.raises(ScaleTooManyRequests) as caught:
            api.create_task("chat", {})
        assert caught.value.retry_after == 500

    assert clock.slept == [30, 1]
    assert len(server.seen) == 3
