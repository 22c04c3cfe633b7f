"""Telling is no condition of working: full, closed and broken streams, and a terminal that closes."""

import os
import pty
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from scalesync.sandbox import SandboxServer
from tests.support.cli_process import COMMAND, Scalesync, execute
from tests.support.sandboxes import LIVE_KEY
from tests.support.static_list_api import StaticListApi, page, task

FULL = Path("/dev/full")
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")

ROWS = "SELECT count(*) FROM tasks"


def run(scalesync: Scalesync, words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command line of a shell, in which `scalesync` is the command."""
    command = " ".join(f"'{word}'" for word in COMMAND)
    return subprocess.run(
        words.replace("scalesync ", f"{command} "),
        shell=True,
        cwd=scalesync.directory,
        env=scalesync.environment() | more,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.fixture
def small(empty_mirror: Scalesync) -> Iterator[Scalesync]:
    """Yield commands whose API has two tasks."""
    with StaticListApi(lambda _: page(task(2), task(1))) as api:
        yield empty_mirror.having(SCALESYNC_API_URL=api.url)


DEAF = ["2>/dev/full", "2>&-", ">/dev/full", ">&-", ">&- 2>&-", "<&- >&- 2>&-", ">/dev/full 2>/dev/full"]


@pytest.mark.parametrize(
    ("how", "where"), [*(("sync", where) for where in DEAF), ("-vv sync --json", DEAF[-1])]
)
def test_a_sync_completes_whoever_listens(how: str, where: str, small: Scalesync) -> None:
    """Everything is read, and the code is that of the work."""
    done = run(small, f"scalesync {how} {where}")

    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert execute(small.mirror, ROWS) == [(2,)]


@pytest.mark.parametrize("where", [">/dev/full 2>/dev/full", ">&- 2>&-"])
def test_what_is_wrong_with_the_work_is_still_the_code(where: str, empty_mirror: Scalesync) -> None:
    """An API out of reach is 4, a missing key 2, whether or not it can be said."""
    away = empty_mirror.having(SCALESYNC_API_URL="http://127.0.0.1:9/v1", SCALESYNC_PATIENCE="0s")

    assert run(away, f"scalesync sync {where}").returncode == 4
    assert run(away.having(SCALE_API_KEY=None), f"scalesync sync {where}").returncode == 2


def test_every_command_that_works_goes_on(mirror: Scalesync, sandbox: SandboxServer) -> None:
    """Nothing that changes the mirror, the queue or the account fails for its report."""
    ready = mirror.having(SCALESYNC_API_URL=sandbox.url)
    deaf = ">/dev/full 2>/dev/full"
    line = '{"unique_id": "u", "instruction": "i", "attachments": [{"type": "text", "content": "c"}]}'
    (ready.directory / "tasks.jsonl").write_text(line)
    execute(ready.mirror, f"UPDATE mirror SET api_url = '{sandbox.url}'")
    for words in (
        "init",
        "queue pause --for 1h",
        "project create p --type textcollection --params '{}'",
        "batch create b --project p",
        "task create textcollection --project p --batch b --from tasks.jsonl",
        "queue resume",
        "queue distrust",
        "dispatch",
        "queue reconcile --json",
        "task cancel --unique-id u --json",
        "queue discard 4",
        "fetch-results --allow-private",
    ):
        done = run(ready, f"scalesync {words} {deaf}")
        assert done.returncode == 0, run(ready, f"scalesync {words}").stderr
    states = execute(ready.mirror, "SELECT kind, state FROM commands ORDER BY id")
    assert [state for _, state in states] == ["delivered"] * 3 + ["discarded"], states


PRODUCTS = [
    "status",
    "check",
    "task list",
    "queue list",
    "sql 'SELECT 1'",
    "export tasks",
    "--help",
    "sync --help",
]


@pytest.mark.parametrize("words", PRODUCTS)
@pytest.mark.parametrize("where", [">/dev/full", ">&-"])
def test_a_product_that_cannot_be_written_is_an_error(words: str, where: str, synced: Scalesync) -> None:
    """It is said in one sentence, with the documented code; nobody takes it for an empty answer."""
    done = run(synced, f"scalesync {words} {where}")

    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("Error: Cannot write the output: "), done.stderr
    assert len(done.stderr.splitlines()) == 2, done.stderr


def test_a_reader_that_has_gone_is_no_error_of_a_list(synced: Scalesync) -> None:
    """`head` ends, and nothing is said; the work of a sync is not ended by it."""
    done = run(synced, "scalesync export tasks | head -1 | wc -l")
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "1", "")


def test_a_sync_does_not_end_with_its_reader(small: Scalesync) -> None:
    """Neither what reads its lines nor what reads its summary has to stay."""
    done = run(small, "(scalesync -vv sync 2>&1; echo $? > code) | true")

    assert (done.returncode, (small.directory / "code").read_text()) == (0, "0\n")
    assert execute(small.mirror, ROWS) == [(2,)]


def test_a_reader_that_stops_reading_holds_nobody(small: Scalesync) -> None:
    """A full pipe on stderr is waited for a little, once."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    try:
        while True:
            os.write(write, b"x" * 65536)
    except BlockingIOError:
        os.set_blocking(write, True)
    environment: Mapping[str, str] = small.environment()
    began = time.monotonic()
    done = subprocess.run(
        [*COMMAND, "-vv", "sync"], cwd=small.directory, env=environment, stderr=write, timeout=60, check=False
    )
    os.close(write)
    os.close(read)

    assert done.returncode == 0
    assert time.monotonic() - began < 30
    assert execute(small.mirror, ROWS) == [(2,)]


def test_a_terminal_that_closes_does_not_end_a_sync(small: Scalesync) -> None:
    """Bars are drawn on it; then it is gone, and the sync completes."""
    slow_until = time.monotonic() + 3

    def slow(_: Mapping[str, str]) -> object:
        time.sleep(max(0.0, min(1.5, slow_until - time.monotonic())))
        return page(task(2), task(1))

    with StaticListApi(slow) as api:
        process, terminal = pty.fork()
        if process == 0:  # pragma: no cover - the other process
            environment = small.environment() | {"SCALESYNC_API_URL": api.url, "TERM": "xterm"}
            os.chdir(small.directory)
            os.execve(COMMAND[0], [*COMMAND, "-vv", "sync"], environment)
        os.read(terminal, 100)
        os.close(terminal)
        _, status = os.waitpid(process, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert execute(small.mirror, ROWS) == [(2,)]


def test_a_terminal_that_closes_ends_a_dispatcher_that_would_stay(mirror: Scalesync) -> None:
    """Nobody could end it any more."""
    process, terminal = pty.fork()
    if process == 0:  # pragma: no cover - the other process
        os.chdir(mirror.directory)
        os.execve(COMMAND[0], [*COMMAND, "dispatch", "--watch"], mirror.environment())
    os.read(terminal, 100)
    time.sleep(0.5)
    os.close(terminal)
    _, status = os.waitpid(process, 0)

    assert os.waitstatus_to_exitcode(status) in {130, -signal.SIGHUP}


def test_a_signal_is_heeded_whoever_listens(empty_mirror: Scalesync) -> None:
    """The word about it cannot be written, and the work ends as asked."""
    away = empty_mirror.having(SCALESYNC_API_URL="http://127.0.0.1:9/v1", SCALESYNC_PATIENCE="10m")
    with (
        FULL.open("w") as full,
        subprocess.Popen(
            [*COMMAND, "sync"], cwd=away.directory, env=away.environment(), stderr=full, stdout=full
        ) as process,
    ):
        time.sleep(3)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 130


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "utf-16"},
    ],
    ids=str,
)
def test_names_in_any_script_are_told_in_any_encoding(
    variables: dict[str, str], empty_mirror: Scalesync
) -> None:
    """Where the encoding has no letters for them they are spelled out."""
    with StaticListApi(lambda _: page(task(1, project="Ночные ☃"))) as api:
        ready = empty_mirror.having(SCALESYNC_API_URL=api.url)
        for words in ("sync", "task list", "status", "sql 'SELECT project FROM tasks' --format table"):
            done = subprocess.run(
                " ".join(f"'{word}'" for word in COMMAND) + f" {words}",
                shell=True,
                cwd=ready.directory,
                env=ready.environment() | variables,
                capture_output=True,
                timeout=100,
                check=False,
            )
            assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    assert LIVE_KEY not in str(done)
