"""Names, payloads and filters: sent so that they arrive as they are, or not at all."""

from typing import Any

import pytest

from scalesync.errors import ScaleInvalidRequest
from scalesync.models.api import TaskFilter
from tests.api.conftest import Connect, Serve
from tests.support.scripted_server import say


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a b/c", "a%20b%2Fc"),
        ("größe", "gr%C3%B6%C3%9Fe"),
        ("100%25?#&+;=", "100%2525%3F%23%26%2B%3B%3D"),
        ("...", "..."),
        ("a/../b", "a%2F..%2Fb"),
        ("\u65e5\U0001f600", "%E6%97%A5%F0%9F%98%80"),
        ("{}", "%7B%7D"),
    ],
)
def test_names_in_paths(serve: Serve, connect: Connect, name: str, path: str) -> None:
    """A name is one segment of the path, whatever it holds."""
    server = serve(say({"name": name}))

    connect(server).batch(name)

    assert server.asked == [f"GET /v1/batches/{path}"]


@pytest.mark.parametrize("name", ["", ".", "..", "\ud800"])
def test_impossible_names(serve: Serve, connect: Connect, name: str) -> None:
    """A name that would end up at another endpoint, or cannot be encoded, is refused before it is sent."""
    server = serve(say())

    with pytest.raises(ScaleInvalidRequest):
        connect(server).cancel_task(name)
    assert server.seen == []


@pytest.mark.parametrize("payload", [{"a": float("nan")}, {"a": object()}])
def test_impossible_payloads(serve: Serve, connect: Connect, payload: dict[str, Any]) -> None:
    """A payload that is not JSON is refused before it is sent, rather than altered."""
    server = serve(say())

    with pytest.raises(ScaleInvalidRequest, match="not JSON"):
        connect(server).create_task("chat", payload)
    assert server.seen == []


def test_impossible_filter(serve: Serve, connect: Connect) -> None:
    """A filter that cannot be encoded is refused before it is sent."""
    server = serve(say())

    with pytest.raises(ScaleInvalidRequest, match="filter"):
        connect(server).tasks(TaskFilter(project="\ud800"))
    assert server.seen == []
