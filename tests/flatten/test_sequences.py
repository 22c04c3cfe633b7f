"""Videos and lidar sequences: a row per annotation and frame, from files or from the response itself."""

from typing import Any

import pytest

from scalesync.flatten.flattening import SHAPES, flatten, result_urls
from scalesync.flatten.rows import Annotation, Flattened
from tests.flatten.reading import A_FILE, as_file, extras, flat, from_files

IN_FILES = sorted(name for name, shape in SHAPES.items() if "annotations" in shape.files)
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
    assert came.read


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
        ([{"label": "a", "frame": 3}], [None], [{"frame": 3}]),
        ([[{}, 5], None, {}, "odd"], [0, 0, 3], [None, {"value": 5}, {"value": "odd"}]),
        ([], [], []),
        ({}, [], []),
        (None, [], []),
    ],
)
def test_other_forms_are_read_too(content: object, frames: list[int | None], kept: list[object]) -> None:
    """Frames may name their number, stand in an object, be bare lists; what is no frame is kept."""
    came = from_files("videoannotation", content)

    assert [row.frame for row in came.annotations] == frames
    assert extras(came) == kept
    assert came.read


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"", 0),
        (b"<html>", 0),
        (b"[1e999]", 0),
        (b"[" * 99_999, 0),
        (b'"text"', 1),
        (b'[{"annotations":5}]', 1),
    ],
)
def test_a_file_that_is_not_understood_is_reported(content: bytes, rows: int) -> None:
    """What is not JSON has no rows; another kind than is due is kept in one. Neither counts as read."""
    came = from_files("videoannotation", content)

    assert len(came.annotations) == rows
    assert not came.read


def test_an_unreadable_file_leaves_the_other_one() -> None:
    """Events are rows although the annotations' file is broken."""
    came = from_files("videoplaybackannotation", b"{", [{"label": "brake"}])

    assert [row.label for row in came.annotations] == ["brake"]
    assert not came.read


def test_trailing_nuls_and_what_no_database_holds() -> None:
    """NULs after a file's end are ignored; U+0000, lone surrogates and stray bytes in it become U+FFFD."""
    content = (
        rb'[{"annotations":[{"label":"\u0000\ud800x\ud83d\ude00\\u0000\udfff","a\u0000":"' + b'\xff"}]}]'
    )

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
    """An address that is not http is reported; broken JSON names no files; point clouds have no rows."""
    points = flat("lidarsegmentation", {"point_segmentations": {"url": A_FILE}}, {A_FILE: b"[1]"})

    assert flat("videoannotation", {"annotations": {"url": "s3://bucket/key"}}) == Flattened(read=False)
    assert result_urls("videoannotation", "{") == ()
    assert result_urls("videoannotation", None) == ()
    assert flatten("videoannotation", None) == points == Flattened()
