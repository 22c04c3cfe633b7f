"""The sources of findings on Postgres: the same columns as on SQLite.

A double that is too large or too small is an error here: numbers are kept from 1e-30 to 1e15, or are 0.
`{chosen}` restricts what is read of annotations.
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

_ASTRAL = "'[\\U00010000-\\U0010FFFF]'"


def _number(value: str) -> str:
    cut = f"trunc({value} * 10 + CASE WHEN {value} < 0 THEN -0.5 ELSE 0.5 END)"
    text = f"CAST(round(CAST({cut} AS numeric) / 10, 1) AS text)"
    return f"CASE WHEN abs({value}) < 1e12 THEN {text} ELSE 'huge' END"


def _hundredths(value: str) -> str:
    return f"CAST(round(CAST(trunc({value} * 100 + 0.000001) AS numeric) / 100, 2) AS text)"


def _whole(value: str) -> str:
    return f"CAST({value} AS text)"


def _picture(alias: str, side: str) -> str:
    page = f"f.pages -> CAST({alias}.frame AS integer) -> '{side}'"
    in_range = f"{alias}.frame BETWEEN 0 AND 1000000"
    return f"CASE WHEN f.pages IS NULL THEN f.{side} WHEN {in_range} THEN {_double(page)} END"


def _double(value: str) -> str:
    """Return a JSON number as a double within the bounds; NULL for anything else."""
    exact = f"CAST({value} #>> '{{}}' AS numeric)"
    return (
        f"CASE WHEN jsonb_typeof({value}) <> 'number' THEN NULL WHEN abs({exact}) < 1e-30 THEN 0"
        f" WHEN abs({exact}) > 1e15 THEN sign({exact}) * 1e15 ELSE CAST({exact} AS double precision) END"
    )


def _bounded(column: str) -> str:
    # GREATEST and LEAST pass over NULL.
    value = f'a."{column}"'
    most = "CAST(1e15 AS double precision)"
    return (
        f"CASE WHEN {value} IS NULL THEN NULL WHEN abs({value}) < 1e-30 THEN 0"
        f' ELSE least(greatest({value}, -{most}), {most}) END AS "{column}"'
    )


def _places(alias: str) -> str:
    """Return the taxonomy that params hold, as a list of its places; NULL if it has none of them."""
    found = ", ".join(f"{alias}.params -> '{place}'" for place in PLACES)
    return f"nullif(jsonb_build_array({found}), '[null, null, null, null, null, null]')"


_TAXONOMY = f"coalesce({_places('t')}, {_places('p')})"
_OBJECT = "CASE WHEN jsonb_typeof({0}) = 'object' THEN {0} ELSE '{{}}' END"
_ARRAY = "CASE WHEN jsonb_typeof({0}) = 'array' THEN {0} ELSE '[]' END"
_MEMBERS = f"""(
        SELECT m.key AS step, m.key, m.value FROM jsonb_each({_OBJECT}) AS m
        UNION ALL SELECT '#', NULL, i.value FROM jsonb_array_elements({_ARRAY}) AS i)"""
_NAMED = "(n.key IS NULL OR n.key IN ('choice', 'name', 'label', 'value'))"
_AS_KEY = "cardinality(n.path) = 2 AND n.path[1] IN ('1', '2', '3') AND n.key IS NOT NULL"
_ATTRIBUTE = (
    "CASE WHEN s.key IS NOT NULL THEN s.key WHEN jsonb_typeof(s.value) = 'object' AND"
    " jsonb_typeof(s.value -> 'name') = 'string' THEN s.value ->> 'name'"
    " WHEN jsonb_typeof(s.value) = 'string' THEN s.value #>> '{}' END"
)


def _side(side: str) -> str:
    sizes = (_double(f"({column} -> '{side}')") for column in ("t.params", "t.metadata"))
    return f"coalesce(CAST(coalesce(m.{side}, u.{side}) AS double precision), {', '.join(sizes)})"


_ATTACHMENT = "t.params ->> 'attachment'"
# The table has addresses without their signatures.
_UNSIGNED = f"CASE WHEN {_ATTACHMENT} ~* '(signature|sig)=' THEN split_part({_ATTACHMENT}, '?', 1) END"

_FACTS = (
    (
        "taxonomies",
        f"""MATERIALIZED (
    SELECT row_number() OVER () AS id, d.taxonomy
    FROM (
        SELECT DISTINCT {_TAXONOMY} AS taxonomy
        FROM live AS t
        LEFT JOIN projects AS p ON p.name = t.project
    ) AS d
    WHERE d.taxonomy IS NOT NULL
)""",
    ),
    (
        "nodes",
        f"""(
    SELECT d.id, ARRAY[CAST(i.place - 1 AS text)] AS path, CAST(NULL AS text) AS key, i.value,
        i.place BETWEEN 2 AND 5 AS listed
    FROM taxonomies AS d
    CROSS JOIN jsonb_array_elements(d.taxonomy) WITH ORDINALITY AS i(value, place)
    UNION ALL
    SELECT u.id, u.path || m.step, m.key, m.value,
        u.listed OR m.key IS NOT DISTINCT FROM 'objects_to_annotate'
    FROM nodes AS u
    CROSS JOIN LATERAL {_MEMBERS.format("u.value")} AS m
)""",
    ),
    (
        "offers",
        f"""MATERIALIZED (
    SELECT n.id, CASE WHEN n.path[1] = '0' AND n.path[2] <> '#' THEN n.path[2] ELSE '*' END AS geometry,
        CASE WHEN {_AS_KEY} THEN n.key ELSE n.value #>> '{{}}' END AS label
    FROM nodes AS n
    WHERE {_AS_KEY} OR jsonb_typeof(n.value) = 'string' AND n.path[1] IN ('0', '1', '2', '3', '4')
        AND n.listed AND {_NAMED}
)""",
    ),
    (
        "named",
        f"""MATERIALIZED (
    SELECT d.id, {_ATTRIBUTE} AS name, s.value
    FROM taxonomies AS d
    CROSS JOIN LATERAL {_MEMBERS.format("(d.taxonomy -> 5)")} AS s
    WHERE {_ATTRIBUTE} IS NOT NULL
)""",
    ),
    (
        "choices",
        f"""(
    SELECT s.id, s.name, CAST(NULL AS text) AS key, s.value -> 'choices' AS value
    FROM named AS s
    WHERE jsonb_typeof(s.value) = 'object'
    UNION ALL
    SELECT u.id, u.name, m.key, m.value
    FROM choices AS u
    CROSS JOIN LATERAL {_MEMBERS.format("u.value")} AS m
)""",
    ),
    (
        "offered",
        f"""MATERIALIZED (
    SELECT d.id,
        (SELECT array_agg(n.geometry || ':' || n.label) FROM offers AS n WHERE n.id = d.id) AS labels,
        (SELECT array_agg(DISTINCT n.geometry) FROM offers AS n WHERE n.id = d.id) AS geometries,
        (SELECT array_agg(n.name) FROM named AS n WHERE n.id = d.id) AS attributes,
        (SELECT jsonb_object_agg(c.name, c.texts) FROM (
            SELECT n.name, jsonb_agg(n.value) AS texts
            FROM choices AS n
            WHERE n.id = d.id AND jsonb_typeof(n.value) = 'string' AND {_NAMED}
            GROUP BY n.name
        ) AS c) AS choices
    FROM taxonomies AS d
)""",
    ),
    (
        "facts",
        f"""MATERIALIZED (
    SELECT t.task_id, x.id AS taxonomy, {_side("width")} AS width, {_side("height")} AS height,
        CASE WHEN t.type IN ('documenttranscription', 'documentmodel')
            THEN nullif(t.extra -> 'document_pages', 'null') END AS pages
    FROM live AS t
    LEFT JOIN projects AS p ON p.name = t.project
    LEFT JOIN taxonomies AS x ON x.taxonomy = {_TAXONOMY}
    LEFT JOIN attachments AS m ON m.url = {_ATTACHMENT}
    LEFT JOIN attachments AS u ON u.url = {_UNSIGNED}
)""",
    ),
)

_DRAWN = (
    (
        "drawn",
        f"""NOT MATERIALIZED (
    SELECT a.task_id, a.ordinal, a.geometry, a.label, a.frame, a.text, a.attributes, a.rotation,
        {", ".join(_bounded(column) for column in ("left", "top", "width", "height"))}
    FROM annotations AS a
)""",
    ),
)


def _corner(axis: str) -> str:
    value = f"(v.value -> '{axis}')"
    return f"CASE WHEN jsonb_typeof(v.value) = 'object' THEN {_double(value)} END AS {axis}"


_VERTICES = f"jsonb_array_elements({_ARRAY.format('a.vertices')}) WITH ORDINALITY AS v(value, place)"
_OUTLINES = outlines(
    f"""NOT MATERIALIZED (
    SELECT a.task_id, a.ordinal, a.geometry, a.frame, v.place, {_corner("x")}, {_corner("y")}
    FROM annotations AS a
    LEFT JOIN LATERAL {_VERTICES} ON TRUE
    WHERE a.vertices IS NOT NULL AND (a.geometry IN ('polygon', 'line', 'ellipse')
        OR a.geometry = 'box' AND coalesce(a.rotation, 0) <> 0){{chosen}}
)""",
    "abs(s.x) < 1e15 AND abs(s.y) < 1e15",
    first=1,
)

_PAIRS = pairs(
    "least",
    "greatest",
    f"""
    SELECT DISTINCT ON (s.task_id, s.ordinal) s.task_id, s.ordinal, s.other, {IOU}
    FROM shared AS s
    WHERE {ENOUGH}
    ORDER BY s.task_id, s.ordinal, s.other""",
)

_CUBOIDS = cuboids(f"""
        SELECT a.task_id, a.ordinal, v.value ->> 'description' AS named, {_corner("x")}, {_corner("y")}
        FROM annotations AS a
        CROSS JOIN LATERAL {_VERTICES}
        WHERE a.geometry = 'cuboid' AND a.vertices IS NOT NULL{{chosen}}""")

# A character that takes two places in UTF-16 is followed by one more here, so that places can be compared.
_UNITS = f"regexp_replace({{}}, {_ASTRAL}, '\\&x', 'g')"
_TEXTS = (
    (
        "texts",
        f"""MATERIALIZED (
    SELECT t.task_id, t.params ->> 'text' AS text,
        CASE WHEN t.params ->> 'text' ~ {_ASTRAL} THEN {_UNITS.format("t.params ->> 'text'")} END AS units
    FROM live AS t
    WHERE t.type = 'namedentityrecognition' AND jsonb_typeof(t.params -> 'text') = 'string'
)""",
    ),
)
_START = "CAST(least(e.text_start, 1000000000) AS integer) + 1"
_LENGTH = "CAST(e.text_end AS numeric) - e.text_start"


def _is_at_place(whole: str, piece: str) -> str:
    return (
        f"substr({whole}, {_START}, length({piece})) = {piece}"
        f" AND {_LENGTH} IN (length({piece}), length({piece}) - 1)"
    )


_DEFAULT = '"default"'
_CHOICES = "(x.choices -> n.key)"
_WHICH_ATTRIBUTE = f"""(SELECT min(CASE
            WHEN NOT n.key = ANY (x.attributes) THEN n.key
            WHEN jsonb_typeof(n.value) = 'string' AND NOT {_CHOICES} @> n.value
                THEN n.key || ' = ' || (n.value #>> '{{}}')
            WHEN jsonb_typeof(n.value) = 'array' AND {_CHOICES} IS NOT NULL THEN (
                SELECT min((n.key || ' = ' || (e.value #>> '{{}}')) COLLATE "C")
                FROM jsonb_array_elements({_ARRAY.format("n.value")}) AS e
                WHERE jsonb_typeof(e.value) = 'string' AND NOT {_CHOICES} @> e.value)
            END COLLATE "C")
        FROM jsonb_each({_OBJECT.format("a.attributes")}) AS n) COLLATE {_DEFAULT}"""

DIALECT = Dialect(
    begin="WITH RECURSIVE",
    no_ordinal="CAST(NULL AS bigint)",
    number=_number,
    hundredths=_hundredths,
    whole=_whole,
    picture=_picture,
    unknown_label=(
        f"a.label IS NOT NULL AND x.labels IS NOT NULL AND a.geometry IN ({GEOMETRIES})"
        " AND NOT a.geometry || ':' || a.label = ANY (x.labels) AND NOT '*:' || a.label = ANY (x.labels)"
        " AND x.geometries && ARRAY[a.geometry, '*']"
    ),
    unknown_attribute=(
        f"a.attributes IS NOT NULL AND x.attributes IS NOT NULL AND {_WHICH_ATTRIBUTE} IS NOT NULL"
    ),
    which_attribute=_WHICH_ATTRIBUTE,
    misplaced=f"""NOT (e.text_start >= 0 AND ({_is_at_place("w.text", "e.text")}
            OR w.units IS NOT NULL AND {_is_at_place("w.units", _UNITS.format("e.text"))}))""",
    sources={
        "a": (*_FACTS, *_DRAWN),
        "o": (*_FACTS, *_OUTLINES),
        "p": _PAIRS,
        "c": _CUBOIDS,
        "e": _TEXTS,
        "t": (),
    },
    rows={
        **ROWS,
        "a": "facts AS f\n    LEFT JOIN offered AS x ON x.id = f.taxonomy\n    CROSS JOIN drawn AS a\n"
        "    {rules}WHERE a.task_id = f.task_id",
    },
)
