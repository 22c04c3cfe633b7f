"""From an answer to what was promised: a page, a document, a status, or the error that it stands for."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote

import msgspec

from scalesync.api.request import ApiRequest, offset_of, offset_token
from scalesync.api.transport import Response
from scalesync.errors import BY_STATUS, ScaleException, ScaleNoAnswer, UnreadablePageError
from scalesync.json_sanitizing import sanitize
from scalesync.models.api import BatchStatus, Document, Page

_T = TypeVar("_T")
_LONGEST_MESSAGE = 1000
_NAMED = re.compile(r'\b(?:unique_id|batch|project|task)\b[^"]{0,16}"([^"]+)"', re.IGNORECASE)
_TASK = re.compile(r"\btask\b\W{0,4}\b([0-9a-f]{24})\b", re.IGNORECASE)
"""How the words of a refusal name objects (documented for a unique_id and its task; the rest is assumed)."""
_BRACE = ord("{")
MOST_COUNTED = 10**12
"""Objects in a list. An account holds some millions; a number beyond this is no count."""


class _Page(msgspec.Struct, rename="camel"):
    """What a list answers (recorded: total, has_more; for batches documented: totalDocs, hasNextPage)."""

    docs: list[msgspec.Raw]
    total: int | None = None
    total_docs: int | None = None
    has_more: bool | None = msgspec.field(default=None, name="has_more")
    has_next_page: bool | None = None
    next_token: str | None = msgspec.field(default=None, name="next_token")


class _Status(msgspec.Struct):
    """What a batch's status answers; counts of zero are left out (documented)."""

    status: str
    pending: int | None = None
    completed: int | None = None
    error: int | None = None
    canceled: int | None = None


class _ErrorBody(msgspec.Struct):
    """What an error answers (recorded)."""

    error: str


def _decode(
    request: ApiRequest, response: Response, kind: type[_T], failure: type[ScaleNoAnswer] = ScaleNoAnswer
) -> tuple[_T, int]:
    """Return the body as `kind`, and how many characters had to be replaced for it.

    Raises `failure` if the body is not JSON, not of that shape, nested too deeply or too large.
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
    """Return a page of tasks with the API's own token."""
    page, replaced = _decode(request, response, _Page, UnreadablePageError)
    token = page.next_token or None
    more = token is not None if page.has_more is None else page.has_more
    docs = _objects(request, page.docs, UnreadablePageError)
    return Page(docs, _counted(page.total), token, more, response.served_at, replaced, response.dated)


def batch_page(request: ApiRequest, response: Response, asked_for: str | None) -> Page:
    """Return a page of batches, which was `asked_for` by that token.

    The next token is the API's if it gives one, else the offset behind this page while there is more. Where
    the answer does not say whether there is more, its total decides.
    """
    page, replaced = _decode(request, response, _Page, UnreadablePageError)
    docs = _objects(request, page.docs, UnreadablePageError)
    total = page.total if page.total_docs is None else page.total_docs
    offset = offset_of(asked_for)
    behind = None if offset is None else offset + len(docs)
    token = page.next_token or None
    more = page.has_more if page.has_next_page is None else page.has_next_page or bool(page.has_more)
    if more is None:
        more = token is not None or (None not in (behind, total) and behind < total)  # type: ignore[operator]
    if token is None and more and behind is not None:
        token = offset_token(behind)
    return Page(docs, _counted(total), token, more, response.served_at, replaced, response.dated)


def _counted(total: int | None) -> int | None:
    """Return the total that a list says, or MOST_COUNTED for more: as wrong, and no number is too large."""
    return None if total is None else min(total, MOST_COUNTED)


def project_list(request: ApiRequest, response: Response) -> Page:
    """Return all projects as one page: a bare array, not paged (documented)."""
    listed, replaced = _decode(request, response, list[msgspec.Raw], UnreadablePageError)
    docs = _objects(request, listed, UnreadablePageError)
    return Page(docs, len(docs), None, False, response.served_at, replaced, response.dated)


def document(request: ApiRequest, response: Response) -> Document:
    """Return the single object of the answer."""
    raw, replaced = _decode(request, response, msgspec.Raw)
    (found,) = _objects(request, [raw])
    return Document(found, response.served_at, replaced)


def named(key: str, name: str) -> Callable[[ApiRequest, Response], Document]:
    """Return what parses the answer to a read of one object, whose `key` must be `name`.

    It raises ScaleNoAnswer for any other object: a proxy that mixes two answers up, or a server that
    repeats one, gives what is whole and somebody else's.
    """

    def parse(request: ApiRequest, response: Response) -> Document:
        found = document(request, response)
        if name_in(found, key) != name:
            raise ScaleNoAnswer(f"The answer to {request} is not the object that was asked for.")
        return found

    return parse


def name_in(found: Document, key: str) -> object:
    """Return what a document has under `key`, None if nothing."""
    fields = msgspec.json.decode(found.raw, type=dict[str, msgspec.Raw])
    return msgspec.json.decode(fields[key]) if key in fields else None


def document_or_ok(request: ApiRequest, response: Response) -> Document | None:
    """Return the single object of the answer, or None for the bare text `OK` (official client)."""
    return None if response.body.strip() in (b"OK", b'"OK"') else document(request, response)


def batch_status(request: ApiRequest, response: Response) -> BatchStatus:
    """Return a batch's status with its counts; those left out are 0."""
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
    """Return the error that an answer stands for, with the API's own words if it has any; None for a 200.

    Only 200 is success (the official client). Another 2xx is ScaleNoAnswer: something happened, and what is
    not known. Everything else is the error of its status, redirects included.
    """
    if response.status == 200:
        return None
    if 200 < response.status < 300:
        return ScaleNoAnswer(f"{request} was answered {response.status}, which the API does not promise.")
    kind = BY_STATUS.get(response.status, ScaleException)
    words = _words(request, response)
    error = kind(words, response.status, retry_after=response.retry_after)
    error.about_another = 400 <= response.status < 500 and _names_another(words, request)
    return error


def _names_another(words: str, request: ApiRequest) -> bool:
    """Return whether the words of a refusal name objects, and none that the request knows.

    Words that name nothing may be about any request: they are taken for what they say.
    """
    found = {*_NAMED.findall(words), *_TASK.findall(words)}
    if not found:
        return False
    ours = set(_texts(request))
    return found.isdisjoint(ours) and not any(f'"{text}"' in words for text in ours)


def _texts(request: ApiRequest) -> Iterator[str]:
    """Yield every text of a request, from its path, its query and its body."""
    yield from map(unquote, request.path.split("/"))
    yield from (value for _, value in parse_qsl(request.query))
    rest: list[Any] = [] if request.body is None else [msgspec.json.decode(request.body)]
    while rest:
        value = rest.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            rest += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            rest += value


def _words(request: ApiRequest, response: Response) -> str:
    """Return the `error` of a JSON body, else a sentence of ours; never a page of HTML."""
    try:
        said = msgspec.json.decode(sanitize(response.body)[0], type=_ErrorBody).error.strip()
    except (msgspec.MsgspecError, RecursionError):
        said = ""
    return said[:_LONGEST_MESSAGE] or f"The API answered {response.status} to {request}."
