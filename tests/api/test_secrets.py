"""The key goes to the API and nowhere else."""

import base64
import logging
import pickle
import traceback
from typing import Any

import pytest

from scalesync.api import ApiOptions, ScaleApi
from scalesync.errors import ConfigurationError, ScaleException
from scalesync.models.api import TaskFilter
from tests.api.conftest import KEY, Connect, Serve
from tests.support.scripted_server import Step, cut_chunk, hang, raw, reset, say, truncated

ENCODED = base64.b64encode(f"{KEY}:".encode()).decode().rstrip("=")
ECHO = f"key {KEY} (Basic {ENCODED}==) is wrong"

FAULTS: dict[str, Step] = {
    **{
        str(code): say({"error": ECHO}, code)
        for code in (301, 400, 401, 402, 403, 404, 409, 429, 500, 503, 520)
    },
    "html": say(f"<html>{ECHO}".encode(), 502),
    "reset": reset,
    "silence": hang,
    "truncated": truncated(),
    "cut chunk": cut_chunk(),
    "garbage": raw(b"garbage\r\n\r\n"),
    "no JSON": say(ECHO.encode()),
    "wrong shape": say([ECHO, {ECHO: ECHO}]),
}


def reveals(text: str) -> bool:
    """Tell whether the key is in `text`, plain or encoded."""
    return KEY in text or ENCODED in text or base64.b64encode(KEY.encode()).decode()[:-4] in text


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_errors_and_logs(
    serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture, fault: Step
) -> None:
    """No error, traceback or log record of any kind shows the key, even where the API repeats it."""
    caplog.set_level(logging.DEBUG)
    api = connect(serve(fault), read_timeout=0.05)

    for call in (lambda: api.tasks(TaskFilter()), lambda: api.create_batch({"name": "b"})):
        with pytest.raises(ScaleException) as caught:
            call()
        shown = [
            str(caught.value),
            repr(caught.value),
            caught.value.advice,
            *traceback.format_exception(caught.value),
        ]
        assert not any(map(reveals, shown))
    records = [f"{record.getMessage()} {vars(record)}" for record in caplog.records]
    assert len(records) >= 2
    assert not any(map(reveals, records))


def test_reprs(serve: Serve, connect: Connect) -> None:
    """No repr of the client, nor of anything it holds, shows the key."""
    api = connect(serve(say()))
    api.task("t")

    shown = [repr(api), str(api), repr(api.options)]
    for value in vars(api).values():
        shown += [repr(value), str(value)]
    assert not any(map(reveals, shown))


BATCH = {"name": "private batch"}


def test_log_events(serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    """Requests and retries are logged under fixed names, without names of objects, queries or bodies."""
    caplog.set_level(logging.DEBUG, "scalesync.api")
    api = connect(serve(say({"error": "private words"}, 500), say({"docs": [], "total": 0}), say(BATCH)))

    api.tasks(TaskFilter(project="private project"))
    api.batch("private batch")

    records = [record for record in caplog.records if record.name == "scalesync.api"]
    assert [record.getMessage() for record in records] == ["request", "retrying", "request", "request"]
    seen = [
        {key: vars(record).get(key) for key in ("method", "route", "status", "attempt")} for record in records
    ]
    assert seen == [
        {"method": "GET", "route": "tasks", "status": 500, "attempt": 1},
        {"method": "GET", "route": "tasks", "status": 500, "attempt": 1},
        {"method": "GET", "route": "tasks", "status": 200, "attempt": 2},
        {"method": "GET", "route": "batches/{}", "status": 200, "attempt": 1},
    ]
    assert "private" not in str([vars(record) for record in records])


@pytest.mark.parametrize("key", ["", " ", "live_a b", "live_a\n", "live_ä", "a:b", "live_\x00"])
def test_impossible_keys(key: str) -> None:
    """A key that no header can carry is refused at once, without being repeated."""
    with pytest.raises(ConfigurationError) as caught:
        ScaleApi(key)
    assert key.strip() == "" or key not in str(caught.value) + caught.value.advice


def test_keys_in_use() -> None:
    """Live keys, test keys and keys that end in |test are accepted."""
    for key in ("live_0123456789abcdef", "test_0123456789abcdef", "0123|test"):
        ScaleApi(key)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.scale.com/v1",
        "http://127.0.0.1.example.com/v1",
        "http://localhost.example.com",
        "http://0.0.0.0:8080",
        "http://192.168.1.5/v1",
        "http://[::2]/v1",
        f"https://{KEY}:@api.scale.com/v1",
        f"https://{KEY}@api.scale.com/v1",
        f"http://{KEY}@127.0.0.1/v1",
        f"https://api.scale.com/v1?key={KEY}",
        f"https://api.scale.com/v1#{KEY}",
        "ftp://api.scale.com/v1",
        "api.scale.com/v1",
        "https://",
        "https://api.scale.com:99999/v1",
        "https://[::1/v1",
        "",
    ],
)
def test_impossible_addresses(url: str) -> None:
    """An address that would carry the key in the open, or is none, is refused without repeating secrets."""
    with pytest.raises(ConfigurationError) as caught:
        ApiOptions(url=url)
    assert not reveals(str(caught.value) + caught.value.advice)
    assert not reveals("".join(traceback.format_exception(caught.value)))


@pytest.mark.parametrize(
    "url",
    [
        "https://api.scale.com/v1/",
        "http://localhost:8000/v1",
        "http://127.0.0.1:1/v1",
        "http://127.8.9.10/v1",
        "http://[::1]:8000/v1",
        "HTTP://LOCALHOST/v1",
    ],
)
def test_possible_addresses(url: str) -> None:
    """HTTPS to anywhere and plain HTTP to this machine are accepted; a slash at the end is dropped."""
    assert ApiOptions(url=url).url == url.rstrip("/")


def test_insecure_http_is_a_choice() -> None:
    """Plain HTTP to another machine takes a word of its own."""
    assert ApiOptions(url="http://proxy.internal/v1", insecure_http=True).host == "proxy.internal:80"


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_impossible_rates(rate: float) -> None:
    """A rate of nothing, or of no end, is refused."""
    with pytest.raises(ConfigurationError, match="rate"):
        ApiOptions(rate=rate)


def test_the_client_is_not_pickled() -> None:
    """A client cannot be pickled, and so its key does not end up in a file or another process."""
    api: Any = ScaleApi(KEY)
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        pickle.dumps(api)
