"""Charts show the values of the mirror, each drawn as it is in the table, whatever names are in them."""

import hashlib
import html
import json
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
import vl_convert

import scalesync.web.charts
from scalesync.db.database import Database
from scalesync.mirror import Mirror
from scalesync.models.overview import BatchShare, DayCounts, LabelUse, Overview, ProjectReviews, WeekTimes
from scalesync.web.charts import SCRIPTS, Chart, chart_of, script_json
from scalesync.web.overview_charts import BARS, DAYS, WEEKS, overview_charts
from tests.support.sandboxes import StartSandbox
from tests.support.sync_env import sync

HOSTILE = "</script><script>alert(1)</script> <!-- \u2028 \"&' .a[0] 東京 \U0001f600 \u202e"
NAN = float("nan")
NOW = datetime(2026, 11, 30, tzinfo=UTC)

Rows = list[tuple[object, ...]]


def drawn(chart: Chart) -> str:
    """Return a chart as SVG."""
    assert chart.spec is not None
    svg: str = vl_convert.vegalite_to_svg(chart.spec, vl_version="6.4")
    return svg


def spoken(chart: Chart) -> list[str]:
    """Return what is read to those who cannot see a chart: of the whole, of its axes and of each value."""
    return [html.unescape(text) for text in re.findall(r'aria-label="([^"]*)"', drawn(chart))]


def told(chart: Chart) -> Rows:
    """Return the values of a chart's drawing, which have to be those of its table."""
    assert chart.spec is not None
    values = [tuple(row[name] for name in chart.columns) for row in chart.spec["data"]["values"]]
    assert values == [tuple(row) for row in chart.rows]
    assert all(list(row) == list(chart.columns) for row in chart.spec["data"]["values"])
    return values


def overview(**fields: object) -> Overview:
    """Return an overview of nothing but `fields`."""
    empty: dict[str, object] = {name: [] for name in ("days", "weeks", "reviews", "labels", "batches")}
    totals = {f"{name}_total": 0 for name in ("projects", "labels", "batches")}
    usual: dict[str, object] = {
        "project": None,
        "since": None,
        "computed_at": NOW,
        "objects": {},
        "by_status": {},
    }
    return Overview(**{**usual, **empty, **totals, **fields})  # type: ignore[arg-type]


def charts(known: Overview) -> dict[str, Chart]:
    """Return the charts of an overview by name."""
    return {chart.name: chart for chart in overview_charts(known)}


@pytest.fixture
def account(database: Database, database_url: str, start_sandbox: StartSandbox) -> Mirror:
    """Return the mirror of a whole account."""
    assert sync(start_sandbox(tasks=400), database).complete
    return Mirror(database_url)


QUERIES = {
    "by-status": "SELECT status, count(*) AS n FROM tasks GROUP BY status ORDER BY n DESC, status",
    "reviews": """SELECT project, sum(accepted), sum(fixed), sum(commented), sum(rejected) FROM review_quality
        GROUP BY project HAVING sum(reviewed) > 0 ORDER BY sum(completed) DESC, project""",
    "labels": """SELECT coalesce(label, '(none)'), geometry, sum(annotations) AS n FROM label_counts
        GROUP BY label, geometry ORDER BY n DESC""",
    "batches": """SELECT batch, round(CAST(100 * share_done AS numeric), 1), tasks_completed,
        tasks - tasks_canceled FROM batch_progress
        ORDER BY tasks - tasks_completed - tasks_canceled DESC""",
}
"""What the charts show, as people would ask for it."""


@pytest.mark.parametrize("name", QUERIES)
def test_a_chart_shows_what_sql_answers(account: Mirror, name: str) -> None:
    """Of a whole account, as many rows as the chart has; those of equal numbers in any order."""
    (chart,) = [each for each in overview_charts(account.overview()) if each.name == name]
    with account.exporter.answer(QUERIES[name], seconds=60) as answer:
        rows = [tuple(_number(value) for value in row) for row in answer.rows]
    mine = told(chart)
    assert set(mine) <= set(rows)
    assert len(mine) == len(set(mine)) == min(len(rows), BARS)
    assert [row[-1 if name == "labels" else 1] for row in mine[:1]] == [
        row[-1 if name == "labels" else 1] for row in rows[:1]
    ]


def _number(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else value


def test_the_days_and_weeks_are_those_of_the_tasks(account: Mirror) -> None:
    """Every day from the first to the last, with nothing on those without tasks; weeks as they are."""
    shown = charts(account.overview())
    query = """SELECT CAST(day AS text), sum(created), sum(completed) FROM daily_throughput
        GROUP BY day ORDER BY day"""
    with account.exporter.answer(query, seconds=60) as answer:
        known = {str(day): (int(str(made)), int(str(done))) for day, made, done in answer.rows}
    days = told(shown["per-day"])
    assert [row for row in days if row[1:] != (0, 0)] == [
        (day, *numbers) for day, numbers in known.items() if day >= str(days[0][0]) and numbers != (0, 0)
    ]
    dates = [date.fromisoformat(str(row[0])) for row in days]
    assert {later - earlier for earlier, later in pairwise(dates)} == {timedelta(days=1)}
    assert told(shown["per-week"]) == [
        (week.week, week.completed, week.p50_hours, week.p90_hours)
        for week in account.overview().weeks[-len(shown["per-week"].rows) :]
    ]


def test_every_chart_is_drawn_and_read_aloud(account: Mirror) -> None:
    """With a title, titles of its axes with their units, a description, and each of its values."""
    units = {
        "by-status": "tasks",
        "per-day": "tasks per day",
        "per-week": "hours",
        "reviews": "tasks with this review",
        "labels": "annotations",
        "batches": "% of its tasks",
    }
    for name, chart in charts(account.overview()).items():
        assert chart.spec is not None
        texts = spoken(chart)
        assert any(f"axis titled '{units[name]}" in text for text in texts)
        assert any(chart.title in text for text in texts)
        assert drawn(chart).startswith("<svg")
        assert "NaN" not in drawn(chart)
    labels = charts(account.overview())["labels"]
    for label, geometry, number in told(labels):
        assert f"annotations: {number}; label: {label}; geometry: {geometry}" in spoken(labels)


def test_an_empty_mirror_has_nothing_to_draw() -> None:
    """Each chart is there with its title, and says so by having no spec."""
    assert {name: chart.spec for name, chart in charts(overview()).items()} == dict.fromkeys(
        ("by-status", "per-day", "per-week", "reviews", "labels", "batches")
    )


def test_names_of_strangers_are_drawn_as_they_are() -> None:
    """A script, a comment, line separators, brackets and dots in every name."""
    known = overview(
        by_status={HOSTILE: 3, None: 1},
        reviews=[ProjectReviews(HOSTILE, 5, 1, 1, 1, 1), ProjectReviews(None, 1, 1, 0, 0, 0)],
        labels=[LabelUse(HOSTILE, "box", 7, 3, 1), LabelUse(None, None, 2, 1, 0)],
        batches=[BatchShare(HOSTILE, HOSTILE, 4, 1, 1, 1 / 3), BatchShare("away", None, 1, 0, 1, None)],
    )
    shown = charts(known)
    for name in ("by-status", "reviews", "labels", "batches"):
        assert HOSTILE in {row[0] for row in told(shown[name])}
        assert "<script" not in drawn(shown[name])
    assert any("annotations: 7; label: </script><script>" in text for text in spoken(shown["labels"]))
    assert told(shown["batches"])[1] == ("away", None, 0, 0)


@pytest.mark.parametrize(
    "value", [HOSTILE, "\ud800", "<!--<script", "]]>", {"a": [HOSTILE, None, 1.5]}, "\u2029", "&lt;"]
)
def test_json_in_a_script_element_cannot_end_it(value: object) -> None:
    """And it is the same value for whoever reads it."""
    text = script_json(value)
    assert not set(text) & set("<>&\u2028\u2029")
    assert text.isascii()
    assert json.loads(text) == value


def test_what_is_left_out_of_a_chart_is_said() -> None:
    """Days, weeks, projects, labels and batches beyond the limits; tasks without a time; never silently."""
    days = [DayCounts((date(2020, 1, 1) + timedelta(days=n)).isoformat(), 1, 0) for n in range(DAYS + 10)]
    weeks = [
        WeekTimes((date(2019, 12, 30) + timedelta(weeks=n)).isoformat(), 1, 1.0, 2.0)
        for n in range(WEEKS + 3)
    ]
    shown = charts(
        overview(
            by_status={"pending": DAYS + 15},
            days=days,
            weeks=weeks,
            reviews=[ProjectReviews(f"p{n}", 1, 1, 0, 0, 0) for n in range(BARS + 1)],
            labels=[LabelUse(f"l{n}", "box", 1, 1, 1) for n in range(BARS + 1)],
            batches=[BatchShare(f"b{n}", None, 1, 1, 0, 1.0) for n in range(BARS + 1)],
            projects_total=BARS + 1,
            labels_total=5000,
            batches_total=BARS + 1,
        )
    )
    assert (len(shown["per-day"].rows), len(shown["per-week"].rows)) == (DAYS, WEEKS)
    assert shown["per-day"].note == (
        f"The last {DAYS} days, without 10 earlier days with tasks. 5 tasks have no time of creation."
    )
    assert f"The last {WEEKS} weeks, without 3 earlier weeks with tasks." in shown["per-week"].note
    assert shown["reviews"].note == f"The first {BARS} of {BARS + 1} projects with reviews."
    assert shown["labels"].note == f"The first {BARS} of 5,000 labels."
    assert shown["batches"].note.startswith(f"{BARS + 1} of {BARS + 1} batches are done. The first {BARS} of")


def test_one_day_in_a_wrong_year_presses_no_other_together() -> None:
    """Days are shown by the calendar, the last ones first of all."""
    days = [DayCounts("0001-01-01", 1, 0), DayCounts("2026-11-01", 2, 1), DayCounts("2026-11-03", 1, 1)]
    chart = charts(overview(by_status={"completed": 4}, days=days))["per-day"]
    assert chart.rows[-3:] == [("2026-11-01", 2, 1), ("2026-11-02", 0, 0), ("2026-11-03", 1, 1)]
    assert "without 1 earlier day with tasks" in chart.note
    early = charts(overview(days=[DayCounts("0001-01-01", 1, 0)]))["per-day"]
    assert early.rows == [("0001-01-01", 1, 0)]


@pytest.mark.parametrize(
    ("columns", "rows", "mark", "values"),
    [
        (("status", "tasks"), [("a", 1), ("b", 2.5)], "bar", [("a", 1), ("b", 2.5)]),
        (("n", "status"), [(1, "a"), (2, "a")], "point", [("a", 1), ("a", 2)]),
        (("at", "n"), [("2026-01-02", 1), (None, 5)], "line", [("2026-01-02", 1)]),
        (
            ("day", "n"),
            [("2026-01-02", 2), ("2026-01-01", 1)],
            "line",
            [("2026-01-01", 1), ("2026-01-02", 2)],
        ),
        (("day", "n"), [(date(2026, 1, 2), Decimal("2.5"))], "line", [("2026-01-02", 2.5)]),
        (
            ("at", "n"),
            [(datetime(2026, 1, 2, tzinfo=UTC), 1), (datetime(2026, 1, 2, tzinfo=UTC), 2)],
            "point",
            [("2026-01-02T00:00:00.000Z", 1), ("2026-01-02T00:00:00.000Z", 2)],
        ),
        (("at", "n"), [("2026-01-02T00:00:00", 1)], "bar", [("2026-01-02T00:00:00", 1)]),
        (
            ("x", "n"),
            [("a", None), (None, 1), ("b", float("nan")), ("c", 3)],
            "bar",
            [("(none)", 1), ("c", 3)],
        ),
        ((HOSTILE, "a.b[0]"), [(HOSTILE, 1)], "bar", [(HOSTILE, 1)]),
        (("x", "n"), [("a", 10**400), ("b", 10**300)], "bar", [("b", float(10**300))]),
    ],
)
def test_an_answer_with_texts_and_numbers_has_a_chart(
    columns: Sequence[str], rows: Rows, mark: str, values: Rows
) -> None:
    """Bars by text, a line by time, points where a sum would lie; what is left out is counted."""
    chart = chart_of(columns, rows)
    assert chart is not None
    assert chart.spec is not None
    assert [tuple(row.values()) for row in chart.spec["data"]["values"]] == values
    assert [tuple(row) for row in chart.rows] == values
    assert chart.spec["mark"]["type"] == mark
    assert ("lack" in chart.note) == (len(rows) > len(values))
    assert drawn(chart).startswith("<svg")
    script_json(chart.spec)


@pytest.mark.parametrize(
    ("columns", "rows"),
    [
        (("a",), [("x",)]),
        (("n",), [(1,)]),
        (("a", "b"), [("x", "y")]),
        (("a", "n"), []),
        (("a", "n"), [("2026-01-01", None), (None, 2)]),
        (("a", "n"), [("x", True)]),
        (("a", "n"), [("x", 1), ("y", "z")]),
        ((), []),
    ],
)
def test_an_answer_without_both_has_none(columns: Sequence[str], rows: Rows) -> None:
    """One column, no numbers, no rows, truth values, or a column of both kinds."""
    assert chart_of(columns, rows) is None


def test_a_long_answer_is_drawn_in_part_and_says_so() -> None:
    """The first bars of 60, and the first points of 2,000."""
    bars = chart_of(("x", "n"), [(f"x{n}", n) for n in range(60)])
    assert bars is not None
    assert bars.note == "the first 50 of 60 rows are drawn"
    days = chart_of(("d", "n"), [((NOW - timedelta(days=n)).date(), n) for n in range(2000)])
    assert days is not None
    assert days.note == "the first 1,000 of 2,000 rows are drawn"


def test_the_scripts_are_those_that_the_list_beside_them_names() -> None:
    """Each file has the sum of its package's file, and its licence beside it."""
    static = Path(scalesync.web.charts.__file__).parent / "static"
    listed = (static / "vendor/vega/README.md").read_text()
    for name in SCRIPTS[:-1]:
        path = static / name
        assert f"| `{path.name}` |" in listed
        assert hashlib.sha256(path.read_bytes()).hexdigest() in listed
    for licence in re.findall(r"`(LICENSES?-[\w-]+\.txt)`", listed):
        assert (static / "vendor/vega" / licence).stat().st_size > 1000
