"""Charts as Vega-Lite specs in plain dicts, each with a table of the same values for those without scripts.

A spec can be pasted into any tool that reads Vega-Lite. Its texts come from strangers: see `script_json`.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from scalesync.export.csv_jsonl import to_json
from scalesync.timestamps import parse_instant

SCRIPTS = (
    "vendor/vega/vega-6.4.0.min.js",
    "vendor/vega/vega-lite-6.5.0.min.js",
    "vendor/vega/vega-embed-7.3.0.min.js",
    "charts.js",
)
"""The scripts that draw charts, in the order in which they must run, below `static`."""

WIDTH, HEIGHT, BAR_STEP = 640, 220, 18
"""Pixels of a chart, and of a bar with its gap."""
COLORS = (
    "#3d7edb", "#d9722e", "#2f9e6b", "#b0579e", "#8a8f3a", "#c2484d", "#3593a8", "#7d7f86", "#6f6fd8",
    "#a8703f", "#5c9448", "#9c5bd0", "#b8801f", "#c75785",
)  # fmt: skip
"""Each has a contrast of 3 to 1 with white and with the dark page."""
NOTHING = "(none)"
"""Shown where a project or a label is empty."""

_ROWS = 1_000
_BARS = 50
"""The most rows that a chart of a statement's answer shows: points of a line, and bars."""

Spec = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing and the table of its values."""

    name: str
    """Its id in a page."""
    title: str
    note: str
    """What its numbers are of, and what is left out; empty if that is plain."""
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    """The same values as in `spec`: texts, numbers and None."""
    spec: Spec | None
    """None: there is nothing to draw."""


def spec_of(
    title: str, description: str, columns: Sequence[str], rows: Iterable[Sequence[object]], drawing: Spec
) -> Spec:
    """Return a Vega-Lite spec with its data inside; `drawing` has mark, encoding, and what else is its own.

    `description` is read to those who cannot see it. Colours of texts and lines are left to the page.
    """
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "title": {"text": title, "anchor": "start"},
        "description": description,
        "width": WIDTH,
        "background": None,
        "config": {
            "view": {"stroke": None},
            "axis": {"labelLimit": 220, "titleFontWeight": "normal", "gridOpacity": 0.35},
            "range": {"category": list(COLORS)},
            "mark": {"color": COLORS[0], "tooltip": True},
        },
        "data": {"values": [dict(zip(columns, row, strict=True)) for row in rows]},
        **drawing,
    }


def script_json(value: object) -> str:
    """Return JSON that can be written into a script element: nothing in it ends the element."""
    # ASCII only, so that U+2028 and lone surrogates are escaped too.
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def axis(field: str, kind: str, title: str, **more: object) -> Spec:
    """Return the channel of a field on an axis, with a title that names the unit."""
    # Vega writes titles into expressions, which it cannot read where they hold a line separator.
    shown = "".join(char if char.isprintable() else " " for char in title)
    return {"field": field, "type": kind, "title": shown, **more}


def time_axis(field: str, title: str) -> Spec:
    """Return the axis of days or times, in UTC."""
    labels = {"format": "%Y-%m-%d", "tickCount": 6, "labelOverlap": True}
    return axis(field, "temporal", title, scale={"type": "utc"}, axis=labels)


def chart_of(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Chart | None:
    """Return a chart of a statement's answer: its first column of texts or dates by its first of numbers.

    Dates make a line and texts bars; where one is there twice, they make points: nothing is added up.
    None if there is no such column, or no row with both values.
    """
    values = [[_plain(value) for value in row] for row in rows]
    kinds = [_kind([row[place] for row in values]) for place in range(len(columns))]
    across = next((place for place, kind in enumerate(kinds) if kind in ("temporal", "nominal")), None)
    up = next((place for place, kind in enumerate(kinds) if kind == "quantitative"), None)
    if across is None or up is None:
        return None
    # A text that is missing is a bar of its own; a time that is missing has no place.
    absent = NOTHING if kinds[across] == "nominal" else None
    given = [(absent if row[across] is None else row[across], row[up]) for row in values]
    pairs = [pair for pair in given if None not in pair]
    kind = kinds[across] or ""
    shown = sorted(pairs[:_ROWS]) if kind == "temporal" else pairs[:_BARS]
    if not shown:
        return None
    x, y = str(columns[across]), str(columns[up])
    title = f"{y} by {x}"
    note = _left_out(len(shown), len(pairs), len(rows))
    drawing = _drawing(kind, x, y, several=len({pair[0] for pair in shown}) < len(shown))
    spec = spec_of(title, f"{title}, {len(shown)} values", ("x", "y"), shown, drawing)
    return Chart("chart", title, note, (x, y), shown, spec)


def _drawing(kind: str, x: str, y: str, *, several: bool) -> Spec:
    """Return mark and encoding; `several`: one place on the axis has several values."""
    value = axis("y", "quantitative", y)
    if kind == "temporal":
        mark: Spec = {"type": "point", "filled": True} if several else {"type": "line", "point": True}
        along = time_axis("x", f"{x} (UTC)")
        return {"mark": mark, "height": HEIGHT, "encoding": {"x": along, "y": value}}
    mark = {"type": "point", "filled": True} if several else {"type": "bar"}
    # In the order of the answer, which a statement chooses.
    along = axis("x", "nominal", x, sort=None)
    return {"mark": mark, "height": {"step": BAR_STEP}, "encoding": {"y": along, "x": value}}


def _left_out(shown: int, usable: int, rows: int) -> str:
    parts = []
    if shown < usable:
        parts.append(f"the first {shown:,} of {usable:,} rows are drawn")
    if usable < rows:
        lacking = rows - usable
        parts.append(f"{lacking:,} {'row lacks' if lacking == 1 else 'rows lack'} one of the two values")
    return "; ".join(parts)


def _plain(value: object) -> object:
    """Return a value as JSON has it; numbers as floats or whole numbers that a browser can hold."""
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, int) and abs(value) > 2**53:
        # To a browser all numbers are floats.
        value = float(value) if abs(value) < 2**1023 else None
    return to_json(value)


def _kind(values: Sequence[object]) -> str | None:
    """Return the Vega-Lite type of a column: temporal, nominal, quantitative; None: nothing to draw."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    if all(isinstance(value, str) for value in known):
        return "temporal" if all(is_time(value) for value in known) else "nominal"
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in known)
    return "quantitative" if numbers else None


def is_time(text: object) -> bool:
    """Return whether a text is a date, or a time with a zone, that browsers read as Python does."""
    if not isinstance(text, str) or len(text) < len("2026-11-23") or text[4:5] != "-":
        return False
    try:
        at = parse_instant(text)
    except (ValueError, OverflowError):
        return False
    # A time without a zone would be local time in a browser, and the mirror's times are UTC.
    return len(text) == len("2026-11-23") or text.endswith("Z") or at.isoformat() == text


def day_of(text: str) -> date:
    """Return the day of a text such as 2026-11-23."""
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()


def named(value: str | None) -> str:
    """Return a name, or what is shown where there is none."""
    return NOTHING if value is None else value
