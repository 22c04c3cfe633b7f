"""Reads annotations from result files that a response names, and says why a file cannot be read."""

import re
from collections.abc import Callable, Iterator, Mapping

from scalesync.annotations.columns import NotUnderstood, Row
from scalesync.annotations.json_values import Object, UnreadableError, decoded, is_text, unmarked
from scalesync.annotations.models import UnreadFile
from scalesync.annotations.urls import unsigned_url

Files = Mapping[str, bytes]
"""Content of result files by unsigned URL."""

_EMPTY = "The file is empty."
_NOT_JSON = "The file is not whole, or not JSON."
_NOT_UTF_8 = "The file is not whole JSON: it has bytes that are not UTF-8."
_TOO_DEEP = "The file is nested too deeply."
_OTHER_FORM = "The file is JSON, but of no form that is known for this type of task."
_OTHER_PARTS = "Parts of the file are of no form that is known for this type of task."
_ERROR_CODE = re.compile(rb"<Error>.{0,300}?<Code>([A-Za-z]{1,60})</Code>", re.DOTALL)


def address(place: object) -> str | None:
    """Return the http URL at `place.url`, or None."""
    url = place.get("url") if isinstance(place, dict) else None
    return url if isinstance(url, str) and url.lower().startswith(("http://", "https://")) else None


def names_file(place: object) -> bool:
    """Return whether a value of a response names a file: it has a `url`."""
    return isinstance(place, dict) and isinstance(place.get("url"), str)


def value_at(response: Object, path: str) -> object:
    """Return the value of a response at a dotted path, or None."""
    given: object = response
    for name in path.split("."):
        given = given.get(name) if isinstance(given, dict) else None
    return given


def opened(
    path: str,
    response: Object,
    files: Files,
    read: Callable[[object], Iterator[Row]],
    known: Callable[[object], bool],
) -> Iterator[Row]:
    """Yield the rows of the value at `path`, or of the file that it names, if that was fetched.

    `read` turns a value into rows. A file that is not JSON, or not read completely, adds an UnreadFile. One
    in which `known` finds nothing of a known form gives no rows.
    """
    given = value_at(response, path)
    if not names_file(given):
        if given is not None:
            yield from read(given)
        return
    url = address(given)
    if url is None:
        yield NotUnderstood.UNREAD
    elif (content := files.get(unsigned_url(url))) is not None:
        yield from _from_file(unsigned_url(url), content, read, known)


def _from_file(
    url: str, content: bytes, read: Callable[[object], Iterator[Row]], known: Callable[[object], bool]
) -> Iterator[Row]:
    # Rows that come before an error are kept: each is yielded at once.
    reason, rows = "", 0
    try:
        given = _value(content)
        for row in read(given) if known(given) else (NotUnderstood.UNREAD,):
            if row is NotUnderstood.UNREAD:
                reason = _OTHER_PARTS
            else:
                rows += 1
                yield row
    except UnreadableError:
        reason = _why_not_json(content)
    except RecursionError:
        reason = _TOO_DEEP
    if reason:
        yield UnreadFile(url, _OTHER_FORM if reason is _OTHER_PARTS and not rows else reason)


def _value(content: bytes) -> object:
    """Return the value of a JSON file. Raises UnreadableError, for invalid bytes too."""
    if not is_text(content):
        raise UnreadableError(_NOT_UTF_8)
    return decoded(content)


def _why_not_json(content: bytes) -> str:
    """Return a sentence on a file that is not JSON; it quotes nothing of the file but an error code."""
    text = unmarked(content).strip()
    if not text:
        return _EMPTY
    if not text.startswith(b"<"):
        return _NOT_JSON if is_text(content) else _NOT_UTF_8
    code = _ERROR_CODE.search(text[:2000])
    quoted = f" ({code[1].decode()})" if code else ""
    return f"The server sent an error document or a page{quoted} in place of the file."
