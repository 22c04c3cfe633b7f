"""The page of a task shows every annotation once, and everything else that the mirror has of it."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Table, insert

from scalesync.annotations.models import Annotation, Link
from scalesync.db.database import Database
from scalesync.db.schema.annotations_and_changes import annotation_links, annotations, attachments
from tests.support.commands import NOON, mirror
from tests.support.documented_forms import FORMS, Form
from tests.support.flattening import as_file, flat, from_files
from tests.support.pages import Browser, links, of_class, rows, tagged, words

HOSTILE = "<script>alert(1)</script>\"'>&amp;{{ 7 * 7 }}\u202e"
SVG = "{http://www.w3.org/2000/svg}"


def hold(database: Database, task_id: str, kind: str, response: object, **fields: object) -> None:
    """Have the mirror hold a completed task of a type with this response."""
    given = {"type": kind, "status": "completed", "created_at": "2024-01-01T00:00:00.000Z"}
    mirror(database, "tasks", task_id=task_id, response=response, **given | fields)


def store(database: Database, table: Table, parts: Sequence[Annotation | Link]) -> None:
    """Have the mirror hold what the files of the task `t` came to."""
    values = [{"task_id": "t", "ordinal": n, **part._asdict()} for n, part in enumerate(parts)]
    if values:
        with database.write() as conn:
            conn.execute(insert(table), values)


def ordinals(document: Any, task_id: str) -> list[int]:
    """Return the numbers of the shapes of a page, in order."""
    shapes = of_class(document, "shape")
    assert {each.get("data-task") for each in shapes} <= {task_id}
    return sorted(int(each.get("data-ordinal", "")) for each in shapes)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_every_row_of_every_form_is_on_the_page_once(
    database: Database, browser: Browser, form: Form
) -> None:
    """As SVG where it has a place, else as text; from files too."""
    kind = form.types.split()[0]
    files = {url: as_file(content) for url, content in form.files.items()}
    found = flat(kind, form.response, files)
    hold(database, "t", kind, None)
    store(database, annotations, found.annotations)
    store(database, annotation_links, found.links)

    document = browser.page("/task/t")

    assert ordinals(document, "t") == list(range(len(found.annotations)))
    said = words(document)
    assert all(label in said for _, _, label, _ in form.rows if isinstance(label, str))
    assert len(browser.json("/task/t.json")["annotations"]) == len(found.annotations)


def test_hostile_text_stays_text(database: Database, browser: Browser) -> None:
    """In every place that strangers write: ids, names, labels, attributes, links, instructions."""
    box = {"type": "box", "left": 1, "top": 1, "width": 2, "height": 2, "label": HOSTILE, "uuid": HOSTILE}
    response = {
        "annotations": [
            {
                **box,
                "attributes": {
                    HOSTILE: HOSTILE,
                    "go": "javascript:alert(1)",
                    "web": "https://example.com/<a>",
                },
            }
        ]
    }
    hold(
        database, HOSTILE, "imageannotation", response, project=HOSTILE, batch=HOSTILE, instruction=HOSTILE,
        params={"attachment": 'javascript:alert(1)"'}, metadata={HOSTILE: HOSTILE}, tags=[HOSTILE],
    )  # fmt: skip
    (address,) = [link for link in links(browser.page("/tasks")) if link.startswith("/task/")]
    document = browser.page(address)
    for page in (document, browser.page("/tasks"), browser.page("/tasks?view=grid")):
        assert [each.get("src") for each in tagged(page, "script")] == [
            "/static/vendor/panzoom/panzoom-4.6.2.min.js",
            "/static/page.js",
        ]
        assert not [each for each in page.iter() if each.get("style") or each.get("onclick")]
        found = [each.get(name, "") for each in page.iter() for name in ("href", "src", "data-source")]
        assert not [each for each in found if each.lower().startswith(("javascript", "data"))]
    assert HOSTILE.replace("\u202e", "") in "".join(document.itertext())
    assert "https://example.com/<a>" in links(document)
    assert "The attachment is at javascript:" in words(document)


def test_odd_ids_have_pages_of_their_own(database: Database, browser: Browser) -> None:
    """An id may end as a suffix does, or hold slashes."""
    for task_id in ("a.json", "a/b.csv", "a", "%2F", "ä?#"):
        hold(database, task_id, "imageannotation", None)
    for link in links(browser.page("/tasks")):
        if link.startswith("/task/"):
            shown = words(browser.page(link))
            assert browser.json(f"{link}.json")["task"]["task_id"] in shown
    assert browser.json("/task/a.json")["task"]["task_id"] == "a"


def test_values_beyond_every_form(database: Database, browser: Browser) -> None:
    """Huge and nested ones, and those that only a database can hold."""
    hold(database, "t", "imageannotation", {"annotations": [{"deep": json.loads("[" * 200 + "]" * 200)}]})
    odd: dict[int, dict[str, object]] = {
        1: {"geometry": "box", "left": float("inf"), "top": 1.0, "width": 1.0, "height": 1.0},
        2: {"text": "x" * 100_000, "geometry": "field", "label": "l" * 5_000},
        3: {"geometry": "made up", "extra": json.dumps({"unknown form": [1, {"a": None}]})},
        4: {"geometry": "box", "left": -5.0, "top": -5.0, "width": 1.0, "height": 1.0, "frame": -7},
    }
    with database.write() as conn:
        for ordinal, columns in odd.items():
            conn.execute(insert(annotations), {"task_id": "t", "ordinal": ordinal} | columns)
    document = browser.page("/task/t")
    assert ordinals(document, "t") == [0, 1, 2, 3, 4]
    assert '[1,{"a":null}]' in words(document)
    assert browser.json("/task/t.json")["annotations"][1]["left"] is None


def test_a_task_of_many_shows_a_part_and_says_so(database: Database, browser: Browser) -> None:
    """The pages of one task have all of its annotations, each once."""
    hold(database, "t", "imageannotation", None)
    with database.write() as conn:
        drawn = {"geometry": "box", "left": 1.0, "top": 1.0, "width": 5.0, "height": 5.0}
        conn.execute(insert(annotations), [{"task_id": "t", "ordinal": n} | drawn for n in range(5_003)])
    first = browser.page("/task/t")
    assert ordinals(first, "t") == list(range(5_000))
    assert "5,003 annotations Shown are 5,000, from number 0 on." in words(first)
    (more,) = [link for link in links(first) if "from=5000" in link]
    assert ordinals(browser.page(more), "t") == [5_000, 5_001, 5_002]


def test_frames_are_links_without_scripts(database: Database, browser: Browser) -> None:
    """The shapes of a frame are shown with its own picture; those of others are there and hidden."""
    frame = [{"type": "box", "left": 1, "top": 1, "width": 5, "height": 5, "label": "a"}]
    pictures = [f"https://example.com/{number}.jpg" for number in range(3)]
    found = from_files("videoannotation", [{"annotations": frame}] * 6)
    odd = [None, "https://example.com/3.mp3", "https://example.com/5.jpg"]
    hold(database, "t", "videoannotation", None, params={"attachments": [*pictures, *odd]})
    store(database, annotations, found.annotations)
    for number in range(3):
        document = browser.page(f"/task/t?frame={number}")
        shown = [g for g in document.iter(f"{SVG}g") if "off" not in g.get("class", "").split()]
        assert [g.get("data-frame") for g in shown] == [None, str(number)]
        assert [img.get("src") for img in tagged(document, "img")] == [pictures[number]]
        assert ordinals(document, "t") == list(range(6))
    assert [img.get("src") for img in tagged(browser.page("/task/t?frame=5"), "img")] == [odd[2]]
    for number in (3, 4):
        assert "names no attachment for this frame" in words(browser.page(f"/task/t?frame={number}"))
    assert {link for link in links(browser.page("/task/t?frame=1")) if "t?frame=" in link} == {
        "/task/t?frame=0",
        "/task/t?frame=2",
    }
    assert "names no attachment for this frame" in words(browser.page("/task/t?frame=9"))
    assert "frame is not a whole number" in words(browser.page("/task/t?frame=x", 400))


WEB = "https://example.com/a.jpg"
CHECKED = "https://example.com/checked.jpg"
REACHED = "0 0 112 62"
"""How far the box reaches, with a margin."""


class Shown(NamedTuple):
    """What a page shows as the picture."""

    source: str | None
    view_box: str
    known: str
    reason: str = ""


@pytest.mark.parametrize(
    ("params", "picture"),
    [
        ({"attachment": WEB, "width": 640, "height": 480}, Shown(WEB, "0 0 640 480", "1")),
        ({"attachment": CHECKED, "width": 640, "height": 480}, Shown(CHECKED, "0 0 300 200", "1")),
        ({"attachment": WEB}, Shown(WEB, REACHED, "0")),
        ({"attachment": "s3://b/a.jpg"}, Shown(None, REACHED, "0", "The attachment is at s3:,")),
        ({"attachment": "scaledata://a"}, Shown(None, REACHED, "0", "The attachment is at scaledata:,")),
        ({}, Shown(None, REACHED, "0", "The task names no attachment.")),
        ({"attachment": WEB, "width": -1, "height": 1e99}, Shown(WEB, REACHED, "0")),
        ({"attachment": ["x"], "width": "wide"}, Shown(None, REACHED, "0", "names no attachment.")),
    ],
)
def test_where_the_picture_and_its_size_come_from(
    database: Database, browser: Browser, params: object, picture: Shown
) -> None:
    """The table of attachments, then the params, else how far the shapes reach; and why there is none."""
    box = {"type": "box", "left": 10, "top": 20, "width": 100, "height": 40}
    hold(database, "t", "imageannotation", {"annotations": [box]}, params=params)
    with database.write() as conn:
        checked = {"url": "https://example.com/checked.jpg", "width": 300, "height": 200, "checked_at": NOON}
        conn.execute(insert(attachments), checked)
    document = browser.page("/task/t")
    assert [img.get("src") for img in tagged(document, "img")] == ([picture.source] if picture.source else [])
    (svg,) = document.iter(f"{SVG}svg")
    (stage,) = of_class(document, "stage")
    assert (svg.get("viewBox"), stage.get("data-known")) == (picture.view_box, picture.known)
    assert picture.reason in words(document)


def test_text_is_marked_where_entities_lie(database: Database, browser: Browser) -> None:
    """Also where they overlap, and whether the end is the last character or the one behind it."""
    text = "Ann lives in <Oslo> now"
    entities = [
        {"id": "a", "start": 0, "end": 3, "text": "Ann", "label": "person"},
        {"id": "b", "start": 13, "end": 18, "text": "<Oslo>", "label": "place"},
        {"id": "c", "start": 10, "end": 23, "text": "in <Oslo> now", "label": "phrase"},
        {"id": "d", "start": 90, "end": 99, "text": "gone", "label": "nowhere"},
    ]
    relation = {"id": "r", "source_ref": "a", "target_ref": "b", "name": "lives in"}
    response = {"annotations": entities, "relationships": [relation]}
    hold(database, "t", "namedentityrecognition", response, params={"text": text})
    document = browser.page("/task/t")
    (shown,) = of_class(document, "text")
    assert "".join(shown.itertext()) == text
    assert [("".join(mark.itertext()), mark.get("data-of")) for mark in tagged(document, "mark")] == [
        ("Ann", "0"),
        ("in ", "2"),
        ("<Oslo>", "1 2"),
        (" now", "2"),
    ]
    assert ordinals(document, "t") == [0, 1, 2, 3]
    assert {"#a0", "#a1"} <= set(links(document))


def test_next_and_previous_stay_within_the_filter(database: Database, browser: Browser) -> None:
    """Newest first, and the filters go along."""
    for number in range(6):
        status = "completed" if number % 2 else "pending"
        created_at = f"2024-01-0{number + 1}T00:00:00.000Z"
        mirror(database, "tasks", task_id=f"t{number}", status=status, created_at=created_at)
    document = browser.page("/task/t3?status=completed")
    assert (links(document, "prev"), links(document, "next")) == (
        ["/task/t5?status=completed"],
        ["/task/t1?status=completed"],
    )
    # Also from a task that the filter does not select itself.
    assert links(browser.page("/task/t2?status=completed"), "next") == ["/task/t1?status=completed"]
    assert links(browser.page("/task/t0"), "next") == []
    assert browser.json("/task/t0.json")["newer"] == "t1"


def test_history_reviews_and_versions(database: Database, browser: Browser) -> None:
    """What changed, who reviewed it, and what differs between its responses."""
    before = {"annotations": [{"type": "box", "left": 1, "top": 1, "width": 5, "height": 5, "label": "car"}]}
    after = {"annotations": [{"type": "box", "left": 1, "top": 1, "width": 5, "height": 5, "label": "bus"}]}
    audit = {"audit_source": "customer", "audit_result": "rejected", "comments": "too <wide>"}
    hold(database, "t", "imageannotation", before, audits=[audit])
    hold(database, "t", "imageannotation", after, audits=[audit])
    document = browser.page("/task/t")
    assert "Reviews" in words(document)
    cells = rows(document)
    assert [row[1:7] for row in cells if "relabelled" in row] == [
        ["relabelled", "0", "0", "car", "bus", "box"]
    ]
    assert [row[1:4] for row in cells if "customer" in row] == [["customer", "rejected", "too <wide>"]]
    found = browser.json("/task/t.json")
    assert [change["field"] for change in found["changes"]] == ["response", "status"]
    assert len(found["responses"]) == 2
    assert found["task"]["response"] == after


def test_the_csv_of_a_task_has_its_annotations(database: Database, browser: Browser) -> None:
    """One row each, in which a spreadsheet runs nothing."""
    hold(
        database,
        "t",
        "annotation",
        {"annotations": [{"left": 1, "top": 2, "width": 3, "height": 4, "label": "=1"}]},
    )
    header, row = browser.csv("/task/t.csv").splitlines()
    assert header.startswith("task_id,ordinal,uuid,label,geometry,frame,left,top")
    assert row.startswith("t,0,,'=1,box,,1.0,2.0,3.0,4.0")


def test_an_unknown_task_is_a_page_with_404(browser: Browser) -> None:
    """And a name that is no text is a wrong address."""
    assert "The mirror has no task with this id." in words(browser.page("/task/nothing", 404))
    assert "is not text" in words(browser.page("/task/%00", 400))
    browser.page("/task/%FF", 404)
    browser.page("/task/", 404)
    assert rows(browser.page("/tasks")) == [["No task here is like that."]]


def test_what_the_rules_find_is_on_the_page(database: Database, browser: Browser) -> None:
    """With the annotation that it is about."""
    box = {"type": "box", "left": 1, "top": 1, "width": 500, "height": 0.5, "label": "car"}
    hold(database, "t", "imageannotation", {"annotations": [{**box, "height": 400}, box]})
    known = list(browser.mirror.findings())
    found = browser.json("/task/t.json")["findings"]
    assert [(each["rule"], each["ordinal"]) for each in found] == [
        (each.rule, each.ordinal) for each in known
    ]
    assert known
    document = browser.page("/task/t")
    assert "Findings" in words(document)
    assert "#a1" in links(document)


def test_two_responses_are_side_by_side(database: Database, browser: Browser) -> None:
    """With what changed in each of them, and only for a task that had two."""
    box = {"type": "box", "left": 1, "top": 1, "width": 5, "height": 5, "label": "car"}
    added = {"type": "point", "x": 3, "y": 4, "label": "<new>"}
    hold(database, "t", "imageannotation", {"annotations": [box]})
    assert "no two such responses" in words(browser.page("/versions/t", 404))
    hold(database, "t", "imageannotation", {"annotations": [{**box, "label": "bus"}, added]})
    assert "/versions/t" in links(browser.page("/task/t"))
    document = browser.page("/versions/t")
    assert len(of_class(document, "drawn")) == 3
    assert len(of_class(document, "changed")) == 3
    kinds = [row[:3] for row in rows(document)]
    assert kinds == [["relabelled", "0: car", "0: bus"], ["added", "", "1: <new>"]]
    found = browser.json("/versions/t.json")
    assert found["before"]["response"]["annotations"][0]["label"] == "car"
    assert len(browser.csv("/versions/t.csv").splitlines()) == 3
    browser.page(f"/versions/t?before={found['after']['response_digest']}&after=none", 404)
    browser.page("/versions/none", 404)
    browser.page("/versions/t?after=%00", 400)


def test_what_no_annotation_shows_is_said(database: Database, browser: Browser) -> None:
    """A response of unknown form, and a result file that is not here; nothing of a response that was read."""
    hold(database, "strange", "chat", {"annotations": [{"key": "rating", "value": 5}]})
    hold(database, "file", "videoannotation", {"annotations": {"url": "https://files.example/1.json"}})
    hold(database, "read", "imageannotation", {"annotations": []})

    assert "a form that is not known" in words(browser.page("/task/strange"))
    assert "1 result file is not here" in words(browser.page("/task/file"))
    complete = {name: browser.json(f"/task/{name}.json") for name in ("strange", "file", "read")}
    assert [name for name, page in complete.items() if page["annotations_complete"]] == ["read"]
    assert not [each for each in complete["strange"]["findings"] if each["rule"] == "completed_empty"]
    assert "Annotations are missing" not in words(browser.page("/task/read"))
    assert "Of 1 task a part of the response" in words(browser.page("/"))
