"""Which creates are refused, and what the API fills in by itself."""

from collections.abc import Collection

from scalesync.sandbox.documents import Doc, object_in
from scalesync.sandbox.errors import RefusalError

_FROM_ATTACHMENT = frozenset(
    [
        "annotation",
        "audiotranscription",
        "categorization",
        "comparison",
        "cuboidannotation",
        "datacollection",
        "documenttranscription",
        "federal2dvideoannotation",
        "imageannotation",
        "laneannotation",
        "lidarannotation",
        "lidarsegmentation",
        "lidartopdown",
        "lineannotation",
        "pointannotation",
        "polygonannotation",
        "segmentannotation",
        "sensorfusion",
        "transcription",
        "videoannotation",
        "videoboxannotation",
        "videocuboidannotation",
        "videoplaybackannotation",
    ]
)
"""Types that are about a file: a create without one is refused with 400 (official client's own tests)."""

_FREE = frozenset(
    [
        "chat",
        "chatexperimental",
        "chatlite",
        "documentmodel",
        "lidarlinking",
        "multichat",
        "multistage",
        "namedentityrecognition",
        "textcollection",
    ]
)

TASK_TYPES = _FROM_ATTACHMENT | _FREE
"""Every type seen. The real set is open; another one is refused here with 400 (assumed)."""

RAPID_TYPES = frozenset(
    [
        "documenttranscription",
        "imageannotation",
        "namedentityrecognition",
        "segmentannotation",
        "textcollection",
        "videoplaybackannotation",
    ]
)
"""Types that evaluation and training tasks can have (official client)."""

_NO_DRAWING_LIMITS: Doc = {"with_labels": True, "min_annotations": 0, "max_annotations": 0}

_DEFAULTS: dict[str, Doc] = {
    "annotation": {"with_labels": False, "min_width": 0, "min_height": 0},
    "audiotranscription": {"verbatim": False, "skip_human_transcription": False},
    "categorization": {"allow_multiple": False},
    "cuboidannotation": _NO_DRAWING_LIMITS,
    "lineannotation": {"with_labels": False, "splines": False},
    "pointannotation": {"with_labels": False},
    "polygonannotation": {"with_labels": False},
    "segmentannotation": {"allow_unlabeled": False, "allow_parent_labels": False},
}

_INSTRUCTIONS = {"audiotranscription": "Please transcribe the attached audio file."}


def with_defaults(task_type: str, params: Doc) -> Doc:
    """Return params with what the API adds when it is not sent (recorded)."""
    return {
        **params,
        **{name: value for name, value in _DEFAULTS.get(task_type, {}).items() if name not in params},
    }


def default_instruction(task_type: str) -> str | None:
    """Return the instruction that the API gives a task without one (recorded for audiotranscription)."""
    return _INSTRUCTIONS.get(task_type)


def check_type(task_type: str, not_enabled: Collection[str]) -> None:
    """Refuse an unknown type with 400 and one the account may not create with 402 (documented)."""
    if task_type not in TASK_TYPES:
        raise RefusalError(400, f'Task type "{task_type}" is not supported.')
    if task_type in not_enabled:
        raise RefusalError(402, f'Task type "{task_type}" is not enabled for this account.')


def check_params(task_type: str, params: Doc) -> None:
    """Refuse params, project's included, that lack what the type is about, with 400 (wording assumed)."""
    if task_type in _FROM_ATTACHMENT and not (params.get("attachment") or params.get("attachments")):
        raise RefusalError(400, "attachment is required.")
    if task_type == "namedentityrecognition" and not (params.get("text") or params.get("attachment")):
        raise RefusalError(400, "text is required.")


def check_envelope(body: Doc) -> None:
    """Refuse fields around the params that have the wrong type, with 400 (wording assumed)."""
    for name in ("unique_id", "project", "batch", "instruction", "callback_url"):
        value = body.get(name)
        if value is not None and not isinstance(value, str):
            raise RefusalError(400, f"{name} must be a string.")
    object_in(body, "metadata")
    tags = body.get("tags") or []
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise RefusalError(400, "tags must be an array of strings.")
