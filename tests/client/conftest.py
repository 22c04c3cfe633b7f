"""The drop-in client over a fresh mirror, and the official one beside it."""

from collections.abc import Callable
from typing import Any

import pytest

from scalesync import Mirror
from scalesync.client import ScaleClient
from scalesync.sandbox import SandboxServer
from tests.support.sandboxes import LIVE_KEY

Connect = Callable[..., ScaleClient]
"""Returns the drop-in for a server and a database, with further arguments of ScaleClient."""


@pytest.fixture
def connect(sqlite_url: str) -> Connect:
    """Return what makes a drop-in client, with the mirror's tables made."""

    def connected(server: SandboxServer, url: str = sqlite_url, **options: Any) -> ScaleClient:
        Mirror(url, api_key=LIVE_KEY, api_url=server.url).init()
        return ScaleClient(LIVE_KEY, api_instance_url=server.url, database=url, **options)

    return connected


@pytest.fixture
def client(sandbox: SandboxServer, connect: Connect) -> ScaleClient:
    """Return a drop-in over an empty sandbox that sends at once, and reads what it does not have."""
    return connect(sandbox, max_age=0)
