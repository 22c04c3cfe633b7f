"""Result files: fetched once each, kept with the annotations in them, and tried again where they failed."""

import codecs
import gzip
import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler

import msgspec
import pytest
from sqlalchemy import select, update

from scalesync.annotations.flatten import flatten, result_urls
from scalesync.annotations.urls import unsigned_url
from scalesync.api import ApiOptions, ScaleApi
from scalesync.clock import Clock
from scalesync.db.database import Database
from scalesync.db.mirror import query
from scalesync.db.mirror.annotations import write_again
from scalesync.db.schema.annotations_and_changes import annotations, result_files, task_files
from scalesync.db.schema.mirror import tasks
from scalesync.sandbox import SandboxServer, Switches
from scalesync.sandbox.result_files import content
from scalesync.sync.download_events import FileSaved
from tests.support.file_server import (
    KEY,
    LONG_AGO,
    FileServer,
    fetch,
    frames,
    labels,
    rows,
    save_task,
    state,
    stopping_after,
)
from tests.support.sync_env import sync, verify

Start = Callable[..., SandboxServer]


@pytest.fixture
def file_server() -> Iterator[FileServer]:
    """Start a server of files."""
    with FileServer() as file_server:
        yield file_server


def test_a_file_is_fetched_once_and_its_annotations_are_rows(
    database: Database, file_server: FileServer
) -> None:
    """With their frames; the file stands beside them with its digest, size and the time of its server."""
    file_server.files["one"] = file = frames("car", "bus")
    save_task(database, "a", file_server.url("one"))

    first, second = fetch(database), fetch(database)

    assert labels(database) == [("a", 0, "car"), ("a", 1, "bus")]
    assert (first.fetched, first.failed, first.bytes, first.annotations) == (1, 0, len(file), 2)
    assert (first.complete, second.complete, second.fetched, file_server.asked) == (
        True,
        True,
        0,
        ["one?X-Amz-Signature=first"],
    )
    names = ("url", "sha256", "bytes", "fetched_at", "content", "error")
    noon = datetime(2026, 11, 3, 10, tzinfo=UTC)
    assert rows(database, result_files, names) == [
        (file_server.url("one", None), hashlib.sha256(file).hexdigest(), len(file), noon, file, None)
    ]


def test_every_file_of_an_account_is_fetched(start_sandbox: Start, database: Database) -> None:
    """Once each, although links differ at every read; the annotations are those in documents and files."""
    server = start_sandbox(tasks=300, switches=Switches(presigned_urls="always"))
    sync(server, database)

    summary = fetch(database, api_url=server.url)

    expected = Counter[str]()
    named: set[str] = set()
    for raw in server.backend.documents("tasks"):
        task = msgspec.json.decode(raw)
        response = msgspec.json.encode(task.get("response"))
        urls = {unsigned_url(url): tuple(url.split("/")[-2:]) for url in result_urls(task["type"], response)}
        files = {url: content(*place) or b"" for url, place in urls.items()}
        if count := len(flatten(task["type"], response, files).annotations):
            expected[task["task_id"]] = count
        named |= urls.keys()
    with database.read() as conn:
        found = Counter(conn.scalars(select(annotations.c.task_id)))
    assert (summary.complete, summary.fetched, found) == (True, len(named), expected)
    assert server.backend.requests["GET /results/{kind}/{name}"] == len(named) > 5
    assert "Signature" not in str(rows(database, result_files, ("url",)))


def test_a_run_that_is_stopped_is_gone_on_with(database: Database, file_server: FileServer) -> None:
    """What was kept is not asked for again; what was cut off is no failure."""
    for number in range(12):
        file_server.files[f"{number:02}"] = frames("car")
        save_task(database, f"t{number:02}", file_server.url(f"{number:02}"))
    clock = Clock()

    stopped = fetch(database, clock=clock, watch=stopping_after(3, FileSaved, clock), workers=2)
    kept = {name for name, (here, _) in state(database).items() if here}
    again = fetch(database)

    assert (stopped.stopped, stopped.complete, stopped.failed, again.complete) == (True, False, 0, True)
    assert 3 <= len(kept) == stopped.fetched <= 5
    assert again.fetched == 12 - len(kept)
    assert all([name.split("?")[0] for name in file_server.asked].count(name) == 1 for name in kept)
    assert len(labels(database)) == 12


def test_a_stop_does_not_wait_for_a_server(database: Database, file_server: FileServer) -> None:
    """A download that hangs is cut off, and nothing is noted against its file."""
    clock, ended, answered = Clock(), threading.Event(), list[str]()

    def hang(_: BaseHTTPRequestHandler) -> None:
        clock.stopping.set()
        ended.wait(20)
        answered.append("slow")

    file_server.files["slow"] = hang
    save_task(database, "a", file_server.url("slow"))

    summary = fetch(database, clock=clock)

    assert (summary.stopped, answered, state(database)) == (True, [], {"slow": (False, None)})
    ended.set()


def test_what_fails_is_noted_and_tried_again(database: Database, file_server: FileServer) -> None:
    """The others come all the same; the sentence goes when the file has come."""
    file_server.files |= {"good": frames("car"), "gone": 403, "down": 500}
    for name in ("good", "gone", "down"):
        save_task(database, name, file_server.url(name))

    first = fetch(database)

    assert (first.fetched, first.failed, first.complete) == (1, 2, False)
    found = state(database)
    assert found["good"] == (True, None)
    assert "127.0.0.1 answered 403: the link may have expired" in str(found["gone"])
    assert "answered 500" in str(found["down"])
    assert "first" not in str(found)
    assert all(at is not None for (at,) in rows(database, result_files, ("tried_at",)))

    file_server.files |= {"gone": frames("bus"), "down": frames("van")}
    assert fetch(database).complete
    assert set(state(database).values()) == {(True, None)}
    assert [label for _, _, label in labels(database)] == ["van", "bus", "car"]


def test_a_file_too_large_or_too_slow_is_left_out(database: Database, file_server: FileServer) -> None:
    """By its size unpacked and its time as a whole; a byte now and then does not help."""

    def trickle(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        for _ in range(500):
            request.wfile.write(b" ")
            time.sleep(0.01)

    file_server.files |= {"large": b" " * 2000, "slow": trickle, "good": frames("car")}
    for name in file_server.files:
        save_task(database, name, file_server.url(name))

    summary = fetch(database, largest=1000, seconds=0.3)

    assert (summary.fetched, summary.failed) == (1, 2)
    assert state(database) == {
        "good": (True, None),
        "large": (False, "The file is larger than the limit of 1,000 bytes."),
        "slow": (False, "The file did not come whole within 0.3 s."),
    }


def test_only_the_api_sees_the_key(database: Database, file_server: FileServer) -> None:
    """A file on another host is asked for without it, also where the API redirects there."""
    with FileServer() as api:

        def redirect(request: BaseHTTPRequestHandler) -> None:
            request.send_response(302)
            request.send_header("Location", file_server.url("there"))
            request.end_headers()

        api.files |= {"own": frames("car"), "led": redirect}
        file_server.files |= {"there": frames("bus"), "other": frames("van")}
        for task_id, url in enumerate((api.url("own"), api.url("led"), file_server.url("other"))):
            save_task(database, str(task_id), url)

        assert fetch(database, api_url=f"{api.origin}/v1").complete
        assert len(api.authorizations) == 2
        assert all(api.authorizations)
        assert file_server.authorizations == [None, None]


def test_private_addresses_are_refused_unless_allowed(database: Database, file_server: FileServer) -> None:
    """The API's own address is no exception: nobody was asked for anything."""
    file_server.files["one"] = frames("car")
    save_task(database, "a", file_server.url("one"))

    summary = fetch(database, allow_private=False, api_url=f"{file_server.origin}/v1")

    assert (summary.failed, file_server.asked) == (1, [])
    assert "private address" in str(state(database)["one"])
    assert fetch(database).complete


def test_nuls_and_what_no_database_holds(database: Database, file_server: FileServer) -> None:
    """Trailing NULs go, U+0000 and half a surrogate become U+FFFD; the digest is of the file as it came."""
    text = rb'[{"annotations": [{"label": "a\u0000b\ud800", "left": 1, "top": 1, "width": 1, "height": 1}]}]'
    file_server.files["one"] = file = text + bytes(600)
    save_task(database, "a", file_server.url("one"))

    fetch(database)

    assert labels(database) == [("a", 0, "a\ufffdb\ufffd")]
    [(held, digest, size)] = rows(database, result_files, ("content", "sha256", "bytes"))
    assert held == text.replace(b"\\u0000", b"\\ufffd").replace(b"\\ud800", b"\\ufffd")
    assert (digest, size) == (hashlib.sha256(file).hexdigest(), len(file))


BOX = frames("car")
UNREAD = {
    "cut": BOX[:-5],
    "document": b"<Error><Code>AccessDenied</Code><Message>a secret</Message></Error>",
    "empty": b"",
    "form": b'{"version": "2", "tracks": [{"id": 1, "boxes": []}]}',
    "image": b"\x89PNG\0\xff",
    "Latin-1": frames("straße").decode().encode("latin-1"),
    "nothing": b"[{}]",
    "null": b"[null]",
    "refused": b'{"error":"AccessDenied"}',
    "seven": b"7",
    "part": BOX[:-1] + b', {"shapes": ["a secret"]}]',
}


@pytest.mark.parametrize("name", UNREAD)
def test_a_file_that_cannot_be_read_is_had_but_not_read(
    name: str, database: Database, file_server: FileServer
) -> None:
    """It came, and stays as evidence; but it has an error, counts apart, and is tried again."""
    file_server.files["one"] = file = UNREAD[name]
    save_task(database, "a", file_server.url("one"))

    first, second = fetch(database), fetch(database)

    for summary in (first, second):
        assert (summary.complete, summary.fetched, summary.failed, summary.unread) == (False, 0, 1, 1)
        assert [(reason.files, "secret" in repr(reason)) for reason in summary.reasons] == [(1, False)]
    [(held, digest, came, read, error)] = rows(
        database, result_files, ("content", "sha256", "fetched_at", "read_at", "error")
    )
    assert (digest, came is not None, read) == (hashlib.sha256(file).hexdigest(), True, None)
    assert held == file
    assert error == first.reasons[0].error
    assert counted(database) == (0, 1)
    assert labels(database)[:1] == ([("a", 0, "car")] if name == "part" else [])

    file_server.files["one"] = BOX
    assert (fetch(database).complete, labels(database)) == (True, [("a", 0, "car")])
    [(read, error)] = rows(database, result_files, ("read_at", "error"))
    assert (read is not None, error, counted(database)) == (True, None, (0, 0))


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_a_label_is_never_read_from_bytes_that_are_no_utf_8(
    encoding: str, database: Database, file_server: FileServer
) -> None:
    """Neither when the file comes nor when its task is written again; a U+FFFD that came is read."""
    label = "straße" if encoding == "latin-1" else "stra\ufffde"
    file_server.files["one"] = frames(label).decode().encode(encoding)
    save_task(database, "a", file_server.url("one"))
    summary = fetch(database)

    save_task(database, "a", file_server.url("one"), status="completed")
    with database.write() as conn:
        write_again(conn, ["a"])

    read = encoding == "utf-8"
    assert (summary.complete, labels(database)) == (read, [("a", 0, label)] if read else [])
    error = None if read else "The file is not whole JSON: it has bytes that are not UTF-8."
    assert (state(database), counted(database)) == ({"one": (True, error)}, (0, int(not read)))


def counted(database: Database) -> tuple[int, int]:
    """Return how many files are still to come, and how many came and were not read."""
    with database.read() as conn:
        return query.files_wanted(conn), query.files_unread(conn)


def test_what_came_and_was_not_read_outlasts_a_failure(database: Database, file_server: FileServer) -> None:
    """When the next attempt brings nothing at all, the error is the newer one, and the evidence stays."""
    file_server.files["one"] = UNREAD["document"]
    save_task(database, "a", file_server.url("one"))
    fetch(database)

    file_server.files["one"] = 500
    assert (fetch(database).unread, counted(database)) == (0, (0, 1))

    [(content, error)] = rows(database, result_files, ("content", "error"))
    assert (content, "answered 500" in error) == (UNREAD["document"], True)


@pytest.mark.parametrize(
    "file",
    [
        codecs.BOM_UTF8 + BOX,
        BOX + bytes(9),
        gzip.compress(BOX),
        BOX.replace(b'"top":2', b'"top":NaN'),
        BOX.replace(b'"top":2', b'"top":1e400'),
        BOX.decode().encode("utf-16"),
    ],
    ids=["mark", "NULs", "gzip", "NaN", "large", "UTF-16"],
)
def test_a_file_that_only_has_a_mark_is_read(
    file: bytes, database: Database, file_server: FileServer
) -> None:
    """What is kept of it has neither mark nor NULs, and is not packed."""
    file_server.files["one"] = file
    save_task(database, "a", file_server.url("one"))

    assert fetch(database).complete
    assert (labels(database), counted(database)) == ([("a", 0, "car")], (0, 0))
    assert rows(database, result_files, ("content",))[0][0].startswith(b"[{")


def test_a_deep_verification_names_tasks_whose_files_could_not_be_read(
    start_sandbox: Start, database: Database
) -> None:
    """Their annotations are not known to be right; other verifications do not look."""
    server = start_sandbox(tasks=150)
    sync(server, database)
    fetch(database, api_url=server.url)
    assert verify(server, database, deep=True).proven
    with database.write() as conn:
        some = select(result_files.c.url).order_by(result_files.c.url).limit(2)
        conn.execute(update(result_files).where(result_files.c.url.in_(some)).values(read_at=None))

    deep, plain = verify(server, database, deep=True), verify(server, database)

    assert (deep.drift, plain.proven) == ([], True)
    assert deep.unproven == ["Result files of 2 tasks could not be read; run `scalesync fetch-results`."]


def test_a_file_that_another_task_cannot_read_is_tried_again(
    database: Database, file_server: FileServer
) -> None:
    """A type of task that has no such form makes the file unread, whoever could read it before."""
    file_server.files["one"] = frames("car")
    save_task(database, "a", file_server.url("one"))
    fetch(database)
    response = {"point_segmentations": {"url": file_server.url("one", "second")}}

    save_task(database, "b", None, type="lidarsegmentation", response=response)

    assert (counted(database), fetch(database).unread) == ((0, 1), 1)
    assert labels(database)[0] == ("a", 0, "car")


def test_a_file_that_several_tasks_name_serves_them_all(database: Database, file_server: FileServer) -> None:
    """Fetched once, whatever its signatures; a task that names it later has its annotations at once."""
    file_server.files["one"] = frames("car")
    save_task(database, "a", file_server.url("one"))
    save_task(database, "b", file_server.url("one", "second"))

    summary = fetch(database)
    save_task(database, "c", file_server.url("one", "third"))

    assert (summary.fetched, summary.annotations, len(file_server.asked)) == (1, 2, 1)
    assert labels(database) == [("a", 0, "car"), ("b", 0, "car"), ("c", 0, "car")]
    assert fetch(database).fetched == 0


def test_a_response_that_is_edited_keeps_what_was_fetched(
    database: Database, file_server: FileServer
) -> None:
    """Another signature, or another status, fetches nothing; another file is fetched."""
    file_server.files |= {"one": frames("car"), "two": frames("bus", "bus")}
    save_task(database, "a", file_server.url("one"))
    fetch(database)

    save_task(database, "a", file_server.url("one", "second"), status="completed")
    assert (fetch(database).fetched, labels(database)) == (0, [("a", 0, "car")])
    save_task(database, "a", file_server.url("two"))
    assert (labels(database), fetch(database).fetched) == ([], 1)
    assert labels(database) == [("a", 0, "bus"), ("a", 1, "bus")]
    assert list(state(database)) == ["two"]


def test_the_signature_is_that_of_the_last_read(database: Database, file_server: FileServer) -> None:
    """An expired one is not kept: a new read of the task brings another."""
    file_server.files["one"] = 403
    save_task(database, "a", file_server.url("one", "old"))
    fetch(database)

    file_server.files["one"] = frames("car")
    save_task(database, "a", file_server.url("one", "new"))

    assert fetch(database).complete
    assert file_server.asked == ["one?X-Amz-Signature=old", "one?X-Amz-Signature=new"]


def test_a_file_that_nobody_names_any_more_is_not_kept(database: Database, file_server: FileServer) -> None:
    """A sync that takes it away while it is on its way wins, and that is no failure."""

    def take_away(request: BaseHTTPRequestHandler) -> None:
        save_task(database, "a", None)
        request.send_response(200)
        request.end_headers()
        request.wfile.write(frames("car"))

    file_server.files["one"] = take_away
    save_task(database, "a", file_server.url("one"))

    summary = fetch(database)

    assert (summary.complete, summary.fetched, labels(database), state(database)) == (True, 0, [], {})


def test_a_file_without_any_task_is_said_to_be_so(database: Database, file_server: FileServer) -> None:
    """Where no response gives its address there is nobody to be asked."""
    save_task(database, "a", file_server.url("one"))
    with database.write() as conn:
        conn.execute(task_files.delete())

    assert fetch(database).failed == 1
    assert (state(database), file_server.asked) == (
        {"one": (False, "No task's response names this file any more.")},
        [],
    )


def test_two_at_once_come_to_the_same(database: Database, file_server: FileServer) -> None:
    """With a sync that rewrites the tasks meanwhile: nobody fails, and every annotation is there once."""
    names = [f"{number:02}" for number in range(10)]
    file_server.files |= {name: frames("car") for name in names}
    for number, name in enumerate(names):
        save_task(database, f"t{number:02}", file_server.url(name))
        save_task(database, f"u{number:02}", file_server.url(name))
    together = threading.Barrier(3)
    failures: list[BaseException] = []

    def work(what: Callable[[], object]) -> None:
        together.wait()
        try:
            what()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test tells it
            failures.append(error)

    def rewrite() -> None:
        for number, name in enumerate(names):
            save_task(database, f"t{number:02}", file_server.url(name, "second"))

    jobs = (lambda: fetch(database), lambda: fetch(database), rewrite)
    threads = [threading.Thread(target=work, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert set(state(database).values()) == {(True, None)}
    assert len(labels(database)) == 20


def test_hosts_that_fetch_at_once_seldom_ask_for_the_same_file(
    database: Database, file_server: FileServer
) -> None:
    """Each begins with another portion, and leaves out what is here by then; all is fetched."""
    content = frames("car")

    def slowly(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(0.02)
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    for number in range(60):
        file_server.files[f"{number:02}"] = slowly
        save_task(database, f"t{number:02}", file_server.url(f"{number:02}"))

    with ThreadPoolExecutor(3) as hosts:
        ended = list(hosts.map(lambda _: fetch(database, workers=2), range(3)))

    assert all(summary.complete for summary in ended)
    assert len(state(database)) == 60
    assert set(state(database).values()) == {(True, None)}
    # In one order they would ask for nearly all three times.
    assert len(set(file_server.asked)) == 60
    assert len(file_server.asked) < 100


def expiring(content: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    """Return what answers with a file to the second signature only."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        good = "Signature=second" in handler.path
        handler.send_response(200 if good else 403)
        handler.send_header("Content-Length", str(len(content) if good else 0))
        handler.end_headers()
        if good:
            handler.wfile.write(content)

    return answer


@pytest.mark.parametrize("served", ["second", "first", None], ids=["renewed", "no other", "no task"])
def test_for_an_expired_link_the_task_is_read_again(
    served: str | None, database: Database, file_server: FileServer
) -> None:
    """The mirror has what the API says of it now; where no other link comes of it, the failure is noted."""
    file_server.files["one"] = expiring(frames("car"))
    save_task(database, "a", file_server.url("one", "first"), LONG_AGO)
    response = {"annotations": {"url": file_server.url("one", served)}}
    task = {"task_id": "a", "type": "videoannotation", "status": "completed", "response": response}
    file_server.files["v1/task/a"] = msgspec.json.encode(task) if served else 404

    with ScaleApi(KEY, ApiOptions(url=f"{file_server.origin}/v1")) as api:
        summary = fetch(database, api=api)

    assert summary.complete == (served == "second")
    assert labels(database) == ([("a", 0, "car")] if served == "second" else [])
    assert rows(database, tasks, ("status",)) == [("completed" if served else None,)]
    assert len([name for name in file_server.asked if name.startswith("one")]) == (
        2 if served == "second" else 1
    )
    (_, error), *_ = state(database).values()
    assert ("may have expired" in str(error)) == (served != "second")


def test_without_the_api_an_expired_link_stays_one(database: Database, file_server: FileServer) -> None:
    """It is noted and tried again another time."""
    file_server.files["one"] = expiring(frames("car"))
    save_task(database, "a", file_server.url("one", "first"))

    assert (fetch(database).failed, file_server.asked) == (1, ["one?X-Amz-Signature=first"])
