"""Every operation: what it sends, and what it makes of the answer."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from scalesync.api import ScaleApi
from scalesync.errors import ScaleException, ScaleInvalidRequest
from scalesync.models.api import BatchFilter, BatchStatus, Document, TaskFilter
from tests.api.conftest import Connect, Serve
from tests.support.scripted_server import Step, raw, say

SERVED = datetime(2026, 11, 3, 10, tzinfo=UTC)
NOON = datetime(2023, 10, 11, 12, 0, 0, 350_999, tzinfo=UTC)

DOCUMENTS: list[tuple[str, Any, str, Any]] = [
    ("task", lambda api: api.task("5c84a"), "GET /v1/task/5c84a", None),
    ("batch", lambda api: api.batch("b"), "GET /v1/batches/b", None),
    ("project", lambda api: api.project("p"), "GET /v1/projects/p", None),
    (
        "create a task",
        lambda api: api.create_task("imageannotation", {"unique_id": "u", "n": [1.5, None]}),
        "POST /v1/task/imageannotation",
        {"unique_id": "u", "n": [1.5, None]},
    ),
    ("cancel", lambda api: api.cancel_task("5c84a"), "POST /v1/task/5c84a/cancel", None),
    (
        "cancel and free the unique_id",
        lambda api: api.cancel_task("5c84a", clear_unique_id=True),
        "POST /v1/task/5c84a/cancel?clear_unique_id=true",
        None,
    ),
    (
        "create a batch",
        lambda api: api.create_batch({"project": "p", "name": "b"}),
        "POST /v1/batches",
        {"project": "p", "name": "b"},
    ),
    (
        "replace tags",
        lambda api: api.change_task("5c84a", "tags", ["a b", "c"]),
        "POST /v1/task/5c84a/tags",
        ["a b", "c"],
    ),
    (
        "add tags",
        lambda api: api.change_task("5c84a", "tags", ["a"], method="PUT"),
        "PUT /v1/task/5c84a/tags",
        ["a"],
    ),
    (
        "remove tags",
        lambda api: api.change_task("5c84a", "tags", ["a"], method="DELETE"),
        "DELETE /v1/task/5c84a/tags",
        ["a"],
    ),
    (
        "clear a unique_id",
        lambda api: api.change_task("5c84a", "unique_id", method="DELETE"),
        "DELETE /v1/task/5c84a/unique_id",
        None,
    ),
    (
        "set a batch's metadata",
        lambda api: api.set_batch_metadata("b", {"a": 1}),
        "POST /v1/batches/b/setMetadata",
        {"a": 1},
    ),
    ("finalize", lambda api: api.finalize_batch("b"), "POST /v1/batches/b/finalize", None),
    (
        "create a project",
        lambda api: api.create_project({"name": "p", "type": "chat"}),
        "POST /v1/projects",
        {"name": "p", "type": "chat"},
    ),
    (
        "replace a project's parameters",
        lambda api: api.update_project("p", {"instruction": "i"}),
        "POST /v1/projects/p/setParams",
        {"instruction": "i"},
    ),
    (
        "patch a project's parameters",
        lambda api: api.update_project("p", {"instruction": "i"}, patch=True),
        "POST /v1/projects/p/setParams",
        {"instruction": "i", "patch": True},
    ),
    (
        "say that it is no patch",
        lambda api: api.update_project("p", {}, patch=False),
        "POST /v1/projects/p/setParams",
        {"patch": False},
    ),
]


@pytest.mark.parametrize(
    ("call", "asked", "body"), [row[1:] for row in DOCUMENTS], ids=[r[0] for r in DOCUMENTS]
)
def test_document_operations(serve: Serve, connect: Connect, call: Any, asked: str, body: Any) -> None:
    """Each operation on one object sends its method, path and JSON body, and gives the document untouched."""
    name = b"p" if "projects" in asked else b"b"
    served = b'{"task_id": "5c84a", "name": "%s", "a": 1.50, "b": null}' % name
    server = serve(say(b" " + served + b"\n"))

    answer = call(connect(server))

    assert server.asked == [asked]
    assert (json.loads(server.seen[0].body) if server.seen[0].body else None) == body
    assert server.seen[0].headers.get("Content-Type") == (None if body is None else "application/json")
    assert isinstance(answer, Document)
    assert (bytes(answer.raw), answer.served_at, answer.replaced) == (served, SERVED, 0)


def test_headers(serve: Serve, connect: Connect) -> None:
    """A request carries the key as user name with an empty password, asks for gzip, and says who we are."""
    server = serve(say())

    connect(server).task("t")

    headers = server.seen[0].headers
    assert headers["Authorization"] == "Basic bGl2ZV8wMTIzNDU2Nzg5YWJjZGVmOg=="
    assert headers["Accept-Encoding"] == "gzip"
    assert headers["User-Agent"] == "scalesync/0.1.0"


def test_task_page(serve: Serve, connect: Connect) -> None:
    """A page of tasks holds the documents as sent, the total, the token and the API's clock."""
    server = serve(
        say(b'{"docs": [{"a":1}, {"b": 2.0}], "total": 24, "limit": 2, "has_more": true, "next_token": "x="}')
    )

    page = connect(server).tasks(TaskFilter(), limit=2, next_token="w=")

    assert server.asked == ["GET /v1/tasks?limit=2&next_token=w%3D"]
    assert [bytes(doc) for doc in page.docs] == [b'{"a":1}', b'{"b": 2.0}']
    assert (page.total, page.next_token, page.has_more, page.served_at) == (24, "x=", True, SERVED)


@pytest.mark.parametrize("token", ['"next_token": null', '"next_token": ""', '"offset": 0'])
def test_last_task_page(serve: Serve, connect: Connect, token: str) -> None:
    """A null, empty or absent token is none, and what the API says of more is kept beside it."""
    server = serve(say(f'{{"docs": [], "total": 0, "has_more": true, {token}}}'.encode()))

    page = connect(server).tasks(TaskFilter())

    assert (page.next_token, page.has_more, page.docs) == (None, True, ())


def test_task_filters(serve: Serve, connect: Connect) -> None:
    """Filters go out as the API spells them: UTC milliseconds, repeated keys, one comma separated list."""
    server = serve(say({"docs": [], "total": 0}))
    chosen = TaskFilter(
        start_time=NOON,
        end_time=NOON,
        completed_after=NOON,
        completed_before=NOON,
        updated_after=NOON,
        updated_before=NOON,
        status="completed",
        type="imageannotation",
        project="a b/ü",
        batch="b&c=d+e",
        customer_review_status=("accepted", "fixed"),
        unique_id=("u1", "u,2"),
        tags=("t1",),
        include_attachment_url=False,
        limited_response=True,
    )

    connect(server).tasks(chosen)

    at = "2023-10-11T12%3A00%3A00.350Z"
    assert server.seen[0].target == (
        f"/v1/tasks?start_time={at}&end_time={at}&completed_after={at}&completed_before={at}"
        f"&updated_after={at}&updated_before={at}&status=completed&type=imageannotation"
        "&project=a+b%2F%C3%BC&batch=b%26c%3Dd%2Be&customer_review_status=accepted%2Cfixed"
        "&unique_id=u1&unique_id=u%2C2&tags=t1&include_attachment_url=false&limited_response=true&limit=100"
    )


def test_batches_page_by_offset(serve: Serve, connect: Connect) -> None:
    """Batches hand the next offset on as an opaque token, and send it back as an offset."""
    first = {"docs": [{"name": "b1"}, {"name": "b2"}], "totalDocs": 3, "hasNextPage": True, "has_more": True}
    last = {"docs": [{"name": "b3"}], "totalDocs": 3, "hasNextPage": False, "has_more": False}
    server = serve(say(first), say(last))
    api = connect(server)

    page = api.batches(BatchFilter(exclude_archived=True, status="staging"), limit=2)
    rest = api.batches(BatchFilter(), limit=2, next_token=page.next_token)

    assert server.asked == [
        "GET /v1/batches?status=staging&exclude_archived=true&limit=2",
        "GET /v1/batches?limit=2&offset=2",
    ]
    assert (page.total, page.has_more, len(page.docs)) == (3, True, 2)
    assert (rest.total, rest.has_more, rest.next_token, len(rest.docs)) == (3, False, None, 1)


def test_batches_follow_a_token(serve: Serve, connect: Connect) -> None:
    """If the API gives a token for batches after all, that is what goes back to it."""
    server = serve(say({"docs": [{}], "total": 9, "has_more": True, "next_token": "tok"}))
    api = connect(server)

    token = api.batches(BatchFilter()).next_token
    page = api.batches(BatchFilter(), next_token=token)

    assert token == "tok"
    assert server.asked[1] == "GET /v1/batches?limit=100&next_token=tok"
    assert (page.total, page.next_token) == (9, "tok")


@pytest.mark.parametrize(("total", "more"), [(1, False), (2, True), (None, False)])
def test_batches_without_has_more(serve: Serve, connect: Connect, total: int | None, more: bool) -> None:
    """Where a page of batches does not say whether there is more, its total decides."""
    page = connect(serve(say({"docs": [{}], "totalDocs": total}))).batches(BatchFilter())

    assert (page.has_more, page.next_token) == (more, "offset:1" if more else None)


@pytest.mark.parametrize("said", [{"has_more": True, "hasNextPage": False}, {"next_token": "x"}])
def test_any_word_of_more_batches_counts(serve: Serve, connect: Connect, said: dict[str, object]) -> None:
    """One word of the API that there are more batches is enough to go on."""
    page = connect(serve(say({"docs": [{}], **said}))).batches(BatchFilter())

    assert page.has_more
    assert page.next_token == said.get("next_token", "offset:1")


def test_batch_status(serve: Serve, connect: Connect) -> None:
    """A batch's status has 0 for every count that the API left out."""
    server = serve(say({"status": "in_progress", "pending": 7, "error": None}))

    assert connect(server).batch_status("b") == BatchStatus("in_progress", 7, 0, 0, 0, SERVED)
    assert server.asked == ["GET /v1/batches/b/status"]


def test_projects(serve: Serve, connect: Connect) -> None:
    """Projects come as one page, whatever their number; archived is sent only when it is said."""
    server = serve(say([{"name": "p1"}, {"name": "p2"}]))
    api = connect(server)

    page = api.projects()
    api.projects(archived=True)
    api.projects(archived=False)

    assert (len(page.docs), page.total, page.next_token, page.has_more) == (2, 2, None, False)
    assert server.asked == [
        "GET /v1/projects",
        "GET /v1/projects?archived=true",
        "GET /v1/projects?archived=false",
    ]


def test_finalize_may_answer_ok(serve: Serve, connect: Connect) -> None:
    """A batch is finalized by a bare OK too: there is no document then."""
    assert connect(serve(say(b"OK"))).finalize_batch("b") is None


UNREADABLE = [
    "",
    "yesterday",
    "Tue, 99 Nov 2026 10:00:00 GMT",
    "Fri, 01 Jan 0100 00:00:00 +1400",
    "Fri, 31 Dec 9999 23:59:59 -1400",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Tue, 03 Nov 1926 10:00:00 GMT",
    "Tue, 03 Nov 2026 10:00:00 +9999",
    f"Tue, 03 Nov {'9' * 5000} 10:00:00 GMT",
    "Tue, 03 Nov 2026 99:99:99 GMT",
    "\xff\xfe",
    "1762164000",
    "NaN",
]


@pytest.mark.parametrize("date", UNREADABLE, ids=lambda date: ascii(date[:40]))
def test_served_at_without_a_date(serve: Serve, connect: Connect, date: str) -> None:
    """Without a readable Date header our own clock stands in."""
    before = datetime.now(UTC)

    page = connect(serve(say([], headers={"Date": date}))).projects()

    assert before <= page.served_at <= datetime.now(UTC)


@pytest.mark.parametrize(
    "others",
    [
        ("Tue, 03 Nov 2026 10:00:00 GMT",),
        ("Fri, 01 Jan 2100 00:00:00 GMT",),
        ("yesterday", "Fri, 31 Dec 9999 23:59:59 -1400"),
    ],
)
def test_of_several_dates_the_earliest_counts(
    serve: Serve, connect: Connect, others: tuple[str, ...]
) -> None:
    """A proxy may add its own."""
    lines = "".join(f"Date: {date}\r\n" for date in (*others, "Tue, 03 Nov 2026 10:00:00 GMT", *others))
    answer = f"HTTP/1.1 200 OK\r\n{lines}Content-Length: 2\r\n\r\n[]"

    page = connect(serve(raw(answer.encode()))).projects()

    assert (page.dated, page.served_at) == (True, datetime(2026, 11, 3, 10, tzinfo=UTC))


NOWHERE = [
    say(b"<html>Welcome</html>"),
    say({"error": "no such route"}, 404),
    say(b"", 301, headers={"Location": "https://elsewhere"}),
]


@pytest.mark.parametrize("answer", NOWHERE)
def test_an_address_without_its_version_is_asked_about(serve: Serve, connect: Connect, answer: Step) -> None:
    """Where there is no list, and /v1 is missing, it says so; a missing object says nothing of it."""
    server = serve(answer)
    root = server.url.removesuffix("/v1")

    with pytest.raises(ScaleException) as caught:
        connect(root).projects()
    assert caught.value.advice == f"Should the API's address end in /v1? It is {root}."
    with pytest.raises(ScaleException) as caught:
        connect(server.url).tasks(TaskFilter())
    assert caught.value.advice == ""
    with pytest.raises(ScaleException) as caught:
        connect(root).task("t")
    assert caught.value.advice == ""


def test_replacements_are_counted(serve: Serve, connect: Connect) -> None:
    """Characters that no database holds become U+FFFD in pages and documents, and are counted."""
    server = serve(
        say(b'{"docs": [{"a": "x\\u0000\\ud83d\\ude00"}, {"a": "\\udc00\xff"}], "total": 2}'),
        say(b'{"task_id": "t", "a": "\\u0000"}'),
    )
    api = connect(server)

    page = api.tasks(TaskFilter())
    task = api.task("t")

    assert [json.loads(bytes(doc))["a"] for doc in page.docs] == ["x\ufffd\U0001f600", "\ufffd\ufffd"]
    assert (page.replaced, task.replaced, bytes(task.raw)) == (3, 1, b'{"task_id": "t", "a": "\\ufffd"}')


def test_a_page_of_large_tasks(serve: Serve, connect: Connect) -> None:
    """A page of many megabytes is an ordinary answer."""
    docs = [{"task_id": str(n), "text": "x" * 3_000_000} for n in range(10)]

    page = connect(serve(say({"docs": docs, "total": 10}))).tasks(TaskFilter())

    assert sum(len(memoryview(doc)) for doc in page.docs) > 30_000_000


def test_repr() -> None:
    """A client says where it is connected to."""
    assert repr(ScaleApi("live_x")) == "ScaleApi('https://api.scale.com/v1')"


def test_long_messages_are_cut(serve: Serve, connect: Connect) -> None:
    """The API's own words are kept up to a length that fits a screen."""
    with pytest.raises(ScaleInvalidRequest) as caught:
        connect(serve(say({"error": "words " * 1000}, 400))).task("t")
    assert len(caught.value.message) == 1000
