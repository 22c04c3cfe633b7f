"""Checks whether anything in a result file has a known form; a file without gives no rows at all."""

from scalesync.annotations.json_values import leaves

IN_A_FRAME = frozenset({"annotations", "cuboids", "camera_responses", "global_attributes"})
"""Fields of a frame: it has at least one of them."""
PLACES = frozenset({"left", "top", "x", "y", "vertices", "position", "points_2d"})
"""Fields of a position: anything with a position has at least one of them."""
_LABELLED = PLACES | {"label"}
_EVENT_FIELDS = ("label", "type", "name", "frame", "start")
_POINT_FIELDS = ("objects", "labels", "point_objects", "point_labels")


def has_frames(given: object) -> bool:
    """Return whether a value has frames, is a frame, or has tracks by uuid. A list may be empty."""
    if isinstance(given, dict) and isinstance(given.get("frames"), list):
        given = given["frames"]
    if isinstance(given, list):
        return not given or any(_is_frame(each) for each in given)
    if not isinstance(given, dict):
        return False
    return not IN_A_FRAME.isdisjoint(given) or any(_is_track(each) for each in given.values())


def has_tracks(given: object) -> bool:
    """Return whether a value has frames or tracks by uuid; an empty object has no tracks and is known."""
    return given == {} or has_frames(given)


def has_events(given: object) -> bool:
    """Return whether a value has events, in a list or by name. A list may be empty."""
    if isinstance(given, dict) and isinstance(given.get("events"), list):
        given = given["events"]
    lists = list(given.values()) if isinstance(given, dict) else [given]
    return any(each == [] or any(_is_event(leaf) for leaf in leaves(each)) for each in lists)


def has_points(given: object) -> bool:
    """Return whether a value has objects or labels, of points or for points."""
    return isinstance(given, dict) and any(isinstance(given.get(name), list) for name in _POINT_FIELDS)


def _is_frame(given: object) -> bool:
    """Return whether a value is a frame, a list of annotations, or one annotation in place of a frame."""
    if isinstance(given, list):
        return not given or any(isinstance(each, dict) for each in given)
    return isinstance(given, dict) and not (IN_A_FRAME | _LABELLED).isdisjoint(given)


def _is_track(given: object) -> bool:
    if not isinstance(given, dict):
        return False
    return isinstance(given.get("frames"), list) or not _LABELLED.isdisjoint(given)


def _is_event(given: object) -> bool:
    return isinstance(given, dict) and any(given.get(name) is not None for name in _EVENT_FIELDS)
