"""Provide a database of each engine that examples use one after the other."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.databases import PostgresServer, fast_disk
from tests.sync.state_machine.crashing_database import CrashingDatabase

_NAME = "machine"


@pytest.fixture
def sqlite_arena(sqlite_template: Path) -> Iterator[CrashingDatabase]:
    """Return an SQLite database, in memory where there is a disk of it, that every example empties."""
    with tempfile.TemporaryDirectory(prefix="scalesync-machine-", dir=fast_disk()) as directory:
        path = shutil.copyfile(sqlite_template, Path(directory, "machine.db"))
        yield from _opened(f"sqlite:///{path}")


@pytest.fixture
def postgres_arena(postgres_server: PostgresServer) -> Iterator[CrashingDatabase]:
    """Return a Postgres database that every example empties."""
    yield from _opened(postgres_server.create(_NAME, "mirror_template"))
    postgres_server.drop(_NAME)


@pytest.fixture(params=["sqlite", "postgres"])
def arena(request: pytest.FixtureRequest) -> CrashingDatabase:
    """Return a database of each kind in turn that every example empties."""
    found: CrashingDatabase = request.getfixturevalue(f"{request.param}_arena")
    return found


def _opened(url: str) -> Iterator[CrashingDatabase]:
    database = CrashingDatabase.open(url)
    assert isinstance(database, CrashingDatabase)
    try:
        yield database
    finally:
        database.close()
