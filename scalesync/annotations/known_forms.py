"""Whether anything in a file is of a form that is known: otherwise it has no rows at all."""

from scalesync.annotations.json_values import leaves

IN_A_FRAME = frozenset({"annotations", "cuboids", "camera_responses", "global_attributes"})
"""Fields of which a frame has at least one."""
PLACES = frozenset({"left", "top", "x", "y", "vertices", "position", "points_2d"})
"""Fields that give a position: anything that has a position has at least one of them."""
_LABELLED = PLACES | {"label"}
_OF_AN_EVENT = ("label", "type", "name", "frame", "start")
_OF_POINTS = ("objects", "labels", "point_objects", "point_labels")


def has_frames(given: object) -> bool:
    """Return whether a value has frames, or is a frame or tracks by uuid. A list may be empty."""
    if isinstance(given, dict) and isinstance(given.get("frames"), list):
        given = given["frames"]
    if isinstance(given, list):
        return not given or any(_is_frame(each) for each in given)
    if not isinstance(given, dict):
        return False
    return not IN_A_FRAME.isdisjoint(given) or any(_is_track(each) for each in given.values())


def has_tracks(given: object) -> bool:
    """Return what `has_frames` does; here there may be no tracks at all."""
    return given == {} or has_frames(given)


def has_events(given: object) -> bool:
    """Return whether a value has events in a list or by their names. A list may be empty."""
    if isinstance(given, dict) and isinstance(given.get("events"), list):
        given = given["events"]
    lists = list(given.values()) if isinstance(given, dict) else [given]
    return any(each == [] or any(_is_event(leaf) for leaf in leaves(each)) for each in lists)


def has_points(given: object) -> bool:
    """Return whether a value says of points what they are, or of what there are points."""
    return isinstance(given, dict) and any(isinstance(given.get(name), list) for name in _OF_POINTS)


def _is_frame(given: object) -> bool:
    """Return whether a value is a frame, its annotations alone, or an annotation in the place of a frame."""
    if isinstance(given, list):
        return not given or any(isinstance(each, dict) for each in given)
    return isinstance(given, dict) and not (IN_A_FRAME | _LABELLED).isdisjoint(given)


def _is_track(given: object) -> bool:
    if not isinstance(given, dict):
        return False
    return isinstance(given.get("frames"), list) or not _LABELLED.isdisjoint(given)


def _is_event(given: object) -> bool:
    return isinstance(given, dict) and any(given.get(name) is not None for name in _OF_AN_EVENT)
