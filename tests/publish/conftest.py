"""Engines that take a second to start, once for all tests of a process."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import duckdb_extension_delta
import pytest

from tests.publish.engines import Engines, sail_session


@pytest.fixture(scope="session")
def engines() -> Iterator[Engines]:
    """Start them."""
    with sail_session() as spark, duckdb.connect() as duck:
        duck.execute("SET TimeZone = 'UTC'")
        duck.load_extension(
            str(next(Path(duckdb_extension_delta.__file__).parent.rglob("*.duckdb_extension")))
        )
        yield Engines(spark, duck)
