"""The report: charts and tables of the mirror in one HTML file, which loads nothing from anywhere."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from scalesync.models.overview import Overview, SampleTask
from scalesync.web.annotation_items import Item, items_of
from scalesync.web.app import environment
from scalesync.web.charts import SCRIPTS
from scalesync.web.freshness import freshness
from scalesync.web.overview_charts import overview_charts
from scalesync.web.overview_pages import LABEL_COLUMNS, labels_cut, scope_sentence
from scalesync.web.sheets import thumbnail

if TYPE_CHECKING:
    from scalesync.status import Status

_STATIC = Path(__file__).parent / "static"
_STYLES = ("style.css", "charts.css")


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
        "freshness": freshness(status, status.counts),
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
    """The outlines of one task's shapes, on a sheet as large as they reach."""

    task: SampleTask
    view_box: str
    items: list[Item]
    note: str


def _drawing(task: SampleTask) -> SampleDrawing:
    """Return the drawing of a task: of a video its first frame with shapes."""
    # Without its texts, which may be anybody's words: a shape is called by its label.
    items = [item._replace(text="") for item in items_of(task.annotations)]
    sheet = thumbnail({}, [], items)
    drawn = [item for frame in sheet.frames for item in frame.items]
    missing = task.annotations_total - len(drawn)
    note = f"{len(drawn):,} shape{'' if len(drawn) == 1 else 's'}"
    if missing:
        note += f", and {missing:,} annotation{'' if missing == 1 else 's'} not drawn"
    return SampleDrawing(task, sheet.view_box, drawn, note)
