"""Browsers over mirrors of both kinds."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from scalesync.db.database import Database
from scalesync.mirror import Mirror
from scalesync.web.app import NAMED_PAGES, PAGES
from tests.support import hostile_account
from tests.support.chromium import end_browser
from tests.support.hostile_account import HostilePages
from tests.support.pages import Browser
from tests.support.sandboxes import StartSandbox
from tests.support.shown_account import counted, served
from tests.support.sync_env import sync


@pytest.fixture
def browser(database_url: str) -> Iterator[Browser]:
    """Return a browser over a fresh mirror of each kind in turn."""
    made = Browser(database_url)
    yield made
    made.close()


@pytest.fixture
def pages(database: Database, database_url: str, start_sandbox: StartSandbox) -> Iterator[HostilePages]:
    """Return the pages over an account of strangers and a common one, with commands that wait."""
    server = start_sandbox(tasks=40)
    hostile_account.fill(server)
    assert sync(server, database).complete
    server.backend.fix(hostile_account.TASK)
    assert sync(server, database).complete
    hostile_account.queue(Mirror(database_url))
    addresses = hostile_account.addresses()
    names = {f"/{address.partition('?')[0]}" for address in addresses}
    assert set(PAGES) <= names
    assert not [start for start in NAMED_PAGES if not any(name.startswith(start) for name in names)]
    with served(database_url) as running:
        of_project = f"?project={quote(hostile_account.PROJECT)}"
        counted(running.url, "index.json", f"index.json{of_project}", f"labels.json{of_project}")
        yield HostilePages(running.url, f"{server.backend.media_url}/", addresses)


@pytest.fixture(scope="session", autouse=True)
def _browser_ended() -> Iterator[None]:
    """End Chromium, which all tests of a process share, behind the last of them."""
    yield
    end_browser()
