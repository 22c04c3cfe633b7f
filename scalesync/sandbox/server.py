"""Run the sandbox as a server on the loopback interface, with annotators that work beside it."""

import asyncio
import contextlib
import random
import signal
import socket
import threading
from collections.abc import Callable
from typing import Self

import uvicorn
from uvicorn.server import ServerState

from scalesync.sandbox.app import SandboxApp
from scalesync.sandbox.backend import Backend
from scalesync.sandbox.churn import annotate
from scalesync.sandbox.fault_injection import TrackedProtocol
from scalesync.sandbox.media import MEDIA_PATH
from scalesync.sandbox.options import SandboxOptions
from scalesync.sandbox.result_files import RESULTS_PATH
from scalesync.sandbox.timestamps import Clock, system_clock

HOST = "127.0.0.1"


class Annotator:
    """Completes pending live tasks in a separate thread, and recalls or fixes a few."""

    def __init__(self, backend: Backend, rate: float) -> None:
        self._backend = backend
        self._rate = rate
        self._rng = random.Random(f"{backend.options.seed}:annotator")  # noqa: S311 - repeatable changes, not secrets
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to complete `rate` tasks per second; a rate of 0 does nothing."""
        if self._rate > 0:
            self._thread = threading.Thread(target=self._work, name="annotator", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop, and return once the last change has been made."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while not self._stopping.wait(1 / self._rate):
            with self._backend.locked():
                annotate(self._backend.live, self._rng)


class SandboxServer:
    """A sandbox that serves in a separate thread; a context manager, or call `start` and `stop`.

    Its `backend` may be read and changed while it serves.
    """

    def __init__(self, options: SandboxOptions | None = None, clock: Clock = system_clock) -> None:
        self.options = options or SandboxOptions()
        self.backend = Backend(self.options, clock)
        self.port = 0
        self._annotator = Annotator(self.backend, self.options.annotate)
        self._thread: threading.Thread | None = None
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._stopping = asyncio.Event()

    @property
    def url(self) -> str:
        """The address of the API, with /v1."""
        return f"{self.control_url}/v1"

    @property
    def control_url(self) -> str:
        """The address of the server, whose controls are below /_sandbox."""
        return f"http://{HOST}:{self.port}"

    def start(self) -> Self:
        """Listen, and return once requests are answered; raises OSError if the port is taken."""
        # IPPROTO_TCP is given because asyncio turns Nagle's algorithm off only where it is: with it, a
        # response waits 40 ms for the client's acknowledgement.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((HOST, self.options.port))
            listener.listen(2048)
        except OSError:
            listener.close()
            self.backend.close()
            raise
        self.port = listener.getsockname()[1]
        self.backend.results_url = f"{self.control_url}{RESULTS_PATH}"
        self.backend.media_url = f"{self.control_url}{MEDIA_PATH}"
        self._runner.get_loop()  # made here, so that `stop` finds it however early it comes
        self._thread = threading.Thread(target=self._serve, args=(listener,), name="sandbox", daemon=True)
        self._thread.start()
        self._annotator.start()
        return self

    def stop(self) -> None:
        """Abort every connection and close the state file. A second call does nothing."""
        if self._thread is None:
            return
        # In this order: the annotator and the last requests may still write, so the state file comes last.
        self._annotator.stop()
        self._runner.get_loop().call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._thread = None
        self.backend.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _serve(self, listener: socket.socket) -> None:
        with self._runner:
            self._runner.run(self._serve_until_stopped(listener))

    async def _serve_until_stopped(self, listener: socket.socket) -> None:
        config = uvicorn.Config(
            SandboxApp(self.backend),
            lifespan="off",
            log_config=None,
            log_level="critical",
            timeout_keep_alive=75,
            access_log=False,
        )
        config.load()
        server_state = ServerState()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: TrackedProtocol(config, server_state, {}), sock=listener)
        await self._stopping.wait()
        # A server closed while it accepts a connection leaks that socket, so it first stops to accept.
        loop.remove_reader(listener)
        await _let_callbacks_run()
        server.close()
        for connection in list(server_state.connections):
            connection.transport.abort()
        await _let_callbacks_run()


async def _let_callbacks_run() -> None:
    """Wait a few rounds of the event loop, so that connections are accepted or closed completely."""
    for _ in range(6):
        await asyncio.sleep(0)


def serve(
    options: SandboxOptions,
    on_ready: Callable[[SandboxServer], None],
    stopping: threading.Event | None = None,
) -> None:
    """Run a sandbox until SIGINT or SIGTERM, and call `on_ready` once it answers.

    With `stopping` the caller handles the signals and sets the event. Raises OSError if the port is taken.
    """
    event = threading.Event() if stopping is None else stopping
    with contextlib.ExitStack() as stack:
        if stopping is None:
            for number in (signal.SIGINT, signal.SIGTERM):
                stack.callback(signal.signal, number, signal.signal(number, lambda *_: event.set()))
        on_ready(stack.enter_context(SandboxServer(options)))
        event.wait()
