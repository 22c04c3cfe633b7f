"""`scalesync fetch-results` and `sync --results` as people run them, and the same from Python."""

import signal
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import msgspec
import pytest

from scalesync import Mirror
from scalesync.errors import ConfigurationError
from scalesync.sandbox import SandboxServer
from tests.support.cli_in_process import in_process
from tests.support.cli_process import Done, Scalesync, check_refusal, scalesync_in
from tests.support.databases import opened
from tests.support.file_server import FileServer, frames, labels, save_task, state
from tests.support.sandboxes import LIVE_KEY

RENEW = "Run it again after a `scalesync sync`, which brings new links where Scale has any."
Start = Callable[..., SandboxServer]


@pytest.fixture
def file_server() -> Iterator[FileServer]:
    """Start a server of files."""
    with FileServer() as file_server:
        yield file_server


@pytest.fixture
def mirrored(database_url: str, tmp_path: Path, file_server: FileServer, sandbox: SandboxServer) -> Scalesync:
    """Return what runs commands on a mirror of either kind with three tasks, two of whose files are there.

    The API has none of the tasks, so that it knows no newer link.
    """
    file_server.files |= {"one": frames("car"), "two": frames("bus", "van")}
    with opened(database_url) as database:
        for name in ("one", "two", "three"):
            save_task(database, name, file_server.url(name))
    return in_process(scalesync_in(tmp_path, sandbox.url).having(SCALESYNC_DB=database_url))


def fetch(mirrored: Scalesync, *options: str) -> Done:
    """Fetch from this machine."""
    return mirrored("fetch-results", "--allow-private", *options)


def test_what_came_and_what_did_not(mirrored: Scalesync, file_server: FileServer) -> None:
    """Exit code 1 while a file is missing, and 0 when all are here; failures are named without signatures."""
    done = fetch(mirrored)

    check_refusal(done, 1, "1 result file could not be fetched", "result_files.error")
    assert done.out == ""
    assert f"{file_server.url('three', None)}: 127.0.0.1 answered 404: the link may have expired" in done.err
    assert "2 result files fetched" in done.err
    assert "1 failed, 3 annotations written" in done.err
    assert "first" not in done.err

    file_server.files["three"] = frames("tram")
    again = fetch(mirrored)
    assert (again.code, again.out) == (0, "")
    assert again.err.startswith("1 result file fetched (")
    assert fetch(mirrored, "--json").json["fetched"] == 0


def test_the_summary_for_machines(mirrored: Scalesync, file_server: FileServer) -> None:
    """One object on stdout."""
    done = fetch(mirrored, "--json")

    assert done.code == 1
    assert done.json.pop("seconds") is not None
    assert {name: value for name, value in done.json.items() if name not in ("seconds", "bytes")} == {
        "fetched": 2,
        "failed": 1,
        "unread": 0,
        "reasons": [
            {
                "error": "127.0.0.1 answered 404: the link may have expired.",
                "files": 1,
                "url": file_server.url("three", None),
                "advice": RENEW,
            }
        ],
        "annotations": 3,
        "stopped": False,
        "complete": False,
    }


def test_equal_reasons_are_one_line_with_a_count(mirrored: Scalesync, file_server: FileServer) -> None:
    """And the advice is what helps: running again does not where a private address needs to be allowed."""
    done = mirrored("fetch-results")

    assert f"3 result files, such as {file_server.origin}/" in done.err
    assert done.err.count("private address") == 1
    check_refusal(done, 1, "3 result files could not be fetched", "--allow-private", "result_files.error")
    assert "again" not in done.err


def test_a_file_that_came_and_could_not_be_read(mirrored: Scalesync, file_server: FileServer) -> None:
    """Ends with 1, is a number of its own in `status`, and nothing of what it holds is shown."""
    token = "tok_5ec2e7"
    workspace = {"type": "workspace_container", "value": {"workspace_config": {"token": token}}}
    file_server.files |= {"one": msgspec.json.encode([{"answers": [workspace]}]), "three": frames("tram")}

    done = fetch(mirrored, "--json")
    status = mirrored("status")

    check_refusal(done, 1, "1 result file could not be read", "result_files.content", "result_files.error")
    assert (done.json["fetched"], done.json["failed"], done.json["unread"]) == (2, 1, 1)
    assert "1 result file was fetched and could not be read" in status.out
    assert "not fetched yet" not in status.out
    counted = mirrored("status", "--json").json
    assert (counted["result_files_wanted"], counted["result_files_unread"]) == (0, 1)
    verbose = mirrored("-v", "fetch-results", "--allow-private")
    assert "1 result file could not be read" in verbose.err
    assert token not in done.err + done.out + status.out + verbose.err


def test_limits_are_options(mirrored: Scalesync, database_url: str, file_server: FileServer) -> None:
    """A size in the units that people write; nothing from this machine unless it is allowed."""
    file_server.files["two"] = b" " * 3000

    assert mirrored("fetch-results").code == 1
    assert file_server.asked == []
    assert fetch(mirrored, "--max-size", "2kB", "--timeout", "20s", "--workers", "1").code == 1

    with opened(database_url) as database:
        found = state(database)
    assert found["one"] == (True, None)
    assert found["two"] == (False, "The file is larger than the limit of 2,048 bytes.")


@pytest.mark.parametrize("size", ["0", "-1", "64 monkeys", "2GB", "", "1.5MB"])
def test_sizes_that_are_none(size: str, empty_mirror: Scalesync) -> None:
    """Are refused as usage, with one that works."""
    check_refusal(in_process(empty_mirror)("fetch-results", "--max-size", size), 2, "500kB or 64MB")


def test_no_time_at_all(empty_mirror: Scalesync) -> None:
    """Is refused as well, here and from Python."""
    check_refusal(in_process(empty_mirror)("fetch-results", "--timeout", "0s"), 2, "more than 0")
    with pytest.raises(ConfigurationError):
        Mirror(empty_mirror.mirror, api_key=LIVE_KEY).fetch_results(workers=0)


def test_a_key_of_another_account_fetches_nothing(mirrored: Scalesync, file_server: FileServer) -> None:
    """A mirror is of one account; without any key, what is open to all is fetched."""
    assert fetch(mirrored).code == 1
    file_server.files["three"] = frames("tram")

    other = in_process(mirrored.having(SCALE_API_KEY="live_another"))
    nobody = in_process(mirrored.having(SCALE_API_KEY=None))

    check_refusal(fetch(other), 5, "account")
    assert fetch(nobody).code == 0


def test_a_signal_ends_it_at_once_with_130(empty_mirror: Scalesync, file_server: FileServer) -> None:
    """Although a server hangs; what came is saved, and the next run goes on."""
    hanging: list[object] = []

    def hang(request: BaseHTTPRequestHandler) -> None:
        hanging.append(request)
        time.sleep(20)

    file_server.files |= {"one": frames("car"), "two": hang}
    with opened(f"sqlite:///{empty_mirror.mirror}") as database:
        for name in ("one", "two"):
            save_task(database, name, file_server.url(name))
        with empty_mirror.started("fetch-results", "--allow-private") as process:
            while not (hanging and state(database)["one"][0]):
                assert process.poll() is None, process.communicate()
                time.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            done = empty_mirror.ended(process)

        check_refusal(done, 130, "every file received is saved", "scalesync fetch-results")
        assert state(database) == {"one": (True, None), "two": (False, None)}
        file_server.files["two"] = frames("bus")
        assert fetch(in_process(empty_mirror)).code == 0
        assert file_server.asked.count("one?X-Amz-Signature=first") == 1


def test_a_sync_can_fetch_them_too(start_sandbox: Start, empty_mirror: Scalesync) -> None:
    """After it went well; a file that cannot be had makes its exit code 1, and it says both."""
    server = start_sandbox(tasks=120)
    run = in_process(empty_mirror.having(SCALESYNC_API_URL=server.url))

    refused = run("sync", "--results", "--json")
    done = run("sync", "--results", "--allow-private")
    quiet = run("--quiet", "sync", "--results", "--json")

    results = refused.json["results"]
    assert isinstance(results, dict)
    assert (refused.code, refused.json["complete"], results["fetched"]) == (1, True, 0)
    assert results["failed"] > 5
    assert (done.code, f"{results['failed']} result files fetched" in done.err) == (0, True)
    assert "tasks" in done.out
    assert (quiet.code, quiet.err) == (0, "")
    with opened(f"sqlite:///{empty_mirror.mirror}") as database:
        assert {frame is None for _, frame, _ in labels(database)} == {True, False}


def test_a_sync_that_went_wrong_fetches_nothing(start_sandbox: Start, empty_mirror: Scalesync) -> None:
    """Refused or not finished in its time: what it says is only that."""
    server = start_sandbox(tasks=120)
    run = in_process(empty_mirror.having(SCALESYNC_API_URL=server.url))
    assert run("sync").code == 0

    check_refusal(
        run("sync", "--full", "--time-limit", "0s", "--results", "--allow-private"), 1, "time allowed"
    )
    server.backend.faults.replace(["403:100%"])
    assert run("sync", "--results", "--allow-private").code == 3
    assert server.backend.requests["GET /results/{kind}/{name}"] == 0


def test_from_python(database_url: str, file_server: FileServer, sandbox: SandboxServer) -> None:
    """What the command takes, as keywords; what cannot be had raises nothing."""
    with opened(database_url) as database:
        save_task(database, "a", file_server.url("one"))
        mirror = Mirror(database_url, api_key=LIVE_KEY, api_url=sandbox.url)

        assert not mirror.fetch_results(allow_private=True).complete
        file_server.files["one"] = frames("car")
        summary = mirror.fetch_results(workers=2, max_size=1000, timeout=9.5, allow_private=True)

        assert (summary.complete, summary.fetched, labels(database)) == (True, 1, [("a", 0, "car")])
