"""The official client, ready to ask."""

import pytest
import scaleapi

from scalesync.sandbox import SandboxServer
from tests.support.sandboxes import official_client


@pytest.fixture
def client(sandbox: SandboxServer) -> scaleapi.ScaleClient:
    """Return the official client with a live key on an empty sandbox."""
    return official_client(sandbox)
