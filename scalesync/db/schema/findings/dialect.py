"""What the databases say differently in the SQL of findings, and the tables that differ in a few words only.

`{iou}` and `{chosen}` are filled in by `query.py`: the least overlap, and what restricts the annotations.
"""

# ruff: noqa: S608 - every text that goes into this SQL is in this folder

from collections.abc import Callable, Mapping
from typing import NamedTuple

PLACES = (
    "geometries", "objects_to_annotate", "labels", "categories", "features", "annotation_attributes",
)  # fmt: skip
"""The fields of `params` that make up a taxonomy, by their place in its list."""
GEOMETRIES = "'box', 'polygon', 'line', 'point', 'ellipse', 'cuboid', 'segmentation', 'entity', 'category'"
"""The geometries whose label is one of a taxonomy; that of others is the name of a field."""


class Dialect(NamedTuple):
    """Expressions and sources of one database."""

    begin: str
    """WITH, as it is before these common table expressions."""
    no_ordinal: str
    """NULL as a whole number."""
    number: Callable[[str], str]
    """A number as text with one decimal, the same on both databases."""
    hundredths: Callable[[str], str]
    """A number from 0 to 1 as text, cut to two decimals."""
    whole: Callable[[str], str]
    """A whole number as text."""
    picture: Callable[[str, str], str]
    """The width or height, by its name, of the picture that an alias's annotation is on; NULL if unknown."""
    unknown_label: str
    """The condition that the label of an annotation is not offered."""
    unknown_attribute: str
    """The condition that one of its attributes, or its value, is not offered."""
    which_attribute: str
    """The first such attribute, with its value if that is what is unknown."""
    misplaced: str
    """The condition that an entity's text is not at its place."""
    sources: Mapping[str, tuple[tuple[str, str], ...]]
    """By source: the names and the SQL of the common table expressions that it needs, in their order."""
    rows: Mapping[str, str]
    """By source: its FROM, and WHERE up to the conditions of rules."""


Tables = tuple[tuple[str, str], ...]
"""Names and SQL of common table expressions, in their order."""

_AXES = ("x", "y")
_CORNERS = {
    "top_left": "face-topleft",
    "top_right": "face-topright",
    "bottom_right": "face-bottomright",
    "bottom_left": "face-bottomleft",
    "side_top": "side-topcorner",
    "side_bottom": "side-bottomcorner",
}
"""The corners of a cuboid by their names here: the `description` of the vertex."""


_STEPS = """NOT MATERIALIZED (
    SELECT c.*, lead(c.x) OVER w AS next_x, lead(c.y) OVER w AS next_y
    FROM corners AS c
    WINDOW w AS (PARTITION BY c.task_id, c.ordinal ORDER BY c.place)
)"""


def outlines(corners: str, readable: str, first: int) -> Tables:
    """Return the tables that measure outlines, from the SQL of one row for each vertex.

    `readable` is the condition that a vertex `s` has two numbers; vertices are numbered from `first`.
    """
    pivot = ", ".join(
        f"max(CASE WHEN s.place = {first + number} THEN s.{axis} END) AS {axis}_{number}"
        for number in range(4)
        for axis in _AXES
    )
    measured = f"""NOT MATERIALIZED (
    SELECT m.task_id, m.ordinal, m.geometry, m.frame, m.elements, m.points,
        m."left", m.top, m.width, m.height,
        abs(coalesce(m.steps, 0) + coalesce(m.x_last * m.y_0 - m.x_0 * m.y_last, 0)) / 2 AS area,
        m.repeated, m.x_0, m.y_0, m.x_1, m.y_1, m.x_2, m.y_2, m.x_3, m.y_3
    FROM (
        SELECT s.task_id, s.ordinal, max(s.geometry) AS geometry, max(s.frame) AS frame,
            count(s.place) AS elements, count(CASE WHEN {readable} THEN 1 END) AS points,
            min(s.x) AS "left", min(s.y) AS top, max(s.x) - min(s.x) AS width, max(s.y) - min(s.y) AS height,
            sum(s.x * s.next_y - s.next_x * s.y) AS steps,
            max(CASE WHEN s.next_x IS NULL THEN s.x END) AS x_last,
            max(CASE WHEN s.next_x IS NULL THEN s.y END) AS y_last,
            count(CASE WHEN s.x = s.next_x AND s.y = s.next_y THEN 1 END) AS repeated,
            {pivot}
        FROM steps AS s
        GROUP BY s.task_id, s.ordinal
    ) AS m
)"""
    return (("corners", corners), ("steps", _STEPS), ("outlines", measured))


_BOXES = """NOT MATERIALIZED (
    SELECT a.task_id, a.ordinal, a.frame, a.label, coalesce(a.rotation, 0) AS rotation,
        a."left", a.top, a.width, a.height, a."left" + a.top AS place
    FROM annotations AS a
    WHERE a.geometry = 'box' AND abs(a."left") < 1e9 AND abs(a.top) < 1e9
        AND a.width > 1e-30 AND a.width < 1e9 AND a.height > 1e-30 AND a.height < 1e9{chosen}
)"""
# If two boxes overlap that much, their left and top edges differ by no more than this together: in the order
# of left + top, each of them has a neighbour that is no further away.
_REACH = "((1.0 - {iou}) / {iou} + 1e-9) * (n.width + n.height)"
_NEAR = f"""MATERIALIZED (
    SELECT n.task_id, n.ordinal, n.rotation, n."left", n.top, n.width, n.height,
        coalesce(n.frame, -9223372036854775807) AS frame, coalesce('=' || n.label, '') AS label
    FROM (
        SELECT b.*, lead(b.place) OVER w - b.place AS ahead, b.place - lag(b.place) OVER w AS behind
        FROM boxes AS b
        WINDOW w AS (PARTITION BY b.task_id, b.frame, b.label, b.rotation ORDER BY b.place)
    ) AS n
    WHERE n.ahead <= {_REACH} OR n.behind <= {_REACH}
)"""


def pairs(least: str, greatest: str, first_pair: str) -> Tables:
    """Return the tables that find boxes over each other, from the names of two functions.

    `first_pair` selects, of the pairs in `shared`, the one with the earliest box.
    """
    wide = f'({least}(a."left" + a.width, b."left" + b.width) - {greatest}(a."left", b."left"))'
    high = f"({least}(a.top + a.height, b.top + b.height) - {greatest}(a.top, b.top))"
    shared = f"""NOT MATERIALIZED (
    SELECT b.task_id, b.ordinal, a.ordinal AS other, {wide} * {high} AS both_areas,
        a.width * a.height + b.width * b.height AS areas
    FROM near AS a
    CROSS JOIN near AS b
    WHERE b.task_id = a.task_id AND b.frame = a.frame AND b.label = a.label AND b.rotation = a.rotation
        AND b.ordinal > a.ordinal AND {wide} > 0 AND {high} > 0
)"""
    chosen = f"NOT MATERIALIZED ({first_pair}\n)"
    return (("boxes", _BOXES), ("near", _NEAR), ("shared", shared), ("pairs", chosen))


ENOUGH = "s.both_areas >= ({iou} - 1e-9) * (s.areas - s.both_areas)"
"""The condition that a pair `s` overlaps that much."""
IOU = "s.both_areas / (s.areas - s.both_areas) AS iou"


def cuboids(named_corners: str) -> Tables:
    """Return the table of cuboids by their corners, from the SQL of one row for each named vertex."""

    def only(axis: str, description: str) -> str:
        # A corner that is named twice is at no known place.
        is_readable = "abs(k.x) < 1e15 AND abs(k.y) < 1e15"
        value = f"(CASE WHEN k.named = '{description}' AND {is_readable} THEN k.{axis} END)"
        return f"CASE WHEN min{value} = max{value} THEN max{value} END"

    columns = ", ".join(
        f"{only(axis, description)} AS {axis}_{name}"
        for name, description in _CORNERS.items()
        for axis in _AXES
    )
    query = f"""NOT MATERIALIZED (
    SELECT k.task_id, k.ordinal, {columns}
    FROM ({named_corners}
    ) AS k
    GROUP BY k.task_id, k.ordinal
)"""
    return (("cuboids", query),)


ROWS = {
    "o": """outlines AS o
    CROSS JOIN facts AS f
    {rules}WHERE f.task_id = o.task_id AND o.points = o.elements""",
    "p": """pairs AS p
    CROSS JOIN live AS t
    {rules}WHERE t.task_id = p.task_id""",
    "c": """cuboids AS c
    CROSS JOIN live AS t
    {rules}WHERE t.task_id = c.task_id""",
    "e": """texts AS w
    CROSS JOIN annotations AS e
    {rules}WHERE e.task_id = w.task_id AND e.geometry = 'entity'
        AND e.text IS NOT NULL AND e.text_start IS NOT NULL AND e.text_end IS NOT NULL""",
    "t": """live AS t
    {rules}WHERE t.status = 'completed'
        AND NOT EXISTS (SELECT 1 FROM annotations AS a WHERE a.task_id = t.task_id)
        AND NOT EXISTS (SELECT 1 FROM task_files AS l JOIN result_files AS r ON r.url = l.url
            WHERE l.task_id = t.task_id AND r.read_at IS NULL)
        AND NOT EXISTS (SELECT 1 FROM unread_responses AS u WHERE u.task_id = t.task_id)""",
}
"""By source: its FROM, and WHERE up to the conditions of rules; where both databases have the same."""
