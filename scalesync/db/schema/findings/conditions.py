"""Conditions of the rules on the shapes of annotations, and the details that findings give of them.

Columns are those of the sources in `rules.py`. Both databases must come to the same: no square roots, which
SQLite need not have, and no product that is too large or too small for a double of Postgres.
"""

from collections.abc import Callable

from scalesync.db.schema.findings.dialect import Dialect

SLIVER_RATIO = 20
"""A box or polygon is a sliver if it is that many times longer than it is thick."""
TINY_SIDE, TINY_AREA = 2, 16
"""Pixels and square pixels, below which a box or polygon is tiny."""
MARGIN = 1
"""Pixels that an annotation may reach beyond its picture."""

Sql = Callable[[Dialect], str]

_BOX = "a.geometry = 'box' AND a.width IS NOT NULL AND a.height IS NOT NULL"
_POLYGON = "o.geometry = 'polygon'"
_FLAT = "0.000000001 * (o.width * o.width + o.height * o.height)"
"""Area below which a polygon counts as one without any: what rounding leaves."""


def always(_say: Dialect) -> str:
    """Return a condition that every row of its source meets."""
    return "1 = 1"


def size(alias: str) -> Sql:
    """Return the SQL of the width and height of an alias, as text."""
    return lambda say: f"{say.number(f'{alias}.width')} || ' x ' || {say.number(f'{alias}.height')}"


def thin_box(_say: Dialect) -> str:
    """Return the condition that a box is a sliver."""
    return (
        f"{_BOX} AND a.text IS NULL AND a.width > 1e-30 AND a.height > 1e-30"
        f" AND (a.width >= {SLIVER_RATIO} * a.height OR a.height >= {SLIVER_RATIO} * a.width)"
    )


def thin_polygon(_say: Dialect) -> str:
    """Return the condition that a polygon is a sliver."""
    # Of a rectangle, the square of the diagonal is that many times its area, however it is turned.
    times = SLIVER_RATIO + 1 / SLIVER_RATIO
    return f"{_POLYGON} AND o.area > {_FLAT} AND {times} * o.area <= o.width * o.width + o.height * o.height"


def small_box(_say: Dialect) -> str:
    """Return the condition that a box is tiny."""
    return f"{_BOX} AND (a.width < {TINY_SIDE} OR a.height < {TINY_SIDE} OR a.width * a.height < {TINY_AREA})"


def small_polygon(_say: Dialect) -> str:
    """Return the condition that a polygon is tiny."""
    return (
        f"{_POLYGON} AND o.area > {_FLAT}"
        f" AND (o.width < {TINY_SIDE} OR o.height < {TINY_SIDE} OR o.area < {TINY_AREA})"
    )


def _end(alias: str, side: str) -> str:
    """Return where an alias ends to the right or at the bottom; a point has no width and no height."""
    start = f'{alias}."left"' if side == "width" else f"{alias}.top"
    return f"({start} + CASE WHEN {alias}.geometry = 'point' THEN 0 ELSE coalesce({alias}.{side}, 0) END)"


def box_outside(say: Dialect) -> str:
    """Return the condition that a box or point reaches beyond its picture."""
    width, height = say.picture("a", "width"), say.picture("a", "height")
    return (
        "a.geometry IN ('box', 'point') AND coalesce(a.rotation, 0) = 0"
        ' AND a."left" IS NOT NULL AND a.top IS NOT NULL'
        f' AND (a."left" < -{MARGIN} OR a.top < -{MARGIN}'
        f" OR {_end('a', 'width')} > {width} + {MARGIN} OR {_end('a', 'height')} > {height} + {MARGIN})"
        f" AND {width} >= 1 AND {height} >= 1"
    )


def outline_outside(say: Dialect) -> str:
    """Return the condition that an outline reaches beyond its picture."""
    width, height = say.picture("o", "width"), say.picture("o", "height")
    return (
        f'o.points > 0 AND (o."left" < -{MARGIN} OR o.top < -{MARGIN}'
        f' OR o."left" + o.width > {width} + {MARGIN} OR o.top + o.height > {height} + {MARGIN})'
        f" AND {width} >= 1 AND {height} >= 1"
    )


def extent(alias: str) -> Sql:
    """Return the SQL of the corners of an alias, and of the size of its picture, as text."""

    def detail(say: Dialect) -> str:
        left, top = f'{alias}."left"', f"{alias}.top"
        right, bottom = _end(alias, "width"), _end(alias, "height")
        picture = [say.number(f"({say.picture(alias, side)})") for side in ("width", "height")]
        return (
            f"{say.number(left)} || ', ' || {say.number(top)} || ' to ' || {say.number(right)} || ', '"
            f" || {say.number(bottom)} || ' of ' || {picture[0]} || ' x ' || {picture[1]}"
        )

    return detail


def no_polygon(_say: Dialect) -> str:
    """Return the condition that a polygon is none."""
    return f"{_POLYGON} AND (o.points < 3 OR o.area <= {_FLAT} OR {_crosses_itself()})"


def _crosses_itself() -> str:
    """Return the condition that a polygon of four corners turns left twice and right twice."""
    turns = [_turn("o", *(f"{(first + step) % 4}" for step in range(3))) for first in range(4)]
    left, right = (
        " + ".join(f"CASE WHEN {turn} {sign} 0 THEN 1 ELSE 0 END" for turn in turns) for sign in "<>"
    )
    return f"(o.points = 4 AND {left} = 2 AND {right} = 2)"


def _turn(alias: str, first: str, second: str, third: str) -> str:
    """Return twice the area between three corners: above 0 where the way turns right, with y downwards."""
    x, y = ([f"{alias}.{axis}_{corner}" for corner in (first, second, third)] for axis in "xy")
    return f"(({x[1]} - {x[0]}) * ({y[2]} - {y[1]}) - ({y[1]} - {y[0]}) * ({x[2]} - {x[1]}))"


def why_no_polygon(say: Dialect) -> str:
    """Return the SQL of the reason why a polygon is none."""
    points = say.whole("o.points")
    return (
        f"CASE WHEN o.points < 3 THEN {points} || ' points'"
        f" WHEN o.area <= {_FLAT} THEN {points} || ' points without an area' ELSE 'it crosses itself' END"
    )


_FACE = ("top_left", "top_right", "bottom_right", "bottom_left")


def crossed_face() -> str:
    """Return the condition that a cuboid's face does not turn right at each of its corners."""
    turns = (_turn("c", *(_FACE[(first + step) % 4] for step in range(3))) for first in range(4))
    return "(" + " OR ".join(f"{turn} < 0" for turn in turns) + ")"


def crossed_cuboid(_say: Dialect) -> str:
    """Return the condition that the face or the side of a cuboid is crossed."""
    side = " + ".join(
        f"(c.{axis}_side_bottom - c.{axis}_side_top) * (c.{axis}_bottom_left - c.{axis}_top_left)"
        for axis in "xy"
    )
    return f"({crossed_face()} OR {side} < 0)"


def repeated_points(say: Dialect) -> str:
    """Return the SQL of how many points are where the one before them is, as text."""
    return f"{say.whole('o.repeated')} || ' of ' || {say.whole('o.points')} || ' points'"
