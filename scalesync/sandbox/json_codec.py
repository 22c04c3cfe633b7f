"""Encode and decode JSON documents and the bodies of requests."""

import json
from typing import Any

import msgspec

from scalesync.sandbox.errors import HttpError

Doc = dict[str, Any]
"""One JSON object."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()


def encode(value: object) -> bytes:
    """Return `value` as JSON text; lone surrogates, which UTF-8 cannot encode, are escaped."""
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def decode(raw: bytes) -> Any:
    """Return the value of JSON text that `encode` returned."""
    try:
        return _decoder.decode(raw)
    except msgspec.DecodeError:
        return json.loads(raw)


def decode_body(raw: bytes) -> Any:
    """Return the value of a request's body, None for an empty one; raises HttpError 400 for no JSON.

    The official client sends an empty body for an empty list or object.
    """
    if not raw.strip():
        return None
    try:
        return json.loads(raw)
    except ValueError as error:
        raise HttpError(400, "The request body is not valid JSON.") from error


def as_object(value: object, refusal: str = "The request body must be a JSON object.") -> Doc:
    """Return a value that is an object, `{}` for None; raises HttpError 400 for anything else."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise HttpError(400, refusal)
    return value


def as_strings(
    value: object, refusal: str = "The request body must be a JSON array of strings."
) -> list[str]:
    """Return a value that is a list of strings, `[]` for None; raises HttpError 400 for anything else."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise HttpError(400, refusal)
    return value
