"""Serve result files over real HTTP, and write tasks whose responses name them."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import msgspec
from sqlalchemy import Table, select

from scalesync.api import ScaleApi
from scalesync.api.downloads import DownloadOptions, Downloads
from scalesync.clock import Clock
from scalesync.db.database import Database
from scalesync.db.mirror.documents import TASKS, to_row
from scalesync.db.mirror.upsert import write_rows
from scalesync.db.schema.annotations_and_changes import annotations, result_files
from scalesync.models.changes import SeenBy
from scalesync.retry import RetryPolicy
from scalesync.sync.download_events import FetchEvent, FetchWatcher
from scalesync.sync.result_files import Fetcher, FetchSummary, UrlRefresher

KEY = "live_0123456789abcdef"

Answer = bytes | int | Callable[[BaseHTTPRequestHandler], None]
"""A file, a status, or anything else that a handler can do."""


@dataclass
class FileServer:
    """Serves files by name; they can be replaced at any time."""

    files: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """The name and query of every request, in order."""
    authorizations: list[str | None] = field(default_factory=list)

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
    def origin(self) -> str:
        """Where the files are."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def url(self, name: str, signature: str | None = "first") -> str:
        """Return the address of a file, signed or not."""
        return f"{self.origin}/{name}" + (f"?X-Amz-Signature={signature}" if signature else "")


def _handler(file_server: FileServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            file_server.asked.append(self.path[1:])
            file_server.authorizations.append(self.headers["Authorization"])
            answer = file_server.files.get(self.path[1:].split("?")[0], 404)
            if callable(answer):
                answer(self)
                return
            body = answer if isinstance(answer, bytes) else b""
            self.send_response(answer if isinstance(answer, int) else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def date_time_string(self, timestamp: float | None = None) -> str:  # noqa: ARG002 - its signature
            """Return the time that every answer gives."""
            return "Tue, 03 Nov 2026 10:00:00 GMT"

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


def frames(*labels: str) -> bytes:
    """Return a file of frames, each with one box of that label."""
    drawn = [
        {"annotations": [{"uuid": "u", "label": label, "left": 1, "top": 2, "width": 3, "height": 4}]}
        for label in labels
    ]
    return msgspec.json.encode(drawn)


LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
"""Before the time that every answer of the file server gives."""


def save_task(
    database: Database, task_id: str, url: str | None, at: datetime | None = None, **fields: object
) -> None:
    """Write a video task whose response names a file, as a sync does, served now or `at` another time."""
    document: dict[str, Any] = {"task_id": task_id, "type": "videoannotation", **fields}
    if url is not None:
        document["response"] = {"annotations": {"url": url}}
    with database.write() as conn:
        write_rows(conn, TASKS, [to_row(TASKS, msgspec.json.encode(document))], SeenBy(at or Clock().now()))


def fetch(
    database: Database,
    *,
    clock: Clock | None = None,
    watch: FetchWatcher = lambda _: None,
    api: ScaleApi | None = None,
    **options: Any,
) -> FetchSummary:
    """Fetch what is named, giving up quickly; private addresses are allowed unless refused."""
    workers = options.pop("workers", 4)
    quick = RetryPolicy(attempts=2, base=0.01)
    chosen = DownloadOptions(**{"allow_private": True, "retry": quick, **options})
    clock = clock or Clock()
    with Downloads(KEY, chosen, clock=clock) as downloads:
        return Fetcher(database, downloads, clock, watch, workers, UrlRefresher(database, api)).run()


def stopping_after(number: int, kind: type[FetchEvent], clock: Clock) -> FetchWatcher:
    """Return a watcher that stops the run after so many events of a kind."""
    seen: list[FetchEvent] = []

    def watch(event: FetchEvent) -> None:
        seen.extend([event] if isinstance(event, kind) else [])
        if len(seen) == number:
            clock.stopping.set()

    return watch


def labels(database: Database) -> list[tuple[str, int, str]]:
    """Return task, frame and label of every annotation."""
    c = annotations.c
    return rows(database, annotations, (c.task_id.name, c.frame.name, c.label.name))


def rows(database: Database, table: Table, names: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return these columns of a table, in the order of its key."""
    with database.read() as conn:
        columns = [table.c[name] for name in names]
        return [tuple(row) for row in conn.execute(select(*columns).order_by(*table.primary_key))]


def state(database: Database) -> dict[str, tuple[bool, str | None]]:
    """Return of each file, by its name, whether it is here, and its error."""
    found = rows(database, result_files, ("url", "fetched_at", "error"))
    return {url.rpartition("/")[2]: (at is not None, error) for url, at, error in found}
