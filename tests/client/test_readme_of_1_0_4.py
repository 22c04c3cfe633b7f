"""Scripts for version 1.0.4 of the official client get the same from the drop-in, call by call."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from scaleapi.tasks import TaskType

from scalesync import Mirror
from scalesync.sandbox import SandboxServer
from scalesync.settings import DEFAULT_DATABASE
from tests.readme import ROOT
from tests.support.sandboxes import LIVE_KEY, StartSandbox, official_client

SCRIPT = Path(__file__).parent / "readme_of_1_0_4.py"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="session")
def official_1_0_4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with version 1.0.4, which cannot be installed beside the newer one."""
    directory = tmp_path_factory.mktemp("scaleapi-1.0.4")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [*install, "--no-deps", "--target", str(directory), "scaleapi==1.0.4"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"scaleapi 1.0.4 cannot be installed here: {done.stderr.strip()[-200:]}")
    return directory


def _account(start_sandbox: StartSandbox) -> SandboxServer:
    """Start a sandbox with tasks and batches, and the project that the README takes for granted."""
    server = start_sandbox(clock=lambda: NOW, tasks=300, seed=4)
    official_client(server).create_project("test_project", TaskType.ImageAnnotation, params={})
    return server


def _calls(server: SandboxServer, whose: str, directory: Path, path: Path) -> dict[str, Any]:
    """Return what each call of the README returned."""
    directory.mkdir()
    Mirror(directory / DEFAULT_DATABASE, api_key=LIVE_KEY, api_url=server.url).init()
    docs = [json.loads(doc) for doc in server.backend.documents("tasks")]
    completed = next(doc["task_id"] for doc in docs if doc["status"] == "completed" and "response" in doc)
    own = {"SCALE_API_KEY": LIVE_KEY, "SCALESYNC_API_URL": server.url, "SCALESYNC_MAX_AGE": "0"}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(SCRIPT), whose, completed],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(path), **own},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    # Result files have the address of the server.
    return dict(json.loads(done.stdout.replace(server.control_url, "http://server")))


def test_every_call_returns_the_same(
    start_sandbox: StartSandbox, official_1_0_4: Path, tmp_path: Path
) -> None:
    """Or raises the same, over two equal accounts whose time stands still, so that ids are equal too.

    A task created without a unique_id has one here, by which a create without an answer is looked up.
    """
    theirs = _calls(_account(start_sandbox), "theirs", tmp_path / "theirs", official_1_0_4)
    server = _account(start_sandbox)
    ours = _calls(server, "ours", tmp_path / "ours", ROOT)

    for name in ("create task", "cancel task"):
        assert ours[name][1].pop("unique_id").startswith("scalesync-")
    assert list(ours) == list(theirs)
    assert {name: ours[name] for name in ours if ours[name] != theirs[name]} == {}
    assert len(ours["all tasks"]) > 0
