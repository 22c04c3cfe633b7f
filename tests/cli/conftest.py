"""Commands in directories of their own, and a mirror to look at."""

import shutil
from pathlib import Path

import pytest

from scalesync.sandbox import SandboxServer
from tests.support.cli_in_process import in_process
from tests.support.cli_process import Scalesync, scalesync_in


@pytest.fixture
def scalesync(tmp_path: Path) -> Scalesync:
    """Return what runs commands in a new directory, without an API."""
    return in_process(scalesync_in(tmp_path))


@pytest.fixture
def empty_mirror(sqlite_template: Path, tmp_path: Path) -> Scalesync:
    """Return what runs commands beside a mirror of nothing yet, without an API."""
    shutil.copyfile(sqlite_template, tmp_path / "scalesync.db")
    return in_process(scalesync_in(tmp_path))


@pytest.fixture(scope="session")
def synced(shared_sandbox: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> Scalesync:
    """Return what runs commands beside a complete mirror of the shared sandbox; it must not be changed."""
    scalesync = in_process(scalesync_in(tmp_path_factory.mktemp("synced"), shared_sandbox.url))
    for command in ("init", "sync"):
        done = scalesync(command)
        assert done.code == 0, done.err
    return scalesync


@pytest.fixture
def mirror(synced: Scalesync, tmp_path: Path) -> Scalesync:
    """Return what runs commands beside a complete mirror of the shared sandbox that may be changed."""
    shutil.copyfile(synced.mirror, tmp_path / "scalesync.db")
    return in_process(Scalesync(tmp_path, synced.variables))
