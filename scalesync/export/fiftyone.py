"""Export completed tasks as a JSON array for FiftyOne's importer of Scale's labels.

`fiftyone.utils.scale.import_from_scale` finds samples by `task_id`. It reads from a `response`, for images,
`annotations` and `global_attributes`; for segmentations `annotations.combined.indexedImage` and
`labelMapping`; for videos `annotations.url`, `events.url`, and the frames in `task.params`.

Hazard: the importer stops at the first value that it cannot read, so all of those are removed here. Its rules
are those of version 1.22.1; tests/support/fiftyone_importer.py lists them with their places in its source.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from math import isfinite
from typing import Any

import msgspec

from scalesync.export.counts import ExportCounts, joined
from scalesync.models.selection import EVERYTHING, Selection

_BY_URL = ("videoannotation", "videoplaybackannotation")
_NEEDED = {"box": ("left", "top", "width", "height"), "point": ("x", "y")}

_LABEL_FIELDS = frozenset({
    "attributes", "clean", "confidence", "field_names", "id", "index", "instance_id", "label", "self", "tags",
    "validate",
})  # fmt: skip
"""Names that FiftyOne reserves in every label."""
_BOX_FIELDS = _LABEL_FIELDS | {"bounding_box", "has_mask", "mask", "mask_path"}
_LINE_FIELDS = _LABEL_FIELDS | {"closed", "filled", "points"}
_POINT_FIELDS = _LABEL_FIELDS | {"points"}
_RESERVED_BY_KIND = {
    "box": _BOX_FIELDS,
    "polygon": _LINE_FIELDS,
    "line": _LINE_FIELDS,
    "point": _POINT_FIELDS,
}
_SAMPLE_FIELDS = frozenset({
    "STRICT", "clean", "created_at", "filepath", "from_dict", "get_field", "id", "last_modified_at",
    "media_reference", "metadata", "scale_id", "self", "tags", "to_dict", "to_mongo",
    "detections", "events", "keypoints", "polylines", "segmentation",
})  # fmt: skip
"""Names that FiftyOne reserves in a sample; the last five are the importer's own fields."""
_COMPATIBLE_VALUES: dict[str, Callable[[Any], bool]] = {
    "confidence": lambda value: isinstance(value, int | float),
    "index": lambda value: isinstance(value, int),
    "tags": lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
}
"""Reserved names that an attribute may have if its value fits the label's own field."""
_IN_FILES = "tasks whose annotations are in files or masks, which are not filtered"
_MAX_DEPTH = 50
"""Nesting of an attribute's value; MongoDB stores 100 levels of a whole document."""

_Object = dict[str, Any]


class _Task(msgspec.Struct):
    type: object = None
    status: object = None
    response: object = None
    params: msgspec.Raw = msgspec.Raw(b"null")


_task = msgspec.json.Decoder(_Task).decode
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def fiftyone_lines(
    documents: Iterable[bytes], counts: ExportCounts, wanted: Selection = EVERYTHING
) -> Iterator[bytes]:
    """Yield the lines of one JSON array of completed tasks, in constant memory.

    Tasks are as the API sent them, without the parts that the importer cannot read; `counts` counts those.
    Tasks of videos get a `task` object with their params. Tasks that are not completed are skipped.
    Of `wanted` its limit and its filters of annotations apply.
    """
    yield b"["
    yield from joined(counts.counting(islice(_elements(documents, counts, wanted), wanted.limit)))
    yield b"]"


def _elements(documents: Iterable[bytes], counts: ExportCounts, wanted: Selection) -> Iterator[bytes]:
    forms: dict[str, type] = {}
    for document in documents:
        try:
            task = _task(document)
        except (msgspec.DecodeError, RecursionError):
            # A number out of range, or deep nesting: the importer could not read those either.
            counts.leave_out("tasks that are no JSON for a program")
            continue
        if task.status != "completed":
            continue
        if not isinstance(task.response, dict):
            counts.leave_out("tasks without a response")
            continue
        readable = _ReadableResponse(task.response, forms, wanted)
        reason = readable.filter_video() if task.type in _BY_URL else readable.filter_image()
        if reason is not None:
            counts.leave_out(reason)
            continue
        forms |= readable.forms
        for what, number in readable.left_out.items():
            counts.leave_out(what, number)
        counts.altered += readable.altered
        yield _element(document, task, readable)


def _element(document: bytes, task: _Task, readable: "_ReadableResponse") -> bytes:
    if task.type in _BY_URL:
        return document[:-1] + b',"task":{"params":' + bytes(task.params) + b"}}"
    if not readable.is_changed:
        return document
    return _encode(_fields(document) | {"response": msgspec.Raw(_encode(readable.response))})


@dataclass
class _ReadableResponse:
    """A response that is reduced to what the importer can read, and counts of the rest."""

    response: _Object
    known_forms: Mapping[str, type]
    """The type (str or list) of each global attribute in earlier tasks, which the importer then expects."""
    wanted: Selection
    forms: dict[str, type] = field(default_factory=dict)
    is_changed: bool = False
    left_out: Counter[str] = field(default_factory=Counter)
    altered: Counter[str] = field(default_factory=Counter)
    """Parts that stay, but mean something else once imported."""

    def filter_video(self) -> str | None:
        """Return why the importer cannot read this response of a video, None if it can."""
        if self.wanted != self.wanted.of_tasks():
            return _IN_FILES
        files = [self.response[name] for name in ("annotations", "events") if name in self.response]
        if not files or not all(_has_text(each, "url") for each in files):
            return "tasks of videos that name no file of annotations"
        self.altered["tasks of videos: FiftyOne fetches their files, and may stop at their form"] += 1
        return None

    def filter_image(self) -> str | None:
        """Remove what the importer cannot read; return the reason if nothing is left, else None."""
        annotations = self.response.get("annotations")
        if isinstance(annotations, dict):
            if not _has_text(annotations.get("combined"), "indexedImage"):
                return "tasks without an image of indexes, nor a list of annotations"
            if self.wanted != self.wanted.of_tasks():
                return _IN_FILES
            self._keep_mapping()
        elif isinstance(annotations, list):
            chosen = [each for each in annotations if self._is_chosen(each)]
            self.is_changed = len(chosen) < len(annotations)
            self.response["annotations"] = [each for each in chosen if self._keeps(each)]
        elif "error" in self.response:
            return "tasks whose response is an error"
        else:
            return "tasks without a list of annotations"
        self._keep_globals()
        is_empty = not self.response["annotations"] and not self.response.get("global_attributes")
        return "tasks of which FiftyOne can read nothing" if is_empty and self.left_out else None

    def _is_chosen(self, annotation: object) -> bool:
        """Return whether the filters of annotations choose one; each without a filter, of any form."""
        given = annotation if isinstance(annotation, dict) else {}
        return self.wanted.has_annotation(given.get("type"), given.get("label"))

    def _leave_out(self, reason: str) -> None:
        self.left_out[reason] += 1
        self.is_changed = True

    def _is_without(self, obj: _Object, name: str) -> bool:
        """Return whether an object has no attributes under this name; remove a value that is no object."""
        attributes = obj.get(name, {})
        if isinstance(attributes, dict):
            return not attributes
        del obj[name]
        self.is_changed = True
        if attributes is not None:
            self._leave_out(f"{name.replace('_', ' ')} that are no object")
        return True

    def _keep_mapping(self) -> None:
        """Remove a label mapping whose indexes are not texts."""
        # The importer makes the indexes keys of a MongoDB document, which must be texts.
        mapping = self.response.get("labelMapping")
        if mapping is None:
            return
        values = mapping.values() if isinstance(mapping, dict) else [None]
        lists = [[value] if isinstance(value, dict) else value for value in values]
        if not all(isinstance(each, list) and all(_has_text(one, "index") for one in each) for each in lists):
            del self.response["labelMapping"]
            self._leave_out("label mappings of segmentations, whose masks stay")

    def _keep_globals(self) -> None:
        if self._is_without(self.response, "global_attributes"):
            return
        global_attributes = self.response["global_attributes"]
        for name, value in list(global_attributes.items()):
            texts = value if isinstance(value, list) else [value]
            form = list if isinstance(value, list) else str
            if not _is_free(name, _SAMPLE_FIELDS):
                reason = "global attributes with a name that FiftyOne has for itself"
            elif not all(each is None or isinstance(each, str) for each in texts):
                reason = "global attributes that are no text"
            elif self.known_forms.get(name, form) is not form:
                reason = "global attributes that are a text in one task and a list in another"
            else:
                self.forms[name] = form
                continue
            del global_attributes[name]
            self._leave_out(reason)

    def _keeps(self, annotation: object) -> bool:
        """Return whether the importer can read an annotation; remove its unreadable attributes."""
        if not isinstance(annotation, dict) or "type" not in annotation:
            self._leave_out("annotations without a type")
            return False
        kind = annotation["type"]
        if not isinstance(kind, str) or kind not in _RESERVED_BY_KIND:
            self.altered["annotations of other geometries: FiftyOne passes over them"] += 1
            return True
        if not isinstance(annotation.get("label"), str | None):
            self._leave_out("annotations whose label is no text")
            return False
        if not _is_placed(annotation, kind):
            self._leave_out("annotations without coordinates that are numbers")
            return False
        if kind == "box" and annotation.get("rotation"):
            self.altered["rotated boxes: FiftyOne takes them for upright ones"] += 1
        if not self._is_without(annotation, "attributes"):
            self._keep_attributes(annotation["attributes"], kind)
        return True

    def _keep_attributes(self, attributes: _Object, kind: str) -> None:
        for name, value in list(attributes.items()):
            if not _is_free(name, _RESERVED_BY_KIND[kind]) and not _is_fitting(name, value, kind):
                reason = "attributes with a name that FiftyOne has for itself"
            elif not _is_storable(value):
                reason = "attributes with a value that FiftyOne cannot store"
            else:
                continue
            del attributes[name]
            self._leave_out(reason)


def _has_text(obj: object, name: str) -> bool:
    return isinstance(obj, dict) and isinstance(obj.get(name), str)


def _is_free(name: str, own: frozenset[str]) -> bool:
    """Return whether an attribute may have this name: not reserved, and valid in MongoDB."""
    return bool(name) and name not in own and name[0] not in "_$" and "." not in name and "\0" not in name


def _is_fitting(name: str, value: object, kind: str) -> bool:
    # The confidence of a point is a list of numbers.
    is_known = name in _COMPATIBLE_VALUES and not (kind == "point" and name == "confidence")
    return is_known and (value is None or _COMPATIBLE_VALUES[name](value))


def _is_placed(obj: _Object, kind: str) -> bool:
    if kind in _NEEDED:
        return all(_is_number(obj.get(name)) for name in _NEEDED[kind])
    vertices = obj.get("vertices")
    return isinstance(vertices, list) and all(
        isinstance(each, dict) and _is_number(each.get("x")) and _is_number(each.get("y"))
        for each in vertices
    )


def _is_number(value: object) -> bool:
    try:
        return isinstance(value, int | float) and isfinite(value)
    except OverflowError:
        return False


def _is_storable(value: object, depth: int = 1) -> bool:
    """Return whether MongoDB can store a value, and FiftyOne reads it back as plain data."""
    # MongoDB integers have 64 bits. A `_cls` key would make FiftyOne build an object of its own classes.
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    if depth > _MAX_DEPTH:
        return not isinstance(value, dict | list)
    if isinstance(value, list):
        return all(_is_storable(each, depth + 1) for each in value)
    if isinstance(value, dict):
        return all(
            name != "_cls" and not name.startswith("$") and "\0" not in name and _is_storable(each, depth + 1)
            for name, each in value.items()
        )
    return True
