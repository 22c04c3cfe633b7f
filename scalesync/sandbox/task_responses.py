"""Generate the responses of completed tasks, in every shape that scale_api.md lists."""

import random
from collections.abc import Callable, Sequence
from typing import Any

from scalesync.sandbox.json_codec import Doc
from scalesync.sandbox.templates import TEMPLATES, fill, words


class _Names(dict[str, Any]):
    """The values of the names in a response's template, taken from a task's params at their first use."""

    def __init__(self, params: Doc) -> None:
        super().__init__()
        self._params = params

    def __missing__(self, name: str) -> Any:
        value = self[name] = _LOOKUPS[name](self._params)
        return value


def respond(task_type: str, params: Doc, rng: random.Random) -> Doc | None:
    """Return a response drawn from a task's own params; None where a completed task has none.

    A completed pointannotation without a response was recorded; here it is one in four.
    """
    if task_type == "pointannotation" and rng.random() < 0.25:
        return None
    # Offsets in a text and times in a recording follow from each other, which no template can say.
    if task_type == "namedentityrecognition":
        return _entities(str(params.get("text") or words(12, rng)), _labels(params), rng)
    if task_type == "audiotranscription":
        return _transcript(rng)
    if task_type not in TEMPLATES["responses"]:
        return {"annotations": []}
    response: Doc = fill(f"responses/{task_type}", rng, _Names(params))
    if task_type == "imageannotation" and len(response["annotations"]) > 1:
        one, two, *_ = response["annotations"]
        response["links"] = [{"from": one["uuid"], "to": two["uuid"], "label": "follows"}]
    return response


def correct(response: Doc, rng: random.Random) -> Doc | None:
    """Return a response as a reviewer leaves it who corrects some of its drawings; None if it has none.

    The last drawing is removed, if there are several; of the others, which keep their ids, one is moved or
    relabelled.
    """
    drawn = response.get("annotations")
    if not isinstance(drawn, list) or not drawn or not all(isinstance(each, dict) for each in drawn):
        return None
    kept = [dict(each) for each in (drawn[:-1] or drawn)]
    chosen = rng.choice(kept)
    others = sorted({str(each["label"]) for each in drawn if "label" in each} - {str(chosen.get("label"))})
    if "left" in chosen and (not others or rng.random() < 0.5):
        chosen["left"] += 3
    else:
        chosen["label"] = others[0] if others else f"{chosen.get('label')} (corrected)"
    return {**response, "annotations": kept, "is_customer_fix": True}


def _typed(params: Doc, name: str, kind: type[Any]) -> Any:
    """Return a value of a kind, or an empty one of that kind if a client sent another kind of value."""
    value = params.get(name)
    return value if isinstance(value, kind) else kind()


def _labels(params: Doc) -> Sequence[str]:
    """Return the labels that a task's params offer, or those of templates.json."""
    offered = next((name for name in ("objects_to_annotate", "labels", "categories") if params.get(name)), "")
    if not offered:
        params = next((shape for shape in _typed(params, "geometries", dict).values()), {})
        offered, params = "objects_to_annotate", params if isinstance(params, dict) else {}
    names = [each.get("name") if isinstance(each, dict) else each for each in _typed(params, offered, list)]
    return [name for name in names if isinstance(name, str)] or TEMPLATES["labels"]


def _fields(params: Doc) -> list[str]:
    """Return the names of the fields to answer, which params hold as keys or as a list of objects."""
    listed = [field for field in _typed(params, "fields", list) if isinstance(field, dict)]
    return list(_typed(params, "fields", dict)) or [str(each.get("field_id", "field")) for each in listed]


_SHAPES = tuple(TEMPLATES["shapes"])

_LOOKUPS: dict[str, Callable[[Doc], Any]] = {
    "labels": _labels,
    "several_labels": lambda params: _labels(params)[:2] if params.get("allow_multiple") else None,
    "shapes": lambda params: (
        [shape for shape in _typed(params, "geometries", dict) if shape in _SHAPES] or _SHAPES
    ),
    "choices": lambda params: _typed(params, "choices", list) or ["yes"],
    "fields": lambda params: _fields(params) or ["value"],
    "questions": lambda params: _fields(params) or ["sentiment", "summary"],
    "repeatable_fields": lambda params: "repeatable_fields" in params,
}


def _entities(text: str, labels: Sequence[str], rng: random.Random) -> Doc:
    """Return labeled spans of the text, by character, and a relationship of the first and the last."""
    annotations: list[Doc] = []
    for number in range(rng.randint(1, 8)):
        start = rng.randrange(max(1, len(text) - 1))
        end = min(len(text), start + rng.randint(1, 9))
        entity: Doc = {"id": f"e{number}", "start": start, "end": end, "text": text[start:end]}
        annotations.append({**entity, "label": rng.choice(labels)})
    if rng.random() < 0.3:
        annotations[0]["attributes"] = {"certainty": "high"}
    ties = [{"id": "r0", "source_ref": "e0", "target_ref": annotations[-1]["id"], "name": "owns"}]
    return {"annotations": annotations, "relationships": ties if len(annotations) > 1 else []}


def _transcript(rng: random.Random) -> Doc:
    """Return the words of a recording with the seconds at which each is spoken."""
    spoken = words(rng.randint(3, 9), rng).split(" ")
    alignment = [
        {
            "word": word,
            "start": place * 0.37,
            "end": place * 0.37 + 0.3,
            "confidence": rng.choice((0.3, 0.9, 1)),
        }
        for place, word in enumerate(spoken)
    ]
    return {"transcript": " ".join(spoken), "duration": len(spoken), "alignment": alignment}
