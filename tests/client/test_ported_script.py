"""The script of the documentation does the same with the official client and, one line changed, with ours."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import scalesync
from scalesync import Mirror
from scalesync.sandbox import SandboxServer
from tests.support.sandboxes import LIVE_KEY, StartSandbox

SCRIPT = Path(scalesync.__file__).parent / "docs" / "ported_script.py"
THEIRS, OURS = "from scaleapi import ScaleClient\n", "from scalesync.client import ScaleClient\n"
MADE_UP = {"id", "task_id", "projectId", "created_at", "updated_at", "completed_at", "audited_at"}
"""Fields with an id or an instant, which two accounts never have in common."""


@contextmanager
def _again_and_again(seconds: float, act: Callable[[], object]) -> Iterator[None]:
    """Call `act` in a thread, every `seconds`, while the block lasts; no call may fail."""
    over, went_well = threading.Event(), []

    def repeat() -> None:
        while not over.wait(seconds):
            act()
        went_well.append(True)

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert went_well


def _annotate(server: SandboxServer) -> None:
    """Complete what is pending in batches that were finalized, in the order of the creates."""
    backend = server.backend
    with backend.locked():
        ready = [name for name, batch in backend.live.batches.items() if batch["status"] == "in_progress"]
        for task_id in list(backend.live.tasks.pending):
            if backend.live.tasks[task_id].doc().get("batch") in ready:
                backend.complete(task_id)


def _run(server: SandboxServer, directory: Path, line: str, **variables: str) -> tuple[str, str]:
    """Run the script with one of the two lines; return what it printed, and the file that it wrote."""
    directory.mkdir(exist_ok=True)
    (directory / "script.py").write_text(SCRIPT.read_text().replace(THEIRS, line))
    with _again_and_again(0.05, lambda: _annotate(server)):
        done = subprocess.run(
            [sys.executable, "-W", "error", "script.py", "--wait", "60", "--pictures", "12"],
            cwd=directory,
            env={**os.environ, "SCALE_API_KEY": LIVE_KEY, "SCALE_API_URL": server.url, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout, (directory / "boxes.csv").read_text()


def _effects(server: SandboxServer) -> Any:
    """Return all that is at the server, without ids and instants, and how often each write was applied."""
    names = {json.loads(doc)["task_id"]: json.loads(doc) for doc in server.backend.documents("tasks")}
    applied = sorted(
        (kind, names[name].get("attachment", "") if kind == "task" else name, write, count)
        for kind, name, write, count in server.backend.applied
    )
    documents = {
        kind: [_without_made_up(json.loads(doc)) for doc in server.backend.documents(kind)]
        for kind in ("projects", "batches", "tasks")
    }
    return documents, applied


def _without_made_up(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_made_up(each) for name, each in value.items() if name not in MADE_UP}
    return [_without_made_up(each) for each in value] if isinstance(value, list) else value


def test_one_line_of_the_script_is_changed() -> None:
    """It imports the official client in one line, and nothing of ours."""
    assert SCRIPT.read_text().count(THEIRS) == 1
    assert "scalesync" not in SCRIPT.read_text().split('"""', 2)[2]


@pytest.mark.parametrize("synced_beside", [False, True], ids=["API asked", "from a mirror synced beside"])
def test_the_script_does_the_same_with_either_client(
    start_sandbox: StartSandbox, tmp_path: Path, synced_beside: bool
) -> None:
    """It prints the same, writes the same file, and has the same effects at the API, each as often."""
    server, ours = start_sandbox(), start_sandbox()
    expected = _run(server, tmp_path / "theirs", THEIRS)
    (tmp_path / "ours").mkdir()
    mirror = Mirror(tmp_path / "ours" / "scalesync.db", api_key=LIVE_KEY, api_url=ours.url)
    mirror.init()
    if synced_beside:
        assert mirror.sync().complete
        with _again_and_again(0.5, mirror.sync):
            found = _run(ours, tmp_path / "ours", OURS)
    else:
        found = _run(ours, tmp_path / "ours", OURS, SCALESYNC_MAX_AGE="0")

    assert found == expected
    assert "12 of 12 accepted" in found[0]
    assert _effects(ours) == _effects(server)
