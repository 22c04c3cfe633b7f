"""Serve an account over HTTP from prepared JSON, so that a benchmark measures the client."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import uvicorn
from starlette.types import Receive, Scope, Send

from scalesync.sandbox.json_codec import Doc, decode, encode
from tests.benchmark.account import GENERATED, Account, DuplicateError, Query
from tests.benchmark.generated_account import GeneratedAccount

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
KEY = "live_0123456789abcdef"

Answer = tuple[int, bytes]


@dataclass(frozen=True)
class Api:
    """A running server in a process of its own."""

    url: str
    """With /v1."""
    control: str
    corpus: str
    bytes_per_task: float

    def requests(self) -> int:
        """Return the number of requests that it answered so far."""
        return self._counted("requests")

    def creations(self) -> int:
        """Return the number of requests so far that were to create a task, those refused included."""
        return self._counted("creations")

    def _counted(self, what: str) -> int:
        with urllib.request.urlopen(f"{self.control}/{what}", timeout=30) as answer:
            return int(answer.read())

    def change(self, *, recent: bool = False) -> int:
        """Change one task in a thousand of a generated account, or as many recent ones; return how many."""
        with urllib.request.urlopen(f"{self.control}/change{'?recent=yes' * recent}", timeout=60) as answer:
            return int(answer.read())


@contextmanager
def running(tasks: int, *, latency: float = 0.0, seed: int = 1, corpus: str = "plain") -> Iterator[Api]:
    """Yield a server with `tasks` tasks that answers each request after `latency` seconds, concurrently.

    It ends with the block, or with this process.
    """
    given = json.dumps({"tasks": tasks, "latency": latency, "seed": seed, "corpus": corpus})
    command = [sys.executable, "-m", "tests.benchmark.server", given]
    pipe = subprocess.PIPE
    # In a session of its own, so that Ctrl-C reaches only the measuring process, which ends the server.
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT, start_new_session=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, "the server did not start"
            yield Api(**json.loads(line))
        finally:
            process.kill()


@dataclass
class App:
    """An ASGI application over an account."""

    account: Account | GeneratedAccount
    latency: float
    requests: int = 0
    creations: int = 0
    routes: dict[tuple[str, str], Callable[[Query, list[str], bytes], Answer]] = field(init=False)

    def __post_init__(self) -> None:
        account = self.account
        self.routes = {
            ("GET", "tasks"): lambda query, _names, _body: self._tasks(query),
            ("GET", "task"): lambda _query, names, _body: _found(account.task(names[0])),
            ("GET", "batches"): lambda query, names, _body: self._batches(query, names),
            ("GET", "projects"): lambda query, names, _body: self._projects(query, names),
        }
        if isinstance(account, Account):
            self.routes["POST", "task"] = lambda _query, names, body: self._create(account, names[0], body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        _, head, *names = [unquote(part) for part in scope["raw_path"].decode().split("/")]
        if head in {"requests", "creations"}:
            status, text = 200, str(getattr(self, head)).encode()
        elif head == "change" and isinstance(self.account, GeneratedAccount):
            changed = self.account.change(time.time_ns() // 1_000_000, recent=bool(scope["query_string"]))
            status, text = 200, str(changed).encode()
        else:
            self.requests += 1
            if self.latency:
                await asyncio.sleep(self.latency)
            query = dict(parse_qsl(scope["query_string"].decode()))
            status, text = self._answer(scope["method"], names, query, body)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(text))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": text})

    def _answer(self, method: str, names: list[str], query: Query, body: bytes) -> Answer:
        route = self.routes.get((method, names[0]))
        return _found(None) if route is None else route(query, names[1:], body)

    def _tasks(self, query: Query) -> Answer:
        if isinstance(self.account, Account) and self.account.by_project and not query.get("project"):
            return _refused(400, "A project has to be named.")
        return 200, self.account.page(query)

    def _create(self, account: Account, kind: str, body: bytes) -> Answer:
        self.creations += 1
        try:
            return 200, account.create(kind, decode(body), time.time_ns() // 1_000_000)
        except DuplicateError:
            return _refused(409, "Another task has that unique_id.")

    def _batches(self, query: Query, names: list[str]) -> Answer:
        match names:
            case []:
                return _found(self.account.page_of_batches(query))
            case [name]:
                return _found(self.account.batch(name))
            case [name, "status"]:
                return _found(self.account.batch_status(name))
        return _found(None)

    def _projects(self, query: Query, names: list[str]) -> Answer:
        if names:
            return _found(self.account.project(names[0]))
        return 200, encode([] if query.get("archived") == "true" else self.account.projects)


def _found(answer: Doc | bytes | None) -> Answer:
    if answer is None:
        return _refused(404, "There is nothing of that name.")
    return 200, answer if isinstance(answer, bytes) else encode(answer)


def _refused(status: int, error: str) -> Answer:
    return status, encode({"status_code": status, "error": error})


def main() -> None:
    """Print the addresses as one line of JSON, and serve until stdin ends."""
    given: dict[str, Any] = json.loads(sys.argv[1])
    account: Account | GeneratedAccount
    if given["corpus"] == GENERATED:
        account = GeneratedAccount(given["tasks"], given["seed"])
    else:
        account = Account(given["tasks"], given["seed"], given["corpus"])
    # Named TCP, or asyncio leaves Nagle on and an answer waits 40 ms for the client's acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind((HOST, 0))
    listener.listen(2048)
    control = f"http://{HOST}:{listener.getsockname()[1]}"
    config = uvicorn.Config(
        App(account, given["latency"]), lifespan="off", log_level="critical", access_log=False
    )
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    api = Api(f"{control}/v1", control, given["corpus"], account.bytes_per_task)
    sys.stdout.write(json.dumps(asdict(api)) + "\n")
    sys.stdout.flush()
    uvicorn.Server(config).run(sockets=[listener])


def _end_with_stdin() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
