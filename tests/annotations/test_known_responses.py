"""Responses as the sandbox gives them and as they were recorded, counted independently."""

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scalesync.annotations.flatten import TYPE_READERS, flatten, result_urls
from scalesync.sandbox import result_files
from scalesync.sandbox.task_responses import respond

RECORDED = Path(__file__).parents[3] / "shared" / "recorded" / "bodies"
RECORDED_ROWS = {
    "audio_transcription": [12],
    "cuboid_annotation": [1],
    "image_recognition": [1],
    "line_annotation": [1],
    "point_annotation": [0],
    "segment_annotation": [1],
    "task_list_1": [1, 1],
    "task_list_2": [0],
    "transcription": [2],
}

Count = Callable[[Any, list[Any]], list[object]]
"""The labels that a response and its files hold, in order, one for each annotation."""


def _areas(response: Any, _files: list[Any]) -> list[object]:
    labels = []
    for label, urls in response["annotations"]["labeled"].items():
        labels += [label] * (0 if urls is None else 1 if isinstance(urls, str) else len(urls))
    return labels


def _playback(_response: Any, files: list[Any]) -> list[object]:
    tracks, events = files
    return [t["label"] for t in tracks.values() for _ in t["frames"]] + [event["label"] for event in events]


def _collected(response: Any, _files: list[Any]) -> list[object]:
    if "annotations" in response:
        return [name for name, entry in response["annotations"].items() for _ in entry["response"][0]]
    answers = response["responses"][0]
    return [name for name in answers for _ in ([0] if isinstance(answers[name], str) else answers[name])]


def _category(response: Any, _files: list[Any]) -> list[object]:
    return [response["category"]] if isinstance(response["category"], str) else response["category"]


def _asked(response: Any, _files: list[Any]) -> list[object]:
    repeated = [name for entry in response.get("repeatable_fields", []) if entry for name in entry]
    return [*response["fields"], *repeated]


def _listed(response: Any, _files: list[Any]) -> list[object]:
    return [element["label"] for element in response["annotations"]]


def _framed(place: str) -> Count:
    return lambda _response, files: [each["label"] for frame in files[0] for each in frame[place]]


LABELS: dict[str, Count] = {
    **dict.fromkeys(["imageannotation", "annotation", "polygonannotation", "lineannotation"], _listed),
    **dict.fromkeys(["laneannotation", "pointannotation", "cuboidannotation"], _listed),
    **dict.fromkeys(["namedentityrecognition", "documenttranscription", "documentmodel"], _listed),
    **dict.fromkeys(
        ["videoannotation", "videoboxannotation", "videocuboidannotation"], _framed("annotations")
    ),
    **dict.fromkeys(["lidarannotation", "lidartopdown", "sensorfusion"], _framed("cuboids")),
    "lidarlinking": lambda _response, files: [
        each["label"]
        for frame in files[0]
        for camera in frame["camera_responses"]
        for each in camera["annotations"]
    ],
    "segmentannotation": _areas,
    "videoplaybackannotation": _playback,
    "lidarsegmentation": lambda response, files: [
        *_framed("cuboids")(response, files),
        *[each["label"] for each in files[1]["objects"]],
    ],
    "textcollection": _collected,
    "categorization": _category,
    "comparison": lambda response, _files: [response["choice"]],
    **dict.fromkeys(["datacollection", "transcription"], _asked),
    "audiotranscription": lambda response, _files: [None] * (1 + len(response["alignment"])),
}


NOT_MADE = {
    "chat",
    "chatlite",
    "chatv2",
    "federal2dvideoannotation",
    "multichat",
    "multistage",
    "phonecall",
}
"""Types of which the sandbox makes no response of a known form."""


@pytest.mark.parametrize("task_type", sorted(TYPE_READERS.keys() - NOT_MADE))
@pytest.mark.parametrize("params", [{}, {"allow_multiple": True, "repeatable_fields": {"a": "b"}}])
def test_as_many_rows_as_annotations(task_type: str, params: dict[str, Any]) -> None:
    """Every type has as many rows as the response and its files have annotations, label by label."""
    rng = random.Random(task_type)
    for _ in range(20):
        response = respond(task_type, params, rng)
        written = json.dumps(response)
        files = {url: _content(url) for url in result_urls(task_type, written)}
        parsed = [json.loads(content.rstrip(b"\0")) for content in files.values()]
        labels = [] if response is None else LABELS[task_type](response, parsed)

        came = flatten(task_type, written, files)

        assert [row.label for row in came.annotations] == labels
        assert came.read


def _content(url: str) -> bytes:
    kind, name = url.removeprefix(f"{result_files.RESULTS}/").split("/")
    content = result_files.content(kind, name)
    assert content is not None
    return content


def test_as_many_links_as_ties() -> None:
    """Links, relationships and refs are all there, and tie what they should."""
    rng = random.Random(5)
    for task_type, place, ends in (
        ("imageannotation", "links", ("from", "to")),
        ("namedentityrecognition", "relationships", ("source_ref", "target_ref")),
    ):
        for _ in range(10):
            response = respond(task_type, {}, rng) or {}
            ties = [tuple(tie[end] for end in ends) for tie in response.get(place, [])]
            assert [(x.source, x.target) for x in flatten(task_type, json.dumps(response)).links] == ties
    for _ in range(10):
        response = respond("documenttranscription", {}, rng) or {}
        refs = [(piece["uuid"], ref) for piece in response["annotations"] for ref in piece["refs"]]
        came = flatten("documenttranscription", json.dumps(response))
        assert [(x.source, x.target) for x in came.links] == refs


def test_values_stand_in_their_columns() -> None:
    """Every box and every entity that the sandbox draws has in its columns what the response says."""
    rng = random.Random(6)
    for _ in range(20):
        drawn = respond("annotation", {}, rng) or {}
        boxes = [
            tuple(each[side] for side in ("left", "top", "width", "height")) for each in drawn["annotations"]
        ]
        rows = flatten("annotation", json.dumps(drawn)).annotations
        assert [(row.left, row.top, row.width, row.height) for row in rows] == boxes
        said = respond("namedentityrecognition", {}, rng) or {}
        places = [(each["start"], each["end"], each["text"]) for each in said["annotations"]]
        rows = flatten("namedentityrecognition", json.dumps(said)).annotations
        assert [(row.text_start, row.text_end, row.text) for row in rows] == places


def test_every_geometry_is_the_one_drawn() -> None:
    """Legacy drawings, which name no geometry, have the one of their type of task."""
    rng = random.Random(7)
    kinds = {"annotation": "box", "polygonannotation": "polygon", "lineannotation": "line"}
    kinds |= {"laneannotation": "line", "pointannotation": "point", "cuboidannotation": "cuboid"}
    for task_type, kind in kinds.items():
        drawn = [json.dumps(respond(task_type, {}, rng)) for _ in range(10)]
        found = Counter(row.geometry for each in drawn for row in flatten(task_type, each).annotations)
        assert set(found) == {kind}


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded documents are not at hand")
def test_recorded_documents_flatten() -> None:
    """Each of the recorded tasks is read, and as many annotations found as one counts by eye."""
    counts: dict[str, list[int]] = {}
    for path in sorted(RECORDED.glob("*.json")):
        body = json.loads(path.read_text())["body"]
        for task in (each for each in body.get("docs", [body]) if "type" in each):
            response = json.dumps(task["response"]) if "response" in task else None
            came = flatten(task["type"], response)
            assert came.read
            counts.setdefault(path.stem, []).append(len(came.annotations))

    assert len(list(RECORDED.glob("*.json"))) == 17
    assert {name: counts.get(name) for name in RECORDED_ROWS} == RECORDED_ROWS
