"""Attachments: asked for once each, known by a true size or a sentence, tried again where they failed."""

import gzip
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from scalesync.clock import Clock
from scalesync.db.database import Database
from scalesync.models.selection import Selection
from scalesync.retry import RetryPolicy
from scalesync.sync.attachments import AttachmentEvent, TasksLookedAt
from scalesync.sync.download_events import FileSaved
from tests.support.attachment_env import error_of, fetch_attachments, files_in, known, name_attachments
from tests.support.file_server import KEY, FileServer
from tests.support.pictures import gif, jpeg, png, ranged, respond, tiff

WAV = b"RIFF\x24\0\0\0WAVEfmt " + bytes(100)


@pytest.fixture
def file_server() -> Iterator[FileServer]:
    """Start a server of files."""
    with FileServer() as file_server:
        yield file_server


def counting(sent: list[int], body: bytes, *, parts: bool) -> Any:
    """Return an answer that notes how many bytes of the body left the server."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        plain, kept = ranged(body), handler.wfile.write
        if not parts:
            del handler.headers["Range"]

        def write(data: Any) -> int:
            for start in range(0, len(data), 8192):
                kept(data[start : start + 8192])
                sent.append(len(data[start : start + 8192]))
            return len(data)

        handler.wfile.write = write  # type: ignore[method-assign]
        plain(handler)

    return answer


def test_sizes_are_known_and_asked_for_once(database: Database, file_server: FileServer) -> None:
    """Of each distinct address once, in a part of its file; a second run asks for nothing."""
    turned = ranged(jpeg(640, 480, orientation=6))
    file_server.files |= {"a.png": ranged(png(640, 480)), "b": turned, "c": gif(7, 8)}
    a, b, c = (file_server.url(name, None) for name in ("a.png", "b", "c"))
    name_attachments(database, one=a, two=a, three={"attachments": [b, c]})

    first, second = fetch_attachments(database), fetch_attachments(database)

    assert known(database) == {"a.png": (640, 480), "b": (480, 640), "c": (7, 8)}
    assert (first.fetched, first.pictures, first.failed, first.tasks) == (3, 3, 0, 3)
    assert (second.fetched, second.known, second.complete) == (0, 3, True)
    assert sorted(file_server.asked) == ["a.png", "b", "c"]
    found = known(database, "bytes", "content_type", "path", "error")
    assert found["a.png"] == (len(png(640, 480)), "image/png", None, None)


def test_an_attachment_of_many_tasks_is_asked_for_once(database: Database, file_server: FileServer) -> None:
    """Also where it fails, and where the tasks are read in many pages, while it is still on its way."""
    slow = ranged(png(3, 4))

    def later(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(0.2)
        slow(handler)

    file_server.files["a.png"] = later
    urls = [file_server.url(name, None) for name in ("a.png", "gone.png")]
    name_attachments(database, **{f"task {number}": {"attachments": urls} for number in range(450)})

    summary = fetch_attachments(database)

    assert (summary.fetched, summary.failed, summary.tasks) == (1, 1, 450)
    assert sorted(file_server.asked) == ["a.png", "gone.png"]


def test_signatures_are_sent_and_not_kept(database: Database, file_server: FileServer) -> None:
    """The key of a row is the address without them; the key of the account goes to no such server."""
    file_server.files["a.png"] = png(3, 4)
    name_attachments(database, one=file_server.url("a.png", "sig1"), two=file_server.url("a.png", "sig2"))

    assert fetch_attachments(database).fetched == 1
    assert known(database) == {"a.png": (3, 4)}
    assert "X-Amz-Signature" in file_server.asked[0]
    assert file_server.authorizations == [None]
    file_server.files.clear()
    summary = fetch_attachments(database, refresh=True)
    assert summary.failed == 1
    assert "sig" not in str(summary) + str(known(database, "url", "error"))


@pytest.mark.parametrize("parts", [True, False])
def test_no_more_of_a_file_is_read_than_its_size_needs(
    database: Database, file_server: FileServer, parts: bool
) -> None:
    """Of 24 MB at most a few pieces, from a server that knows parts and from one that does not."""
    sent: list[int] = []
    file_server.files["big.png"] = counting(sent, png(640, 480, pixels=24 << 20), parts=parts)
    name_attachments(database, one=file_server.url("big.png", None))

    assert fetch_attachments(database).complete
    assert known(database) == {"big.png": (640, 480)}
    assert sum(sent) < (20_000 if parts else 8 << 20)


@pytest.mark.parametrize(
    "body",
    [tiff(640, 480, pixels=9 << 20), jpeg(640, 480, segments=40)],
    ids=["fields behind the pixels", "a camera's data before the size"],
)
@pytest.mark.parametrize("parts", [True, False])
def test_a_size_that_stands_late_in_a_file(
    database: Database, file_server: FileServer, body: bytes, parts: bool
) -> None:
    """Further parts are asked for, each where it is needed; without parts the file is read on."""
    sent: list[int] = []
    file_server.files["late"] = counting(sent, body, parts=parts)
    name_attachments(database, one=file_server.url("late", None))

    assert fetch_attachments(database).complete
    assert known(database) == {"late": (640, 480)}
    assert len(file_server.asked) <= (9 if parts else 1)


def test_files_that_are_compressed_on_the_way(
    database: Database, file_server: FileServer, tmp_path: Path
) -> None:
    """A drawing that a store holds compressed has its size and its own bytes, asked for in parts or not."""
    drawing = b'<svg width="30" height="40">' + b" " * 100_000 + b"</svg>"
    packed = gzip.compress(drawing)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        place = {"Content-Encoding": "gzip"}
        if "Range" in handler.headers:
            place["Content-Range"] = f"bytes 0-49/{len(packed)}"
            respond(handler, packed[:50], "image/svg+xml", 206, place)
        else:
            respond(handler, packed, "image/svg+xml", 200, place)

    file_server.files["a.svg"] = answer
    name_attachments(database, one=file_server.url("a.svg", None))

    assert fetch_attachments(database).complete
    assert known(database) == {"a.svg": (30, 40)}
    assert fetch_attachments(database, tmp_path / "kept").complete
    assert list(files_in(tmp_path / "kept").values()) == [drawing]
    assert known(database, "bytes")["a.svg"] == (len(drawing),)


def test_a_file_that_changes_while_it_is_read_has_no_size(
    database: Database, file_server: FileServer
) -> None:
    """Its parts are not put together: the next run reads it again."""
    one, other = ranged(tiff(640, 480, pixels=100_000)), ranged(tiff(640, 480, pixels=110_000))
    answers = iter((one, other, other, other))

    def answer(handler: BaseHTTPRequestHandler) -> None:
        next(answers)(handler)

    file_server.files["a.tif"] = answer
    name_attachments(database, one=file_server.url("a.tif", None))

    assert fetch_attachments(database).failed == 1
    assert "changed while it was read" in str(error_of(database, "a.tif"))
    assert fetch_attachments(database).complete
    assert known(database) == {"a.tif": (640, 480)}


@pytest.mark.parametrize("status", [400, 405, 416, 501])
def test_a_server_that_refuses_parts_is_asked_for_the_whole(
    database: Database, file_server: FileServer, status: int
) -> None:
    """And no more of that is read than is needed."""
    picture = png(640, 480, pixels=5 << 20)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if "Range" in handler.headers:
            respond(handler, b"", status=status)
        else:
            respond(handler, picture)

    file_server.files["a.png"] = answer
    name_attachments(database, one=file_server.url("a.png", None))

    assert fetch_attachments(database).complete
    assert known(database) == {"a.png": (640, 480)}
    assert len(file_server.asked) <= 3


def test_files_are_kept_whole_with_their_sizes(
    database: Database, file_server: FileServer, tmp_path: Path
) -> None:
    """Each read once, under a name that is made of its address; known ones stay, a lost one comes again."""
    picture = png(640, 480, pixels=5_000)
    sound = lambda handler: respond(handler, WAV, "audio/x-wav; rate=8000")  # noqa: E731
    file_server.files |= {"..%2F..%2Fa.sh": picture, "sound": sound, "x.gz": b"\x1f\x8bnot gzip"}
    urls = [file_server.url(name, None) for name in ("..%2F..%2Fa.sh", "sound", "x.gz")]
    name_attachments(database, one=urls[0], two={"attachments": urls[1:], "attachment_type": "audio"})
    folder = tmp_path / "süß"

    first, second = fetch_attachments(database, folder), fetch_attachments(database, folder)

    assert (first.fetched, first.pictures, first.others) == (3, 1, {"audio/x-wav": 1, "unknown": 1})
    assert (second.fetched, second.known, len(file_server.asked)) == (0, 3, 3)
    files = files_in(folder)
    assert sorted(name.rpartition(".")[2] for name in files) == ["gz", "png", "wav"]
    assert set(files.values()) == {picture, WAV, b"\x1f\x8bnot gzip"}
    found = known(database, "width", "bytes", "path")["..%2F..%2Fa.sh"]
    assert found[:2] == (640, len(picture))
    assert Path(found[2]).read_bytes() == picture
    assert Path(found[2]).stat().st_mode & 0o077 == 0
    Path(found[2]).write_bytes(b"cut")
    assert fetch_attachments(database, folder).fetched == 1
    assert set(files_in(folder).values()) == set(files.values())


def test_nothing_of_a_broken_try_stays_in_a_file(
    database: Database, file_server: FileServer, tmp_path: Path
) -> None:
    """Also where the next one brings fewer bytes."""
    picture = png(3, 4)
    tries = iter((b"x" * 50_000, picture))

    def answer(handler: BaseHTTPRequestHandler) -> None:
        sent = next(tries)
        respond(handler, sent, headers={"Content-Length": "99999"} if sent != picture else None)
        handler.close_connection = True

    file_server.files["a.png"] = answer
    name_attachments(database, one=file_server.url("a.png", None))

    assert fetch_attachments(database, tmp_path / "kept").complete
    assert list(files_in(tmp_path / "kept").values()) == [picture]


def test_a_directory_that_was_moved_is_known_again(
    database: Database, file_server: FileServer, tmp_path: Path
) -> None:
    """Nothing is asked for, and the table says where the files are now."""
    file_server.files["a.png"] = png(3, 4)
    name_attachments(database, one=file_server.url("a.png", None))
    fetch_attachments(database, tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new")

    assert fetch_attachments(database, tmp_path / "new").known == 1
    assert len(file_server.asked) == 1
    assert Path(known(database, "path")["a.png"][0]).is_relative_to(tmp_path / "new")


def test_sizes_first_and_files_later(database: Database, file_server: FileServer, tmp_path: Path) -> None:
    """A run for files fetches what has only a size; a run for sizes asks for nothing that is kept."""
    file_server.files["a.png"] = png(3, 4)
    name_attachments(database, one=file_server.url("a.png", None))

    counts = [fetch_attachments(database, to).fetched for to in (None, tmp_path, None, tmp_path)]

    assert counts == [1, 1, 0, 0]
    assert fetch_attachments(database, refresh=True).fetched == 1
    assert known(database, "path")["a.png"][0] is not None


def truncated(handler: BaseHTTPRequestHandler) -> None:
    """Say more bytes than come."""
    respond(handler, png(640, 480)[:12], headers={"Content-Length": "99999"})
    handler.close_connection = True


def endless(handler: BaseHTTPRequestHandler) -> None:
    """Send bytes that are no picture until nobody listens."""
    respond(handler, b"\xff\xd8\xff\xe1", headers={"Content-Length": ""})
    handler.close_connection = True
    try:
        while True:
            handler.wfile.write(b"\xff\xe1\xff\xff" + bytes(65_533))
    except OSError:
        pass


def another_part(handler: BaseHTTPRequestHandler) -> None:
    """Answer with another part than was asked for."""
    respond(handler, png(3, 4), status=206, headers={"Content-Range": "bytes 7-99/100"})


def in_a_circle(handler: BaseHTTPRequestHandler) -> None:
    """Redirect to the same address."""
    respond(handler, b"", status=302, headers={"Location": "loop.png"})


WRONG: dict[str, tuple[Any, str]] = {
    "page.png": (b"<!doctype html><html>Please log in</html>", "a page in place of the file"),
    "empty.png": (b"", "is empty"),
    "text.png": (b"nothing to see", "no picture of a form"),
    "error.png": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "no picture of a form"),
    "cut.png": (png(640, 480)[:18], "damaged, or cut short"),
    "huge.png": (png(10**9, 10**9), "too many to be true"),
    "none.png": (png(0, 10), "no pixels"),
    "truncated.png": (truncated, "did not come whole"),
    "endless.jpg": (endless, "larger than the limit"),
    "another.png": (another_part, "another part of the file"),
    "gone.png": (404, "the link may have expired"),
    "expired.png": (403, "the link may have expired"),
    "broken.png": (503, "answered 503"),
    "loop.png": (
        lambda handler: respond(handler, b"", status=302, headers={"Location": "loop.png"}),
        "redirected",
    ),
}


@pytest.mark.parametrize("keep", [False, True], ids=["sizes", "files"])
def test_every_wrong_answer_is_a_row_with_a_sentence(
    database: Database, file_server: FileServer, tmp_path: Path, keep: bool
) -> None:
    """Counted and named; nothing is kept of it; the good one beside them comes; the next run tries again."""
    file_server.files |= {name: answer for name, (answer, _) in WRONG.items()} | {"good.png": png(3, 4)}
    urls = [file_server.url(name, None) for name in [*WRONG, "good.png"]]
    name_attachments(database, one={"attachments": urls}, two={"attachment": urls[0]})
    to = tmp_path / "kept" if keep else None

    summary = fetch_attachments(database, to, largest=2 << 20)

    assert (summary.fetched, summary.failed, summary.complete) == (1, len(WRONG), False)
    errors = known(database, "error", "width", "path")
    for name, (_, words) in WRONG.items():
        if keep and name == "another.png":
            words = "answered 206"  # noqa: PLW2901 - only a part is asked for where a size is
        assert words in errors[name][0]
        assert errors[name][1:] == (None, None)
    assert errors["good.png"][:2] == (None, 3)
    assert len(files_in(tmp_path / "kept")) == keep
    file_server.files["page.png"] = png(5, 6)
    again = fetch_attachments(database, to, largest=2 << 20)
    assert (again.fetched, again.failed) == (1, len(WRONG) - 1)
    assert error_of(database, "page.png") is None


def test_addresses_that_nobody_can_ask(database: Database) -> None:
    """Of a bucket, of Scale's own store, of a disk: a row each; what is too long for a key is counted."""
    odd = {
        "s3://bucket/s": "s3: addresses are not asked",
        "gs://bucket/b": "gs: addresses are not asked",
        "scaledata://x/c": "scaledata: addresses are not asked",
        "file:///etc/passwd": "file: addresses are not asked",
        "pictures/1.jpg": "no address that can be asked",
        "http://": "names no host",
        "http://[::1": "no address that can be read",
        "https://user:secret@127.0.0.1/a": "names no host, or a user",
        "\U0001f600 \u202e": "no address that can be asked",
    }
    long = {"attachment": "data:image/png;base64," + "A" * 70_000}
    name_attachments(database, one={"attachments": list(odd)}, two=long, three=long)

    summary = fetch_attachments(database)

    assert (summary.fetched, summary.failed) == (0, len(odd) + 1)
    errors = [row[0] for row in known(database, "error").values()]
    assert all(any(words in error for error in errors) for words in odd.values())
    assert len(errors) == len(odd)
    assert "secret" not in f"{summary}{known(database, 'url')}"


def test_private_addresses_are_refused(database: Database, file_server: FileServer) -> None:
    """Unless they are allowed; nothing is sent there."""
    file_server.files["a.png"] = png(3, 4)
    name_attachments(database, one=file_server.url("a.png", None))

    assert fetch_attachments(database, allow_private=False).failed == 1
    assert "private address" in str(error_of(database, "a.png"))
    assert file_server.asked == []


def test_an_error_takes_away_nothing_that_was_known(
    database: Database, file_server: FileServer, tmp_path: Path
) -> None:
    """Size and file stay beside the error."""
    file_server.files["a.png"] = png(3, 4)
    name_attachments(database, one=file_server.url("a.png", None))
    fetch_attachments(database, tmp_path)
    before = known(database, "width", "bytes", "content_type", "path")
    file_server.files.clear()

    assert fetch_attachments(database, tmp_path, refresh=True).failed == 1
    assert known(database, "width", "bytes", "content_type", "path") == before
    assert error_of(database, "a.png") is not None


def test_a_host_that_is_away_is_not_asked_for_every_file(database: Database) -> None:
    """After a few files the others have the same sentence; another host is asked all the same."""
    with FileServer() as gone:
        away = gone.origin
    with FileServer() as here:
        here.files["a.png"] = png(3, 4)
        urls = [f"{away}/{number}.png" for number in range(300)] + [here.url("a.png", None)]
        name_attachments(database, one={"attachments": urls})
        began = time.monotonic()

        summary = fetch_attachments(database, retry=RetryPolicy(attempts=4, base=1.0))

    assert (summary.fetched, summary.failed) == (1, 300)
    assert [reason.files for reason in summary.reasons] == [300]
    assert "could not be reached" in summary.reasons[0].error
    assert time.monotonic() - began < 20


def test_only_chosen_tasks_are_looked_at(database: Database, file_server: FileServer) -> None:
    """By the filters of lists, and up to a limit."""
    file_server.files |= {name: png(3, 4) for name in "abc"}
    name_attachments(database, **{name: file_server.url(name, None) for name in "abc"})
    events: list[AttachmentEvent] = []

    assert fetch_attachments(database, wanted=Selection(status="pending")).tasks == 0
    assert fetch_attachments(database, wanted=Selection(limit=2), watch=events.append).tasks == 2
    assert set(known(database)) == {"a", "b"}
    assert [each.tasks for each in events if isinstance(each, TasksLookedAt)] == [0, 2]
    assert sum(isinstance(each, FileSaved) for each in events) == 2


def test_a_stop_ends_it_at_once_and_the_next_run_goes_on(
    database: Database, file_server: FileServer, tmp_path: Path
) -> None:
    """A file that hangs is cut off, nothing is left of it, and no error is noted."""
    clock, hanging = Clock(), threading.Event()

    def hang(_: BaseHTTPRequestHandler) -> None:
        hanging.wait(30)

    file_server.files["b.png"] = hang
    file_server.files["a.png"] = png(3, 4)
    name_attachments(database, **{name: file_server.url(f"{name}.png", None) for name in "ab"})

    def stop(event: AttachmentEvent) -> None:
        if isinstance(event, FileSaved):
            clock.stopping.set()

    began = time.monotonic()
    summary = fetch_attachments(database, tmp_path / "kept", clock=clock, watch=stop)
    hanging.set()

    assert (summary.stopped, summary.complete, summary.failed) == (True, False, 0)
    assert time.monotonic() - began < 10
    assert (set(known(database)), len(files_in(tmp_path / "kept"))) == ({"a.png"}, 1)
    file_server.files["b.png"] = png(5, 6)
    assert fetch_attachments(database, tmp_path / "kept").fetched == 1


def test_the_key_goes_to_the_api_only(database: Database, file_server: FileServer) -> None:
    """An attachment that the API itself serves is asked for with it, another one never."""
    file_server.files["a.png"] = png(3, 4)
    name_attachments(database, one=file_server.url("a.png", None))
    fetch_attachments(database, api_url=f"{file_server.origin}/v1")
    with FileServer() as other:
        other.files["b.png"] = png(3, 4)
        name_attachments(database, two=other.url("b.png", None))
        fetch_attachments(database, api_url=f"{file_server.origin}/v1")

        assert other.authorizations == [None]
    assert file_server.authorizations[0] is not None
    assert KEY not in str(known(database, "error", "content_type"))
