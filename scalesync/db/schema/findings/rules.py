"""The rules of the view `annotation_findings`: each is declared once, in RULES, with its SQL.

A rule is made of cases: conditions on the rows of a source, whose columns are the same on both databases.
Sources are in `sqlite.py` and `postgres.py`, and `query.py` puts them together.
"""

from enum import StrEnum
from typing import NamedTuple

from scalesync.db.schema.findings.conditions import (
    MARGIN,
    SLIVER_RATIO,
    TINY_AREA,
    TINY_SIDE,
    Sql,
    always,
    box_outside,
    crossed_cuboid,
    crossed_face,
    extent,
    no_polygon,
    outline_outside,
    repeated_points,
    size,
    small_box,
    small_polygon,
    thin_box,
    thin_polygon,
    why_no_polygon,
)
from scalesync.models.findings import DEFAULT_IOU, FindingRule


class Source(StrEnum):
    """Where the rows come from to which a case applies, and the alias of their columns."""

    DRAWN = "a"
    """Every annotation, beside the facts of its task (f) and its taxonomy (x)."""
    OUTLINES = "o"
    """What is measured of the vertices of polygons, lines, ellipses and turned boxes, beside f."""
    PAIRS = "p"
    """Boxes with an earlier box of the same label over them."""
    CUBOIDS = "c"
    """The named corners of cuboids on images."""
    ENTITIES = "e"
    """Pieces of text, with the text that they are from."""
    EMPTY = "t"
    """Completed tasks without any annotation."""


class Case(NamedTuple):
    """One condition of a rule, and what it says of a row that meets it."""

    source: Source
    when: Sql
    detail: Sql


class Rule(NamedTuple):
    """A rule of the view."""

    name: FindingRule
    meaning: str
    limits: str
    cost: str
    cases: tuple[Case, ...]


RULES: tuple[Rule, ...] = (
    Rule(
        FindingRule.SLIVER,
        f"a box or polygon is {SLIVER_RATIO} times longer than it is thick, or more",
        "Boxes with a text of their own, such as the lines of a document, are thin on purpose and left out. "
        "The thickness of a polygon is its area divided by the diagonal of the box around it.",
        "a look at each box; a reading of each polygon's vertices",
        (
            Case(Source.DRAWN, thin_box, size("a")),
            Case(Source.OUTLINES, thin_polygon, size("o")),
        ),
    ),
    Rule(
        FindingRule.TINY,
        f"a side of a box, or of the box around a polygon, is below {TINY_SIDE} pixels, or the area is below "
        f"{TINY_AREA} square pixels",
        "Sides below 0 are tiny too.",
        "as `sliver`",
        (
            Case(Source.DRAWN, small_box, size("a")),
            Case(Source.OUTLINES, small_polygon, size("o")),
        ),
    ),
    Rule(
        FindingRule.OUTSIDE_PICTURE,
        f"a box, polygon, line, point or ellipse reaches more than {MARGIN} pixel beyond its picture",
        "Needs the size of the picture; of a turned box also its `vertices`. Cuboids may reach out.",
        "as `sliver`, and a reading of each task's `params`",
        (
            Case(Source.DRAWN, box_outside, extent("a")),
            Case(Source.OUTLINES, outline_outside, extent("o")),
        ),
    ),
    Rule(
        FindingRule.OVERLAP,
        "two boxes of one label are over each other in one frame: their intersection, divided by their "
        f"union, is {DEFAULT_IOU} or more (`--iou`)",
        "Said of the later box. Turned boxes are compared, as they were before they were turned, with those "
        "of the same `rotation`. Polygons, and boxes beyond 10^9, are not compared.",
        "a sorting of the boxes within each task, and a look at each pair that crosses: 10,000 boxes of one "
        "label that all cross each other take a minute",
        (
            Case(
                Source.PAIRS,
                always,
                lambda say: (
                    f"'IoU ' || {say.hundredths('p.iou')} || ' with annotation ' || {say.whole('p.other')}"
                ),
            ),
        ),
    ),
    Rule(
        FindingRule.UNKNOWN_LABEL,
        "the label is none of those that the taxonomy offers for this geometry",
        "Needs a taxonomy. An annotation without a label is no finding, nor is a field, word, choice, event "
        "or transcript, whose label is the name of a question.",
        "a look at each annotation; a reading of each task's `params` and of each different taxonomy",
        (
            Case(
                Source.DRAWN,
                lambda say: say.unknown_label,
                lambda _say: "substr(a.label, 1, 80)",
            ),
        ),
    ),
    Rule(
        FindingRule.UNKNOWN_ATTRIBUTE,
        "an attribute is none of `annotation_attributes`, or its value is a text and none of its `choices`",
        "Needs `annotation_attributes` in the taxonomy.",
        "a reading of each annotation's `attributes`",
        (
            Case(
                Source.DRAWN,
                lambda say: say.unknown_attribute,
                lambda say: f"substr({say.which_attribute}, 1, 80)",
            ),
        ),
    ),
    Rule(
        FindingRule.COMPLETED_EMPTY,
        "a completed task has no annotation at all",
        "Tasks of which a result file is not here, or a part was not read, are left out.",
        "a look at each task",
        (Case(Source.EMPTY, always, lambda _say: "'completed without an annotation'"),),
    ),
    Rule(
        FindingRule.DEGENERATE_POLYGON,
        "a polygon has fewer than 3 points, no area, or four corners between which it crosses itself",
        "Crossings of polygons with more corners are not looked for.",
        "a reading of each polygon's vertices",
        (Case(Source.OUTLINES, no_polygon, why_no_polygon),),
    ),
    Rule(
        FindingRule.DUPLICATE_VERTEX,
        "a point of a polygon or line is where the point before it is",
        "A last point that closes a polygon at its first one is no finding.",
        "a reading of each polygon's and line's vertices",
        (
            Case(
                Source.OUTLINES,
                lambda _say: "o.geometry IN ('polygon', 'line') AND o.repeated > 0",
                repeated_points,
            ),
        ),
    ),
    Rule(
        FindingRule.CROSSED_CUBOID,
        "the corners of a cuboid's face, from the top left one on, do not turn right each time, or its side "
        "is upside down",
        "Needs the corners' `description`s; cuboids of lidar have none.",
        "a reading of each such cuboid's vertices",
        (
            Case(
                Source.CUBOIDS,
                crossed_cuboid,
                lambda _say: f"CASE WHEN {crossed_face()} THEN 'face' ELSE 'side' END",
            ),
        ),
    ),
    Rule(
        FindingRule.MISPLACED_TEXT,
        "an entity's text is not at its place in the text of its task",
        "Needs the text in `params.text`. Counted in characters or in UTF-16, with or without the last one.",
        "a look at each entity",
        (
            Case(
                Source.ENTITIES,
                lambda say: say.misplaced,
                lambda say: (
                    f"{say.whole('e.text_start')} || ' to ' || {say.whole('e.text_end')} || ' is not '"
                    " || substr(e.text, 1, 40)"
                ),
            ),
        ),
    ),
)
"""Every rule, in the order of FindingRule."""
