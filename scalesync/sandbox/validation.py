"""Validate new tasks, and add the params that the API fills in."""

from collections.abc import Collection

from scalesync.sandbox.errors import HttpError
from scalesync.sandbox.json_codec import Doc, as_object, as_strings
from scalesync.sandbox.templates import TEMPLATES

_WITH_ATTACHMENT = frozenset(TEMPLATES["types"]["with_attachment"])
"""Types that need a file: a create without one is refused with 400 (official client's own tests)."""

TASK_TYPES = _WITH_ATTACHMENT.union(TEMPLATES["types"]["without_attachment"])
"""Every type seen. The real set is open; another one is refused here with 400 (assumed)."""

RAPID_TYPES = frozenset(TEMPLATES["types"]["rapid"])
"""Types that evaluation and training tasks can have (official client)."""


def with_defaults(task_type: str, params: Doc) -> Doc:
    """Return params with the defaults that the API adds for their type (recorded)."""
    added: Doc = TEMPLATES["types"]["defaults"].get(task_type, {})
    return added | params


def default_instruction(task_type: str) -> str | None:
    """Return the instruction that the API gives a task without one (recorded for audiotranscription)."""
    instruction: str | None = TEMPLATES["types"]["instructions"].get(task_type)
    return instruction


def check_type(task_type: str, not_enabled: Collection[str]) -> None:
    """Raise HttpError 400 for an unknown type, 402 for one that the account may not create (documented)."""
    if task_type not in TASK_TYPES:
        raise HttpError(400, f'Task type "{task_type}" is not supported.')
    if task_type in not_enabled:
        raise HttpError(402, f'Task type "{task_type}" is not enabled for this account.')


def check_params(task_type: str, params: Doc) -> None:
    """Raise HttpError 400 for params, merged with the project's, without attachment or text (assumed)."""
    if task_type in _WITH_ATTACHMENT and not (params.get("attachment") or params.get("attachments")):
        raise HttpError(400, "attachment is required.")
    if task_type == "namedentityrecognition" and not (params.get("text") or params.get("attachment")):
        raise HttpError(400, "text is required.")


def check_envelope(body: Doc) -> None:
    """Raise HttpError 400 for fields beside the params that have the wrong type (wording assumed)."""
    for name in ("unique_id", "project", "batch", "instruction", "callback_url"):
        value = body.get(name)
        if value is not None and not isinstance(value, str):
            raise HttpError(400, f"{name} must be a string.")
    as_object(body.get("metadata"), "metadata must be an object.")
    as_strings(body.get("tags") or None, "tags must be an array of strings.")
