"""Serve a list of tasks that the test replaces at any time, over real HTTP."""

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qsl, urlsplit

Answer = object
"""Bytes go out as they are, anything else as JSON."""

Tasks = Callable[[Mapping[str, str]], Answer]
"""Answers `GET /tasks` by its query."""

NO_BATCHES = {"docs": [], "totalDocs": 0, "limit": 100, "offset": 0, "has_more": False, "hasNextPage": False}


def task(number: int, **fields: object) -> dict[str, object]:
    """Return a task; the higher its number, the later it was created."""
    at = f"2026-01-01T00:00:{number:02}.000Z"
    usual = {"task_id": f"{number:024x}", "type": "annotation", "status": "completed"}
    return {**usual, "created_at": at, "updated_at": at, **fields}


def page(*tasks: dict[str, object], **fields: object) -> dict[str, object]:
    """Return a last page of tasks."""
    usual = {"docs": list(tasks), "total": len(tasks), "limit": 100, "offset": 0, "has_more": False}
    return {**usual, **fields}


class StaticListApi:
    """Serves one account without batches and projects; its tasks can be replaced at any time."""

    def __init__(self, tasks: Tasks) -> None:
        self.tasks = tasks
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        """The address of the API, with /v1."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, target: str) -> bytes:
        """Return the body of the answer to a GET."""
        parts = urlsplit(target)
        found: Answer = NO_BATCHES
        if parts.path == "/v1/tasks":
            found = self.tasks(dict(parse_qsl(parts.query)))
        elif parts.path == "/v1/projects":
            found = []
        return found if isinstance(found, bytes) else json.dumps(found).encode()


def _handler(api: StaticListApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else the body waits for the receipt of the head

        def do_GET(self) -> None:
            body = api.answer(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
