"""Completed tasks as the array that FiftyOne's importer of Scale's labels reads.

`fiftyone.utils.scale.import_from_scale` reads a file whose name ends in .json, finds samples by `task_id`,
and stops at the first thing that it cannot read. Of a `response` it takes, for images, `annotations` and
`global_attributes`; for segmentations `annotations.combined.indexedImage` and `labelMapping`; for videos
`annotations.url` and `events.url`, and the frames from `task.params`. What it stops at is known of version
1.22.1: tests/support/fiftyone_importer.py has its rules, each with the place in its source.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from math import isfinite
from typing import Any

import msgspec

from scalesync.export.counts import ExportCounts, joined

_BY_URL = ("videoannotation", "videoplaybackannotation")
_NEEDED = {"box": ("left", "top", "width", "height"), "point": ("x", "y")}

_LABEL_OWN = frozenset({
    "attributes", "clean", "confidence", "field_names", "id", "index", "instance_id", "label", "self", "tags",
    "validate",
})  # fmt: skip
"""Names that every label has for itself."""
_BOX_OWN = _LABEL_OWN | {"bounding_box", "has_mask", "mask", "mask_path"}
_LINE_OWN = _LABEL_OWN | {"closed", "filled", "points"}
_POINT_OWN = _LABEL_OWN | {"points"}
_OWN = {"box": _BOX_OWN, "polygon": _LINE_OWN, "line": _LINE_OWN, "point": _POINT_OWN}
_SAMPLE_OWN = frozenset({
    "STRICT", "clean", "created_at", "filepath", "from_dict", "get_field", "id", "last_modified_at",
    "media_reference", "metadata", "scale_id", "self", "tags", "to_dict", "to_mongo",
    "detections", "events", "keypoints", "polylines", "segmentation",
})  # fmt: skip
"""Names that a sample has for itself; the last five are the importer's, for what it makes."""
_FITTING: dict[str, Callable[[Any], bool]] = {
    "confidence": lambda value: isinstance(value, int | float),
    "index": lambda value: isinstance(value, int),
    "tags": lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
}
"""Names that an attribute may have where its value is what the label's own field takes."""
_DEEPEST = 50
"""Levels of an attribute's value; MongoDB takes a hundred of a whole document."""

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
    documents: Iterable[bytes], tally: ExportCounts, *, limit: int | None = None
) -> Iterator[bytes]:
    """Yield the lines of one JSON array of at most `limit` documents, in flat memory.

    Documents are as the API sent them, but without what the importer cannot read, which is counted; those of
    videos have in `task` what the importer looks for there. Tasks of which it can read nothing are left out;
    those that are not completed are none of its business.
    """
    yield b"["
    yield from joined(tally.counting(islice(_elements(documents, tally), limit)))
    yield b"]"


def _elements(documents: Iterable[bytes], tally: ExportCounts) -> Iterator[bytes]:
    forms: dict[str, type] = {}
    for document in documents:
        try:
            task = _task(document)
        except (msgspec.DecodeError, RecursionError):
            # A number beyond a double, or nesting that the importer would not survive either.
            tally.leave_out("tasks that are no JSON for a program")
            continue
        if task.status != "completed":
            continue
        if not isinstance(task.response, dict):
            tally.leave_out("tasks without a response")
            continue
        reading = _Reading(task.response, forms)
        reason = reading.of_video() if task.type in _BY_URL else reading.of_image()
        if reason is not None:
            tally.leave_out(reason)
            continue
        forms |= reading.forms
        for what, number in reading.left_out.items():
            tally.leave_out(what, number)
        tally.altered += reading.altered
        yield _element(document, task, reading)


def _element(document: bytes, task: _Task, reading: "_Reading") -> bytes:
    if task.type in _BY_URL:
        return document[:-1] + b',"task":{"params":' + bytes(task.params) + b"}}"
    if not reading.is_changed:
        return document
    return _encode(_fields(document) | {"response": msgspec.Raw(_encode(reading.response))})


@dataclass
class _Reading:
    """A response without what the importer cannot read of it, and the count of that by reason."""

    response: _Object
    known_forms: Mapping[str, type]
    """Of each global attribute in earlier tasks, whether it is a text or a list: the importer goes by it."""
    forms: dict[str, type] = field(default_factory=dict)
    is_changed: bool = False
    left_out: Counter[str] = field(default_factory=Counter)
    altered: Counter[str] = field(default_factory=Counter)
    """What stays, and is another thing once it is imported."""

    def of_video(self) -> str | None:
        """Return why the importer cannot read this response of a video, None where it can."""
        files = [self.response[name] for name in ("annotations", "events") if name in self.response]
        if not files or not all(_has_text(each, "url") for each in files):
            return "tasks of videos that name no file of annotations"
        self.altered["tasks of videos: FiftyOne fetches their files, and may stop at their form"] += 1
        return None

    def of_image(self) -> str | None:
        """Leave out what the importer cannot read; return why that is all of it, else None."""
        given = self.response.get("annotations")
        if isinstance(given, dict):
            if not _has_text(given.get("combined"), "indexedImage"):
                return "tasks without an image of indexes, nor a list of annotations"
            self._keep_mapping()
        elif isinstance(given, list):
            self.response["annotations"] = [each for each in given if self._keeps(each)]
        elif "error" in self.response:
            return "tasks whose response is an error"
        else:
            return "tasks without a list of annotations"
        self._keep_globals()
        is_empty = not self.response["annotations"] and not self.response.get("global_attributes")
        return "tasks of which FiftyOne can read nothing" if is_empty and self.left_out else None

    def _leave_out(self, reason: str) -> None:
        self.left_out[reason] += 1
        self.is_changed = True

    def _is_without(self, given: _Object, name: str) -> bool:
        """Return whether an object has no attributes below this name, once what is none is left out."""
        attributes = given.get(name, {})
        if isinstance(attributes, dict):
            return not attributes
        del given[name]
        self.is_changed = True
        if attributes is not None:
            self._leave_out(f"{name.replace('_', ' ')} that are no object")
        return True

    def _keep_mapping(self) -> None:
        """Leave out the labels of indexes, of which the importer makes keys: MongoDB takes texts only."""
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
        given = self.response["global_attributes"]
        for name, value in list(given.items()):
            texts = value if isinstance(value, list) else [value]
            form = list if isinstance(value, list) else str
            if not _is_free(name, _SAMPLE_OWN):
                reason = "global attributes with a name that FiftyOne has for itself"
            elif not all(each is None or isinstance(each, str) for each in texts):
                reason = "global attributes that are no text"
            elif self.known_forms.get(name, form) is not form:
                reason = "global attributes that are a text in one task and a list in another"
            else:
                self.forms[name] = form
                continue
            del given[name]
            self._leave_out(reason)

    def _keeps(self, given: object) -> bool:
        """Return whether the importer reads an annotation, which is then without unreadable attributes."""
        if not isinstance(given, dict) or "type" not in given:
            self._leave_out("annotations without a type")
            return False
        kind = given["type"]
        if not isinstance(kind, str) or kind not in _OWN:
            self.altered["annotations of other geometries: FiftyOne passes over them"] += 1
            return True
        if not isinstance(given.get("label"), str | None):
            self._leave_out("annotations whose label is no text")
            return False
        if not _is_placed(given, kind):
            self._leave_out("annotations without coordinates that are numbers")
            return False
        if kind == "box" and given.get("rotation"):
            self.altered["rotated boxes: FiftyOne takes them for upright ones"] += 1
        if not self._is_without(given, "attributes"):
            self._keep_attributes(given["attributes"], kind)
        return True

    def _keep_attributes(self, given: _Object, kind: str) -> None:
        for name, value in list(given.items()):
            if not _is_free(name, _OWN[kind]) and not _is_fitting(name, value, kind):
                reason = "attributes with a name that FiftyOne has for itself"
            elif not _is_storable(value):
                reason = "attributes with a value that FiftyOne cannot store"
            else:
                continue
            del given[name]
            self._leave_out(reason)


def _has_text(given: object, name: str) -> bool:
    return isinstance(given, dict) and isinstance(given.get(name), str)


def _is_free(name: str, own: frozenset[str]) -> bool:
    """Return whether an attribute may have this name beside those of FiftyOne itself."""
    return bool(name) and name not in own and name[0] not in "_$" and "." not in name and "\0" not in name


def _is_fitting(name: str, value: object, kind: str) -> bool:
    # The confidence of a point is a list of numbers.
    is_known = name in _FITTING and not (kind == "point" and name == "confidence")
    return is_known and (value is None or _FITTING[name](value))


def _is_placed(given: _Object, kind: str) -> bool:
    if kind in _NEEDED:
        return all(_is_number(given.get(name)) for name in _NEEDED[kind])
    vertices = given.get("vertices")
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
    """Return whether MongoDB takes a value, and FiftyOne does not take it for an object of its own."""
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    if depth > _DEEPEST:
        return not isinstance(value, dict | list)
    if isinstance(value, list):
        return all(_is_storable(each, depth + 1) for each in value)
    if isinstance(value, dict):
        return all(
            name != "_cls" and not name.startswith("$") and "\0" not in name and _is_storable(each, depth + 1)
            for name, each in value.items()
        )
    return True
