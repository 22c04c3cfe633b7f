"""The sources of findings on SQLite: common table expressions that the view and the command share.

DuckDB spells a view anew before it hands it to SQLite: so there is no UNION, no LIKE, no `IN (SELECT ...)`,
no `IS` between columns and no `char(10)`. A line break is written as one. `{chosen}` restricts which
annotations are read.
"""

# ruff: noqa: S608 - every text that goes into this SQL is in this folder

from scalesync.db.schema.findings.dialect import (
    ENOUGH,
    GEOMETRIES,
    IOU,
    PLACES,
    ROWS,
    Dialect,
    cuboids,
    outlines,
    pairs,
)

_PLACES = ", ".join(f"'$.{place}'" for place in PLACES)
_NONE = "'[null,null,null,null,null,null]'"
_OWN, _OF_PROJECT = (f"nullif(json_extract({of}.params, {_PLACES}), {_NONE})" for of in "tp")
_TAXONOMY = f"coalesce({_OWN}, {_OF_PROJECT})"


def _number(value: str) -> str:
    cut = f"CAST({value} * 10 + CASE WHEN {value} < 0 THEN -0.5 ELSE 0.5 END AS INTEGER)"
    return f"CASE WHEN abs({value}) < 1e12 THEN printf('%.1f', {cut} / 10.0) ELSE 'huge' END"


def _hundredths(value: str) -> str:
    return f"printf('%.2f', CAST({value} * 100 + 0.000001 AS INTEGER) / 100.0)"


def _whole(value: str) -> str:
    return f"CAST({value} AS TEXT)"


def _picture(alias: str, side: str) -> str:
    page = f"json_extract(f.pages, '$[' || {alias}.frame || '].{side}')"
    return f"CASE WHEN f.pages IS NULL THEN f.{side} WHEN {alias}.frame >= 0 THEN {page} END"


def _side(side: str) -> str:
    sizes = (
        f"CASE WHEN json_type({column}, '$.{side}') IN ('integer', 'real')"
        f" THEN json_extract({column}, '$.{side}') END"
        for column in ("t.params", "t.metadata")
    )
    return f"coalesce(m.{side}, u.{side}, {', '.join(sizes)})"


_ATTACHMENT = "json_extract(t.params, '$.attachment')"
# The table has addresses without their signatures.
_IS_SIGNED = " + ".join(f"instr(lower({_ATTACHMENT}), '{name}=')" for name in ("signature", "sig"))
_UNSIGNED = f"CASE WHEN {_IS_SIGNED} > 0 THEN substr({_ATTACHMENT}, 1, instr({_ATTACHMENT}, '?') - 1) END"


_LINE = "'\n'"
_NAMED = "(typeof(n.key) = 'integer' OR n.key IN ('choice', 'name', 'label', 'value'))"
"""Where a list of labels or choices has a name: as an element, or under one of these."""
_AS_KEY = "typeof(n.key) = 'text' AND n.path IN ('$[1]', '$[2]', '$[3]')"
_BELOW = (
    "(substr(n.fullkey, 1, 4) = '$[0]' AND instr(n.fullkey, 'objects_to_annotate') > 0"
    " OR substr(n.fullkey, 1, 4) IN ('$[1]', '$[2]', '$[3]', '$[4]'))"
)
# Of `$[0].box...` the geometry is `box`; what is not below the name of one is offered for all.
_NAME = "substr(n.fullkey, 6, instr(substr(n.fullkey, 6), '.') - 1)"
_FOR = f"CASE WHEN substr(n.fullkey, 1, 5) = '$[0].' THEN {_NAME} ELSE '*' END"
_LABELS = f"""(
        SELECT {_LINE} || group_concat(
            {_FOR} || ':' || json_quote(CASE WHEN {_AS_KEY} THEN n.key ELSE n.atom END), {_LINE}) || {_LINE}
        FROM json_tree(d.taxonomy) AS n
        WHERE {_AS_KEY} OR n.type = 'text' AND {_NAMED} AND {_BELOW})"""
_ATTRIBUTE = (
    "CASE WHEN typeof(s.key) = 'text' THEN s.key WHEN s.type = 'object' THEN json_extract(s.value, '$.name')"
    " WHEN s.type = 'text' THEN s.value END"
)
_IS_LISTED = "json_type(d.taxonomy, '$[5]') IN ('array', 'object')"
_ATTRIBUTES = f"""(
        SELECT {_LINE} || group_concat(json_quote({_ATTRIBUTE}), {_LINE}) || {_LINE}
        FROM json_each(d.taxonomy, '$[5]') AS s
        WHERE {_IS_LISTED} AND typeof({_ATTRIBUTE}) = 'text')"""
_CHOICES = f"""(
        SELECT group_concat(json_quote({_ATTRIBUTE}) || '=' || json_quote(n.atom), {_LINE}) || {_LINE}
        FROM json_each(d.taxonomy, '$[5]') AS s
        CROSS JOIN json_tree(CASE WHEN s.type = 'object' THEN s.value ELSE '{{}}' END, '$.choices') AS n
        WHERE {_IS_LISTED} AND typeof({_ATTRIBUTE}) = 'text' AND n.type = 'text' AND {_NAMED})"""

_FACTS = (
    (
        "taxonomies",
        f"""MATERIALIZED (
    SELECT row_number() OVER () AS id, d.taxonomy, {_LABELS} AS labels,
        {_ATTRIBUTES} || coalesce({_CHOICES}, '') AS attributes
    FROM (
        SELECT DISTINCT {_TAXONOMY} AS taxonomy
        FROM live AS t
        LEFT JOIN projects AS p ON p.name = t.project
    ) AS d
    WHERE d.taxonomy IS NOT NULL
)""",
    ),
    (
        "facts",
        f"""MATERIALIZED (
    SELECT t.task_id, x.id AS taxonomy, {_side("width")} AS width, {_side("height")} AS height,
        CASE WHEN t.type IN ('documenttranscription', 'documentmodel')
            THEN json_extract(t.extra, '$.document_pages') END AS pages
    FROM live AS t
    LEFT JOIN projects AS p ON p.name = t.project
    LEFT JOIN taxonomies AS x ON x.taxonomy = {_TAXONOMY}
    LEFT JOIN attachments AS m ON m.url = {_ATTACHMENT}
    LEFT JOIN attachments AS u ON u.url = {_UNSIGNED}
)""",
    ),
)


def _corner(axis: str) -> str:
    return f"CASE WHEN v.type = 'object' THEN json_extract(v.value, '$.{axis}') END AS {axis}"


_OUTLINES = outlines(
    f"""NOT MATERIALIZED (
    SELECT a.task_id, a.ordinal, a.geometry, a.frame, v.key AS place, {_corner("x")}, {_corner("y")},
        CASE WHEN instr(v.value, 'true') + instr(v.value, 'false') > 0
            THEN json_type(v.value, '$.x') IN ('true', 'false')
                OR json_type(v.value, '$.y') IN ('true', 'false')
            ELSE 0 END AS is_boolean
    FROM annotations AS a
    LEFT JOIN json_each(a.vertices) AS v ON 1 = 1
    WHERE a.vertices IS NOT NULL AND (a.geometry IN ('polygon', 'line', 'ellipse')
        OR a.geometry = 'box' AND coalesce(a.rotation, 0) <> 0){{chosen}}
)""",
    "typeof(s.x) IN ('integer', 'real') AND typeof(s.y) IN ('integer', 'real')"
    " AND abs(s.x) < 1e15 AND abs(s.y) < 1e15 AND s.is_boolean = 0",
    first=0,
)

# SQLite takes `iou` from the row that has the least `other`.
_PAIRS = pairs(
    "min",
    "max",
    f"""
    SELECT s.task_id, s.ordinal, min(s.other) AS other, {IOU}
    FROM shared AS s
    WHERE {ENOUGH}
    GROUP BY s.task_id, s.ordinal""",
)


def _coordinate(axis: str) -> str:
    value = f"json_extract(v.value, '$.{axis}')"
    is_number = f"json_type(v.value, '$.{axis}') IN ('integer', 'real')"
    return f"CASE WHEN {is_number} THEN {value} END AS {axis}"


_CUBOIDS = cuboids(f"""
        SELECT a.task_id, a.ordinal, json_extract(v.value, '$.description') AS named,
            {_coordinate("x")}, {_coordinate("y")}
        FROM annotations AS a
        CROSS JOIN json_each(a.vertices) AS v
        WHERE a.geometry = 'cuboid' AND a.vertices IS NOT NULL AND v.type = 'object'{{chosen}}""")

_ASTRAL = f"'*[{chr(0x10000)}-{chr(0x10FFFF)}]*'"
_TEXTS = (
    (
        "texts",
        """MATERIALIZED (
    SELECT t.task_id, json_extract(t.params, '$.text') AS text
    FROM live AS t
    WHERE t.type = 'namedentityrecognition' AND json_type(t.params, '$.text') = 'text'
)""",
    ),
    (
        "wide",
        f"""MATERIALIZED (
    SELECT w.task_id, n.key + row_number() OVER (PARTITION BY w.task_id ORDER BY n.key) - 1 AS unit
    FROM texts AS w
    CROSS JOIN json_each('[0' || replace(hex(zeroblob(length(w.text))), '00', ',0') || ']') AS n
    WHERE glob({_ASTRAL}, w.text) AND unicode(substr(w.text, n.key + 1, 1)) > 65535
)""",
    ),
)


def _wide_before(offset: str) -> str:
    return f"(SELECT count(1) FROM wide AS u WHERE u.task_id = w.task_id AND u.unit < e.{offset})"


def _which_attribute() -> str:
    def missing(*parts: str) -> str:
        return f"instr(x.attributes, {_LINE} || {' || '.join(parts)})"

    name = "json_quote(n.key)"
    has_choices = f"{missing(name, _EQUALS)} > 0"
    # What is offered comes first: most values are, and each search of the list takes its time.
    return f"""(SELECT min(CASE
            WHEN n.type = 'text' AND {missing(name, _EQUALS, "json_quote(n.value)", _LINE)} > 0 THEN NULL
            WHEN {missing(name, _LINE)} = 0 THEN n.key
            WHEN n.type = 'text' AND {has_choices} THEN n.key || ' = ' || n.value
            WHEN n.type = 'array' AND {has_choices} THEN (
                SELECT min(n.key || ' = ' || e.value) FROM json_each(n.value) AS e
                WHERE e.type = 'text' AND {missing(name, _EQUALS, "json_quote(e.value)", _LINE)} = 0)
            END)
        FROM json_each(a.attributes) AS n
        WHERE typeof(n.key) = 'text')"""


_EQUALS = "'='"
_OFFERED = f"instr(x.labels, {_LINE} || {{}} || ':' || json_quote(a.label) || {_LINE})"
_OFFERED_FOR_ALL = _OFFERED.format("'*'")

DIALECT = Dialect(
    begin="WITH",
    no_ordinal="NULL",
    number=_number,
    hundredths=_hundredths,
    whole=_whole,
    picture=_picture,
    unknown_label=(
        f"a.label IS NOT NULL AND x.labels IS NOT NULL AND a.geometry IN ({GEOMETRIES})"
        f" AND {_OFFERED.format('a.geometry')} = 0 AND {_OFFERED_FOR_ALL} = 0"
        f" AND instr(x.labels, {_LINE} || a.geometry || ':') + instr(x.labels, {_LINE} || '*:') > 0"
    ),
    unknown_attribute=(
        f"a.attributes IS NOT NULL AND x.attributes IS NOT NULL AND {_which_attribute()} IS NOT NULL"
    ),
    which_attribute=_which_attribute(),
    misplaced=f"""NOT (e.text_start >= 0 AND (
            substr(w.text, e.text_start + 1, length(e.text)) = e.text
                AND e.text_end - e.text_start IN (length(e.text), length(e.text) - 1)
            OR glob({_ASTRAL}, w.text)
                AND substr(w.text, e.text_start + 1 - {_wide_before("text_start")}, length(e.text)) = e.text
                AND e.text_end - e.text_start + {_wide_before("text_start")} - {_wide_before("text_end")}
                    IN (length(e.text), length(e.text) - 1)))""",
    sources={
        "a": _FACTS,
        "o": (*_FACTS, *_OUTLINES),
        "p": _PAIRS,
        "c": _CUBOIDS,
        "e": _TEXTS,
        "t": (),
    },
    rows={
        **ROWS,
        "a": "facts AS f\n    LEFT JOIN taxonomies AS x ON x.id = f.taxonomy\n"
        "    CROSS JOIN annotations AS a\n"
        "    {rules}WHERE a.task_id = f.task_id",
    },
)
