"""Reads are tried again when that may help, within attempts and time."""

import gzip
import logging
import threading
import time
from typing import Any

import pytest

from scalesync.api import ApiOptions, ScaleApi
from scalesync.clock import Clock
from scalesync.errors import (
    InconsistentPageError,
    ScaleException,
    ScaleForbidden,
    ScaleInternalError,
    ScaleInvalidRequest,
    ScaleNoAnswer,
    ScaleNotEnabled,
    ScaleNotSent,
    ScaleResourceNotFound,
    ScaleServiceUnavailable,
    ScaleTooManyRequests,
    ScaleUnauthorized,
    UnreadablePageError,
)
from scalesync.models.api import BatchFilter, TaskFilter
from scalesync.retry import RetryPolicy
from tests.api.conftest import KEY, Connect, Serve
from tests.support.scripted_server import (
    Step,
    SteppingClock,
    cut_chunk,
    hang,
    hang_up,
    raw,
    reset,
    say,
    truncated,
)

PAGE = say({"docs": [{"task_id": "t"}], "total": 1, "has_more": False})
HTML = say(b"<!DOCTYPE html><html><h1>Web server is down</h1></html>")

PASSING: dict[str, Step] = {
    **{str(code): say(b"<html>", code) for code in (408, 429, 500, 502, 503, 504, 520, 523, 530)},
    "reset": reset,
    "hang up": hang_up,
    "garbage": raw(b"\x00\x01\x02\r\n\r\n"),
    "truncated": truncated(),
    "truncated at nothing": truncated(b""),
    "cut chunk": cut_chunk(),
    "HTML": HTML,
    "half": say(b'{"docs": [{"task'),
    "nothing": say(b""),
    "OK": say(b"OK"),
    "no docs": say({"total": 1}),
    "docs is no list": say({"docs": {}}),
    "docs are no objects": say({"docs": [1]}),
    "total is no number": say({"docs": [], "total": "1"}),
    "total is true": say({"docs": [], "total": True}),
    "token is no text": say({"docs": [], "next_token": 5}),
    "array": say([]),
    "broken gzip": say(b"no gzip at all", headers={"Content-Encoding": "gzip"}),
    "half of a gzip": say(
        gzip.compress(b'{"docs": [], "total": 0}')[:-9], headers={"Content-Encoding": "gzip"}
    ),
    "damaged gzip": say(gzip.compress(b"{}")[:10] + b"\xff" * 20, headers={"Content-Encoding": "gzip"}),
    "encoding not asked for": say({"docs": []}, headers={"Content-Encoding": "br"}),
    "bottomless": say(b'{"docs": [' + b"[" * 100_000 + b"]" * 100_000 + b"]}"),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
def test_passing_faults(serve: Serve, connect: Connect, fault: Step) -> None:
    """A fault that may pass costs one more request and nothing else."""
    server = serve(fault, PAGE)
    api = connect(server)

    page = api.tasks(TaskFilter())

    assert (len(page.docs), len(server.seen), api.requests_made) == (1, 2, 2)


LASTING: list[tuple[int, type[ScaleException]]] = [
    (301, ScaleException),
    (307, ScaleException),
    (400, ScaleInvalidRequest),
    (401, ScaleUnauthorized),
    (402, ScaleNotEnabled),
    (403, ScaleForbidden),
    (404, ScaleResourceNotFound),
    (405, ScaleException),
]


@pytest.mark.parametrize(("status", "kind"), LASTING)
def test_lasting_refusals(serve: Serve, connect: Connect, status: int, kind: type[ScaleException]) -> None:
    """A refusal is raised at once with its code and the API's own words."""
    server = serve(say({"status_code": status, "error": "Task with that ID not found."}, status))

    with pytest.raises(kind) as caught:
        connect(server).task("t")
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.message) == (status, "Task with that ID not found.")
    assert len(server.seen) == 1


ENDINGS: list[tuple[str, Step, type[ScaleException], int | None]] = [
    ("429", say({"error": "Slow down."}, 429), ScaleTooManyRequests, 429),
    ("500", say(b"", 500), ScaleInternalError, 500),
    ("502", say(b"<html>bad gateway</html>", 502), ScaleException, 502),
    ("503", say(b"", 503), ScaleServiceUnavailable, 503),
    ("reset", reset, ScaleNoAnswer, None),
    ("HTML", HTML, ScaleNoAnswer, None),
    ("truncated", truncated(), ScaleNoAnswer, None),
]


@pytest.mark.parametrize(
    ("fault", "kind", "code"), [row[1:] for row in ENDINGS], ids=[row[0] for row in ENDINGS]
)
def test_attempts_are_bounded(
    serve: Serve, connect: Connect, fault: Step, kind: type[ScaleException], code: int | None
) -> None:
    """What does not pass is raised as it was last seen, after as many requests as the policy has attempts."""
    server = serve(fault)

    with pytest.raises(kind) as caught:
        connect(server).tasks(TaskFilter(project="secret project"))
    assert (caught.value.code, len(server.seen)) == (code, 3)
    assert "html" not in str(caught.value).lower()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "endpoint"),
    [
        (lambda api: api.task("t1"), "GET /task/t1"),
        (lambda api: api.tasks(TaskFilter(unique_id=("u",))), "GET /tasks"),
        (lambda api: api.batches(BatchFilter(project="p")), "GET /batches"),
        (lambda api: api.batch_status("b"), "GET /batches/b/status"),
        (lambda api: api.projects(archived=True), "GET /projects"),
        (lambda api: api.project("p"), "GET /projects/p"),
    ],
)
@pytest.mark.parametrize("body", [b"<html>", b"42", b'"OK"', b"OK"])
def test_every_read_needs_its_shape(
    serve: Serve, connect: Connect, call: Any, endpoint: str, body: bytes
) -> None:
    """Whatever is read, a 200 of another shape ends as ScaleNoAnswer that names the endpoint and no query."""
    server = serve(say(body))

    with pytest.raises(ScaleNoAnswer) as caught:
        call(connect(server))
    assert f"The answer to {endpoint} " in str(caught.value)
    assert "?" not in str(caught.value)
    assert len(server.seen) == 3


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_is_no_fault(serve: Serve, connect: Connect, encoding: str) -> None:
    """A page behind a byte order mark is read at once, as a refusal's words are."""
    page = '{"docs": [{"task_id": "é"}], "total": 1}'.encode(encoding)
    server = serve(say(page), say('{"error": "Nö."}'.encode(encoding), 400))
    api = connect(server)

    assert [bytes(doc) for doc in api.tasks(TaskFilter()).docs] == ['{"task_id": "é"}'.encode()]
    with pytest.raises(ScaleInvalidRequest, match=r"Nö\."):
        api.tasks(TaskFilter())


@pytest.mark.parametrize("body", [b"[" * 5_000 + b"]" * 5_000, b'{"docs": [{"a": tru}]}', b"<html>", b""])
def test_a_page_that_stays_unreadable(serve: Serve, connect: Connect, body: bytes) -> None:
    """It is the page that is wrong, for whoever reads many; and no answer, for whoever waits for one."""
    page = body if not body.startswith(b"[") else b'{"docs": [{"a": ' + body + b"}]}"

    with pytest.raises(UnreadablePageError, match="not what the API promises") as caught:
        connect(serve(say(page))).tasks(TaskFilter())
    assert isinstance(caught.value, InconsistentPageError)
    assert isinstance(caught.value, ScaleNoAnswer)
    assert caught.value.exit_code == 4


def test_backoff(serve: Serve, connect: Connect) -> None:
    """Waits between attempts grow, and chance takes its part of each."""
    clock = SteppingClock()

    connect(serve(reset, HTML, PAGE), clock=clock).tasks(TaskFilter())

    assert clock.slept == [0.25, 0.5]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("17", 17.0),
        ("2.5", 2.5),
        ("Tue, 03 Nov 2026 10:00:42 GMT", 42.0),
        ("Tue, 03 Nov 2026 09:00:00 GMT", 0.0),
    ],
)
def test_retry_after(serve: Serve, connect: Connect, status: int, header: str, seconds: float) -> None:
    """Retry-After is obeyed as seconds or as a date on the API's own clock, and told with the error."""
    clock = SteppingClock()
    server = serve(say({"error": "x"}, status, headers={"Retry-After": header}), PAGE)

    connect(server, clock=clock).tasks(TaskFilter())

    assert clock.slept == [seconds + 0.25]
    assert len(server.seen) == 2
    refused = serve(say({"error": "x"}, status, headers={"Retry-After": header}))
    with pytest.raises(ScaleException) as caught:
        connect(refused, retry=RetryPolicy(attempts=1)).tasks(TaskFilter())
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize("header", ["soon", "-5", "inf", "9" * 40, "", "NaN"])
def test_unusable_retry_after(serve: Serve, connect: Connect, header: str) -> None:
    """A Retry-After that means nothing counts as none."""
    clock = SteppingClock()

    connect(serve(say(b"", 503, headers={"Retry-After": header}), PAGE), clock=clock).tasks(TaskFilter())

    assert clock.slept == [0.25]


def test_too_long_a_rest(serve: Serve, connect: Connect) -> None:
    """A Retry-After beyond the policy's time ends the read at once, and the next one without a request."""
    clock = SteppingClock()
    server = serve(say({"error": "x"}, 429, headers={"Retry-After": "3600"}))
    api = connect(server, clock=clock)

    for _ in range(2):
        with pytest.raises(ScaleTooManyRequests) as caught:
            api.tasks(TaskFilter())
        assert caught.value.retry_after == 3600
    assert (clock.slept, len(server.seen)) == ([], 1)


def test_time_is_bounded(serve: Serve, connect: Connect) -> None:
    """However many attempts are allowed, no wait reaches beyond the policy's seconds."""
    clock = SteppingClock()
    policy = RetryPolicy(attempts=1000, seconds=10, base=4, cap=4)

    with pytest.raises(ScaleInternalError):
        connect(serve(say(b"", 500)), clock=clock, retry=policy).task("t")
    assert clock.slept == [2, 2, 2, 2, 2]


def test_read_time_out(serve: Serve, connect: Connect) -> None:
    """An API that falls silent is given up after the read time-out, and asked again."""
    server = serve(hang, PAGE)

    page = connect(server, read_timeout=0.3).tasks(TaskFilter())

    assert (len(page.docs), len(server.seen)) == (1, 2)


def test_unreachable(connect: Connect, serve: Serve) -> None:
    """An API that cannot be reached ends as ScaleNotSent, which names host and port and what to do."""
    server = serve(PAGE)
    server.__exit__()
    api = connect(server)

    with pytest.raises(ScaleNotSent, match=f"127.0.0.1:{server.port}: Connection refused") as caught:
        api.task("t")
    assert caught.value.advice
    assert api.requests_made == 0


def test_stop_cuts_the_wait_short(serve: Serve) -> None:
    """Asked to stop during a wait, a read raises its last error at once and sends nothing more."""
    server = serve(say({"error": "broken"}, 500), PAGE)
    clock = Clock()
    policy = RetryPolicy(base=60, cap=60)
    stopper = threading.Timer(0.2, clock.stopping.set)
    started = time.monotonic()

    with ScaleApi(KEY, ApiOptions(server.url, retry=policy), clock=clock, random=lambda: 1.0) as api:
        stopper.start()
        with pytest.raises(ScaleInternalError, match="broken"):
            api.tasks(TaskFilter())
    assert time.monotonic() - started < 5
    assert len(server.seen) == 1


def test_a_429_slows_all_threads(serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    """After one thread's 429 no thread sends anything until the rest that it asked for is over."""
    caplog.set_level(logging.INFO, "scalesync.api")
    server = serve(say(b"", 429, headers={"Retry-After": "0.5"}), PAGE)
    api = connect(server, clock=Clock())
    threads = [threading.Thread(target=api.tasks, args=(TaskFilter(),)) for _ in range(5)]

    threads[0].start()
    while "retrying" not in caplog.messages:
        time.sleep(0.005)
    for thread in threads[1:]:
        thread.start()
    for thread in threads:
        thread.join()

    first, *others = [seen.at for seen in server.seen]
    assert len(others) == 5
    assert min(others) >= first + 0.5


def test_the_pace_recovers(serve: Serve, connect: Connect) -> None:
    """After a 429 successes bring the pace back until nobody waits any more."""
    clock = SteppingClock()
    api = connect(serve(say(b"", 429), PAGE), clock=clock)
    for _ in range(60):
        api.tasks(TaskFilter())
    waits = len(clock.slept)

    for _ in range(10):
        api.tasks(TaskFilter())
    assert (waits > 10, len(clock.slept)) == (True, waits)
