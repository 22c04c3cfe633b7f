"""The application: which page answers which address, in which form, and errors as pages."""

import logging
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, unquote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from scalesync.errors import (
    ConfigurationError,
    DatabaseError,
    IncompleteError,
    QueueError,
    ScalesyncError,
)
from scalesync.status import NEVER_SYNCED
from scalesync.web import batches, lists, overview_pages, queue_and_sql, task, versions
from scalesync.web.addresses import address, segment, web_link
from scalesync.web.charts import script_json
from scalesync.web.files import kept_file
from scalesync.web.pages import NoSuchPageError, PageFunction, PageRequest, WebPage, as_text, plain
from scalesync.web.safety import Access, guarded

if TYPE_CHECKING:
    from scalesync.mirror import Mirror

_log = logging.getLogger(__name__)
_STATIC = Path(__file__).parent / "static"
_TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8"}
_STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (NoSuchPageError, 404),
    (ConfigurationError, 400),
    (QueueError, 400),
    (IncompleteError, 504),
    (DatabaseError, 503),
)
"""The first class that an error has decides."""


class MenuEntry(NamedTuple):
    """A page in the menu."""

    path: str
    title: str


PAGES: dict[str, PageFunction] = {
    "/": overview_pages.home,
    "/tasks": lists.tasks,
    "/labels": overview_pages.labels,
    "/batches": batches.batches,
    "/queue": queue_and_sql.queue,
    "/sql": queue_and_sql.sql,
}
"""The pages by their path."""
NAMED_PAGES: dict[str, PageFunction] = {
    "/task/": task.task,
    "/versions/": versions.versions,
    "/batches/": batches.batch,
}
"""The pages of one object each, by the path before its name."""
MENU = (
    MenuEntry("/tasks", "Tasks"),
    MenuEntry("/labels", "Labels"),
    MenuEntry("/batches", "Batches"),
    MenuEntry("/queue", "Queue"),
    MenuEntry("/sql", "SQL"),
)


@cache
def environment() -> Environment:
    """Return the templates: everything is escaped, and a value that is not given is an error."""
    made = Environment(
        loader=PackageLoader("scalesync.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(address=address, segment=segment, web_link=web_link)
    made.filters.update(plain=plain, shown=as_text)
    made.filters["script_json"] = lambda spec: Markup(script_json(spec))  # noqa: S704 - escaped there
    return made


def make_app(mirror: "Mirror", access: Access) -> ASGIApp:
    """Return the pages over a mirror, which should keep its database open."""
    static = StaticFiles(directory=_STATIC)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["raw_path"].decode("latin-1")
        if path.startswith("/static/"):
            # The name without the folder's, as a mount would have it.
            try:
                await static({**scope, "path": path.removeprefix("/static")}, receive, send)
            except HTTPException as error:
                await PlainTextResponse(f"{error.detail}\n", error.status_code)(scope, receive, send)
            return
        request = Request(scope)
        response = await run_in_threadpool(respond, mirror, path, request.scope["query_string"])
        await response(scope, receive, send)

    return guarded(answer, access)


def respond(mirror: "Mirror", raw_path: str, query_string: bytes) -> Response:
    """Return the answer to a request for a path as it was sent: a page, or an error as a page."""
    path, form = raw_path, "html"
    for suffix in ("json", "csv"):
        # Before decoding: a dot that belongs to a name is percent-encoded.
        if raw_path.endswith(f".{suffix}"):
            path, form = raw_path.removesuffix(f".{suffix}"), suffix
    query = parse_qsl(query_string.decode("latin-1"), keep_blank_values=True)
    request = PageRequest(mirror, path, "", query, form)
    try:
        return kept_file(mirror, query) if raw_path == "/file" else _response(_page(request), request)
    except (ScalesyncError, NoSuchPageError) as error:
        return _response(_error_page(error), request)
    except Exception as error:  # noqa: BLE001 - a page that fails ends no server, and shows no traceback
        _log.error("%s failed", raw_path, exc_info=error)
        return _response(_error_page(error), request)


def _page(request: PageRequest) -> WebPage:
    """Return the page at a path. Raises NoSuchPageError if there is none."""
    if request.path in PAGES:
        return PAGES[request.path](request)
    # `/index.json`: the home page has no name to put a suffix behind.
    if request.path == "/index":
        return PAGES["/"](request)
    for start, page in NAMED_PAGES.items():
        name = request.path.removeprefix(start)
        if name != request.path and name:
            return page(replace(request, name=unquote(name)))
    raise NoSuchPageError("There is no such page.")


def _response(page: WebPage, request: PageRequest) -> Response:
    if page.stream is not None:
        return StreamingResponse(page.stream, page.status, page.headers, _TYPES[request.form])
    if request.form == "json":
        return Response(page.json(), page.status, page.headers, _TYPES["json"])
    if request.form == "csv":
        if page.table is None:
            page = (
                _error_page(NoSuchPageError("This page has no rows for CSV.")) if page.status < 400 else page
            )
            return Response(f"{page.values['message']}\n", page.status, media_type="text/plain")
        return Response(page.table.csv(), page.status, page.headers, _TYPES["csv"])
    values = {"menu": MENU, "path": request.path, "query": request.query, "gaps": [], **page.values}
    # An error has its own sentence, and asks the database nothing more; nor do pages that say their gaps.
    if "gaps" not in page.values and page.status < 400 and request.mirror.as_of() is None:
        values["gaps"] = [NEVER_SYNCED]
    html = environment().get_template(page.template).render(values)
    return Response(html.encode(errors="replace"), page.status, page.headers, "text/html; charset=utf-8")


def _error_page(error: Exception) -> WebPage:
    """Return the page of an error: its sentence and advice; those of a bug say nothing about it."""
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)
    message = "These pages failed; the terminal of `scalesync browse` says why."
    if isinstance(error, ScalesyncError | NoSuchPageError):
        message = str(error)
    advice = getattr(error, "advice", "")
    values = {"title": "Not shown", "message": message, "advice": advice, "status": status}
    document = {"error": message, "advice": advice}
    return WebPage("error.html", values, document, status=status)
