"""No answer takes more memory than is meant for it, however small it travels."""

import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import pytest

from scalesync.errors import (
    InconsistentPageError,
    ScaleException,
    ScaleNoAnswer,
    ScaleResourceNotFound,
    UnreadablePageError,
)
from scalesync.models.api import TaskFilter
from scalesync.retry import RetryPolicy
from tests.api.conftest import Connect, Serve
from tests.support.scripted_server import say

PAGE = say({"docs": [{"task_id": "t"}], "total": 1, "has_more": False})


def bomb(size: int) -> bytes:
    """Return a page of JSON with many blanks in it, packed to a thousandth."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    blanks = b" " * (1 << 20)
    pieces = [packer.compress(b'{"docs": []'), *(packer.compress(blanks) for _ in range(size >> 20))]
    return b"".join([*pieces, packer.compress(b"}"), packer.flush()])


LARGE: dict[str, tuple[Callable[[], bytes], str]] = {
    "packed": (lambda: bomb(64 << 20), "gzip"),
    "packed twice": (lambda: gzip.compress(bomb(64 << 20)), "gzip, gzip"),
    "packed without a word": (lambda: bomb(64 << 20), ""),
    "as it is": (lambda: b'{"docs": []' + b" " * (8 << 20) + b"}", ""),
}


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("large", LARGE.keys())
def test_an_answer_is_as_large_as_it_is_unpacked(
    serve: Serve, connect: Connect, large: str, status: int
) -> None:
    """Whatever travels, no more of it comes into memory than the limit; the next request is answered."""
    body, encoding = LARGE[large]
    server = serve(say(body(), status, headers={"Content-Encoding": encoding}), PAGE)
    once = RetryPolicy(attempts=1)
    api = connect(server, largest=1 << 20, retry=once)

    tracemalloc.start()
    try:
        with pytest.raises(ScaleException, match="larger than any" if status == 200 else "answered 500"):
            api.tasks(TaskFilter())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 6 << 20
    assert len(api.tasks(TaskFilter()).docs) == 1


def test_too_large_a_page_is_wrong_by_itself_and_too_large_a_document_no_answer(
    serve: Serve, connect: Connect
) -> None:
    """Other pages may be smaller."""
    api = connect(serve(say(b"{}" + b" " * 100)), largest=100, retry=RetryPolicy(attempts=1))

    with pytest.raises(UnreadablePageError, match="larger than any"):
        api.tasks(TaskFilter())
    for ask in (api.task, api.finalize_batch):
        with pytest.raises(ScaleNoAnswer, match="larger than any") as caught:
            ask("x")
        assert not isinstance(caught.value, InconsistentPageError)


def test_a_page_of_many_shapes_is_taken(serve: Serve, connect: Connect) -> None:
    """One of 100 tasks with 3,000 annotations each, packed as the API packs it."""
    shape = b'{"type":"box","label":"car","uuid":"%036d","left":1.5,"top":2.5,"width":3,"height":4}'
    shapes = b",".join(shape % number for number in range(3_000))
    task = b'{"task_id":"%d","response":{"annotations":[' + shapes + b"]}}"
    page = b'{"docs":[' + b",".join(task % number for number in range(100)) + b'],"total":100}'
    packed = gzip.compress(page, compresslevel=1)

    read = connect(serve(say(packed, headers={"Content-Encoding": "gzip"}))).tasks(TaskFilter())

    assert (len(read.docs), len(bytes(read.docs[99]))) == (100, len(task % 99))


@pytest.mark.parametrize("headers", [{"Content-Encoding": "gzip"}, {"Content-Encoding": "br"}])
@pytest.mark.parametrize(
    "body", [b"", b"no gzip at all", gzip.compress(b'{"error": "x"}', mtime=0)[:-9]], ids=len
)
def test_a_refusal_that_cannot_be_unpacked_is_one(
    serve: Serve, connect: Connect, body: bytes, headers: dict[str, str]
) -> None:
    """Its status says what matters."""
    with pytest.raises(ScaleResourceNotFound, match="answered 404"):
        connect(serve(say(body, 404, headers=headers))).task("t")
