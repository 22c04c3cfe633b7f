"""Serve a Scale API over real HTTP whose lists, answers and clock may be wrong in any way."""

import base64
import json
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from scalesync.timestamps import format_instant

Doc = dict[str, Any]
Query = dict[str, str]
Answer = tuple[int, object]
"""A status, and a body: bytes as they are, anything else as JSON."""

BEGAN = datetime(2024, 5, 1, tzinfo=UTC)


def task(number: int, **fields: object) -> Doc:
    """Return a completed task, created so many minutes after the first; a field that is None is left out."""
    at = format_instant(BEGAN + timedelta(minutes=number))
    doc = {
        "task_id": f"t{number:05}",
        "created_at": at,
        "updated_at": at,
        "type": "imageannotation",
        "status": "completed",
        "project": "p",
        **fields,
    }
    return {name: value for name, value in doc.items() if value is not None}


def project(name: str) -> Doc:
    """Return a project."""
    made = format_instant(BEGAN)
    history = [{"version": 0, "created_at": made, "instruction": "Look."}]
    return {"name": name, "type": "imageannotation", "created_at": made, "param_history": history}


def batch(name: str, **fields: object) -> Doc:
    """Return a batch that is in progress."""
    return {
        "name": name,
        "project": "p",
        "status": "in_progress",
        "created_at": format_instant(BEGAN),
        **fields,
    }


@dataclass
class MisbehavingApi:
    """Serves documents; `odd` may answer before, `chosen` replaces which rows a list of tasks holds."""

    tasks: list[Doc] = field(default_factory=list)
    projects: list[Doc] = field(default_factory=lambda: [project("p")])
    batches: list[Doc] = field(default_factory=list)
    odd: Callable[[str, Query], Answer | None] = lambda path, query: None  # noqa: ARG005 - its signature
    """Given the path behind /v1 and the query; None: the answer is as usual."""
    chosen: Callable[[Doc, Query], bool] | None = None
    """Whether a list under this query holds a task; by default as the API promises."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    """What the Date of each answer says."""
    asked: list[tuple[str, Query]] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Listen."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The address to hand to the client."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def pages(self) -> list[Query]:
        """Return the queries of all pages of tasks that were asked for."""
        return [query for path, query in self.asked if path == "/tasks"]

    def everything(self) -> set[str]:
        """Return the ids of its tasks."""
        return {doc["task_id"] for doc in self.tasks}

    def answer(self, path: str, query: Query) -> Answer:
        """Return what the API says to a read."""
        self.asked.append((path, query))
        said = self.odd(path, query)
        if said is not None:
            return said
        kind, _, key = path[1:].partition("/")
        if key:
            docs = {"task": self.tasks, "batches": self.batches, "projects": self.projects}[kind]
            return _one(docs, "task_id" if kind == "task" else "name", key)
        if kind == "tasks":
            return 200, page([doc for doc in self.tasks if self.holds(doc, query)], query)
        if kind == "batches":
            return 200, _batch_page(self.batches, query)
        return 200, [] if "archived" in query else self.projects

    def holds(self, doc: Doc, query: Query) -> bool:
        """Return whether a list under this query holds a task."""
        return as_promised(doc, query) if self.chosen is None else self.chosen(doc, query)


def as_promised(doc: Doc, query: Query) -> bool:
    """Return whether a list holds a task: bounds are inclusive, and what has no time is in none."""
    for lower, upper, name in (
        ("start_time", "end_time", "created_at"),
        ("updated_after", "updated_before", "updated_at"),
    ):
        at = doc.get(name)
        if lower in query and (at is None or at < query[lower]):
            return False
        if upper in query and (at is None or at > query[upper]):
            return False
    return all(doc.get(name) == query[name] for name in ("project", "batch", "status") if name in query)


def page(docs: Sequence[Doc], query: Query) -> Doc:
    """Return the page that a query asks for of these tasks, newest first; tokens name its last row."""
    rows = sorted(docs, key=_place, reverse=True)
    limit, token = int(query.get("limit", "100")), query.get("next_token")
    begin = 0
    if token:
        after = tuple(json.loads(base64.b64decode(token)))
        begin = next((at for at, doc in enumerate(rows) if _place(doc) < after), len(rows))
    docs = rows[begin : begin + limit]
    more = begin + limit < len(rows)
    found = {"docs": docs, "total": len(rows), "limit": limit, "offset": 0, "has_more": more}
    next_token = base64.b64encode(json.dumps(_place(docs[-1])).encode()).decode() if more else None
    return found | ({"next_token": next_token} if next_token else {})


def _place(doc: Doc) -> tuple[str, str]:
    return doc.get("created_at", ""), doc["task_id"]


def _batch_page(docs: Sequence[Doc], query: Query) -> Doc:
    begin, limit = int(query.get("offset", "0")), int(query.get("limit", "100"))
    docs = [doc for doc in docs if query.get("start_time", "") <= doc["created_at"]]
    more = begin + limit < len(docs)
    return {"docs": docs[begin : begin + limit], "totalDocs": len(docs), "hasNextPage": more}


def _one(docs: Sequence[Doc], name: str, key: str) -> Answer:
    found = next((doc for doc in docs if doc[name] == unquote(key)), None)
    return (404, {"status_code": 404, "error": "Not found."}) if found is None else (200, found)


def _handler(api: MisbehavingApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else the body waits for the receipt of the head

        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(asked.query).items()}
            status, said = api.answer(asked.path.removeprefix("/v1"), query)
            body = said if isinstance(said, bytes) else json.dumps(said).encode()
            with suppress(ConnectionError):  # the client may be gone by then
                self.send_response_only(status)
                self.send_header("Date", format_datetime(api.now(), usegmt=True))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
