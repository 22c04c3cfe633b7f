"""A scripted server and a client that speaks to it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from scalesync.api import ApiOptions, ScaleApi
from scalesync.clock import Clock
from scalesync.retry import RetryPolicy
from tests.support.scripted_server import ScriptedServer, Step, SteppingClock

KEY = "live_0123456789abcdef"

Serve = Callable[..., ScriptedServer]
Connect = Callable[..., ScaleApi]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return what starts a scripted server; it ends with the test."""
    with ExitStack() as stack:

        def start(*steps: Step, **more: Any) -> ScriptedServer:
            return stack.enter_context(ScriptedServer(steps, **more))

        yield start


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Return what makes a client for a server or an address: no waits in real time, jitter always 0.5."""
    with ExitStack() as stack:

        def make(server: ScriptedServer | str, *, clock: Clock | None = None, **options: Any) -> ScaleApi:
            url = server if isinstance(server, str) else server.url
            chosen = ApiOptions(url=url, **{"retry": RetryPolicy(attempts=3), **options})
            client = ScaleApi(KEY, chosen, clock=clock or SteppingClock(), random=lambda: 0.5)
            return stack.enter_context(client)

        yield make
