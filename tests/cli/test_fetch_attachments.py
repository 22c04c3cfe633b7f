"""`scalesync fetch-attachments` as people run it, killed in the middle, and the same from Python."""

import signal
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from scalesync import Mirror
from scalesync.db.database import Database
from scalesync.sandbox import SandboxServer
from tests.support.attachment_env import files_in, known, name_attachments
from tests.support.cli_in_process import in_process
from tests.support.cli_process import Done, Scalesync, check_interrupted, check_refusal, scalesync_in
from tests.support.databases import opened
from tests.support.file_server import FileServer
from tests.support.pictures import png, ranged, respond
from tests.support.sandboxes import LIVE_KEY


@pytest.fixture
def file_server() -> Iterator[FileServer]:
    """Start a server of files."""
    with FileServer() as file_server:
        yield file_server


@pytest.fixture
def mirrored(database_url: str, tmp_path: Path, file_server: FileServer, sandbox: SandboxServer) -> Scalesync:
    """Return what runs commands on a mirror of either kind with four tasks, one of whose pictures is gone."""
    file_server.files |= {"one.png": ranged(png(640, 480)), "two.png": png(8, 9), "talk": sound}
    with opened(database_url) as database:
        for name in ("one.png", "two.png", "gone.png"):
            name_attachments(database, **{name: file_server.url(name)})
        talk = {"attachment": file_server.url("talk"), "attachment_type": "audio"}
        name_attachments(database, talk=talk)
    return in_process(scalesync_in(tmp_path, sandbox.url).having(SCALESYNC_DB=database_url))


def sound(handler: BaseHTTPRequestHandler) -> None:
    """Answer with a recording."""
    respond(handler, b"RIFF\x24\0\0\0WAVEfmt " + bytes(100), "audio/wav")


def fetch(mirrored: Scalesync, *options: str | Path) -> Done:
    """Fetch from this machine."""
    return mirrored("fetch-attachments", "--allow-private", *options)


def test_sizes_that_came_and_what_did_not(mirrored: Scalesync, file_server: FileServer) -> None:
    """Exit code 1 while one is missing, then 0; no signature is shown; sounds have no size."""
    done = fetch(mirrored, "--sizes")

    check_refusal(done, 1, "1 attachment could not be had", "attachments.error")
    assert done.out == ""
    assert f"{file_server.url('gone.png', None)}: 127.0.0.1 answered 404" in done.err
    assert "3 attachments of 4 tasks looked at, 1 failed, " in done.err
    assert "1 without a size, as they are no pictures: audio/wav 1" in done.err
    assert "first" not in done.err

    file_server.files["gone.png"] = png(3, 4)
    again = fetch(mirrored, "--sizes")
    assert (again.code, again.out) == (0, "")
    assert again.err.startswith("1 attachment of 4 tasks looked at, ")
    assert fetch(mirrored, "--sizes", "--json").json["known"] == 4


def test_the_summary_for_machines(mirrored: Scalesync, file_server: FileServer, tmp_path: Path) -> None:
    """One object on stdout; quietly nothing else."""
    done = mirrored("--quiet", "fetch-attachments", "--allow-private", "--to", tmp_path / "kept", "--json")

    assert done.code == 1
    given = done.json
    assert given.pop("seconds") is not None
    assert file_server.url("gone.png", None) in str(given.pop("reasons"))
    size = len(png(640, 480)) + len(png(8, 9)) + 116
    assert given == {
        "fetched": 3, "failed": 1, "bytes": size, "stopped": False, "pictures": 2, "others": {"audio/wav": 1},
        "known": 0, "tasks": 4, "complete": False,
    }  # fmt: skip
    assert len(files_in(tmp_path / "kept")) == 3
    assert done.err.startswith("Error: ")


def test_filters_are_those_of_lists(mirrored: Scalesync, file_server: FileServer) -> None:
    """A name that nobody knows is warned of, and a limit is one of tasks."""
    done = fetch(mirrored, "--sizes", "--limit", "2", "--type", "imageannotation")
    assert "attachments of 2 tasks looked at" in done.err or "attachment of 2 tasks looked at" in done.err
    assert fetch(mirrored, "--sizes", "--limit", "0", "--type", "none").code == 0
    unknown = fetch(mirrored, "--sizes", "--type", "imageanotation")
    assert unknown.code == 0
    assert "no type 'imageanotation' is known here: did you mean 'imageannotation'?" in unknown.err
    assert len(file_server.asked) == 2


def test_bad_input_is_a_sentence(mirrored: Scalesync, file_server: FileServer, tmp_path: Path) -> None:
    """Nothing asked for, a file in place of the directory, no right to write there, a size of nothing."""
    (tmp_path / "file").write_bytes(b"")
    check_refusal(fetch(mirrored), 2, "--sizes", "--to DIR")
    check_refusal(fetch(mirrored, "--to", tmp_path / "file"), 2, "Cannot write into", "--to")
    check_refusal(fetch(mirrored, "--to", tmp_path / "file" / "below"), 2, "Cannot write into")
    check_refusal(fetch(mirrored, "--to", tmp_path / "\udcff"), 2, "no text")
    check_refusal(fetch(mirrored, "--sizes", "--max-size", "0"), 2, "max-size")
    check_refusal(fetch(mirrored, "--sizes", "--timeout", "0s"), 2, "more than 0")
    assert file_server.asked == []


def test_without_a_network_it_says_so(mirrored: Scalesync, file_server: FileServer) -> None:
    """Once for all files of a host, and it ends."""
    file_server.__exit__()
    began = time.monotonic()
    done = fetch(mirrored, "--sizes")
    file_server.__enter__()

    check_refusal(done, 1, "4 attachments could not be had")
    assert "4 attachments, such as http" in done.err
    assert "The file's server could not be reached" in done.err
    assert time.monotonic() - began < 60


def test_a_private_address_needs_to_be_allowed(mirrored: Scalesync, file_server: FileServer) -> None:
    """The advice says how."""
    check_refusal(mirrored("fetch-attachments", "--sizes"), 1, "--allow-private")
    assert file_server.asked == []


class _Slow:
    """Pictures of 200 kB that come in pieces, so that a process dies in the middle of some."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.body = png(640, 480, pixels=200_000)

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        """Send one, with a pause before its end."""
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(self.body)))
        handler.end_headers()
        try:
            handler.wfile.write(self.body[:150_000])
            self.begun.release()
            time.sleep(0.05)
            handler.wfile.write(self.body[150_000:])
        except OSError:
            handler.close_connection = True


def _slow_task(mirrored: Scalesync, file_server: FileServer, number: int) -> _Slow:
    """Write a task with `number` slow pictures."""
    slow = _Slow()
    file_server.files |= {f"{each}.png": slow for each in range(number)}
    urls = [file_server.url(f"{each}.png", None) for each in range(number)]
    with opened(mirrored.variables["SCALESYNC_DB"]) as database:
        name_attachments(database, **{"gone.png": "", "slow": {"attachments": urls}})
    return slow


def _rows_and_files(mirrored: Scalesync, folder: Path) -> tuple[int, set[bytes], int]:
    """Return the number of kept attachments, the content of their files, and that of unfinished ones."""
    with opened(mirrored.variables["SCALESYNC_DB"]) as database:
        kept = [path for (path,) in known(database, "path").values() if path]
    files = files_in(folder)
    unfinished = sum(name.startswith(".unfinished") for name in files)
    return len(kept), {Path(path).read_bytes() for path in kept}, unfinished


def test_a_killed_run_leaves_whole_files_and_the_next_goes_on(
    mirrored: Scalesync, file_server: FileServer, tmp_path: Path
) -> None:
    """After SIGKILL every row's file is whole; what the table has is not asked for again; no rest stays."""
    slow, folder = _slow_task(mirrored, file_server, 120), tmp_path / "kept"
    command = Scalesync(mirrored.directory, mirrored.variables)
    with command.started("fetch-attachments", "--allow-private", "--to", folder) as process:
        for _ in range(40):
            assert slow.begun.acquire(timeout=60)
        process.kill()
        process.wait()
    rows, contents, unfinished = _rows_and_files(mirrored, folder)
    assert (0 < rows < 120, unfinished > 0) == (True, True)
    assert contents <= {slow.body, png(640, 480), png(8, 9), b"RIFF\x24\0\0\0WAVEfmt " + bytes(100)}
    asked = len(file_server.asked)

    done = fetch(mirrored, "--to", folder)

    assert done.code == 0, done.err
    assert len(file_server.asked) - asked == 123 - rows
    assert _rows_and_files(mirrored, folder)[::2] == (123, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_soon_and_says_so(
    mirrored: Scalesync, file_server: FileServer, tmp_path: Path, number: signal.Signals
) -> None:
    """With exit code 130; nothing half is left."""
    slow, folder = _slow_task(mirrored, file_server, 200), tmp_path / "kept"
    command = Scalesync(mirrored.directory, mirrored.variables)
    with command.started("fetch-attachments", "--allow-private", "--to", folder, "--workers", "2") as process:
        for _ in range(10):
            assert slow.begun.acquire(timeout=60)
        began = time.monotonic()
        done = check_interrupted(process, number)

    assert (done.code, "Stopped; what came is saved." in done.err) == (130, True)
    assert time.monotonic() - began < 10
    rows, _, unfinished = _rows_and_files(mirrored, folder)
    assert (0 < rows < 203, unfinished) == (True, 0)


def test_from_python(
    database_url: str, file_server: FileServer, sandbox: SandboxServer, tmp_path: Path
) -> None:
    """Filters and options as keywords; what cannot be had raises nothing."""
    with opened(database_url) as database:
        name_attachments(database, one=file_server.url("one.png"), two=file_server.url("two.png"))
        mirror = Mirror(database_url, api_key=LIVE_KEY, api_url=sandbox.url)

        assert not mirror.fetch_attachments(allow_private=True).complete
        file_server.files |= {"one.png": png(3, 4), "two.png": png(5, 6)}
        assert mirror.fetch_attachments(allow_private=True, status="none").tasks == 0
        summary = mirror.fetch_attachments(
            to=tmp_path / "kept", workers=2, max_size=1000, timeout=9.5, allow_private=True, limit=1
        )

        assert (summary.complete, summary.fetched, summary.tasks) == (True, 1, 1)
        assert _sizes(database) == {"one.png": (3, 4), "two.png": (None, None)}


def _sizes(database: Database) -> dict[str, tuple[int | None, ...]]:
    return known(database)
