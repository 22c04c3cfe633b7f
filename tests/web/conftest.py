"""Browsers over mirrors of both kinds."""

from collections.abc import Iterator

import pytest

from tests.support.chromium import end_browser
from tests.support.pages import Browser


@pytest.fixture
def browser(database_url: str) -> Iterator[Browser]:
    """Return a browser over a fresh mirror of each kind in turn."""
    made = Browser(database_url)
    yield made
    made.close()


@pytest.fixture(scope="session", autouse=True)
def _browser_ended() -> Iterator[None]:
    """End Chromium, which all tests of a process share, behind the last of them."""
    yield
    end_browser()
