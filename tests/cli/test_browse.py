"""`scalesync browse` serves pages from its first line until it is interrupted."""

import signal
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from subprocess import Popen

import pytest
import requests

from tests.cli.test_demo import without
from tests.support.cli_process import Done, Scalesync, check_interrupted, check_refusal

TOKEN = "abcdefghijklmnop-0123456789_ABC"


def address_of(process: Popen[str]) -> str:
    """Return the address that a command printed."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def browsing(mirror: Scalesync, *arguments: str) -> AbstractContextManager[Popen[str]]:
    """Run the pages at any free port."""
    return mirror.started("browse", "--port", "0", *arguments)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_an_address_and_ends_cleanly(mirror: Scalesync, number: signal.Signals) -> None:
    """With code 0 and nothing on stderr."""
    with browsing(mirror) as process:
        address = address_of(process)
        assert requests.get(f"{address}tasks.json", timeout=20).json()["tasks"]
        done = check_interrupted(process, number)
    assert (done.code, done.out, done.err) == (0, "", "")
    with pytest.raises(requests.ConnectionError):
        requests.get(address, timeout=5)


def test_a_random_token_is_in_the_address_once(mirror: Scalesync) -> None:
    """Then a cookie opens the pages, and nobody else can."""
    with browsing(mirror, "--token", "--host", "127.0.0.1") as process, requests.Session() as session:
        address = address_of(process)
        assert requests.get(address.partition("?")[0], timeout=20).status_code == 401
        assert session.get(address, timeout=20).url == address.partition("?")[0]
        assert session.get(address.partition("?")[0] + "tasks", timeout=20).status_code == 200
        assert len(address.partition("token=")[2]) >= 32


@pytest.mark.parametrize("given", ["file", "variable"])
def test_a_chosen_token_is_not_printed(mirror: Scalesync, tmp_path: Path, given: str) -> None:
    """It comes from a file or the environment, and never from the command line."""
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    arguments = ("--token-file", "token") if given == "file" else ()
    known = mirror if given == "file" else mirror.having(SCALESYNC_BROWSE_TOKEN=TOKEN)
    with browsing(known, *arguments) as process:
        address = address_of(process)
        assert TOKEN not in address
        assert requests.get(address, timeout=20).status_code == 401
        assert requests.get(f"{address}?token={TOKEN}", timeout=20, allow_redirects=False).status_code == 303
        done = check_interrupted(process, signal.SIGINT)
    assert TOKEN not in done.out + done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--host", "0.0.0.0"), "Add --token"),
        (("--host", "192.0.2.1"), "others could read"),
        (("--host", "192.0.2.1", "--token"), "cannot be at"),
        (("--token-file", "none"), "cannot be read"),
        (("--port", "65536"), "more than 65535"),
        (("--token", "x"), "unexpected extra argument"),
    ],
    ids=" ".join,
)
def test_bad_input_is_one_sentence(mirror: Scalesync, arguments: tuple[str, ...], words: str) -> None:
    """And ends with 2."""
    check_refusal(mirror("browse", *arguments), 2, words)


def test_a_short_token_is_refused(mirror: Scalesync) -> None:
    """It could be guessed; and it is not repeated."""
    done = mirror.having(SCALESYNC_BROWSE_TOKEN="short!")("browse", "--port", "0")
    check_refusal(done, 2, "16 or more letters")
    assert "short!" not in done.err


def test_a_taken_port_is_one_sentence(mirror: Scalesync) -> None:
    """And ends with 2."""
    with browsing(mirror) as process:
        port = address_of(process).rpartition(":")[2].strip("/")
        check_refusal(mirror("browse", "--port", port), 2, f"port {port}", "Choose another --port")


def test_without_a_mirror_it_does_not_start(scalesync: Scalesync) -> None:
    """It says what is wrong before anybody opens a page."""
    check_refusal(scalesync("browse", "--port", "0"), 5, "scalesync.db")


@pytest.mark.parametrize("missing", ["jinja2", "starlette", "uvicorn"])
def test_without_the_extra_it_says_how_to_install_it(tmp_path: Path, missing: str) -> None:
    """One sentence and exit code 2."""
    packages = tmp_path / "packages"
    packages.mkdir()
    command = [sys.executable, "-S", "-m", "scalesync", "browse"]
    environment = without(packages, missing)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    said = Done(done.returncode, done.stdout, done.stderr)
    check_refusal(said, 2, "packages that are not installed", "pip install '.[web]'")
