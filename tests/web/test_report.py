"""The report is one file: everything is inside, nothing is loaded, what is not known is said at its top."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree.ElementTree import Element

import html5lib
import pytest
from sqlalchemy import insert

from scalesync.db.database import Database
from scalesync.db.schema.annotations_and_changes import annotations
from scalesync.db.schema.sync import verifications
from scalesync.mirror import Mirror
from scalesync.models.overview import LabelUse, SampleTask
from scalesync.web.report import report_of
from tests.support.chromium import needs_chromium, opened
from tests.support.commands import mirror
from tests.support.pages import of_class, rows, tagged, words
from tests.support.sandboxes import StartSandbox
from tests.support.sync_env import sync
from tests.support.view_edge_cases import hold_corners, task

HOSTILE = "</script></style><script>alert(1)</script>\u2028<!-- ' \" `"
SVG = "{http://www.w3.org/2000/svg}"

Made = Callable[..., bytes]


@pytest.fixture
def made(database_url: str) -> Made:
    """Return what makes the report of a mirror of each kind in turn."""

    def make(samples: int = 0, **of: str) -> bytes:
        known = Mirror(database_url)
        chosen = known.samples(samples, **of) if samples else ()
        return report_of(known.status(), known.overview(**of), chosen)

    return make


def parsed(report: bytes) -> Element:
    """Return a report as browsers read it, which must be without an error of form."""
    parser = html5lib.HTMLParser(strict=False)
    document: Element = parser.parse(report.decode())
    assert parser.errors == []
    return document


def specs(document: Element) -> dict[str, dict[str, object]]:
    """Return the specs in a report by the names of their charts."""
    return {
        figure.get("id", ""): json.loads(script.text or "")
        for figure in of_class(document, "chart")
        for script in tagged(figure, "script")
    }


def test_the_report_has_every_value_as_text(
    database: Database, made: Made, start_sandbox: StartSandbox, database_url: str
) -> None:
    """Each chart's table has what its drawing has, and every label is listed."""
    assert sync(start_sandbox(tasks=300), database).complete
    document = parsed(made())
    drawn = specs(document)
    assert list(drawn) == ["by-status", "per-day", "per-week", "reviews", "labels", "batches"]
    for figure in of_class(document, "chart"):
        values = drawn[figure.get("id", "")]["data"]["values"]  # type: ignore[index]
        assert rows(figure) == [[_shown(value) for value in row.values()] for row in values]
        assert [each.get("open") for each in tagged(figure, "details")] == [""]
    known = Mirror(database_url).overview()
    assert rows(document)[-len(known.labels) :] == [
        [_shown(value) for value in (row.label, row.geometry, row.annotations, row.tasks, row.projects)]
        for row in known.labels
    ]


def _shown(value: object) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int | float) else " ".join(str(value).split())


def test_a_mirror_of_nothing_has_a_report_that_says_so(made: Made) -> None:
    """Never synced, never proven, nothing to draw."""
    text = words(parsed(made()))
    assert "Not known to be complete and right" in text
    assert "This mirror was never synced completely" in text
    assert "Not proven equal to the API yet" in text
    assert text.count("Nothing to draw") == 6


def test_a_proof_that_is_old_or_failed_is_said_first(database: Database, made: Made) -> None:
    """In the frame above all numbers; a new proof of everything is none of these."""
    hold_corners(database)
    values = {"scope": "[]", "everything": True, "deep": True, "requests": 1}
    now = datetime.now(UTC)
    for state, age, drift, said in (
        ("proven", 8, 0, "The last proof is old: 8.0 d."),
        ("drift", 0, 2, "found that 2 objects differed;"),
        ("proven", 0, 0, ""),
    ):
        with database.write() as conn:
            verified = {"as_of": now - timedelta(days=age), "state": state, "drift": drift, **values}
            conn.execute(insert(verifications).values(**verified))
        (frame,) = of_class(parsed(made()), "warnings")
        assert said in words(frame)
        assert ("proof" in words(frame) or "differed" in words(frame)) == bool(said)


def test_names_of_strangers_stay_text(database: Database, made: Made) -> None:
    """In tables, in data and in drawings; a name that JSON or HTML could mistake ends no script."""
    names = {"project": HOSTILE, "batch": HOSTILE, "status": HOSTILE}
    mirror(database, "tasks", **task(1, HOSTILE, **names, customer_review_status="accepted"))
    document = parsed(made(samples=1))
    plain = " ".join(HOSTILE.split())
    texts = [cell for row in rows(document) for cell in row]
    assert texts.count(plain) == 5
    assert specs(document)["labels"]["data"]["values"][0]["label"] == HOSTILE  # type: ignore[index]
    policy, *_ = [each.get("content", "") for each in tagged(document, "meta") if each.get("http-equiv")]
    scripts = [script for script in tagged(document, "script") if script.get("type") is None]
    assert [_sum(script.text or "") in policy for script in scripts] == [True] * 4
    assert [each.text for each in document.iter(f"{SVG}title")] == [f"0: {HOSTILE} (box)"]
    assert words(parsed(made(project=HOSTILE))).startswith(f"Report of project {plain}")


def _sum(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_what_is_no_text_in_utf8_is_written_all_the_same(database_url: str) -> None:
    """A lone surrogate is a question mark in tables, and itself in data."""
    known = Mirror(database_url)
    label = LabelUse("\ud800", "box", 1, 1, 1)
    overview = replace(known.overview(), labels=[label], labels_total=1)
    document = parsed(report_of(known.status(), overview))
    assert rows(document)[-1] == ["?", "box", "1", "1", "1"]
    assert specs(document)["labels"]["data"]["values"][0]["label"] == "\ud800"  # type: ignore[index]


def test_nothing_private_is_in_the_report(database: Database, made: Made) -> None:
    """No instruction, no attachment, no metadata, no response's link: with samples neither."""
    private = {
        "instruction": "secret instruction",
        "params": {"attachment": "https://secret.example/a.jpg?X-Amz-Signature=secret"},
        "metadata": {"of": "secret metadata"},
    }
    mirror(database, "tasks", **task(1, "car", status="completed", project="p", **private))
    report = made(samples=5)
    assert b"car" in report
    assert b"secret" not in report
    assert list(tagged(parsed(report), "img")) == []


def test_what_loads_something_is_not_in_the_report(made: Made) -> None:
    """No element names another file, and the policy allows nothing but the scripts and styles inside."""
    report = made()
    assert b"sourceMappingURL" not in report
    document = parsed(report)
    for each in document.iter():
        assert not {"src", "href", "action", "srcset", "data"} & set(each.keys())
    (policy,) = [each.get("content", "") for each in tagged(document, "meta") if each.get("http-equiv")]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert not re.search("unsafe|https?:|data:|self", policy)


def shape(geometry: str, **columns: object) -> dict[str, object]:
    """Return a row of `annotations`."""
    usual = dict.fromkeys(annotations.c.keys()) | {"task_id": "t", "ordinal": 0, "label": "car"}
    return usual | {"geometry": geometry} | columns


@pytest.mark.parametrize(
    ("row", "element", "attributes"),
    [
        (shape("box", left=10, top=20, width=30, height=40), "rect", {"x": "10", "width": "30"}),
        (shape("line", vertices='[{"x":0,"y":1},{"x":2,"y":3}]'), "polyline", {"points": "0,1 2,3"}),
        (shape("polygon", vertices='[{"x":0,"y":0},{"x":2,"y":0},{"x":1,"y":1}]'), "polygon", {}),
        (shape("box", left=None, top=1, width=2, height=3), "", {}),
        (shape("box", left=float("nan"), top=1, width=2, height=3), "", {}),
        (shape("polygon", vertices="no JSON"), "", {}),
        (shape("entity", text="secret words"), "", {}),
        (shape("box", label=None, text="secret words", left=1, top=1, width=2, height=3), "rect", {}),
    ],
)
def test_a_sample_is_drawn_as_outlines(
    database_url: str, row: dict[str, object], element: str, attributes: dict[str, str]
) -> None:
    """On a sheet that holds them, each with its label; what has no place is counted as not drawn."""
    known = Mirror(database_url)
    sample = SampleTask("t", "p", [row], 3)
    document = parsed(report_of(known.status(), known.overview(), [sample]))
    (drawing,) = document.iter(f"{SVG}svg")
    found = of_class(drawing, "shape")
    assert [each.tag for each in found] == ([f"{SVG}{element}"] if element else [])
    assert all(attributes.items() <= dict(each.items()).items() for each in found)
    assert [each.text for each in drawing.iter(f"{SVG}title")] == [
        f"0: {row['label'] or 'no label'} ({row['geometry']})" for _ in found
    ]
    number = "1 shape, and 2 annotations" if element else "0 shapes, and 3 annotations"
    assert f"t, p: {number} not drawn" in words(document)
    assert "secret" not in "".join(document.itertext())


@needs_chromium
def test_a_browser_asks_for_nothing_beyond_the_file(
    database: Database, made: Made, start_sandbox: StartSandbox, tmp_path: Path
) -> None:
    """The charts are drawn, nothing is forbidden by the policy, and marks say their values."""
    assert sync(start_sandbox(tasks=300), database).complete
    mirror(database, "tasks", **task(1, HOSTILE, project=HOSTILE, batch=HOSTILE, status="completed"))
    path = tmp_path / "report.html"
    path.write_bytes(made(samples=4))
    drawn = specs(parsed(path.read_bytes()))
    with opened(path.as_uri()) as shown:
        shown.wait_for_charts()
        assert (shown.requests, shown.violations(), shown.messages) == ([path.as_uri()], [], [])
        assert shown.page.locator("figure.drawn .drawing svg").count() == 6
        said = shown.page.locator("#labels [aria-roledescription=bar]").evaluate_all(
            "bars => bars.map(bar => bar.getAttribute('aria-label'))"
        )
        assert said == [
            f"annotations: {row['annotations']}; label: {row['label']}; geometry: {row['geometry']}"
            for row in drawn["labels"]["data"]["values"]  # type: ignore[index]
        ]


@needs_chromium
def test_without_scripts_and_on_paper_every_table_is_shown(made: Made, tmp_path: Path) -> None:
    """Whoever prints it, or forbids scripts, reads the same numbers."""
    path = tmp_path / "report.html"
    path.write_bytes(made())
    with opened(path.as_uri(), java_script_enabled=False) as shown:
        tables = shown.page.locator("figure.chart details, section table")
        assert all(tables.nth(n).is_visible() for n in range(tables.count()))
        assert shown.page.pdf()[:4] == b"%PDF"
