"""Parse the API's answers into pages, documents, counts and errors."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote

import msgspec

from scalesync.api.file_form import FileForm
from scalesync.api.request import ApiRequest, offset_of, offset_token
from scalesync.api.transport import Response
from scalesync.errors import BY_STATUS, ScaleException, ScaleNoAnswer, UnreadablePageError
from scalesync.json_sanitizing import sanitize
from scalesync.models.api import BatchStatus, Document, Page

_T = TypeVar("_T")
_MAX_MESSAGE = 1000
_NAMED_OBJECT = re.compile(
    r'\b(?:unique_id|reference_id|batch|project|task)\b[^"]{0,16}"([^"]+)"', re.IGNORECASE
)
_NAMED_TASK = re.compile(r"\btask\b\W{0,4}\b([0-9a-f]{24})\b", re.IGNORECASE)
"""How a refusal's message names objects (documented for a unique_id and its task; else assumed)."""
_VERSIONED = re.compile(r"/v\d+$")
_NOT_AN_API_STATUSES = (301, 302, 303, 307, 308, 404, 405)
_BRACE = ord("{")
_OK = (b"OK", b'"OK"')
MAX_TOTAL = 10**12
"""Objects in a list at most: accounts hold some millions, so a larger total is an error."""


class _Page(msgspec.Struct, rename="camel"):
    """The answer of a list (observed: total, has_more; documented for batches: totalDocs, hasNextPage)."""

    docs: list[msgspec.Raw]
    total: int | None = None
    total_docs: int | None = None
    has_more: bool | None = msgspec.field(default=None, name="has_more")
    has_next_page: bool | None = None
    next_token: str | None = msgspec.field(default=None, name="next_token")


class _Status(msgspec.Struct):
    """The answer of a batch's status; counts of zero are left out (documented)."""

    status: str
    pending: int | None = None
    completed: int | None = None
    error: int | None = None
    canceled: int | None = None


class _ErrorBody(msgspec.Struct):
    """The body of an error (observed)."""

    error: str


def _decode(
    request: ApiRequest, response: Response, kind: type[_T], failure: type[ScaleNoAnswer] = ScaleNoAnswer
) -> tuple[_T, int]:
    """Parse the body as `kind`; return it with the number of replaced characters.

    Raises `failure` if the body is not JSON, of another shape, nested too deeply or too large.
    """
    if response.too_large:
        raise failure(f"The answer to {request} is larger than any that is taken.")
    text, replaced = sanitize(response.body)
    try:
        return msgspec.json.decode(text, type=kind), replaced
    except (msgspec.MsgspecError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise failure(f"The answer to {request} is not what the API promises: {why}.") from error


def _objects(
    request: ApiRequest, docs: list[msgspec.Raw], failure: type[ScaleNoAnswer] = ScaleNoAnswer
) -> tuple[msgspec.Raw, ...]:
    """Return `docs`. Raises `failure` if one of them is not a JSON object."""
    if all(memoryview(doc)[0] == _BRACE for doc in docs):
        return tuple(docs)
    raise failure(f"The answer to {request} lists something that is not an object.")


def task_page(request: ApiRequest, response: Response) -> Page:
    """Parse a page of tasks; its token is the API's."""
    page, replaced = _decode(request, response, _Page, UnreadablePageError)
    token = page.next_token or None
    more = token is not None if page.has_more is None else page.has_more
    docs = _objects(request, page.docs, UnreadablePageError)
    return Page(docs, _capped_total(page.total), token, more, response.served_at, replaced, response.dated)


def batch_page(request: ApiRequest, response: Response, requested_token: str | None) -> Page:
    """Parse a page of batches that was requested with a token, and compute the next token."""
    # Next token: the API's if it gives one, else the offset behind this page while there is more. If the
    # answer does not say whether there is more, its total decides.
    page, replaced = _decode(request, response, _Page, UnreadablePageError)
    docs = _objects(request, page.docs, UnreadablePageError)
    total = page.total if page.total_docs is None else page.total_docs
    offset = offset_of(requested_token)
    next_offset = None if offset is None else offset + len(docs)
    token = page.next_token or None
    more = page.has_more if page.has_next_page is None else page.has_next_page or bool(page.has_more)
    if more is None:
        more = token is not None or (None not in (next_offset, total) and next_offset < total)  # type: ignore[operator]
    if token is None and more and next_offset is not None:
        token = offset_token(next_offset)
    return Page(docs, _capped_total(total), token, more, response.served_at, replaced, response.dated)


def _capped_total(total: int | None) -> int | None:
    """Return the total of a list, at most MAX_TOTAL, so that it fits every integer column."""
    return None if total is None else min(total, MAX_TOTAL)


def project_list(request: ApiRequest, response: Response) -> Page:
    """Parse the list of all projects, a bare array without pages (documented)."""
    listed, replaced = _decode(request, response, list[msgspec.Raw], UnreadablePageError)
    docs = _objects(request, listed, UnreadablePageError)
    return Page(docs, len(docs), None, False, response.served_at, replaced, response.dated)


def document(request: ApiRequest, response: Response) -> Document:
    """Parse an answer with a single object."""
    raw, replaced = _decode(request, response, msgspec.Raw)
    (found,) = _objects(request, [raw])
    return Document(found, response.served_at, replaced)


def named(key: str, name: str) -> Callable[[ApiRequest, Response], Document]:
    """Return a parser for one object, which raises ScaleNoAnswer unless the object's `key` is `name`."""
    # A proxy that mixes up two answers, or a server that repeats one, sends a valid but wrong object.

    def parse(request: ApiRequest, response: Response) -> Document:
        found = document(request, response)
        if field_of(found, key) != name:
            raise ScaleNoAnswer(f"The answer to {request} is not the object that was asked for.")
        return found

    return parse


def field_of(found: Document, key: str) -> object:
    """Return the value of a document's field, None if it has none."""
    fields = msgspec.json.decode(found.raw, type=dict[str, msgspec.Raw])
    return msgspec.json.decode(fields[key]) if key in fields else None


def document_or_ok(request: ApiRequest, response: Response) -> Document | None:
    """Parse an answer with a single object; None for the bare text `OK` (official client)."""
    return None if response.body.strip() in _OK else document(request, response)


def any_json(request: ApiRequest, response: Response) -> Any:
    """Parse any JSON value; None for the bare text `OK`."""
    return None if response.body.strip() in _OK else _decode(request, response, Any)[0]


def batch_status(request: ApiRequest, response: Response) -> BatchStatus:
    """Parse a batch's status and counts; those left out are 0."""
    found, _ = _decode(request, response, _Status)
    return BatchStatus(
        found.status,
        found.pending or 0,
        found.completed or 0,
        found.error or 0,
        found.canceled or 0,
        response.served_at,
    )


def error_from(request: ApiRequest, response: Response) -> ScaleException | None:
    """Return the error of an answer, with the API's message if it has one; None for a 200."""
    # Only 200 is success (official client). Any other 2xx leaves the effect unknown: ScaleNoAnswer.
    if response.status == 200:
        return None
    if 200 < response.status < 300:
        return ScaleNoAnswer(f"{request} was answered {response.status}, which the API does not promise.")
    kind = BY_STATUS.get(response.status, ScaleException)
    message = _message(request, response)
    error = kind(message, response.status, retry_after=response.retry_after)
    error.about_another = 400 <= response.status < 500 and _names_another(message, request)
    return error


def advise_url(request: ApiRequest, error: ScaleException, url: str) -> None:
    """Add advice on the URL to the error of a list that every API has: perhaps `/v1` is missing."""
    no_list = error.code in _NOT_AN_API_STATUSES or isinstance(error, UnreadablePageError)
    if no_list and "{}" not in request.route and not _VERSIONED.search(url):
        error.advice = error.advice or f"Should the API's address end in /v1? It is {url}."


def _names_another(message: str, request: ApiRequest) -> bool:
    """Return whether a refusal's message names objects, but none that occurs in the request."""
    # Such a message may be the answer to another request. One that names nothing is believed.
    found = {*_NAMED_OBJECT.findall(message), *_NAMED_TASK.findall(message)}
    if not found:
        return False
    request_texts = set(_request_texts(request))
    return found.isdisjoint(request_texts) and not any(f'"{text}"' in message for text in request_texts)


def _request_texts(request: ApiRequest) -> Iterator[str]:
    """Yield all texts in a request's path, query and body."""
    yield from map(unquote, request.path.split("/"))
    yield from (value for _, value in parse_qsl(request.query))
    body = request.body
    if isinstance(body, FileForm):
        yield from (body.name, *body.fields.values())
        return
    rest: list[Any] = [] if body is None else [msgspec.json.decode(body)]
    while rest:
        value = rest.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            rest += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            rest += value


def _message(request: ApiRequest, response: Response) -> str:
    """Return the `error` of a JSON body, else a sentence with the status; never a page of HTML."""
    try:
        text = msgspec.json.decode(sanitize(response.body)[0], type=_ErrorBody).error.strip()
    except (msgspec.MsgspecError, RecursionError):
        text = ""
    return text[:_MAX_MESSAGE] or f"The API answered {response.status} to {request}."
