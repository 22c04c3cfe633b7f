"""Whatever the JSON holds: nothing is raised, and every row fits its columns."""

import json
import math
import random
import re
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scalesync.annotations.flatten import TYPE_READERS, flatten, result_urls
from scalesync.annotations.models import Annotation, Flattened, Link
from scalesync.sandbox import result_files
from scalesync.sandbox.task_responses import respond
from tests.support.flattening import A_FILE, EVENTS_FILE

WORDS = re.findall(
    r"\w+",
    """
    annotations links label type geometry left top width height x y vertices rotation attributes uuid
    edges from to labeled labelMapping url unlabeled id start end text relationships source_ref
    target_ref name response responses field_id category choice fields repeatable_fields transcript
    duration alignment word page location refs frames frame key cuboids position dimensions yaw events
    point_segmentations error
    """,
)
"""What fields are called in any shape."""
ONE_OF_EACH = sorted({shape: name for name, shape in TYPE_READERS.items()}.values())
"""A type of task for every way of reading."""
TEXT_COLUMNS = {"uuid", "label", "geometry", "text", "kind", "source", "target"}
INTEGER_COLUMNS = {"frame", "text_start", "text_end"}
NUMBER_COLUMNS = {"left", "top", "width", "height", "rotation"}
JSON_COLUMNS = {"vertices", "attributes", "extra"}

texts = st.text(max_size=6) | st.sampled_from([*WORDS, "box", A_FILE, "\0", "\ud800", "😀"])
numbers = st.integers() | st.integers(-(2**66), 2**66) | st.sampled_from([10**400, -(10**400)])
scalars = st.none() | st.booleans() | numbers | st.floats(allow_nan=False, allow_infinity=False) | texts
names = st.sampled_from(WORDS) | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=5),
    max_leaves=20,
)
relentless = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def fits(flattened: Flattened) -> None:
    """Fail unless every value of every row is one that its column takes, on both databases."""
    assert all(type(row) is Annotation for row in flattened.annotations)
    assert all(type(link) is Link for link in flattened.links)
    rows: list[Annotation | Link] = [*flattened.annotations, *flattened.links]
    for row in rows:
        for column, value in row._asdict().items():
            if value is None:
                continue
            if column in TEXT_COLUMNS:
                _storable(value)
            elif column in INTEGER_COLUMNS:
                assert type(value) is int
                assert -(2**63) <= value < 2**63
            elif column in NUMBER_COLUMNS:
                assert type(value) is float
                assert math.isfinite(value)
            else:
                assert column in JSON_COLUMNS
                _storable(json.dumps(json.loads(value), ensure_ascii=False))
                assert "\\u0000" not in value.replace("\\\\", "")
                assert column != "extra" or value != "{}"


def _storable(value: object) -> None:
    assert type(value) is str
    assert "\0" not in value
    value.encode()


@relentless
@given(st.sampled_from([*TYPE_READERS, "chat"]), values, values, values)
def test_any_json_flattens(task_type: str, response: object, content: object, events: object) -> None:
    """Arbitrary JSON, in the response and behind its URLs, comes to rows that fit, the same each time."""
    written = json.dumps(response)
    files = {A_FILE: json.dumps(content).encode(), EVENTS_FILE: json.dumps(events).encode() + bytes(3)}
    named = json.dumps({"annotations": {"url": A_FILE}, "events": {"url": EVENTS_FILE}})

    came = flatten(task_type, written, files)

    fits(came)
    fits(flatten(task_type, named, files))
    assert came == flatten(task_type, written.encode(), files)
    assert set(result_urls(task_type, written)) <= set(result_urls(task_type, named)) | {A_FILE}


@relentless
@given(st.sampled_from(sorted(TYPE_READERS)), st.integers(0, 2**32), st.lists(values, min_size=1, max_size=4))
def test_responses_with_odd_parts_flatten(task_type: str, seed: int, odd: list[object]) -> None:
    """Responses of the sandbox, and their files, with parts replaced by anything, come to rows that fit."""
    rng = random.Random(seed)
    response: Any = respond(task_type, {}, rng)
    for value in odd:
        response = _replaced(response, value, rng)
    files = {}
    for url in result_urls(task_type, json.dumps(response)):
        kind, _, name = url.removeprefix(f"{result_files.RESULTS}/").partition("/")
        content = (result_files.content(kind, name) or b"[]").rstrip(b"\0")
        files[url] = json.dumps(_replaced(json.loads(content), rng.choice(odd), rng)).encode()

    fits(flatten(task_type, json.dumps(response), files))


def _replaced(given: Any, value: object, rng: random.Random) -> Any:
    """Return JSON with one part of it, at a random depth, replaced."""
    if not isinstance(given, dict | list) or not given or rng.random() < 0.2:
        return value
    if isinstance(given, dict):
        name = rng.choice(list(given))
        return {**given, name: _replaced(given[name], value, rng)}
    index = rng.randrange(len(given))
    return [*given[:index], _replaced(given[index], value, rng), *given[index + 1 :]]


@given(st.sampled_from([*TYPE_READERS, "chat", None]), st.binary(max_size=40) | st.text(max_size=40))
def test_any_text_flattens(task_type: str | None, response: str | bytes) -> None:
    """What is no JSON at all has no rows and is not read; nothing is raised for it."""
    came = flatten(task_type, response, {})

    fits(came)
    try:
        json.loads(response)
    except ValueError:
        assert came == Flattened(read=False)
    assert result_urls(task_type, response) == ()


@pytest.mark.parametrize("depth", [500, 990, 100_000])
@pytest.mark.parametrize("task_type", ONE_OF_EACH)
def test_deep_nesting_flattens(task_type: str, depth: int) -> None:
    """However deep lists and objects stand in each other, in a response or a file, nothing is raised."""
    for opening, closing in (("[", "]"), ('{"a":', "}"), ('{"response":', "}")):
        deep = opening * depth + "1" + closing * depth
        places = sorted(TYPE_READERS[task_type].places)
        for inside in (deep, f"[{deep}]", f'[{{"left":{deep}}}]', f'{{"labeled":{deep}}}'):
            response = "{" + ",".join(f'"{place}":{inside}' for place in places) + "}"
            fits(flatten(task_type, response))
            assert result_urls(task_type, response) == ()
            fits(flatten(task_type, f'{{"annotations":{{"url":"{A_FILE}"}}}}', {A_FILE: inside.encode()}))


def test_nesting_at_the_limit_leaves_what_was_read() -> None:
    """Where a value can be read but no longer be written, the rows before it stay; the rest is not read."""
    cut_short = set()
    for depth in range(sys.getrecursionlimit() - 300, sys.getrecursionlimit()):
        frame = '{"annotations":[{"uuid":"u"},{"attributes":' + "[" * depth + "]" * depth + "}]}"
        came = flatten("videoannotation", f'{{"annotations":[{frame}]}}')
        cut_short |= {came} if len(came.annotations) == 1 else set()

    # Python 3.12 and later count frames apart from nesting: there is no such value.
    assert cut_short <= {Flattened((Annotation(uuid="u", frame=0),), read=False)}


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 5_000])
def test_a_number_that_cannot_be_held_is_kept_as_text(number: str) -> None:
    """A number beyond what can be decoded stands in `extra`, as in a file; the response is read."""
    response = f'{{"annotations":[{{"label":"a","left":{number}}}]}}'

    assert flatten("annotation", response) == Flattened(
        (Annotation(label="a", extra=f'{{"left":"{number}"}}'),)
    )


@pytest.mark.parametrize(
    ("task_type", "response", "read"),
    [
        ("chat", '{"messages":[]}', False),
        (None, "{}", False),
        ("chat", None, True),
        ("chat", "null", True),
        ("imageannotation", "null", True),
        ("imageannotation", "{}", True),
        ("imageannotation", '{"error":"One attachment could not be downloaded."}', True),
        ("imageannotation", '{"boxes":[]}', False),
        ("imageannotation", "[]", False),
        ("imageannotation", '"text"', False),
        ("imageannotation", "", False),
    ],
)
def test_what_counts_as_read(task_type: str | None, response: str | None, read: bool) -> None:
    """Unknown types and shapes are not read; no response, or an error, has nothing to read."""
    assert flatten(task_type, response) == Flattened(read=read)
