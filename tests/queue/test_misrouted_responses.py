"""Somebody between us and the API mixes answers up: a command is delivered by an answer to itself alone."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest

from scalesync.db.database import Database
from scalesync.models.commands import NewCommand
from scalesync.queue import new_commands
from scalesync.sandbox import SandboxServer
from tests.support.dispatch_env import WHOLE, dispatch_env

BOX = "imageannotation"
BODY = {"attachment": "https://example.com/1.jpg", "project": "p", "batch": "b"}
Reply = tuple[int, bytes]


@dataclass
class Mixer:
    """A proxy that gives the wrong answers; `after` is how many answers of a connection are right."""

    target: str
    swaps: bool = False
    """Whether it gives two requests that are under way at once each other's answers; else it repeats on each
    connection the first answer that it gave there, and hands on nothing."""
    mixed: int = 0
    """How many answers were another's."""
    waiting: list["Held"] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        """Hand a request on and return the true answer."""
        connection = HTTPConnection(urlsplit(self.target).netloc, timeout=10)
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        reply = answer.status, answer.read()
        connection.close()
        return reply

    def swapped(self, reply: Reply) -> Reply:
        """Return the answer of another request that comes soon, or the own one where none does."""
        with self.lock:
            if self.waiting:
                other = self.waiting.pop()
                other.reply, reply = reply, other.reply
                self.mixed += 2
                other.done.set()
                return reply
            mine = Held(reply)
            self.waiting.append(mine)
        mine.done.wait(0.3)
        with self.lock:
            if mine in self.waiting:
                self.waiting.remove(mine)
        return mine.reply


@dataclass(eq=False)
class Held:
    """An answer that waits for another one to change places with."""

    reply: Reply
    done: threading.Event = field(default_factory=threading.Event)


@contextmanager
def mixing(server: SandboxServer, *, swaps: bool) -> Iterator[tuple[Mixer, str]]:
    """Yield a mixer before a sandbox, and its address."""
    mixer = Mixer(server.url, swaps)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else the body waits for the receipt of the head
        first: Reply | None = None

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.first is not None and not mixer.swaps:
                mixer.mixed += 1
                reply = self.first
            else:
                names = ("Authorization", "Content-Type")
                headers = {name: self.headers[name] for name in names if name in self.headers}
                reply = mixer.ask(self.command, self.path, body, headers)
                self.first = reply
                reply = mixer.swapped(reply) if mixer.swaps and self.command == "POST" else reply
            self.send_response(reply[0])
            self.send_header("Content-Length", str(len(reply[1])))
            self.end_headers()
            self.wfile.write(reply[1])

        do_GET = do_POST = handle_any  # noqa: N815 - the library's names

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    thread = threading.Thread(target=listener.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield mixer, f"http://127.0.0.1:{listener.server_port}{urlsplit(server.url).path}"
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


def intents() -> Iterator[tuple[NewCommand, tuple[str, str, str]]]:
    """Yield commands of every kind, each with its effect at the API."""
    for number in range(10):
        order = new_commands.create_task(BOX, {**BODY, "unique_id": f"u{number}"})
        yield order, ("unique_id", f"u{number}", "created")
    for number in range(3):
        yield new_commands.create_batch(f"new {number}", "p"), ("batch", f"new {number}", "created")
        yield new_commands.create_project(f"q{number}", BOX, {}), ("project", f"q{number}", "created")
        yield new_commands.cancel_task(unique_id=f"old {number}"), ("unique_id", f"old {number}", "canceled")
        yield new_commands.finalize_batch(f"full {number}"), ("batch", f"full {number}", "finalized")
        yield new_commands.update_project(f"r{number}", {"a": 1}), ("project", f"r{number}", "versioned")


@pytest.fixture
def ready(sandbox: SandboxServer, database: Database) -> SandboxServer:
    """Return a sandbox in which all of it can be done."""
    with dispatch_env(database, sandbox) as env:
        env.api.create_project({"name": "p", "type": BOX, "rapid": True})
        env.api.create_batch({"name": "b", "project": "p"})
        for number in range(3):
            env.api.create_project({"name": f"r{number}", "type": BOX})
            env.api.create_batch({"name": f"full {number}", "project": "p"})
            env.api.create_task(BOX, {**BODY, "unique_id": f"old {number}"})
    return sandbox


@pytest.mark.parametrize(("swaps", "workers"), [(False, 1), (False, 4), (True, 6)])
def test_every_effect_is_there_once(
    ready: SandboxServer, database: Database, swaps: bool, workers: int
) -> None:
    """A server repeats the first answer of a connection, or a proxy swaps two: nothing is lost or doubled."""
    queue = list(intents())
    with mixing(ready, swaps=swaps) as (mixer, url), dispatch_env(database, url) as env:
        ids = env.put(*(order for order, _ in queue))
        env.dispatch(replace(WHOLE, workers=workers, patience=20))

    assert mixer.mixed > 0
    ended: dict[Any, str] = dict(zip([effect for _, effect in queue], env.states(ids), strict=True))
    counts = {effect: ready.backend.applied.count(*effect) for effect in ended}
    assert {effect: (ended[effect], count) for effect, count in counts.items() if count != 1} == {}
    assert set(ended.values()) == {"delivered"}


def test_a_healthy_dispatch_looks_at_nothing(ready: SandboxServer, database: Database) -> None:
    """The answers of an API that mixes nothing up prove every kind without a further request."""
    queue = [order for order, _ in intents()]
    with dispatch_env(database, ready) as env:
        env.put(*queue)
        summary = env.dispatch()

    prepared = sum(order.kind in ("update_project", "cancel_task") for order in queue)
    assert (summary.delivered, summary.looks) == (len(queue), 0)
    assert summary.requests == len(queue) + prepared
