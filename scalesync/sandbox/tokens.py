"""What asks for the next page of tasks."""

import base64
import hashlib
import json
from dataclasses import dataclass

from scalesync.sandbox.documents import Doc
from scalesync.sandbox.errors import RefusalError
from scalesync.sandbox.switches import Switches
from scalesync.sandbox.tasks import Key
from scalesync.sandbox.timestamps import format_millis, parse_millis


@dataclass(frozen=True, slots=True)
class Token:
    """Where a list goes on: behind a task, or behind a number of tasks."""

    after: Key | None
    offset: int | None


def make_token(switches: Switches, *, last: Key, offset: int, filters: str, now: int) -> str:
    """Return the token for the page behind the task `last`, which was number `offset` of the list.

    Without switches it is base64 of `{"id": ..., "created_at": ...}` of that task (recorded).
    """
    content: Doc = {"id": last[1], "created_at": format_millis(last[0])}
    if switches.tokens == "offset":
        content = {"offset": offset}
    if switches.token_bound_to_filters:
        content["filters"] = _digest(filters)
    if switches.token_lifetime is not None:
        content["expires_at"] = format_millis(now + round(switches.token_lifetime * 1000))
    return _pack(content)


def make_offset_token(offset: int) -> str:
    """Return a token for a list that pages by offset."""
    return _pack({"offset": offset})


def read_offset_token(text: str) -> int:
    """Return the offset that `make_offset_token` packed. Raises RefusalError 400 for garbage."""
    try:
        return int(_unpack(text)["offset"])
    except (KeyError, TypeError, ValueError) as error:
        raise RefusalError(400, "Invalid next_token.") from error


def read_token(text: str, switches: Switches, *, filters: str, now: int) -> Token:
    """Return what a token says. Raises RefusalError 400 for garbage, one too old, or one of other filters."""
    try:
        content = _unpack(text)
        token = _place(content, switches)
    except (KeyError, TypeError, ValueError) as error:
        raise RefusalError(400, "Invalid next_token.") from error
    if switches.token_bound_to_filters and content.get("filters") != _digest(filters):
        raise RefusalError(400, "The next_token belongs to a request with other filters.")
    if switches.token_lifetime is not None and parse_millis(content["expires_at"]) <= now:
        raise RefusalError(400, "The next_token has expired.")
    return token


def _place(content: Doc, switches: Switches) -> Token:
    if switches.tokens == "offset":
        return Token(after=None, offset=int(content["offset"]))
    return Token(after=(parse_millis(content["created_at"]), str(content["id"])), offset=None)


def _pack(content: Doc) -> str:
    return base64.b64encode(json.dumps(content, separators=(",", ":")).encode()).decode()


def _unpack(text: str) -> Doc:
    content: Doc = json.loads(base64.b64decode(text, validate=True))
    return content


def _digest(filters: str) -> str:
    return hashlib.sha256(filters.encode()).hexdigest()[:12]
