"""Engines that take a second to start, once for all tests of a process."""

from collections.abc import Iterator

import duckdb
import pytest

from tests.publish.engines import Engines, sail_session


@pytest.fixture(scope="session")
def engines() -> Iterator[Engines]:
    """Start them."""
    with sail_session() as spark, duckdb.connect() as duck:
        duck.execute("SET TimeZone = 'UTC'")
        yield Engines(spark, duck)
