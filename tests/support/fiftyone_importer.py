"""What FiftyOne 1.22.1 does with an array of Scale's tasks, in our own words: it reads, or it stops.

Each rule names where it is in its source. `fiftyone_verdicts.jsonl` has what the real importer did with some
eight hundred arrays, on a stand-in for its MongoDB; a test holds this model to them.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

OWN = {"label", "attributes", "clean", "confidence", "field_names", "id", "index", "instance_id", "tags"}
"""core/labels.py `Label` and odm/embedded_document.py: fields and methods that a keyword would take."""
OF_KIND = {
    "box": {"bounding_box", "has_mask", "mask", "mask_path"},
    "polygon": {"points", "closed", "filled"},
    "line": {"points", "closed", "filled"},
    "point": {"points"},
}
"""core/labels.py `Detection`, `Polyline`, `Keypoint`."""
OF_SAMPLE = {
    "id", "filepath", "tags", "metadata", "created_at", "last_modified_at", "scale_id", "media_reference",
    "from_dict", "get_field", "to_dict", "to_mongo", "clean", "STRICT",
}  # fmt: skip
"""core/sample.py and odm/document.py: fields and methods of a sample, and the field with Scale's ids."""
MADE = {"box": "detections", "polygon": "polylines", "line": "polylines", "point": "keypoints"}
"""utils/scale.py `_parse_objects`: the field of a sample in which each kind ends up."""


class Stops(Exception):  # noqa: N818 - it is what the importer does
    """The importer ends here with an error, and reads no task after this one."""


def check(is_fine: bool, why: str) -> None:
    """Stop unless all is fine."""
    if not is_fine:
        raise Stops(why)


def import_images(responses: Iterable[Any]) -> None:
    """Return where the importer reads all of these responses, in their order; otherwise raise Stops."""
    schema: dict[str, str] = {}
    for response in responses:
        for name, form in image(response).items():
            # core/odm/mixins.py `_validate`: a field keeps the class of its first value.
            check(schema.setdefault(name, form) == form, f"field {name} is {schema[name]}, not {form}")


def image(response: Any) -> dict[str, str]:
    """Return the fields of a sample and their classes: utils/scale.py `_parse_image_labels`."""
    check(isinstance(response, dict), "response.get")
    attributes = response.get("global_attributes", {})
    check(isinstance(attributes, dict), "attrs.items")
    fields = {name: classification(name, value) for name, value in attributes.items()}
    given = response.get("annotations", [])
    if isinstance(given, dict):
        mask(given, response.get("labelMapping"))
        return fields | {"segmentation": "Segmentation"}
    check(isinstance(given, list), "for anno in annos")
    for each in given:
        check(isinstance(each, dict) and "type" in each, "anno['type']")
        if isinstance(each["type"], str) and each["type"] in MADE:
            annotation(each)
            fields[MADE[each["type"]]] = MADE[each["type"]]
    return fields


def classification(name: str, value: Any) -> str:
    """Check a global attribute: utils/scale.py `_parse_classifications`, core/fields.py `StringField`."""
    field_name(name)
    # core/fields.py `validate_field_name`.
    check(bool(name) and not name.startswith("_") and "." not in name, "field names")
    check(name not in OF_SAMPLE | {"self"}, "a sample has it")
    for each in value if isinstance(value, list) else [value]:
        check(each is None or isinstance(each, str), "StringField")
    return "Classifications" if isinstance(value, list) else "Classification"


def field_name(name: str) -> None:
    """Check what mongoengine (base/fields.py `BaseField`) takes for the name of a field."""
    check("." not in name and "\0" not in name and not name.startswith("$"), "field names")


def mask(given: Mapping[str, Any], mapping: Any) -> None:
    """Check a segmentation: utils/scale.py `_parse_mask`; its keys go to BSON, which takes texts only."""
    combined = given.get("combined")
    check(isinstance(combined, dict) and isinstance(combined.get("indexedImage"), str), "indexedImage")
    check(mapping is None or isinstance(mapping, dict), "label_mapping.items")
    for value in (mapping or {}).values():
        check(isinstance(value, dict | list), "for instance in value")
        for each in value if isinstance(value, list) else [value]:
            check(isinstance(each, dict) and isinstance(each.get("index"), str), "keys of text")


def annotation(given: Mapping[str, Any]) -> None:
    """Check a shape: utils/scale.py `_parse_bbox`, `_parse_points`, and the classes that it makes."""
    kind = given["type"]
    check(given.get("label") is None or isinstance(given["label"], str), "StringField")
    if kind in ("polygon", "line"):
        check(isinstance(given.get("vertices"), list), "anno['vertices']")
        for each in given["vertices"]:
            check(isinstance(each, dict), "vertex['x']")
            numbers(each, "x", "y")
    else:
        numbers(given, *(("left", "top", "width", "height") if kind == "box" else ("x", "y")))
    attributes = given.get("attributes", {})
    check(isinstance(attributes, dict), "**attributes")
    for name, value in attributes.items():
        attribute(kind, name, value)


def numbers(given: Mapping[str, Any], *names: str) -> None:
    """Check that each can be divided by the size of the image."""
    for name in names:
        check(isinstance(given.get(name), int | float), f"{name} / width")
        check(abs(given[name]) < 2**1024, "int too large for a float")


def attribute(kind: str, name: str, value: Any) -> None:
    """Check a keyword of a label: core/labels.py, and mongoengine's fields of these names."""
    field_name(name)
    check(name not in ("self", "validate", "_id", "_cls", "_fields", "_meta", "_data"), "reserved")
    if name in OWN | OF_KIND[kind]:
        check(is_of_own_field(kind, name, value), "the label's own field")
    bson(value)


def is_of_own_field(kind: str, name: str, value: Any) -> bool:
    """Return whether mongoengine's field of this name takes a value."""
    if name in ("confidence", "index", "tags", "id", "attributes", "mask", "mask_path") and value is None:
        return True
    if name == "tags" or (kind, name) == ("point", "confidence"):
        return isinstance(value, list) and all(
            isinstance(each, str if name == "tags" else int | float) for each in value
        )
    if name in ("confidence", "index"):
        # FloatField and IntField take what float() and int() take.
        return isinstance(value, int | float) or (isinstance(value, str) and value.replace(".", "").isdigit())
    return False


def bson(value: Any) -> None:
    """Check what BSON and mongoengine's de-referencing of `_cls` take: numbers of eight bytes."""
    if isinstance(value, int):
        check(-(2**63) <= value < 2**63, "8-byte ints")
    for each in value if isinstance(value, list) else []:
        bson(each)
    for name, each in value.items() if isinstance(value, dict) else []:
        check(name != "_cls" and "\0" not in name, "keys")
        bson(each)


def does_it_stop(responses: Iterable[Any]) -> bool:
    """Return whether the importer stops at these responses."""
    try:
        import_images(responses)
    except Stops:
        return True
    return False


def loaded(line: bytes) -> tuple[bool, list[Any]]:
    """Return one of the real importer's verdicts: whether it stopped, and at which responses."""
    stops, responses = msgspec.json.decode(line)
    return stops, responses
