"""Videos and lidar sequences: a row per annotation and frame, from files or from the response itself."""

from typing import Any

import pytest

from scalesync.annotations.flatten import TYPE_READERS, flatten, result_urls
from scalesync.annotations.models import Annotation, Flattened, UnreadFile
from tests.support.flattening import A_FILE, EVENTS_FILE, as_file, extras, flat, from_files

IN_FILES = sorted(name for name, shape in TYPE_READERS.items() if "annotations" in shape.files)
BOX = {"left": 1, "top": 2, "width": 3, "height": 4}
BOX_COLUMNS: dict[str, Any] = {"left": 1.0, "top": 2.0, "width": 3.0, "height": 4.0}
BRAKE = {"start": 5, "end": 9}
TURN = {"frame": 7, "start": 1.5}

FRAMES = [
    {"annotations": [{"uuid": "u", "label": "car", "type": "box", **BOX, "attributes": {"a": 1}}]},
    {"annotations": []},
    {"annotations": [{"uuid": "u", "label": "car", **BOX}, None]},
]
IN_FRAMES = [
    Annotation(uuid="u", label="car", geometry="box", frame=0, **BOX_COLUMNS, attributes='{"a":1}'),
    Annotation(uuid="u", label="car", geometry="box", frame=2, **BOX_COLUMNS),
]


@pytest.mark.parametrize("task_type", IN_FILES)
def test_frames_are_numbered_from_zero(task_type: str) -> None:
    """A list of frames gives a row per annotation, with the index of its frame; inline just the same."""
    behind_url = from_files(task_type, FRAMES)

    assert list(behind_url.annotations) == IN_FRAMES
    assert behind_url == flat(task_type, {"annotations": FRAMES})
    assert behind_url.read


def test_cuboids_keep_position_and_dimensions() -> None:
    """A lidar cuboid's yaw is its rotation; where it is and how large stands in `extra`."""
    axes = {"x": 1, "y": 2.5, "z": -3}
    cuboid = {"uuid": "u", "label": "car", "position": axes, "dimensions": axes, "yaw": 1.5}

    came = from_files("lidarannotation", [{"cuboids": [cuboid]}, {"cuboids": [{"label": "bare"}]}])

    assert list(came.annotations) == [
        Annotation(
            uuid="u",
            label="car",
            geometry="cuboid",
            frame=0,
            rotation=1.5,
            extra='{"position":{"x":1,"y":2.5,"z":-3},"dimensions":{"x":1,"y":2.5,"z":-3}}',
        ),
        Annotation(label="bare", geometry="cuboid", frame=1),
    ]


def test_playback_has_a_row_per_track_and_key_frame() -> None:
    """Tracks by uuid give a row per frame, its key as frame; one without frames gives one row."""
    tracks = {
        "t1": {
            "label": "car",
            "geometry": "box",
            "color": "red",
            "attributes": {"of": "track"},
            "frames": [
                {"key": 7, **BOX, "attributes": {"of": "frame"}, "timestamp": 280},
                {"key": 9, "geometry": "dot", "vertices": [{"x": 1, "y": 2}]},
                {"key": "odd", "label": "other"},
                "odd",
            ],
        },
        "t2": {"label": "sign", "geometry": "box", "frames": []},
        "t3": {"label": "tree", **BOX},
        "t4": "odd",
        "t5": None,
    }
    car: dict[str, Any] = {"uuid": "t1", "label": "car", "geometry": "box"}

    came = from_files("videoplaybackannotation", tracks)

    of_frame, of_track = '{"of":"frame"}', '{"of":"track"}'
    odd_key = '{"color":"red","key":"odd","label":"other"}'
    assert list(came.annotations) == [
        Annotation(
            **car, frame=7, **BOX_COLUMNS, attributes=of_frame, extra='{"color":"red","timestamp":280}'
        ),
        Annotation(
            **{**car, "geometry": "dot"},
            frame=9,
            vertices='[{"x":1,"y":2}]',
            attributes=of_track,
            extra='{"color":"red"}',
        ),
        Annotation(**car, attributes=of_track, extra=odd_key),
        Annotation(**car, attributes=of_track, extra='{"color":"red","value":"odd"}'),
        Annotation(uuid="t2", label="sign", geometry="box", extra='{"frames":[]}'),
        Annotation(uuid="t3", label="tree", geometry="box", **BOX_COLUMNS),
        Annotation(uuid="t4", extra='{"value":"odd"}'),
    ]
    assert not came.read


@pytest.mark.parametrize(
    "events",
    [
        [{"uuid": "a", "label": "brake", **BRAKE}, {"id": 1, "type": "turn", **TURN}],
        {"a": [{"label": "brake", **BRAKE}], "0": None, "1": {"name": "turn", **TURN}},
        {"events": [{"uuid": "a", "name": "brake", **BRAKE}, {"id": "1", "type": "turn", **TURN}]},
    ],
    ids=["list", "by name", "wrapped"],
)
def test_events_follow_the_annotations(events: object) -> None:
    """An event's label is its label, type or name; its frame, if a whole number, is where it begins."""
    came = from_files("videoplaybackannotation", {}, events)

    assert list(came.annotations) == [
        Annotation(uuid="a", label="brake", geometry="event", frame=5, extra='{"end":9}'),
        Annotation(uuid="1", label="turn", geometry="event", frame=7, extra='{"start":1.5}'),
    ]


@pytest.mark.parametrize(
    ("content", "frames", "kept"),
    [
        (
            [{"frame": 30, "annotations": [{}]}, {"key": 40, "cuboids": [{"type": "x"}]}],
            [30, 40],
            [None, None],
        ),
        ([{"frame": 1.5, "annotations": [{}]}], [0], [None]),
        ({"frames": [{"annotations": [{}]}, {"annotations": [{}]}]}, [0, 1], [None, None]),
        ({"annotations": [{}]}, [None], [None]),
        ([{**BOX, "frame": 3}], [None], [{"frame": 3}]),
        ({"frames": []}, [], []),
        ([{"annotations": None}, {"cuboids": []}], [], []),
        ([[{}], None, {}], [0], [None]),
        ([], [], []),
    ],
)
def test_other_forms_are_read_too(content: object, frames: list[int | None], kept: list[object]) -> None:
    """Frames may name their number, stand in an object, be bare lists; what is drawn may be no frame's."""
    came = from_files("videoannotation", content)

    assert [row.frame for row in came.annotations] == frames
    assert extras(came) == kept
    assert came.read


OTHER_FORM = "The file is JSON, but of no form that is known for this type of task."
NO_UTF_8 = "The file is not whole JSON: it has bytes that are not UTF-8."
PARTS = "Parts of the file are of no form that is known for this type of task."


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        ({}, []),
        (None, []),
        ({"version": "2", "tracks": [{"id": 1, "boxes": []}]}, []),
        ({"message": "Forbidden"}, []),
        ({"Error": {"type": "AccessDenied"}}, []),
        ([{"type": "AccessDenied"}], []),
        (7, []),
        (True, []),
        ("x", []),
        ([{}], []),
        ([None], []),
        ([{}, None], []),
        ([{"frame": 0}], []),
        ([7, "x"], []),
        ({"frames": [{}]}, []),
        ({"message": "Forbidden", "t": {"label": "car", **BOX}}, ["Forbidden", None]),
        ([{"label": "a", "frame": 3}], [None]),
        ([[{}, 5], None, {}, "odd"], [None, 5, "odd"]),
        ([{"annotations": [{"id": 1, "boxes": []}]}], [None]),
        ({"t": {"label": "car", "geometry": "box"}}, [None]),
        ([{"annotations": [], "tracks": {"a": 1}}], [None]),
        ({"frames": [], "shapes": [1]}, [None]),
        ([{"camera_responses": [5]}], [None]),
        ([{"camera_responses": [{"camera_used": 1, "shapes": [1]}]}], [None]),
    ],
)
def test_a_file_of_another_form_is_kept_and_reported(content: object, kept: list[object]) -> None:
    """It does not count as read; known in part it keeps its rows, otherwise it has none."""
    came = from_files("videoannotation", content)

    assert [(extra or {}).get("value") for extra in extras(came)] == kept
    assert not came.read
    assert came.unread_files == (UnreadFile(A_FILE, PARTS if kept else OTHER_FORM),)


def test_a_video_in_which_nothing_was_followed() -> None:
    """Tracks by uuid may be none; for the types that have no such form an empty object is another form."""
    assert from_files("videoplaybackannotation", {}) == Flattened()
    assert not from_files("lidarannotation", {}).read
    assert not from_files("videoplaybackannotation", None).read


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"", 0),
        (b"<html>", 0),
        (b"[1e999]", 0),
        (b'[{"annotations":[{"label":"stra\xdfe"}]}]', 0),
        (b"[" * 99_999, 0),
        (b'"text"', 0),
        (b'[{"annotations":5}]', 1),
    ],
)
def test_a_file_that_is_not_understood_is_reported(content: bytes, rows: int) -> None:
    """What is not JSON, or of no known form, has no rows; what is of another in part keeps a row of that."""
    came = from_files("videoannotation", content)

    assert len(came.annotations) == rows
    assert not came.read
    assert [file.url for file in came.unread_files] == [A_FILE]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "The file is empty."),
        (bytes(9), "The file is empty."),
        (b'[{"annotations": [', "The file is not whole, or not JSON."),
        (b"<html>secret", "The server sent an error document or a page in place of the file."),
        (
            b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code><Message>secret</Message></Error>',
            "The server sent an error document or a page (AccessDenied) in place of the file.",
        ),
        (b'[{"annotations": "secret"}]', PARTS),
        (b'"secret"', OTHER_FORM),
        (b"<html>stra\xdfe", "The server sent an error document or a page in place of the file."),
        *((content, NO_UTF_8) for content in (b"\x89PNG", b'["\xdf"]', b"\xff\xfe[\0\0\xd8]\0")),
    ],
)
def test_why_a_file_is_not_read(content: bytes, reason: str) -> None:
    """One sentence, in which nothing stands that the file holds."""
    [file] = from_files("lidarannotation", content).unread_files

    assert (file.url, file.reason) == (A_FILE, reason)


MARKED = (
    b'[{"annotations":[{"type":"box","label":"v\xc3\xa9","left":1,"top":NaN,"width":3,"height":-Infinity}]}]'
)


@pytest.mark.parametrize(
    "content",
    [
        MARKED,
        b"\xef\xbb\xbf" + MARKED + bytes(7),
        *(MARKED.decode().encode(code) for code in ("utf-16", "utf-32")),
        b"\xfe\xff" + MARKED.decode().encode("utf-16-be"),
        b"\x00\x00\xfe\xff" + MARKED.decode().encode("utf-32-be"),
    ],
)
def test_marks_and_literals_that_json_has_not(content: bytes) -> None:
    """A byte order mark is no reason not to read a file; NaN and infinities are kept as words in `extra`."""
    came = from_files("videoannotation", content)

    kept = '{"top":"NaN","height":"-Infinity"}'
    assert came == Flattened(
        (Annotation(label="vé", geometry="box", frame=0, left=1.0, width=3.0, extra=kept),)
    )


@pytest.mark.parametrize("number", ["1e400", "-1e999", "9" * 400, "-" + "9" * 5_000])
def test_a_number_that_no_column_holds_is_kept_beside(number: str) -> None:
    """The file is read and the shape is a box; the number stands in `extra`, at the worst as a text."""
    content = f'[{{"annotations":[{{"label":"a","left":{number},"top":1,"width":2,"height":3}}]}}]'

    came = from_files("videoannotation", content.encode())

    [row] = came.annotations
    assert (row.geometry, row.left, row.top, came.read) == ("box", None, 1.0, True)
    assert str(row.extra).replace('"', "") == f"{{left:{number}}}"


@pytest.mark.parametrize(
    "events", [7, [None], [7], {"error": "AccessDenied"}, {"a": None}, [{"id": 1}], {"events": [{}]}]
)
def test_a_file_in_which_nothing_is_an_event_has_no_rows(events: object) -> None:
    """Nor has one in which nothing says what a point of a sequence is."""
    came = from_files("videoannotation", [], events)
    points = flat("lidarsegmentation", {"point_segmentations": {"url": A_FILE}}, {A_FILE: as_file(events)})

    assert came == Flattened(read=False, unread_files=(UnreadFile(EVENTS_FILE, OTHER_FORM),))
    assert points == Flattened(read=False, unread_files=(UnreadFile(A_FILE, OTHER_FORM),))


@pytest.mark.parametrize("events", [[], {"events": []}, {"a": []}, [{"label": "brake"}], {"a": [[BRAKE]]}])
def test_a_file_of_events_may_be_empty(events: object) -> None:
    """Then it is read."""
    assert from_files("videoannotation", [], events).read


def test_an_unreadable_file_leaves_the_other_one() -> None:
    """Events are rows although the annotations' file is broken."""
    came = from_files("videoplaybackannotation", b"{", [{"label": "brake"}])

    assert [row.label for row in came.annotations] == ["brake"]
    assert not came.read


def test_trailing_nuls_and_what_no_database_holds() -> None:
    """NULs after a file's end are ignored; U+0000 and lone surrogates in it become U+FFFD."""
    content = rb'[{"annotations":[{"label":"\u0000\ud800x\ud83d\ude00\\u0000\udfff","a\u0000":"\udc00"}]}]'

    [row] = from_files("videoannotation", content + bytes(600)).annotations

    assert row.label == "��x😀\\u0000�"
    assert row.extra == '{"a�":"�"}'


@pytest.mark.parametrize("task_type", IN_FILES)
def test_a_file_that_is_not_here_yet_is_wanted(task_type: str) -> None:
    """Without its file a response has no rows, is read all the same, and names what to fetch."""
    signed = f"{A_FILE}?X-Amz-Signature=5"
    response: dict[str, Any] = {"annotations": {"url": signed}, "events": {"url": f"{A_FILE}/e"}}

    assert flat(task_type, response) == Flattened()
    assert result_urls(task_type, as_file(response)) == (signed, f"{A_FILE}/e")
    assert len(flat(task_type, response, {A_FILE: as_file(FRAMES)}).annotations) == 2


@pytest.mark.parametrize(
    ("task_type", "response", "urls"),
    [
        ("lidarsegmentation", {"point_segmentations": {"url": A_FILE}}, (A_FILE,)),
        (
            "lidarsegmentation",
            {"point_segmentations": {"url": A_FILE}, "annotations": {"url": f"{A_FILE}/c"}},
            (f"{A_FILE}/c", A_FILE),
        ),
        (
            "videoannotation",
            {"annotations": {"url": A_FILE, "events": {"url": f"{A_FILE}/e"}}},
            (A_FILE, f"{A_FILE}/e"),
        ),
        ("videoannotation", {"annotations": {"url": A_FILE}, "events": {"url": A_FILE}}, (A_FILE,)),
        ("videoannotation", {"annotations": {"url": "s3://bucket/key"}}, ()),
        ("videoannotation", {"annotations": {"url": 5}}, ()),
        ("videoannotation", {"annotations": FRAMES}, ()),
        ("videoannotation", [], ()),
        ("videoannotation", None, ()),
        ("imageannotation", {"annotations": {"url": A_FILE}}, ()),
        ("segmentannotation", {"annotations": {"labeled": {"sky": A_FILE}}}, ()),
        ("chat", {"annotations": {"url": A_FILE}}, ()),
        (None, {"annotations": {"url": A_FILE}}, ()),
    ],
)
def test_which_files_are_wanted(task_type: str | None, response: object, urls: tuple[str, ...]) -> None:
    """Only http addresses where annotations lie behind them, each once."""
    assert result_urls(task_type, as_file(response)) == urls


def test_files_that_nobody_can_fetch_or_read() -> None:
    """An address that is not http is reported, and one in a place not known; broken JSON names no files."""
    elsewhere = {"annotations": FRAMES, "masks": {"url": A_FILE}}

    assert not flat("videoannotation", elsewhere).read
    assert flat("videoannotation", {"annotations": {"url": "s3://bucket/key"}}) == Flattened(read=False)
    assert result_urls("videoannotation", "{") == ()
    assert result_urls("videoannotation", None) == ()
    assert flatten("videoannotation", None) == Flattened()
