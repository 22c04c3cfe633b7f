"""The attachments of a task are found in params of any form."""

import json

import pytest

from scalesync.parsing.attachments import attachments_of

A, B, C = "https://example.com/a.jpg", "s3://bucket/b", "https://example.com/c?x=1"


def links(params: object, task_type: str = "imageannotation") -> list[str]:
    """Return the links in params, in order."""
    return [each.link for each in attachments_of(task_type, json.dumps(params))]


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"attachment": A}, [A]),
        ({"attachments": [A, B, A]}, [A, B]),
        ({"attachment": A, "attachments": [A, C]}, [A, C]),
        ({"attachments": [[A], [B, [C]]]}, [A, B, C]),
        (
            {"attachments": [{"type": "image", "content": A}, {"type": "text", "content": "x"}]},
            [A],
        ),
        ({"attachments": {"front": A, "rear": {"url": C}}}, [A, C]),
        ({"attachment": "pictures/1.jpg"}, ["pictures/1.jpg"]),
        ({"attachment": " "}, []),
        ({"attachment": None, "attachments": [1, True, None, {}]}, []),
        ({"attachment": "Good morning.", "attachment_type": "text"}, []),
        ({"attachment": A, "attachment_type": "website"}, []),
        ({"geometries": {"box": {"url": A}}}, []),
        ([A], []),
        ("x", []),
        (None, []),
        ({}, []),
    ],
)
def test_the_links_in_params(params: object, found: list[str]) -> None:
    """Of one attachment, of lists and of objects; each once, in order."""
    assert links(params) == found


def test_numbers_beyond_a_double_and_deep_params() -> None:
    """The one has nothing to do with the attachments; the other is said, and not taken for none."""
    assert attachments_of("annotation", f'{{"size":1e999,"attachment":"{A}"}}')[0].link == A
    assert attachments_of("annotation", None) == []
    with pytest.raises(ValueError, match="nested"):
        attachments_of("annotation", '{"a":' + "[" * 200_000 + "]" * 200_000 + "}")


@pytest.mark.parametrize(
    ("task_type", "params", "is_picture"),
    [
        ("imageannotation", {}, True),
        ("imageannotation", {"attachment_type": "video"}, False),
        ("categorization", {}, False),
        ("categorization", {"attachment_type": "image"}, True),
        ("audiotranscription", {}, False),
        (None, {}, False),
    ],
)
def test_what_should_be_a_picture(task_type: str | None, params: dict[str, str], is_picture: bool) -> None:
    """By what the task says of its attachments, or by its type."""
    assert attachments_of(task_type, json.dumps({"attachment": A, **params})) == [(A, is_picture)]
