"""The report: charts and tables of the mirror in one HTML file, which loads nothing from anywhere."""

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from markupsafe import Markup

from scalesync.models.overview import Overview, SampleShape, SampleTask
from scalesync.web.app import environment
from scalesync.web.charts import SCRIPTS
from scalesync.web.freshness import freshness
from scalesync.web.overview_charts import overview_charts
from scalesync.web.overview_pages import LABEL_COLUMNS, labels_cut, scope_sentence

if TYPE_CHECKING:
    from scalesync.status import Status

_STATIC = Path(__file__).parent / "static"
_STYLES = ("style.css", "charts.css")
_MARGIN = 8
"""Pixels around the shapes of a sample."""
_FARTHEST = 1e9
"""Pixels from the corner at which a point is no place on a picture."""


def report_of(status: "Status", overview: Overview, samples: Sequence[SampleTask] = ()) -> bytes:
    """Return the report as HTML in UTF-8: scripts, styles and data inside, pictures and links outside.

    Lone surrogates become question marks. Without scripts every table is shown.
    """
    scripts = [_inline(name) for name in SCRIPTS]
    styles = [_inline(name) for name in _STYLES]
    values = {
        "title": "Report of " + ("the mirror" if overview.project is None else f"project {overview.project}"),
        "policy": _policy(scripts, styles),
        "scripts": [Markup(text) for text in scripts],  # noqa: S704 - files of this package
        "styles": [Markup(text) for text in styles],  # noqa: S704 - files of this package
        "freshness": freshness(status),
        "scope": scope_sentence(overview),
        "counted_at": overview.computed_at,
        "charts": overview_charts(overview),
        "label_columns": LABEL_COLUMNS,
        "labels": [[getattr(label, name) for name in LABEL_COLUMNS] for label in overview.labels],
        "cut": labels_cut(overview),
        "samples": [_drawing(sample) for sample in samples],
    }
    text = environment().get_template("report.html").render(values)
    return text.encode(errors="replace")


def _inline(name: str) -> str:
    """Return a file of ours as it is written into the page, without the name of a map that is not there."""
    lines = (_STATIC / name).read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("//# sourceMappingURL="))


def _policy(scripts: Sequence[str], styles: Sequence[str]) -> str:
    """Return a content security policy by which only these scripts and styles run, and nothing is loaded."""
    allowed = {"script-src": scripts, "style-src": styles}
    rules = [f"{rule} {' '.join(map(_hash, texts))}" for rule, texts in allowed.items()]
    return "; ".join(["default-src 'none'", *rules, "base-uri 'none'", "form-action 'none'"])


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


class SampleDrawing(NamedTuple):
    """The outlines of one task's shapes."""

    task: SampleTask
    view_box: str
    outlines: list[dict[str, Any]]
    """Each with `tag`, its SVG attributes, and `title`."""
    note: str


def _drawing(task: SampleTask) -> SampleDrawing:
    """Return the outlines of a task, on a sheet as large as they reach."""
    outlines = [outline for shape in task.shapes if (outline := _outline(shape)) is not None]
    points = [point for outline in outlines for point in outline.pop("reach")]
    across, down = [x for x, _ in points] or [0.0], [y for _, y in points] or [0.0]
    left, top = min(across) - _MARGIN, min(down) - _MARGIN
    width, height = max(across) - left + _MARGIN, max(down) - top + _MARGIN
    missing = task.shapes_total - len(outlines)
    note = f"{len(outlines):,} shapes" + (f", {missing:,} more not drawn" if missing else "")
    return SampleDrawing(task, f"{left:g} {top:g} {width:g} {height:g}", outlines, note)


def _outline(shape: SampleShape) -> dict[str, Any] | None:
    """Return the SVG element of a shape with the points that it reaches; None: it has no place."""
    title = f"{shape.label or 'no label'} ({shape.geometry})"
    points = _points(shape.vertices)
    if shape.geometry in ("polygon", "line", "box") and len(points) > 1:
        tag = "polyline" if shape.geometry == "line" else "polygon"
        return {"tag": tag, "points": _written(points), "title": title, "reach": points}
    x, y = _place(shape.left), _place(shape.top)
    if x is None or y is None:
        return None
    width, height = max(_place(shape.width) or 0.0, 0.0), max(_place(shape.height) or 0.0, 0.0)
    corners = [(x, y), (x + width, y + height)]
    match shape.geometry:
        case "point":
            return {"tag": "circle", "cx": x, "cy": y, "r": 2, "title": title, "reach": corners[:1]}
        case "ellipse":
            place = {"cx": x + width / 2, "cy": y + height / 2, "rx": width / 2, "ry": height / 2}
            return {"tag": "ellipse", **place, "title": title, "reach": corners}
        case "box":
            place = {"x": x, "y": y, "width": width, "height": height}
            return {"tag": "rect", **place, "title": title, "reach": corners}
    return None


def _points(vertices: str | None) -> list[tuple[float, float]]:
    """Return the points of a JSON list; those without two numbers that are places are left out."""
    found = json.loads(vertices) if vertices else []
    pairs = [(_place(each.get("x")), _place(each.get("y"))) for each in found if isinstance(each, dict)]
    return [(x, y) for x, y in pairs if x is not None and y is not None]


def _place(value: object) -> float | None:
    """Return a coordinate, None for what is no number or too far away."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < _FARTHEST:
        return None
    return float(value)


def _written(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)
