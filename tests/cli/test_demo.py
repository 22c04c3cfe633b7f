"""The demo: the whole story in one command, without a key and without a network."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from scalesync.cli.demo.walkthrough import _lock
from tests.readme import PAGES, ROOT
from tests.support.cli_process import Done, Scalesync, check_refusal


def test_the_demo_tells_the_whole_story(scalesync: Scalesync) -> None:
    """Syncs, answers in SQL, work submitted without an API and done once, and a mirror that stays.

    What an earlier demo left is removed; what another one is at work in stays.
    """
    process = Scalesync(scalesync.directory, {"TMPDIR": str(scalesync.directory)})
    left, held, new = (scalesync.directory / f"scalesync-demo-{name}" for name in ("left", "held", "new"))
    for old in (left, held, new):
        old.mkdir()
    for old in (left, held):
        (old / "scale.db").touch()
    with _lock(held):
        done = process("demo", "--tasks", "1000")

    assert done.code == 0, done.err
    first, second, offline = re.split("Annotators at work|Pull the plug", done.out)
    tables = [line.split() for line in first.splitlines() if line.startswith("tasks ")]
    changes = [line.split() for line in second.splitlines() if line.startswith("tasks ")]
    path = Path(next(line for line in done.out.splitlines() if line.endswith("scalesync.db")))
    assert [row[:3] for row in tables] == [["tasks", "1,000", "0"]]
    assert int(changes[0][2]) > 0
    assert second.count("SELECT") == 2
    assert "53 commands are open" in offline
    assert "53 of 53 were queued before" in offline
    doubt = re.search(r"(\d+) tasks may or may not be there", offline)
    assert doubt is not None
    assert int(doubt[1]) > 0
    counted = [line.split() for line in offline.splitlines() if " created " in line or " finalized " in line]
    assert counted == [
        ["batch", "created", "1", "1"],
        ["batch", "finalized", "1", "1"],
        ["project", "created", "1", "1"],
        ["unique_id", "created", "1", "50"],
    ]
    assert [line.split()[-4:-2] for line in offline.splitlines() if line.startswith("night 1")] == [
        ["50", "50"]
    ]
    assert "Street scenes" in done.out.split("SELECT")[1]
    assert path.is_relative_to(scalesync.directory)
    assert process("--db", path, "status").code == 0
    assert [old.exists() for old in (left, held, new)] == [False, True, True]


def test_a_sandbox_that_cannot_start_says_why(scalesync: Scalesync) -> None:
    """A state file where none can be made; nothing is left running."""
    done = scalesync("sandbox", "--port", "0", "--state", "nowhere/at/all")

    assert (done.code, "The sandbox cannot start" in done.err) == (2, True)


def test_a_sandbox_says_where_it_is_and_stops_on_request(scalesync: Scalesync) -> None:
    """Its address can be pasted into a shell; SIGTERM ends it with 0."""
    with scalesync.started("sandbox", "--port", "0", "--tasks", "10") as process:
        assert process.stderr is not None
        process.stderr.readline()
        address = process.stderr.readline().split()[1].partition("=")[2]
        done = scalesync.having(SCALESYNC_API_URL=address)("check", "--json")
        process.terminate()
        stopped = process.wait(20)

    assert f"{address} answers" in done.out
    assert stopped == 0


def without(directory: Path, *missing: str) -> dict[str, str]:
    """Return the environment of a Python that has every package but some."""
    for path in map(Path, sys.path):
        if path.name == "site-packages":
            for entry in path.iterdir():
                if entry.name not in missing and not (directory / entry.name).exists():
                    (directory / entry.name).symlink_to(entry)
    return {**os.environ, "PYTHONPATH": f"{directory}:{ROOT}"}


@pytest.mark.parametrize(
    "missing", [("starlette",), ("uvicorn",), ("python_multipart", "multipart"), ("starlette", "uvicorn")]
)
def test_without_the_extra_it_says_how_to_install_it(missing: tuple[str, ...], tmp_path: Path) -> None:
    """One sentence and exit code 2, by demo and sandbox alike."""
    packages = tmp_path / "packages"
    packages.mkdir()
    for command in (["demo"], ["sandbox", "--port", "0"]):
        done = subprocess.run(
            [sys.executable, "-S", "-m", "scalesync", *command],
            env=without(packages, *missing),
            capture_output=True,
            text=True,
            check=False,
        )
        said = Done(done.returncode, done.stdout, done.stderr)
        check_refusal(said, 2, "packages that are not installed", "pip install '.[sandbox]'")


def test_whatever_is_to_be_installed_is_an_extra_of_the_checkout() -> None:
    """No package of ours is on an index, so that nothing names one; each extra that is named exists."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    texts = [path.read_text() for path in [*PAGES, *(ROOT / "scalesync").rglob("*.py")]]

    assert [text for text in texts if re.search(r"pip install[^`\n]* '?scalesync\b", text)] == []
    named = [
        name
        for text in texts
        for names in re.findall(r"'\.\[([\w,]+)\]'|how_to_install\(\"(\w+)\"\)", text)
        for name in "".join(names).split(",")
    ]
    assert set(named) == set(extras)
