"""Every documented form of a result, inline or in files, comes to its rows, and nothing of it is lost."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from scalesync.annotations.flatten import TYPE_READERS, flatten, result_urls
from scalesync.annotations.models import Annotation, Flattened, Link
from tests.support.documented_forms import ANNOTATIONS, FORMS, Form
from tests.support.flattening import A_FILE

JSON = ("vertices", "attributes", "extra")
"""Columns of JSON text."""
CASES = [pytest.param(form, kind, id=f"{kind}-{form.name}") for form in FORMS for kind in form.types.split()]


def came_to(form: Form, kind: str) -> Flattened:
    """Return what a form comes to, its files taken from where the response says."""
    response = json.dumps(form.response)
    files = {url: json.dumps(form.files[url]).encode() for url in result_urls(kind, response)}
    assert files.keys() == form.files.keys()
    return flatten(kind, response, files)


def leaves(value: Any) -> Iterator[str]:
    """Yield every text, number and truth in a value as it is written; keys are not among them."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield f"{value:g}"
    elif value is not None:
        yield value if isinstance(value, str) else json.dumps(value)


@pytest.mark.parametrize(("form", "kind"), CASES)
def test_every_documented_form_comes_to_its_rows(form: Form, kind: str) -> None:
    """Each with its frame, geometry, label and uuid; what is not documented does not count as read."""
    came = came_to(form, kind)

    assert [(row.frame, row.geometry, row.label, row.uuid) for row in came.annotations] == list(form.rows)
    assert [(link.kind, link.source, link.target, link.label) for link in came.links] == list(form.links)
    assert (came.read, came.unread_files) == (form.read, ())


@pytest.mark.parametrize(("form", "kind"), CASES)
def test_nothing_of_a_documented_form_is_lost(form: Form, kind: str) -> None:
    """Every value of a response or its files stands in a row, but for those that are known to stay."""
    came = came_to(form, kind)

    held: set[str] = set()
    rows: list[Annotation | Link] = [*came.annotations, *came.links]
    for row in rows:
        for name, value in row._asdict().items():
            held |= set(leaves(json.loads(value) if name in JSON and value else value))
    given = set(leaves([form.response, *form.files.values()])) - set(form.files)
    assert given - held - form.kept == set()


@pytest.mark.parametrize("kind", ["lidartopdown", "sensorfusion", "multistage"])
def test_results_that_are_not_documented_are_kept_and_counted(kind: str) -> None:
    """A file is fetched; where its form is one that is known it has rows, otherwise it counts as unread."""
    scene = {
        "version": "5.1",
        "sensors": [{"id": "s"}],
        "annotations": [{"id": "c1", "type": "cuboid", "label": "van"}],
    }
    response = json.dumps({"annotations": ANNOTATIONS})
    assert result_urls(kind, response) == (A_FILE,)

    came = flatten(kind, response, {A_FILE: json.dumps(scene).encode()})
    binary = flatten(kind, response, {A_FILE: b"{}\n\x93\0\1"})

    assert [(row.uuid, row.label, row.geometry) for row in came.annotations][:1] == [("c1", "van", "cuboid")]
    assert (came.read, len(came.unread_files), len(binary.unread_files)) == (False, 1, 1)


def test_every_type_has_a_form_here() -> None:
    """But for those whose results are not documented."""
    shown = {kind for form in FORMS if "fetched" not in form.name for kind in form.types.split()}
    assert TYPE_READERS.keys() - shown == {"lidartopdown", "sensorfusion", "multistage"}
