"""Documents as JSON text, and the text a request brings."""

import json
from typing import Any

import msgspec

from scalesync.sandbox.errors import RefusalError

Doc = dict[str, Any]
"""One JSON object."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()


def encode(value: object) -> bytes:
    """Return `value` as JSON text. Lone surrogates, which UTF-8 cannot hold, stay escaped."""
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def decode(raw: bytes) -> Any:
    """Return the value of JSON text that `encode` made."""
    try:
        return _decoder.decode(raw)
    except msgspec.DecodeError:
        return json.loads(raw)


def decode_body(raw: bytes) -> Any:
    """Return the value of a request's body; None for an empty one.

    The official client sends no body at all for an empty list or object. Raises RefusalError 400
    for a body that is not JSON.
    """
    if not raw.strip():
        return None
    try:
        return json.loads(raw)
    except ValueError as error:
        raise RefusalError(400, "The request body is not valid JSON.") from error


def as_object(body: object) -> Doc:
    """Return a body that must be an object; an empty body counts as `{}`. Raises RefusalError 400."""
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise RefusalError(400, "The request body must be a JSON object.")
    return body


def as_texts(body: object) -> list[str]:
    """Return a body that must be an array of texts; an empty body counts as `[]`. Raises RefusalError 400."""
    if body is None:
        return []
    if not isinstance(body, list) or not all(isinstance(item, str) for item in body):
        raise RefusalError(400, "The request body must be a JSON array of strings.")
    return body


def object_in(body: Doc, name: str) -> Doc:
    """Return the object that a field of a body holds, `{}` for none or null. Raises RefusalError 400."""
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RefusalError(400, f"{name} must be an object.")
    return value
