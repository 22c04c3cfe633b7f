"""Encode and decode the tokens that ask for the next page."""

import base64
import hashlib
import json

from scalesync.sandbox.errors import HttpError
from scalesync.sandbox.json_codec import Doc
from scalesync.sandbox.switches import Switches
from scalesync.sandbox.tasks import Key
from scalesync.sandbox.timestamps import format_millis, parse_millis

Position = Key | int
"""Where the next page begins: behind the task of a key, or behind a number of tasks."""


def make_token(switches: Switches, *, last: Key, offset: int, filters: str, now: int) -> str:
    """Return the token for the page behind the task `last`, with which `offset` tasks have been given.

    By default it is base64 of `{"id": ..., "created_at": ...}` of that task (recorded).
    """
    content: Doc = {"id": last[1], "created_at": format_millis(last[0])}
    if switches.tokens == "offset":
        content = {"offset": offset}
    if switches.token_bound_to_filters:
        # A digest, as a token goes into a URL and the query may be long.
        content["filters"] = _digest(filters)
    if switches.token_lifetime is not None:
        content["expires_at"] = format_millis(now + round(switches.token_lifetime * 1000))
    return _pack(content)


def make_offset_token(offset: int) -> str:
    """Return a token for a list that pages by offset."""
    return _pack({"offset": offset})


def read_offset_token(text: str) -> int:
    """Return the offset in a token of `make_offset_token`; raises HttpError 400 for garbage."""
    try:
        return int(_unpack(text)["offset"])
    except (KeyError, TypeError, ValueError) as error:
        raise HttpError(400, "Invalid next_token.") from error


def read_token(text: str, switches: Switches, *, filters: str, now: int) -> Position:
    """Return the position in a token; raises HttpError 400 for garbage, an expired or other filters' one."""
    try:
        content = _unpack(text)
        position = _position(content, switches)
    except (KeyError, TypeError, ValueError) as error:
        raise HttpError(400, "Invalid next_token.") from error
    if switches.token_bound_to_filters and content.get("filters") != _digest(filters):
        raise HttpError(400, "The next_token belongs to a request with other filters.")
    if switches.token_lifetime is not None and parse_millis(content["expires_at"]) <= now:
        raise HttpError(400, "The next_token has expired.")
    return position


def _position(content: Doc, switches: Switches) -> Position:
    if switches.tokens == "offset":
        return int(content["offset"])
    return parse_millis(content["created_at"]), str(content["id"])


def _pack(content: Doc) -> str:
    return base64.b64encode(json.dumps(content, separators=(",", ":")).encode()).decode()


def _unpack(text: str) -> Doc:
    # validate: otherwise characters outside of base64 are dropped, and a damaged token would be accepted.
    content: Doc = json.loads(base64.b64decode(text, validate=True))
    return content


def _digest(filters: str) -> str:
    return hashlib.sha256(filters.encode()).hexdigest()[:12]
