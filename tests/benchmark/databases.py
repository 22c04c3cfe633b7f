"""Make an empty database for each turn of a peer."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg

from tests.support.databases import PostgresServer

_numbers = count(1)


@contextmanager
def fresh_postgres(server: PostgresServer) -> Iterator[str]:
    """Yield the URL of an empty database, after what others have written is on the disk."""
    name = f"contender_{next(_numbers)}"
    url = server.create(name)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    try:
        yield url
    finally:
        server.drop(name)


def server_version(url: str) -> str:
    """Return the version of a Postgres server."""
    with psycopg.connect(url) as connection:
        return connection.info.parameter_status("server_version") or ""


@contextmanager
def fresh_sqlite(directory: Path) -> Iterator[str]:
    """Yield the URL of a file that does not exist yet, after what others have written is on the disk."""
    os.sync()
    with tempfile.TemporaryDirectory(dir=directory) as place:
        yield f"sqlite:///{place}/copy.db"
