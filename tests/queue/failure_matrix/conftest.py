"""Provide a database of each engine that scenarios use one after the other."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from scalesync.db.database import Database
from tests.support.databases import PostgresServer, fast_disk, opened

_NAME = "matrix"


@pytest.fixture(scope="session")
def sqlite_arena(sqlite_template: Path) -> Iterator[Database]:
    """Return an SQLite database, in memory where there is a disk of it, that every scenario empties."""
    with tempfile.TemporaryDirectory(prefix="scalesync-matrix-", dir=fast_disk()) as directory:
        path = shutil.copyfile(sqlite_template, Path(directory, "matrix.db"))
        with opened(f"sqlite:///{path}") as database:
            yield database


@pytest.fixture(scope="session")
def postgres_arena(postgres_server: PostgresServer) -> Iterator[Database]:
    """Return a Postgres database that every scenario empties."""
    with opened(postgres_server.create(_NAME, "mirror_template")) as database:
        yield database
    postgres_server.drop(_NAME)


@pytest.fixture(params=["sqlite", "postgres"])
def arena(request: pytest.FixtureRequest) -> Database:
    """Return a database of each kind in turn that every scenario empties."""
    found: Database = request.getfixturevalue(f"{request.param}_arena")
    return found
