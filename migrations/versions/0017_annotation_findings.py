"""The view of findings: annotations that look wrong, by the rules of `scalesync/db/schema/findings`.

The text is what those rules came to when this was written, and it stays as it is: rules that change need a
migration that makes the view anew. DuckDB reads the one of SQLite as described in 0007.

Revision ID: 0017
Revises: 0016
"""

# ruff: noqa: E501 - the text is made by a program

from alembic import op

revision: str = "0017"
down_revision: str | None = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    query = SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRES
    # Without a text of SQLAlchemy, which would take a colon before a word for a parameter.
    op.get_bind().exec_driver_sql(f"CREATE VIEW annotation_findings AS{query}")


def downgrade() -> None:
    op.execute("DROP VIEW annotation_findings")


SQLITE = r"""
WITH live AS NOT MATERIALIZED (
    SELECT t.task_id, t.project, t.type, t.status, t.params, t.metadata, t.extra
    FROM tasks AS t
    WHERE t.missing_since IS NULL
), taxonomies AS MATERIALIZED (
    SELECT row_number() OVER () AS id, d.taxonomy, (
        SELECT '
' || group_concat(
            CASE WHEN substr(n.fullkey, 1, 5) = '$[0].' THEN substr(n.fullkey, 6, instr(substr(n.fullkey, 6), '.') - 1) ELSE '*' END || ':' || json_quote(CASE WHEN typeof(n.key) = 'text' AND n.path IN ('$[1]', '$[2]', '$[3]') THEN n.key ELSE n.atom END), '
') || '
'
        FROM json_tree(d.taxonomy) AS n
        WHERE typeof(n.key) = 'text' AND n.path IN ('$[1]', '$[2]', '$[3]') OR n.type = 'text' AND (typeof(n.key) = 'integer' OR n.key IN ('choice', 'name', 'label', 'value')) AND (substr(n.fullkey, 1, 4) = '$[0]' AND instr(n.fullkey, 'objects_to_annotate') > 0 OR substr(n.fullkey, 1, 4) IN ('$[1]', '$[2]', '$[3]', '$[4]'))) AS labels,
        (
        SELECT '
' || group_concat(json_quote(CASE WHEN typeof(s.key) = 'text' THEN s.key WHEN s.type = 'object' THEN json_extract(s.value, '$.name') WHEN s.type = 'text' THEN s.value END), '
') || '
'
        FROM json_each(d.taxonomy, '$[5]') AS s
        WHERE json_type(d.taxonomy, '$[5]') IN ('array', 'object') AND typeof(CASE WHEN typeof(s.key) = 'text' THEN s.key WHEN s.type = 'object' THEN json_extract(s.value, '$.name') WHEN s.type = 'text' THEN s.value END) = 'text') || coalesce((
        SELECT group_concat(json_quote(CASE WHEN typeof(s.key) = 'text' THEN s.key WHEN s.type = 'object' THEN json_extract(s.value, '$.name') WHEN s.type = 'text' THEN s.value END) || '=' || json_quote(n.atom), '
') || '
'
        FROM json_each(d.taxonomy, '$[5]') AS s
        CROSS JOIN json_tree(CASE WHEN s.type = 'object' THEN s.value ELSE '{}' END, '$.choices') AS n
        WHERE json_type(d.taxonomy, '$[5]') IN ('array', 'object') AND typeof(CASE WHEN typeof(s.key) = 'text' THEN s.key WHEN s.type = 'object' THEN json_extract(s.value, '$.name') WHEN s.type = 'text' THEN s.value END) = 'text' AND n.type = 'text' AND (typeof(n.key) = 'integer' OR n.key IN ('choice', 'name', 'label', 'value'))), '') AS attributes
    FROM (
        SELECT DISTINCT coalesce(nullif(json_extract(t.params, '$.geometries', '$.objects_to_annotate', '$.labels', '$.categories', '$.features', '$.annotation_attributes'), '[null,null,null,null,null,null]'), nullif(json_extract(p.params, '$.geometries', '$.objects_to_annotate', '$.labels', '$.categories', '$.features', '$.annotation_attributes'), '[null,null,null,null,null,null]')) AS taxonomy
        FROM live AS t
        LEFT JOIN projects AS p ON p.name = t.project
    ) AS d
    WHERE d.taxonomy IS NOT NULL
), facts AS MATERIALIZED (
    SELECT t.task_id, x.id AS taxonomy, coalesce(m.width, u.width, CASE WHEN json_type(t.params, '$.width') IN ('integer', 'real') THEN json_extract(t.params, '$.width') END, CASE WHEN json_type(t.metadata, '$.width') IN ('integer', 'real') THEN json_extract(t.metadata, '$.width') END) AS width, coalesce(m.height, u.height, CASE WHEN json_type(t.params, '$.height') IN ('integer', 'real') THEN json_extract(t.params, '$.height') END, CASE WHEN json_type(t.metadata, '$.height') IN ('integer', 'real') THEN json_extract(t.metadata, '$.height') END) AS height,
        CASE WHEN t.type IN ('documenttranscription', 'documentmodel')
            THEN json_extract(t.extra, '$.document_pages') END AS pages
    FROM live AS t
    LEFT JOIN projects AS p ON p.name = t.project
    LEFT JOIN taxonomies AS x ON x.taxonomy = coalesce(nullif(json_extract(t.params, '$.geometries', '$.objects_to_annotate', '$.labels', '$.categories', '$.features', '$.annotation_attributes'), '[null,null,null,null,null,null]'), nullif(json_extract(p.params, '$.geometries', '$.objects_to_annotate', '$.labels', '$.categories', '$.features', '$.annotation_attributes'), '[null,null,null,null,null,null]'))
    LEFT JOIN attachments AS m ON m.url = json_extract(t.params, '$.attachment')
    LEFT JOIN attachments AS u ON u.url = CASE WHEN instr(lower(json_extract(t.params, '$.attachment')), 'signature=') + instr(lower(json_extract(t.params, '$.attachment')), 'sig=') > 0 THEN substr(json_extract(t.params, '$.attachment'), 1, instr(json_extract(t.params, '$.attachment'), '?') - 1) END
), corners AS NOT MATERIALIZED (
    SELECT a.task_id, a.ordinal, a.geometry, a.frame, v.key AS place, CASE WHEN v.type = 'object' THEN json_extract(v.value, '$.x') END AS x, CASE WHEN v.type = 'object' THEN json_extract(v.value, '$.y') END AS y,
        CASE WHEN instr(v.value, 'true') + instr(v.value, 'false') > 0
            THEN json_type(v.value, '$.x') IN ('true', 'false')
                OR json_type(v.value, '$.y') IN ('true', 'false')
            ELSE 0 END AS is_boolean
    FROM annotations AS a
    LEFT JOIN json_each(a.vertices) AS v ON 1 = 1
    WHERE a.vertices IS NOT NULL AND (a.geometry IN ('polygon', 'line', 'ellipse')
        OR a.geometry = 'box' AND coalesce(a.rotation, 0) <> 0)
), steps AS NOT MATERIALIZED (
    SELECT c.*, lead(c.x) OVER w AS next_x, lead(c.y) OVER w AS next_y
    FROM corners AS c
    WINDOW w AS (PARTITION BY c.task_id, c.ordinal ORDER BY c.place)
), outlines AS NOT MATERIALIZED (
    SELECT m.task_id, m.ordinal, m.geometry, m.frame, m.elements, m.points,
        m."left", m.top, m.width, m.height,
        abs(coalesce(m.steps, 0) + coalesce(m.x_last * m.y_0 - m.x_0 * m.y_last, 0)) / 2 AS area,
        m.repeated, m.x_0, m.y_0, m.x_1, m.y_1, m.x_2, m.y_2, m.x_3, m.y_3
    FROM (
        SELECT s.task_id, s.ordinal, max(s.geometry) AS geometry, max(s.frame) AS frame,
            count(s.place) AS elements, count(CASE WHEN typeof(s.x) IN ('integer', 'real') AND typeof(s.y) IN ('integer', 'real') AND abs(s.x) < 1e15 AND abs(s.y) < 1e15 AND s.is_boolean = 0 THEN 1 END) AS points,
            min(s.x) AS "left", min(s.y) AS top, max(s.x) - min(s.x) AS width, max(s.y) - min(s.y) AS height,
            sum(s.x * s.next_y - s.next_x * s.y) AS steps,
            max(CASE WHEN s.next_x IS NULL THEN s.x END) AS x_last,
            max(CASE WHEN s.next_x IS NULL THEN s.y END) AS y_last,
            count(CASE WHEN s.x = s.next_x AND s.y = s.next_y THEN 1 END) AS repeated,
            max(CASE WHEN s.place = 0 THEN s.x END) AS x_0, max(CASE WHEN s.place = 0 THEN s.y END) AS y_0, max(CASE WHEN s.place = 1 THEN s.x END) AS x_1, max(CASE WHEN s.place = 1 THEN s.y END) AS y_1, max(CASE WHEN s.place = 2 THEN s.x END) AS x_2, max(CASE WHEN s.place = 2 THEN s.y END) AS y_2, max(CASE WHEN s.place = 3 THEN s.x END) AS x_3, max(CASE WHEN s.place = 3 THEN s.y END) AS y_3
        FROM steps AS s
        GROUP BY s.task_id, s.ordinal
    ) AS m
), boxes AS NOT MATERIALIZED (
    SELECT a.task_id, a.ordinal, a.frame, a.label, coalesce(a.rotation, 0) AS rotation,
        a."left", a.top, a.width, a.height, a."left" + a.top AS place
    FROM annotations AS a
    WHERE a.geometry = 'box' AND abs(a."left") < 1e9 AND abs(a.top) < 1e9
        AND a.width > 1e-30 AND a.width < 1e9 AND a.height > 1e-30 AND a.height < 1e9
), near AS MATERIALIZED (
    SELECT n.task_id, n.ordinal, n.rotation, n."left", n.top, n.width, n.height,
        coalesce(n.frame, -9223372036854775807) AS frame, coalesce('=' || n.label, '') AS label
    FROM (
        SELECT b.*, lead(b.place) OVER w - b.place AS ahead, b.place - lag(b.place) OVER w AS behind
        FROM boxes AS b
        WINDOW w AS (PARTITION BY b.task_id, b.frame, b.label, b.rotation ORDER BY b.place)
    ) AS n
    WHERE n.ahead <= ((1.0 - 0.9) / 0.9 + 1e-9) * (n.width + n.height) OR n.behind <= ((1.0 - 0.9) / 0.9 + 1e-9) * (n.width + n.height)
), shared AS NOT MATERIALIZED (
    SELECT b.task_id, b.ordinal, a.ordinal AS other, (min(a."left" + a.width, b."left" + b.width) - max(a."left", b."left")) * (min(a.top + a.height, b.top + b.height) - max(a.top, b.top)) AS both_areas,
        a.width * a.height + b.width * b.height AS areas
    FROM near AS a
    CROSS JOIN near AS b
    WHERE b.task_id = a.task_id AND b.frame = a.frame AND b.label = a.label AND b.rotation = a.rotation
        AND b.ordinal > a.ordinal AND (min(a."left" + a.width, b."left" + b.width) - max(a."left", b."left")) > 0 AND (min(a.top + a.height, b.top + b.height) - max(a.top, b.top)) > 0
), pairs AS NOT MATERIALIZED (
    SELECT s.task_id, s.ordinal, min(s.other) AS other, s.both_areas / (s.areas - s.both_areas) AS iou
    FROM shared AS s
    WHERE s.both_areas >= (0.9 - 1e-9) * (s.areas - s.both_areas)
    GROUP BY s.task_id, s.ordinal
), cuboids AS NOT MATERIALIZED (
    SELECT k.task_id, k.ordinal, CASE WHEN min(CASE WHEN k.named = 'face-topleft' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) = max(CASE WHEN k.named = 'face-topleft' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) THEN max(CASE WHEN k.named = 'face-topleft' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) END AS x_top_left, CASE WHEN min(CASE WHEN k.named = 'face-topleft' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) = max(CASE WHEN k.named = 'face-topleft' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) THEN max(CASE WHEN k.named = 'face-topleft' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) END AS y_top_left, CASE WHEN min(CASE WHEN k.named = 'face-topright' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) = max(CASE WHEN k.named = 'face-topright' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) THEN max(CASE WHEN k.named = 'face-topright' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) END AS x_top_right, CASE WHEN min(CASE WHEN k.named = 'face-topright' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) = max(CASE WHEN k.named = 'face-topright' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) THEN max(CASE WHEN k.named = 'face-topright' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) END AS y_top_right, CASE WHEN min(CASE WHEN k.named = 'face-bottomright' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) = max(CASE WHEN k.named = 'face-bottomright' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) THEN max(CASE WHEN k.named = 'face-bottomright' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) END AS x_bottom_right, CASE WHEN min(CASE WHEN k.named = 'face-bottomright' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) = max(CASE WHEN k.named = 'face-bottomright' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) THEN max(CASE WHEN k.named = 'face-bottomright' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) END AS y_bottom_right, CASE WHEN min(CASE WHEN k.named = 'face-bottomleft' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) = max(CASE WHEN k.named = 'face-bottomleft' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) THEN max(CASE WHEN k.named = 'face-bottomleft' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) END AS x_bottom_left, CASE WHEN min(CASE WHEN k.named = 'face-bottomleft' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) = max(CASE WHEN k.named = 'face-bottomleft' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) THEN max(CASE WHEN k.named = 'face-bottomleft' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) END AS y_bottom_left, CASE WHEN min(CASE WHEN k.named = 'side-topcorner' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) = max(CASE WHEN k.named = 'side-topcorner' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) THEN max(CASE WHEN k.named = 'side-topcorner' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) END AS x_side_top, CASE WHEN min(CASE WHEN k.named = 'side-topcorner' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) = max(CASE WHEN k.named = 'side-topcorner' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) THEN max(CASE WHEN k.named = 'side-topcorner' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) END AS y_side_top, CASE WHEN min(CASE WHEN k.named = 'side-bottomcorner' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) = max(CASE WHEN k.named = 'side-bottomcorner' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) THEN max(CASE WHEN k.named = 'side-bottomcorner' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) END AS x_side_bottom, CASE WHEN min(CASE WHEN k.named = 'side-bottomcorner' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) = max(CASE WHEN k.named = 'side-bottomcorner' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) THEN max(CASE WHEN k.named = 'side-bottomcorner' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) END AS y_side_bottom
    FROM (
        SELECT a.task_id, a.ordinal, json_extract(v.value, '$.description') AS named,
            CASE WHEN json_type(v.value, '$.x') IN ('integer', 'real') THEN json_extract(v.value, '$.x') END AS x, CASE WHEN json_type(v.value, '$.y') IN ('integer', 'real') THEN json_extract(v.value, '$.y') END AS y
        FROM annotations AS a
        CROSS JOIN json_each(a.vertices) AS v
        WHERE a.geometry = 'cuboid' AND a.vertices IS NOT NULL AND v.type = 'object'
    ) AS k
    GROUP BY k.task_id, k.ordinal
), texts AS MATERIALIZED (
    SELECT t.task_id, json_extract(t.params, '$.text') AS text
    FROM live AS t
    WHERE t.type = 'namedentityrecognition' AND json_type(t.params, '$.text') = 'text'
), wide AS MATERIALIZED (
    SELECT w.task_id, n.key + row_number() OVER (PARTITION BY w.task_id ORDER BY n.key) - 1 AS unit
    FROM texts AS w
    CROSS JOIN json_each('[0' || replace(hex(zeroblob(length(w.text))), '00', ',0') || ']') AS n
    WHERE glob('*[𐀀-􏿿]*', w.text) AND unicode(substr(w.text, n.key + 1, 1)) > 65535
), part_a AS MATERIALIZED (
SELECT 1 AS part, r.column1 AS rule, a.task_id, a.ordinal AS ordinal, CASE r.column1
        WHEN 'sliver' THEN CASE WHEN abs(a.width) < 1e12 THEN printf('%.1f', CAST(a.width * 10 + CASE WHEN a.width < 0 THEN -0.5 ELSE 0.5 END AS INTEGER) / 10.0) ELSE 'huge' END || ' x ' || CASE WHEN abs(a.height) < 1e12 THEN printf('%.1f', CAST(a.height * 10 + CASE WHEN a.height < 0 THEN -0.5 ELSE 0.5 END AS INTEGER) / 10.0) ELSE 'huge' END
        WHEN 'tiny' THEN CASE WHEN abs(a.width) < 1e12 THEN printf('%.1f', CAST(a.width * 10 + CASE WHEN a.width < 0 THEN -0.5 ELSE 0.5 END AS INTEGER) / 10.0) ELSE 'huge' END || ' x ' || CASE WHEN abs(a.height) < 1e12 THEN printf('%.1f', CAST(a.height * 10 + CASE WHEN a.height < 0 THEN -0.5 ELSE 0.5 END AS INTEGER) / 10.0) ELSE 'huge' END
        WHEN 'outside_picture' THEN CASE WHEN abs(a."left") < 1e12 THEN printf('%.1f', CAST(a."left" * 10 + CASE WHEN a."left" < 0 THEN -0.5 ELSE 0.5 END AS INTEGER) / 10.0) ELSE 'huge' END || ', ' || CASE WHEN abs(a.top) < 1e12 THEN printf('%.1f', CAST(a.top * 10 + CASE WHEN a.top < 0 THEN -0.5 ELSE 0.5 END AS INTEGER) / 10.0) ELSE 'huge' END || ' to ' || CASE WHEN abs((a."left" + CASE WHEN a.geometry = 'point' THEN 0 ELSE coalesce(a.width, 0) END)) < 1e12 THEN printf('%.1f', CAST((a."left" + CASE WHEN a.geometry = 'point' THEN 0 ELSE coalesce(a.width, 0) END) * 10 + CASE WHEN (a."left" + CASE WHEN a.geometry = 'point' THEN 0 ELSE coalesce(a.width, 0) END) < 0 THEN -0.5 ELSE 0.5 END AS INTEGER) / 10.0) ELSE 'huge' END || ', ' || CASE WHEN abs((a.top + CASE WHEN a.geometry = 'point' THEN 0 ELSE coalesce(a.height, 0) END)) < 1e12 THEN printf('%.1f', CAST((a.top + CASE WHEN a.geometry = 'point' THEN 0 ELSE coalesce(a.height, 0) END) * 10 + CASE WHEN (a.top + CASE WHEN a.geometry = 'point' THEN 0 ELSE coalesce(a.height, 0) END) < 0 THEN -0.5 ELSE 0.5 END AS INTEGER) / 10.0) ELSE 'huge' END || ' of ' || CASE WHEN abs((CASE WHEN f.pages IS NULL THEN f.width WHEN a.frame >= 0 THEN json_extract(f.pages, '$[' || a.frame || '].width') END)) < 1e12 THEN printf('%.1f', CAST((CASE WHEN f.pages IS NULL THEN f.width WHEN a.frame >= 0 THEN json_extract(f.pages, '$[' || a.frame || '].width') END) * 10 + CASE WHEN (CASE WHEN f.pages IS NULL THEN f.width WHEN a.frame >= 0 THEN json_extract(f.pages, '$[' || a.frame || '].width') END) < 0 THEN -0.5 ELSE 0.5 END AS INTEGER) / 10.0) ELSE 'huge' END || ' x ' || CASE WHEN abs((CASE WHEN f.pages IS NULL THEN f.height WHEN a.frame >= 0 THEN json_extract(f.pages, '$[' || a.frame || '].height') END)) < 1e12 THEN printf('%.1f', CAST((CASE WHEN f.pages IS NULL THEN f.height WHEN a.frame >= 0 THEN json_extract(f.pages, '$[' || a.frame || '].height') END) * 10 + CASE WHEN (CASE WHEN f.pages IS NULL THEN f.height WHEN a.frame >= 0 THEN json_extract(f.pages, '$[' || a.frame || '].height') END) < 0 THEN -0.5 ELSE 0.5 END AS INTEGER) / 10.0) ELSE 'huge' END
        WHEN 'unknown_label' THEN substr(a.label, 1, 80)
        WHEN 'unknown_attribute' THEN substr((SELECT min(CASE
            WHEN n.type = 'text' AND instr(x.attributes, '
' || json_quote(n.key) || '=' || json_quote(n.value) || '
') > 0 THEN NULL
            WHEN instr(x.attributes, '
' || json_quote(n.key) || '
') = 0 THEN n.key
            WHEN n.type = 'text' AND instr(x.attributes, '
' || json_quote(n.key) || '=') > 0 THEN n.key || ' = ' || n.value
            WHEN n.type = 'array' AND instr(x.attributes, '
' || json_quote(n.key) || '=') > 0 THEN (
                SELECT min(n.key || ' = ' || e.value) FROM json_each(n.value) AS e
                WHERE e.type = 'text' AND instr(x.attributes, '
' || json_quote(n.key) || '=' || json_quote(e.value) || '
') = 0)
            END)
        FROM json_each(a.attributes) AS n
        WHERE typeof(n.key) = 'text'), 1, 80)
    END AS detail
FROM facts AS f
    LEFT JOIN taxonomies AS x ON x.id = f.taxonomy
    CROSS JOIN annotations AS a
    CROSS JOIN (VALUES ('sliver'), ('tiny'), ('outside_picture'), ('unknown_label'), ('unknown_attribute')) AS r
    WHERE a.task_id = f.task_id
    AND ((a.geometry = 'box' AND a.width IS NOT NULL AND a.height IS NOT NULL AND a.text IS NULL AND a.width > 1e-30 AND a.height > 1e-30 AND (a.width >= 20 * a.height OR a.height >= 20 * a.width))
        OR (a.geometry = 'box' AND a.width IS NOT NULL AND a.height IS NOT NULL AND (a.width < 2 OR a.height < 2 OR a.width * a.height < 16))
        OR (a.geometry IN ('box', 'point') AND coalesce(a.rotation, 0) = 0 AND a."left" IS NOT NULL AND a.top IS NOT NULL AND (a."left" < -1 OR a.top < -1 OR (a."left" + CASE WHEN a.geometry = 'point' THEN 0 ELSE coalesce(a.width, 0) END) > CASE WHEN f.pages IS NULL THEN f.width WHEN a.frame >= 0 THEN json_extract(f.pages, '$[' || a.frame || '].width') END + 1 OR (a.top + CASE WHEN a.geometry = 'point' THEN 0 ELSE coalesce(a.height, 0) END) > CASE WHEN f.pages IS NULL THEN f.height WHEN a.frame >= 0 THEN json_extract(f.pages, '$[' || a.frame || '].height') END + 1) AND CASE WHEN f.pages IS NULL THEN f.width WHEN a.frame >= 0 THEN json_extract(f.pages, '$[' || a.frame || '].width') END >= 1 AND CASE WHEN f.pages IS NULL THEN f.height WHEN a.frame >= 0 THEN json_extract(f.pages, '$[' || a.frame || '].height') END >= 1)
        OR (a.label IS NOT NULL AND x.labels IS NOT NULL AND a.geometry IN ('box', 'polygon', 'line', 'point', 'ellipse', 'cuboid', 'segmentation', 'entity', 'category') AND instr(x.labels, '
' || a.geometry || ':' || json_quote(a.label) || '
') = 0 AND instr(x.labels, '
' || '*' || ':' || json_quote(a.label) || '
') = 0 AND instr(x.labels, '
' || a.geometry || ':') + instr(x.labels, '
' || '*:') > 0)
        OR (a.attributes IS NOT NULL AND x.attributes IS NOT NULL AND (SELECT min(CASE
            WHEN n.type = 'text' AND instr(x.attributes, '
' || json_quote(n.key) || '=' || json_quote(n.value) || '
') > 0 THEN NULL
            WHEN instr(x.attributes, '
' || json_quote(n.key) || '
') = 0 THEN n.key
            WHEN n.type = 'text' AND instr(x.attributes, '
' || json_quote(n.key) || '=') > 0 THEN n.key || ' = ' || n.value
            WHEN n.type = 'array' AND instr(x.attributes, '
' || json_quote(n.key) || '=') > 0 THEN (
                SELECT min(n.key || ' = ' || e.value) FROM json_each(n.value) AS e
                WHERE e.type = 'text' AND instr(x.attributes, '
' || json_quote(n.key) || '=' || json_quote(e.value) || '
') = 0)
            END)
        FROM json_each(a.attributes) AS n
        WHERE typeof(n.key) = 'text') IS NOT NULL))
    AND CASE r.column1
        WHEN 'sliver' THEN a.geometry = 'box' AND a.width IS NOT NULL AND a.height IS NOT NULL AND a.text IS NULL AND a.width > 1e-30 AND a.height > 1e-30 AND (a.width >= 20 * a.height OR a.height >= 20 * a.width)
        WHEN 'tiny' THEN a.geometry = 'box' AND a.width IS NOT NULL AND a.height IS NOT NULL AND (a.width < 2 OR a.height < 2 OR a.width * a.height < 16)
        WHEN 'outside_picture' THEN a.geometry IN ('box', 'point') AND coalesce(a.rotation, 0) = 0 AND a."left" IS NOT NULL AND a.top IS NOT NULL AND (a."left" < -1 OR a.top < -1 OR (a."left" + CASE WHEN a.geometry = 'point' THEN 0 ELSE coalesce(a.width, 0) END) > CASE WHEN f.pages IS NULL THEN f.width WHEN a.frame >= 0 THEN json_extract(f.pages, '$[' || a.frame || '].width') END + 1 OR (a.top + CASE WHEN a.geometry = 'point' THEN 0 ELSE coalesce(a.height, 0) END) > CASE WHEN f.pages IS NULL THEN f.height WHEN a.frame >= 0 THEN json_extract(f.pages, '$[' || a.frame || '].height') END + 1) AND CASE WHEN f.pages IS NULL THEN f.width WHEN a.frame >= 0 THEN json_extract(f.pages, '$[' || a.frame || '].width') END >= 1 AND CASE WHEN f.pages IS NULL THEN f.height WHEN a.frame >= 0 THEN json_extract(f.pages, '$[' || a.frame || '].height') END >= 1
        WHEN 'unknown_label' THEN a.label IS NOT NULL AND x.labels IS NOT NULL AND a.geometry IN ('box', 'polygon', 'line', 'point', 'ellipse', 'cuboid', 'segmentation', 'entity', 'category') AND instr(x.labels, '
' || a.geometry || ':' || json_quote(a.label) || '
') = 0 AND instr(x.labels, '
' || '*' || ':' || json_quote(a.label) || '
') = 0 AND instr(x.labels, '
' || a.geometry || ':') + instr(x.labels, '
' || '*:') > 0
        WHEN 'unknown_attribute' THEN a.attributes IS NOT NULL AND x.attributes IS NOT NULL AND (SELECT min(CASE
            WHEN n.type = 'text' AND instr(x.attributes, '
' || json_quote(n.key) || '=' || json_quote(n.value) || '
') > 0 THEN NULL
            WHEN instr(x.attributes, '
' || json_quote(n.key) || '
') = 0 THEN n.key
            WHEN n.type = 'text' AND instr(x.attributes, '
' || json_quote(n.key) || '=') > 0 THEN n.key || ' = ' || n.value
            WHEN n.type = 'array' AND instr(x.attributes, '
' || json_quote(n.key) || '=') > 0 THEN (
                SELECT min(n.key || ' = ' || e.value) FROM json_each(n.value) AS e
                WHERE e.type = 'text' AND instr(x.attributes, '
' || json_quote(n.key) || '=' || json_quote(e.value) || '
') = 0)
            END)
        FROM json_each(a.attributes) AS n
        WHERE typeof(n.key) = 'text') IS NOT NULL
    END
), part_o AS MATERIALIZED (
SELECT 2 AS part, r.column1 AS rule, o.task_id, o.ordinal AS ordinal, CASE r.column1
        WHEN 'sliver' THEN CASE WHEN abs(o.width) < 1e12 THEN printf('%.1f', CAST(o.width * 10 + CASE WHEN o.width < 0 THEN -0.5 ELSE 0.5 END AS INTEGER) / 10.0) ELSE 'huge' END || ' x ' || CASE WHEN abs(o.height) < 1e12 THEN printf('%.1f', CAST(o.height * 10 + CASE WHEN o.height < 0 THEN -0.5 ELSE 0.5 END AS INTEGER) / 10.0) ELSE 'huge' END
        WHEN 'tiny' THEN CASE WHEN abs(o.width) < 1e12 THEN printf('%.1f', CAST(o.width * 10 + CASE WHEN o.width < 0 THEN -0.5 ELSE 0.5 END AS INTEGER) / 10.0) ELSE 'huge' END || ' x ' || CASE WHEN abs(o.height) < 1e12 THEN printf('%.1f', CAST(o.height * 10 + CASE WHEN o.height < 0 THEN -0.5 ELSE 0.5 END AS INTEGER) / 10.0) ELSE 'huge' END
        WHEN 'outside_picture' THEN CASE WHEN abs(o."left") < 1e12 THEN printf('%.1f', CAST(o."left" * 10 + CASE WHEN o."left" < 0 THEN -0.5 ELSE 0.5 END AS INTEGER) / 10.0) ELSE 'huge' END || ', ' || CASE WHEN abs(o.top) < 1e12 THEN printf('%.1f', CAST(o.top * 10 + CASE WHEN o.top < 0 THEN -0.5 ELSE 0.5 END AS INTEGER) / 10.0) ELSE 'huge' END || ' to ' || CASE WHEN abs((o."left" + CASE WHEN o.geometry = 'point' THEN 0 ELSE coalesce(o.width, 0) END)) < 1e12 THEN printf('%.1f', CAST((o."left" + CASE WHEN o.geometry = 'point' THEN 0 ELSE coalesce(o.width, 0) END) * 10 + CASE WHEN (o."left" + CASE WHEN o.geometry = 'point' THEN 0 ELSE coalesce(o.width, 0) END) < 0 THEN -0.5 ELSE 0.5 END AS INTEGER) / 10.0) ELSE 'huge' END || ', ' || CASE WHEN abs((o.top + CASE WHEN o.geometry = 'point' THEN 0 ELSE coalesce(o.height, 0) END)) < 1e12 THEN printf('%.1f', CAST((o.top + CASE WHEN o.geometry = 'point' THEN 0 ELSE coalesce(o.height, 0) END) * 10 + CASE WHEN (o.top + CASE WHEN o.geometry = 'point' THEN 0 ELSE coalesce(o.height, 0) END) < 0 THEN -0.5 ELSE 0.5 END AS INTEGER) / 10.0) ELSE 'huge' END || ' of ' || CASE WHEN abs((CASE WHEN f.pages IS NULL THEN f.width WHEN o.frame >= 0 THEN json_extract(f.pages, '$[' || o.frame || '].width') END)) < 1e12 THEN printf('%.1f', CAST((CASE WHEN f.pages IS NULL THEN f.width WHEN o.frame >= 0 THEN json_extract(f.pages, '$[' || o.frame || '].width') END) * 10 + CASE WHEN (CASE WHEN f.pages IS NULL THEN f.width WHEN o.frame >= 0 THEN json_extract(f.pages, '$[' || o.frame || '].width') END) < 0 THEN -0.5 ELSE 0.5 END AS INTEGER) / 10.0) ELSE 'huge' END || ' x ' || CASE WHEN abs((CASE WHEN f.pages IS NULL THEN f.height WHEN o.frame >= 0 THEN json_extract(f.pages, '$[' || o.frame || '].height') END)) < 1e12 THEN printf('%.1f', CAST((CASE WHEN f.pages IS NULL THEN f.height WHEN o.frame >= 0 THEN json_extract(f.pages, '$[' || o.frame || '].height') END) * 10 + CASE WHEN (CASE WHEN f.pages IS NULL THEN f.height WHEN o.frame >= 0 THEN json_extract(f.pages, '$[' || o.frame || '].height') END) < 0 THEN -0.5 ELSE 0.5 END AS INTEGER) / 10.0) ELSE 'huge' END
        WHEN 'degenerate_polygon' THEN CASE WHEN o.points < 3 THEN CAST(o.points AS TEXT) || ' points' WHEN o.area <= 0.000000001 * (o.width * o.width + o.height * o.height) THEN CAST(o.points AS TEXT) || ' points without an area' ELSE 'it crosses itself' END
        WHEN 'duplicate_vertex' THEN CAST(o.repeated AS TEXT) || ' of ' || CAST(o.points AS TEXT) || ' points'
    END AS detail
FROM outlines AS o
    CROSS JOIN facts AS f
    CROSS JOIN (VALUES ('sliver'), ('tiny'), ('outside_picture'), ('degenerate_polygon'), ('duplicate_vertex')) AS r
    WHERE f.task_id = o.task_id AND o.points = o.elements
    AND ((o.geometry = 'polygon' AND o.area > 0.000000001 * (o.width * o.width + o.height * o.height) AND 20.05 * o.area <= o.width * o.width + o.height * o.height)
        OR (o.geometry = 'polygon' AND o.area > 0.000000001 * (o.width * o.width + o.height * o.height) AND (o.width < 2 OR o.height < 2 OR o.area < 16))
        OR (o.points > 0 AND (o."left" < -1 OR o.top < -1 OR o."left" + o.width > CASE WHEN f.pages IS NULL THEN f.width WHEN o.frame >= 0 THEN json_extract(f.pages, '$[' || o.frame || '].width') END + 1 OR o.top + o.height > CASE WHEN f.pages IS NULL THEN f.height WHEN o.frame >= 0 THEN json_extract(f.pages, '$[' || o.frame || '].height') END + 1) AND CASE WHEN f.pages IS NULL THEN f.width WHEN o.frame >= 0 THEN json_extract(f.pages, '$[' || o.frame || '].width') END >= 1 AND CASE WHEN f.pages IS NULL THEN f.height WHEN o.frame >= 0 THEN json_extract(f.pages, '$[' || o.frame || '].height') END >= 1)
        OR (o.geometry = 'polygon' AND (o.points < 3 OR o.area <= 0.000000001 * (o.width * o.width + o.height * o.height) OR (o.points = 4 AND CASE WHEN ((o.x_1 - o.x_0) * (o.y_2 - o.y_1) - (o.y_1 - o.y_0) * (o.x_2 - o.x_1)) < 0 THEN 1 ELSE 0 END + CASE WHEN ((o.x_2 - o.x_1) * (o.y_3 - o.y_2) - (o.y_2 - o.y_1) * (o.x_3 - o.x_2)) < 0 THEN 1 ELSE 0 END + CASE WHEN ((o.x_3 - o.x_2) * (o.y_0 - o.y_3) - (o.y_3 - o.y_2) * (o.x_0 - o.x_3)) < 0 THEN 1 ELSE 0 END + CASE WHEN ((o.x_0 - o.x_3) * (o.y_1 - o.y_0) - (o.y_0 - o.y_3) * (o.x_1 - o.x_0)) < 0 THEN 1 ELSE 0 END = 2 AND CASE WHEN ((o.x_1 - o.x_0) * (o.y_2 - o.y_1) - (o.y_1 - o.y_0) * (o.x_2 - o.x_1)) > 0 THEN 1 ELSE 0 END + CASE WHEN ((o.x_2 - o.x_1) * (o.y_3 - o.y_2) - (o.y_2 - o.y_1) * (o.x_3 - o.x_2)) > 0 THEN 1 ELSE 0 END + CASE WHEN ((o.x_3 - o.x_2) * (o.y_0 - o.y_3) - (o.y_3 - o.y_2) * (o.x_0 - o.x_3)) > 0 THEN 1 ELSE 0 END + CASE WHEN ((o.x_0 - o.x_3) * (o.y_1 - o.y_0) - (o.y_0 - o.y_3) * (o.x_1 - o.x_0)) > 0 THEN 1 ELSE 0 END = 2)))
        OR (o.geometry IN ('polygon', 'line') AND o.repeated > 0))
    AND CASE r.column1
        WHEN 'sliver' THEN o.geometry = 'polygon' AND o.area > 0.000000001 * (o.width * o.width + o.height * o.height) AND 20.05 * o.area <= o.width * o.width + o.height * o.height
        WHEN 'tiny' THEN o.geometry = 'polygon' AND o.area > 0.000000001 * (o.width * o.width + o.height * o.height) AND (o.width < 2 OR o.height < 2 OR o.area < 16)
        WHEN 'outside_picture' THEN o.points > 0 AND (o."left" < -1 OR o.top < -1 OR o."left" + o.width > CASE WHEN f.pages IS NULL THEN f.width WHEN o.frame >= 0 THEN json_extract(f.pages, '$[' || o.frame || '].width') END + 1 OR o.top + o.height > CASE WHEN f.pages IS NULL THEN f.height WHEN o.frame >= 0 THEN json_extract(f.pages, '$[' || o.frame || '].height') END + 1) AND CASE WHEN f.pages IS NULL THEN f.width WHEN o.frame >= 0 THEN json_extract(f.pages, '$[' || o.frame || '].width') END >= 1 AND CASE WHEN f.pages IS NULL THEN f.height WHEN o.frame >= 0 THEN json_extract(f.pages, '$[' || o.frame || '].height') END >= 1
        WHEN 'degenerate_polygon' THEN o.geometry = 'polygon' AND (o.points < 3 OR o.area <= 0.000000001 * (o.width * o.width + o.height * o.height) OR (o.points = 4 AND CASE WHEN ((o.x_1 - o.x_0) * (o.y_2 - o.y_1) - (o.y_1 - o.y_0) * (o.x_2 - o.x_1)) < 0 THEN 1 ELSE 0 END + CASE WHEN ((o.x_2 - o.x_1) * (o.y_3 - o.y_2) - (o.y_2 - o.y_1) * (o.x_3 - o.x_2)) < 0 THEN 1 ELSE 0 END + CASE WHEN ((o.x_3 - o.x_2) * (o.y_0 - o.y_3) - (o.y_3 - o.y_2) * (o.x_0 - o.x_3)) < 0 THEN 1 ELSE 0 END + CASE WHEN ((o.x_0 - o.x_3) * (o.y_1 - o.y_0) - (o.y_0 - o.y_3) * (o.x_1 - o.x_0)) < 0 THEN 1 ELSE 0 END = 2 AND CASE WHEN ((o.x_1 - o.x_0) * (o.y_2 - o.y_1) - (o.y_1 - o.y_0) * (o.x_2 - o.x_1)) > 0 THEN 1 ELSE 0 END + CASE WHEN ((o.x_2 - o.x_1) * (o.y_3 - o.y_2) - (o.y_2 - o.y_1) * (o.x_3 - o.x_2)) > 0 THEN 1 ELSE 0 END + CASE WHEN ((o.x_3 - o.x_2) * (o.y_0 - o.y_3) - (o.y_3 - o.y_2) * (o.x_0 - o.x_3)) > 0 THEN 1 ELSE 0 END + CASE WHEN ((o.x_0 - o.x_3) * (o.y_1 - o.y_0) - (o.y_0 - o.y_3) * (o.x_1 - o.x_0)) > 0 THEN 1 ELSE 0 END = 2))
        WHEN 'duplicate_vertex' THEN o.geometry IN ('polygon', 'line') AND o.repeated > 0
    END
), part_p AS MATERIALIZED (
SELECT 3 AS part, 'overlap' AS rule, p.task_id, p.ordinal AS ordinal, 'IoU ' || printf('%.2f', CAST(p.iou * 100 + 0.000001 AS INTEGER) / 100.0) || ' with annotation ' || CAST(p.other AS TEXT) AS detail
FROM pairs AS p
    CROSS JOIN live AS t
    WHERE t.task_id = p.task_id
    AND (1 = 1)
), part_c AS MATERIALIZED (
SELECT 4 AS part, 'crossed_cuboid' AS rule, c.task_id, c.ordinal AS ordinal, CASE WHEN (((c.x_top_right - c.x_top_left) * (c.y_bottom_right - c.y_top_right) - (c.y_top_right - c.y_top_left) * (c.x_bottom_right - c.x_top_right)) < 0 OR ((c.x_bottom_right - c.x_top_right) * (c.y_bottom_left - c.y_bottom_right) - (c.y_bottom_right - c.y_top_right) * (c.x_bottom_left - c.x_bottom_right)) < 0 OR ((c.x_bottom_left - c.x_bottom_right) * (c.y_top_left - c.y_bottom_left) - (c.y_bottom_left - c.y_bottom_right) * (c.x_top_left - c.x_bottom_left)) < 0 OR ((c.x_top_left - c.x_bottom_left) * (c.y_top_right - c.y_top_left) - (c.y_top_left - c.y_bottom_left) * (c.x_top_right - c.x_top_left)) < 0) THEN 'face' ELSE 'side' END AS detail
FROM cuboids AS c
    CROSS JOIN live AS t
    WHERE t.task_id = c.task_id
    AND (((((c.x_top_right - c.x_top_left) * (c.y_bottom_right - c.y_top_right) - (c.y_top_right - c.y_top_left) * (c.x_bottom_right - c.x_top_right)) < 0 OR ((c.x_bottom_right - c.x_top_right) * (c.y_bottom_left - c.y_bottom_right) - (c.y_bottom_right - c.y_top_right) * (c.x_bottom_left - c.x_bottom_right)) < 0 OR ((c.x_bottom_left - c.x_bottom_right) * (c.y_top_left - c.y_bottom_left) - (c.y_bottom_left - c.y_bottom_right) * (c.x_top_left - c.x_bottom_left)) < 0 OR ((c.x_top_left - c.x_bottom_left) * (c.y_top_right - c.y_top_left) - (c.y_top_left - c.y_bottom_left) * (c.x_top_right - c.x_top_left)) < 0) OR (c.x_side_bottom - c.x_side_top) * (c.x_bottom_left - c.x_top_left) + (c.y_side_bottom - c.y_side_top) * (c.y_bottom_left - c.y_top_left) < 0))
), part_e AS MATERIALIZED (
SELECT 5 AS part, 'misplaced_text' AS rule, e.task_id, e.ordinal AS ordinal, CAST(e.text_start AS TEXT) || ' to ' || CAST(e.text_end AS TEXT) || ' is not ' || substr(e.text, 1, 40) AS detail
FROM texts AS w
    CROSS JOIN annotations AS e
    WHERE e.task_id = w.task_id AND e.geometry = 'entity'
        AND e.text IS NOT NULL AND e.text_start IS NOT NULL AND e.text_end IS NOT NULL
    AND (NOT (e.text_start >= 0 AND (
            substr(w.text, e.text_start + 1, length(e.text)) = e.text
                AND e.text_end - e.text_start IN (length(e.text), length(e.text) - 1)
            OR glob('*[𐀀-􏿿]*', w.text)
                AND substr(w.text, e.text_start + 1 - (SELECT count(1) FROM wide AS u WHERE u.task_id = w.task_id AND u.unit < e.text_start), length(e.text)) = e.text
                AND e.text_end - e.text_start + (SELECT count(1) FROM wide AS u WHERE u.task_id = w.task_id AND u.unit < e.text_start) - (SELECT count(1) FROM wide AS u WHERE u.task_id = w.task_id AND u.unit < e.text_end)
                    IN (length(e.text), length(e.text) - 1))))
), part_t AS MATERIALIZED (
SELECT 6 AS part, 'completed_empty' AS rule, t.task_id, NULL AS ordinal, 'completed without an annotation' AS detail
FROM live AS t
    WHERE t.status = 'completed'
        AND NOT EXISTS (SELECT 1 FROM annotations AS a WHERE a.task_id = t.task_id)
        AND NOT EXISTS (SELECT 1 FROM task_files AS l JOIN result_files AS r ON r.url = l.url
            WHERE l.task_id = t.task_id AND r.read_at IS NULL)
        AND NOT EXISTS (SELECT 1 FROM unread_responses AS u WHERE u.task_id = t.task_id)
    AND (1 = 1)
), lists(part) AS (VALUES (1), (2), (3), (4), (5), (6))
SELECT likely(coalesce(part_a.rule, part_o.rule, part_p.rule, part_c.rule, part_e.rule, part_t.rule)) AS rule, coalesce(part_a.task_id, part_o.task_id, part_p.task_id, part_c.task_id, part_e.task_id, part_t.task_id) AS task_id, coalesce(part_a.ordinal, part_o.ordinal, part_p.ordinal, part_c.ordinal, part_e.ordinal, part_t.ordinal) AS ordinal, coalesce(part_a.detail, part_o.detail, part_p.detail, part_c.detail, part_e.detail, part_t.detail) AS detail
FROM lists AS l
LEFT JOIN part_a ON part_a.part = l.part
LEFT JOIN part_o ON part_o.part = l.part
LEFT JOIN part_p ON part_p.part = l.part
LEFT JOIN part_c ON part_c.part = l.part
LEFT JOIN part_e ON part_e.part = l.part
LEFT JOIN part_t ON part_t.part = l.part
WHERE coalesce(part_a.rule, part_o.rule, part_p.rule, part_c.rule, part_e.rule, part_t.rule) IS NOT NULL"""

POSTGRES = r"""
WITH RECURSIVE live AS NOT MATERIALIZED (
    SELECT t.task_id, t.project, t.type, t.status, t.params, t.metadata, t.extra
    FROM tasks AS t
    WHERE t.missing_since IS NULL
), taxonomies AS MATERIALIZED (
    SELECT row_number() OVER () AS id, d.taxonomy
    FROM (
        SELECT DISTINCT coalesce(nullif(jsonb_build_array(t.params -> 'geometries', t.params -> 'objects_to_annotate', t.params -> 'labels', t.params -> 'categories', t.params -> 'features', t.params -> 'annotation_attributes'), '[null, null, null, null, null, null]'), nullif(jsonb_build_array(p.params -> 'geometries', p.params -> 'objects_to_annotate', p.params -> 'labels', p.params -> 'categories', p.params -> 'features', p.params -> 'annotation_attributes'), '[null, null, null, null, null, null]')) AS taxonomy
        FROM live AS t
        LEFT JOIN projects AS p ON p.name = t.project
    ) AS d
    WHERE d.taxonomy IS NOT NULL
), nodes AS (
    SELECT d.id, ARRAY[CAST(i.place - 1 AS text)] AS path, CAST(NULL AS text) AS key, i.value,
        i.place BETWEEN 2 AND 5 AS listed
    FROM taxonomies AS d
    CROSS JOIN jsonb_array_elements(d.taxonomy) WITH ORDINALITY AS i(value, place)
    UNION ALL
    SELECT u.id, u.path || m.step, m.key, m.value,
        u.listed OR m.key IS NOT DISTINCT FROM 'objects_to_annotate'
    FROM nodes AS u
    CROSS JOIN LATERAL (
        SELECT m.key AS step, m.key, m.value FROM jsonb_each(CASE WHEN jsonb_typeof(u.value) = 'object' THEN u.value ELSE '{}' END) AS m
        UNION ALL SELECT '#', NULL, i.value FROM jsonb_array_elements(CASE WHEN jsonb_typeof(u.value) = 'array' THEN u.value ELSE '[]' END) AS i) AS m
), offers AS MATERIALIZED (
    SELECT n.id, CASE WHEN n.path[1] = '0' AND n.path[2] <> '#' THEN n.path[2] ELSE '*' END AS geometry,
        CASE WHEN cardinality(n.path) = 2 AND n.path[1] IN ('1', '2', '3') AND n.key IS NOT NULL THEN n.key ELSE n.value #>> '{}' END AS label
    FROM nodes AS n
    WHERE cardinality(n.path) = 2 AND n.path[1] IN ('1', '2', '3') AND n.key IS NOT NULL OR jsonb_typeof(n.value) = 'string' AND n.path[1] IN ('0', '1', '2', '3', '4')
        AND n.listed AND (n.key IS NULL OR n.key IN ('choice', 'name', 'label', 'value'))
), named AS MATERIALIZED (
    SELECT d.id, CASE WHEN s.key IS NOT NULL THEN s.key WHEN jsonb_typeof(s.value) = 'object' AND jsonb_typeof(s.value -> 'name') = 'string' THEN s.value ->> 'name' WHEN jsonb_typeof(s.value) = 'string' THEN s.value #>> '{}' END AS name, s.value
    FROM taxonomies AS d
    CROSS JOIN LATERAL (
        SELECT m.key AS step, m.key, m.value FROM jsonb_each(CASE WHEN jsonb_typeof((d.taxonomy -> 5)) = 'object' THEN (d.taxonomy -> 5) ELSE '{}' END) AS m
        UNION ALL SELECT '#', NULL, i.value FROM jsonb_array_elements(CASE WHEN jsonb_typeof((d.taxonomy -> 5)) = 'array' THEN (d.taxonomy -> 5) ELSE '[]' END) AS i) AS s
    WHERE CASE WHEN s.key IS NOT NULL THEN s.key WHEN jsonb_typeof(s.value) = 'object' AND jsonb_typeof(s.value -> 'name') = 'string' THEN s.value ->> 'name' WHEN jsonb_typeof(s.value) = 'string' THEN s.value #>> '{}' END IS NOT NULL
), choices AS (
    SELECT s.id, s.name, CAST(NULL AS text) AS key, s.value -> 'choices' AS value
    FROM named AS s
    WHERE jsonb_typeof(s.value) = 'object'
    UNION ALL
    SELECT u.id, u.name, m.key, m.value
    FROM choices AS u
    CROSS JOIN LATERAL (
        SELECT m.key AS step, m.key, m.value FROM jsonb_each(CASE WHEN jsonb_typeof(u.value) = 'object' THEN u.value ELSE '{}' END) AS m
        UNION ALL SELECT '#', NULL, i.value FROM jsonb_array_elements(CASE WHEN jsonb_typeof(u.value) = 'array' THEN u.value ELSE '[]' END) AS i) AS m
), offered AS MATERIALIZED (
    SELECT d.id,
        (SELECT array_agg(n.geometry || ':' || n.label) FROM offers AS n WHERE n.id = d.id) AS labels,
        (SELECT array_agg(DISTINCT n.geometry) FROM offers AS n WHERE n.id = d.id) AS geometries,
        (SELECT array_agg(n.name) FROM named AS n WHERE n.id = d.id) AS attributes,
        (SELECT jsonb_object_agg(c.name, c.texts) FROM (
            SELECT n.name, jsonb_agg(n.value) AS texts
            FROM choices AS n
            WHERE n.id = d.id AND jsonb_typeof(n.value) = 'string' AND (n.key IS NULL OR n.key IN ('choice', 'name', 'label', 'value'))
            GROUP BY n.name
        ) AS c) AS choices
    FROM taxonomies AS d
), facts AS MATERIALIZED (
    SELECT t.task_id, x.id AS taxonomy, coalesce(CAST(coalesce(m.width, u.width) AS double precision), CASE WHEN jsonb_typeof((t.params -> 'width')) <> 'number' THEN NULL WHEN abs(CAST((t.params -> 'width') #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST((t.params -> 'width') #>> '{}' AS numeric)) > 1e15 THEN sign(CAST((t.params -> 'width') #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST((t.params -> 'width') #>> '{}' AS numeric) AS double precision) END, CASE WHEN jsonb_typeof((t.metadata -> 'width')) <> 'number' THEN NULL WHEN abs(CAST((t.metadata -> 'width') #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST((t.metadata -> 'width') #>> '{}' AS numeric)) > 1e15 THEN sign(CAST((t.metadata -> 'width') #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST((t.metadata -> 'width') #>> '{}' AS numeric) AS double precision) END) AS width, coalesce(CAST(coalesce(m.height, u.height) AS double precision), CASE WHEN jsonb_typeof((t.params -> 'height')) <> 'number' THEN NULL WHEN abs(CAST((t.params -> 'height') #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST((t.params -> 'height') #>> '{}' AS numeric)) > 1e15 THEN sign(CAST((t.params -> 'height') #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST((t.params -> 'height') #>> '{}' AS numeric) AS double precision) END, CASE WHEN jsonb_typeof((t.metadata -> 'height')) <> 'number' THEN NULL WHEN abs(CAST((t.metadata -> 'height') #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST((t.metadata -> 'height') #>> '{}' AS numeric)) > 1e15 THEN sign(CAST((t.metadata -> 'height') #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST((t.metadata -> 'height') #>> '{}' AS numeric) AS double precision) END) AS height,
        CASE WHEN t.type IN ('documenttranscription', 'documentmodel')
            THEN nullif(t.extra -> 'document_pages', 'null') END AS pages
    FROM live AS t
    LEFT JOIN projects AS p ON p.name = t.project
    LEFT JOIN taxonomies AS x ON x.taxonomy = coalesce(nullif(jsonb_build_array(t.params -> 'geometries', t.params -> 'objects_to_annotate', t.params -> 'labels', t.params -> 'categories', t.params -> 'features', t.params -> 'annotation_attributes'), '[null, null, null, null, null, null]'), nullif(jsonb_build_array(p.params -> 'geometries', p.params -> 'objects_to_annotate', p.params -> 'labels', p.params -> 'categories', p.params -> 'features', p.params -> 'annotation_attributes'), '[null, null, null, null, null, null]'))
    LEFT JOIN attachments AS m ON m.url = t.params ->> 'attachment'
    LEFT JOIN attachments AS u ON u.url = CASE WHEN t.params ->> 'attachment' ~* '(signature|sig)=' THEN split_part(t.params ->> 'attachment', '?', 1) END
), drawn AS NOT MATERIALIZED (
    SELECT a.task_id, a.ordinal, a.geometry, a.label, a.frame, a.text, a.attributes, a.rotation,
        CASE WHEN a."left" IS NULL THEN NULL WHEN abs(a."left") < 1e-30 THEN 0 ELSE least(greatest(a."left", -CAST(1e15 AS double precision)), CAST(1e15 AS double precision)) END AS "left", CASE WHEN a."top" IS NULL THEN NULL WHEN abs(a."top") < 1e-30 THEN 0 ELSE least(greatest(a."top", -CAST(1e15 AS double precision)), CAST(1e15 AS double precision)) END AS "top", CASE WHEN a."width" IS NULL THEN NULL WHEN abs(a."width") < 1e-30 THEN 0 ELSE least(greatest(a."width", -CAST(1e15 AS double precision)), CAST(1e15 AS double precision)) END AS "width", CASE WHEN a."height" IS NULL THEN NULL WHEN abs(a."height") < 1e-30 THEN 0 ELSE least(greatest(a."height", -CAST(1e15 AS double precision)), CAST(1e15 AS double precision)) END AS "height"
    FROM annotations AS a
), corners AS NOT MATERIALIZED (
    SELECT a.task_id, a.ordinal, a.geometry, a.frame, v.place, CASE WHEN jsonb_typeof(v.value) = 'object' THEN CASE WHEN jsonb_typeof((v.value -> 'x')) <> 'number' THEN NULL WHEN abs(CAST((v.value -> 'x') #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST((v.value -> 'x') #>> '{}' AS numeric)) > 1e15 THEN sign(CAST((v.value -> 'x') #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST((v.value -> 'x') #>> '{}' AS numeric) AS double precision) END END AS x, CASE WHEN jsonb_typeof(v.value) = 'object' THEN CASE WHEN jsonb_typeof((v.value -> 'y')) <> 'number' THEN NULL WHEN abs(CAST((v.value -> 'y') #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST((v.value -> 'y') #>> '{}' AS numeric)) > 1e15 THEN sign(CAST((v.value -> 'y') #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST((v.value -> 'y') #>> '{}' AS numeric) AS double precision) END END AS y
    FROM annotations AS a
    LEFT JOIN LATERAL jsonb_array_elements(CASE WHEN jsonb_typeof(a.vertices) = 'array' THEN a.vertices ELSE '[]' END) WITH ORDINALITY AS v(value, place) ON TRUE
    WHERE a.vertices IS NOT NULL AND (a.geometry IN ('polygon', 'line', 'ellipse')
        OR a.geometry = 'box' AND coalesce(a.rotation, 0) <> 0)
), steps AS NOT MATERIALIZED (
    SELECT c.*, lead(c.x) OVER w AS next_x, lead(c.y) OVER w AS next_y
    FROM corners AS c
    WINDOW w AS (PARTITION BY c.task_id, c.ordinal ORDER BY c.place)
), outlines AS NOT MATERIALIZED (
    SELECT m.task_id, m.ordinal, m.geometry, m.frame, m.elements, m.points,
        m."left", m.top, m.width, m.height,
        abs(coalesce(m.steps, 0) + coalesce(m.x_last * m.y_0 - m.x_0 * m.y_last, 0)) / 2 AS area,
        m.repeated, m.x_0, m.y_0, m.x_1, m.y_1, m.x_2, m.y_2, m.x_3, m.y_3
    FROM (
        SELECT s.task_id, s.ordinal, max(s.geometry) AS geometry, max(s.frame) AS frame,
            count(s.place) AS elements, count(CASE WHEN abs(s.x) < 1e15 AND abs(s.y) < 1e15 THEN 1 END) AS points,
            min(s.x) AS "left", min(s.y) AS top, max(s.x) - min(s.x) AS width, max(s.y) - min(s.y) AS height,
            sum(s.x * s.next_y - s.next_x * s.y) AS steps,
            max(CASE WHEN s.next_x IS NULL THEN s.x END) AS x_last,
            max(CASE WHEN s.next_x IS NULL THEN s.y END) AS y_last,
            count(CASE WHEN s.x = s.next_x AND s.y = s.next_y THEN 1 END) AS repeated,
            max(CASE WHEN s.place = 1 THEN s.x END) AS x_0, max(CASE WHEN s.place = 1 THEN s.y END) AS y_0, max(CASE WHEN s.place = 2 THEN s.x END) AS x_1, max(CASE WHEN s.place = 2 THEN s.y END) AS y_1, max(CASE WHEN s.place = 3 THEN s.x END) AS x_2, max(CASE WHEN s.place = 3 THEN s.y END) AS y_2, max(CASE WHEN s.place = 4 THEN s.x END) AS x_3, max(CASE WHEN s.place = 4 THEN s.y END) AS y_3
        FROM steps AS s
        GROUP BY s.task_id, s.ordinal
    ) AS m
), boxes AS NOT MATERIALIZED (
    SELECT a.task_id, a.ordinal, a.frame, a.label, coalesce(a.rotation, 0) AS rotation,
        a."left", a.top, a.width, a.height, a."left" + a.top AS place
    FROM annotations AS a
    WHERE a.geometry = 'box' AND abs(a."left") < 1e9 AND abs(a.top) < 1e9
        AND a.width > 1e-30 AND a.width < 1e9 AND a.height > 1e-30 AND a.height < 1e9
), near AS MATERIALIZED (
    SELECT n.task_id, n.ordinal, n.rotation, n."left", n.top, n.width, n.height,
        coalesce(n.frame, -9223372036854775807) AS frame, coalesce('=' || n.label, '') AS label
    FROM (
        SELECT b.*, lead(b.place) OVER w - b.place AS ahead, b.place - lag(b.place) OVER w AS behind
        FROM boxes AS b
        WINDOW w AS (PARTITION BY b.task_id, b.frame, b.label, b.rotation ORDER BY b.place)
    ) AS n
    WHERE n.ahead <= ((1.0 - 0.9) / 0.9 + 1e-9) * (n.width + n.height) OR n.behind <= ((1.0 - 0.9) / 0.9 + 1e-9) * (n.width + n.height)
), shared AS NOT MATERIALIZED (
    SELECT b.task_id, b.ordinal, a.ordinal AS other, (least(a."left" + a.width, b."left" + b.width) - greatest(a."left", b."left")) * (least(a.top + a.height, b.top + b.height) - greatest(a.top, b.top)) AS both_areas,
        a.width * a.height + b.width * b.height AS areas
    FROM near AS a
    CROSS JOIN near AS b
    WHERE b.task_id = a.task_id AND b.frame = a.frame AND b.label = a.label AND b.rotation = a.rotation
        AND b.ordinal > a.ordinal AND (least(a."left" + a.width, b."left" + b.width) - greatest(a."left", b."left")) > 0 AND (least(a.top + a.height, b.top + b.height) - greatest(a.top, b.top)) > 0
), pairs AS NOT MATERIALIZED (
    SELECT DISTINCT ON (s.task_id, s.ordinal) s.task_id, s.ordinal, s.other, s.both_areas / (s.areas - s.both_areas) AS iou
    FROM shared AS s
    WHERE s.both_areas >= (0.9 - 1e-9) * (s.areas - s.both_areas)
    ORDER BY s.task_id, s.ordinal, s.other
), cuboids AS NOT MATERIALIZED (
    SELECT k.task_id, k.ordinal, CASE WHEN min(CASE WHEN k.named = 'face-topleft' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) = max(CASE WHEN k.named = 'face-topleft' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) THEN max(CASE WHEN k.named = 'face-topleft' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) END AS x_top_left, CASE WHEN min(CASE WHEN k.named = 'face-topleft' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) = max(CASE WHEN k.named = 'face-topleft' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) THEN max(CASE WHEN k.named = 'face-topleft' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) END AS y_top_left, CASE WHEN min(CASE WHEN k.named = 'face-topright' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) = max(CASE WHEN k.named = 'face-topright' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) THEN max(CASE WHEN k.named = 'face-topright' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) END AS x_top_right, CASE WHEN min(CASE WHEN k.named = 'face-topright' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) = max(CASE WHEN k.named = 'face-topright' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) THEN max(CASE WHEN k.named = 'face-topright' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) END AS y_top_right, CASE WHEN min(CASE WHEN k.named = 'face-bottomright' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) = max(CASE WHEN k.named = 'face-bottomright' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) THEN max(CASE WHEN k.named = 'face-bottomright' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) END AS x_bottom_right, CASE WHEN min(CASE WHEN k.named = 'face-bottomright' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) = max(CASE WHEN k.named = 'face-bottomright' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) THEN max(CASE WHEN k.named = 'face-bottomright' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) END AS y_bottom_right, CASE WHEN min(CASE WHEN k.named = 'face-bottomleft' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) = max(CASE WHEN k.named = 'face-bottomleft' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) THEN max(CASE WHEN k.named = 'face-bottomleft' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) END AS x_bottom_left, CASE WHEN min(CASE WHEN k.named = 'face-bottomleft' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) = max(CASE WHEN k.named = 'face-bottomleft' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) THEN max(CASE WHEN k.named = 'face-bottomleft' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) END AS y_bottom_left, CASE WHEN min(CASE WHEN k.named = 'side-topcorner' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) = max(CASE WHEN k.named = 'side-topcorner' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) THEN max(CASE WHEN k.named = 'side-topcorner' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) END AS x_side_top, CASE WHEN min(CASE WHEN k.named = 'side-topcorner' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) = max(CASE WHEN k.named = 'side-topcorner' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) THEN max(CASE WHEN k.named = 'side-topcorner' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) END AS y_side_top, CASE WHEN min(CASE WHEN k.named = 'side-bottomcorner' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) = max(CASE WHEN k.named = 'side-bottomcorner' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) THEN max(CASE WHEN k.named = 'side-bottomcorner' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.x END) END AS x_side_bottom, CASE WHEN min(CASE WHEN k.named = 'side-bottomcorner' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) = max(CASE WHEN k.named = 'side-bottomcorner' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) THEN max(CASE WHEN k.named = 'side-bottomcorner' AND abs(k.x) < 1e15 AND abs(k.y) < 1e15 THEN k.y END) END AS y_side_bottom
    FROM (
        SELECT a.task_id, a.ordinal, v.value ->> 'description' AS named, CASE WHEN jsonb_typeof(v.value) = 'object' THEN CASE WHEN jsonb_typeof((v.value -> 'x')) <> 'number' THEN NULL WHEN abs(CAST((v.value -> 'x') #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST((v.value -> 'x') #>> '{}' AS numeric)) > 1e15 THEN sign(CAST((v.value -> 'x') #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST((v.value -> 'x') #>> '{}' AS numeric) AS double precision) END END AS x, CASE WHEN jsonb_typeof(v.value) = 'object' THEN CASE WHEN jsonb_typeof((v.value -> 'y')) <> 'number' THEN NULL WHEN abs(CAST((v.value -> 'y') #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST((v.value -> 'y') #>> '{}' AS numeric)) > 1e15 THEN sign(CAST((v.value -> 'y') #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST((v.value -> 'y') #>> '{}' AS numeric) AS double precision) END END AS y
        FROM annotations AS a
        CROSS JOIN LATERAL jsonb_array_elements(CASE WHEN jsonb_typeof(a.vertices) = 'array' THEN a.vertices ELSE '[]' END) WITH ORDINALITY AS v(value, place)
        WHERE a.geometry = 'cuboid' AND a.vertices IS NOT NULL
    ) AS k
    GROUP BY k.task_id, k.ordinal
), texts AS MATERIALIZED (
    SELECT t.task_id, t.params ->> 'text' AS text,
        CASE WHEN t.params ->> 'text' ~ '[\U00010000-\U0010FFFF]' THEN regexp_replace(t.params ->> 'text', '[\U00010000-\U0010FFFF]', '\&x', 'g') END AS units
    FROM live AS t
    WHERE t.type = 'namedentityrecognition' AND jsonb_typeof(t.params -> 'text') = 'string'
)
SELECT r.column1 AS rule, a.task_id, a.ordinal AS ordinal, CASE r.column1
        WHEN 'sliver' THEN CASE WHEN abs(a.width) < 1e12 THEN CAST(round(CAST(trunc(a.width * 10 + CASE WHEN a.width < 0 THEN -0.5 ELSE 0.5 END) AS numeric) / 10, 1) AS text) ELSE 'huge' END || ' x ' || CASE WHEN abs(a.height) < 1e12 THEN CAST(round(CAST(trunc(a.height * 10 + CASE WHEN a.height < 0 THEN -0.5 ELSE 0.5 END) AS numeric) / 10, 1) AS text) ELSE 'huge' END
        WHEN 'tiny' THEN CASE WHEN abs(a.width) < 1e12 THEN CAST(round(CAST(trunc(a.width * 10 + CASE WHEN a.width < 0 THEN -0.5 ELSE 0.5 END) AS numeric) / 10, 1) AS text) ELSE 'huge' END || ' x ' || CASE WHEN abs(a.height) < 1e12 THEN CAST(round(CAST(trunc(a.height * 10 + CASE WHEN a.height < 0 THEN -0.5 ELSE 0.5 END) AS numeric) / 10, 1) AS text) ELSE 'huge' END
        WHEN 'outside_picture' THEN CASE WHEN abs(a."left") < 1e12 THEN CAST(round(CAST(trunc(a."left" * 10 + CASE WHEN a."left" < 0 THEN -0.5 ELSE 0.5 END) AS numeric) / 10, 1) AS text) ELSE 'huge' END || ', ' || CASE WHEN abs(a.top) < 1e12 THEN CAST(round(CAST(trunc(a.top * 10 + CASE WHEN a.top < 0 THEN -0.5 ELSE 0.5 END) AS numeric) / 10, 1) AS text) ELSE 'huge' END || ' to ' || CASE WHEN abs((a."left" + CASE WHEN a.geometry = 'point' THEN 0 ELSE coalesce(a.width, 0) END)) < 1e12 THEN CAST(round(CAST(trunc((a."left" + CASE WHEN a.geometry = 'point' THEN 0 ELSE coalesce(a.width, 0) END) * 10 + CASE WHEN (a."left" + CASE WHEN a.geometry = 'point' THEN 0 ELSE coalesce(a.width, 0) END) < 0 THEN -0.5 ELSE 0.5 END) AS numeric) / 10, 1) AS text) ELSE 'huge' END || ', ' || CASE WHEN abs((a.top + CASE WHEN a.geometry = 'point' THEN 0 ELSE coalesce(a.height, 0) END)) < 1e12 THEN CAST(round(CAST(trunc((a.top + CASE WHEN a.geometry = 'point' THEN 0 ELSE coalesce(a.height, 0) END) * 10 + CASE WHEN (a.top + CASE WHEN a.geometry = 'point' THEN 0 ELSE coalesce(a.height, 0) END) < 0 THEN -0.5 ELSE 0.5 END) AS numeric) / 10, 1) AS text) ELSE 'huge' END || ' of ' || CASE WHEN abs((CASE WHEN f.pages IS NULL THEN f.width WHEN a.frame BETWEEN 0 AND 1000000 THEN CASE WHEN jsonb_typeof(f.pages -> CAST(a.frame AS integer) -> 'width') <> 'number' THEN NULL WHEN abs(CAST(f.pages -> CAST(a.frame AS integer) -> 'width' #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST(f.pages -> CAST(a.frame AS integer) -> 'width' #>> '{}' AS numeric)) > 1e15 THEN sign(CAST(f.pages -> CAST(a.frame AS integer) -> 'width' #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST(f.pages -> CAST(a.frame AS integer) -> 'width' #>> '{}' AS numeric) AS double precision) END END)) < 1e12 THEN CAST(round(CAST(trunc((CASE WHEN f.pages IS NULL THEN f.width WHEN a.frame BETWEEN 0 AND 1000000 THEN CASE WHEN jsonb_typeof(f.pages -> CAST(a.frame AS integer) -> 'width') <> 'number' THEN NULL WHEN abs(CAST(f.pages -> CAST(a.frame AS integer) -> 'width' #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST(f.pages -> CAST(a.frame AS integer) -> 'width' #>> '{}' AS numeric)) > 1e15 THEN sign(CAST(f.pages -> CAST(a.frame AS integer) -> 'width' #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST(f.pages -> CAST(a.frame AS integer) -> 'width' #>> '{}' AS numeric) AS double precision) END END) * 10 + CASE WHEN (CASE WHEN f.pages IS NULL THEN f.width WHEN a.frame BETWEEN 0 AND 1000000 THEN CASE WHEN jsonb_typeof(f.pages -> CAST(a.frame AS integer) -> 'width') <> 'number' THEN NULL WHEN abs(CAST(f.pages -> CAST(a.frame AS integer) -> 'width' #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST(f.pages -> CAST(a.frame AS integer) -> 'width' #>> '{}' AS numeric)) > 1e15 THEN sign(CAST(f.pages -> CAST(a.frame AS integer) -> 'width' #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST(f.pages -> CAST(a.frame AS integer) -> 'width' #>> '{}' AS numeric) AS double precision) END END) < 0 THEN -0.5 ELSE 0.5 END) AS numeric) / 10, 1) AS text) ELSE 'huge' END || ' x ' || CASE WHEN abs((CASE WHEN f.pages IS NULL THEN f.height WHEN a.frame BETWEEN 0 AND 1000000 THEN CASE WHEN jsonb_typeof(f.pages -> CAST(a.frame AS integer) -> 'height') <> 'number' THEN NULL WHEN abs(CAST(f.pages -> CAST(a.frame AS integer) -> 'height' #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST(f.pages -> CAST(a.frame AS integer) -> 'height' #>> '{}' AS numeric)) > 1e15 THEN sign(CAST(f.pages -> CAST(a.frame AS integer) -> 'height' #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST(f.pages -> CAST(a.frame AS integer) -> 'height' #>> '{}' AS numeric) AS double precision) END END)) < 1e12 THEN CAST(round(CAST(trunc((CASE WHEN f.pages IS NULL THEN f.height WHEN a.frame BETWEEN 0 AND 1000000 THEN CASE WHEN jsonb_typeof(f.pages -> CAST(a.frame AS integer) -> 'height') <> 'number' THEN NULL WHEN abs(CAST(f.pages -> CAST(a.frame AS integer) -> 'height' #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST(f.pages -> CAST(a.frame AS integer) -> 'height' #>> '{}' AS numeric)) > 1e15 THEN sign(CAST(f.pages -> CAST(a.frame AS integer) -> 'height' #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST(f.pages -> CAST(a.frame AS integer) -> 'height' #>> '{}' AS numeric) AS double precision) END END) * 10 + CASE WHEN (CASE WHEN f.pages IS NULL THEN f.height WHEN a.frame BETWEEN 0 AND 1000000 THEN CASE WHEN jsonb_typeof(f.pages -> CAST(a.frame AS integer) -> 'height') <> 'number' THEN NULL WHEN abs(CAST(f.pages -> CAST(a.frame AS integer) -> 'height' #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST(f.pages -> CAST(a.frame AS integer) -> 'height' #>> '{}' AS numeric)) > 1e15 THEN sign(CAST(f.pages -> CAST(a.frame AS integer) -> 'height' #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST(f.pages -> CAST(a.frame AS integer) -> 'height' #>> '{}' AS numeric) AS double precision) END END) < 0 THEN -0.5 ELSE 0.5 END) AS numeric) / 10, 1) AS text) ELSE 'huge' END
        WHEN 'unknown_label' THEN substr(a.label, 1, 80)
        WHEN 'unknown_attribute' THEN substr((SELECT min(CASE
            WHEN NOT n.key = ANY (x.attributes) THEN n.key
            WHEN jsonb_typeof(n.value) = 'string' AND NOT (x.choices -> n.key) @> n.value
                THEN n.key || ' = ' || (n.value #>> '{}')
            WHEN jsonb_typeof(n.value) = 'array' AND (x.choices -> n.key) IS NOT NULL THEN (
                SELECT min((n.key || ' = ' || (e.value #>> '{}')) COLLATE "C")
                FROM jsonb_array_elements(CASE WHEN jsonb_typeof(n.value) = 'array' THEN n.value ELSE '[]' END) AS e
                WHERE jsonb_typeof(e.value) = 'string' AND NOT (x.choices -> n.key) @> e.value)
            END COLLATE "C")
        FROM jsonb_each(CASE WHEN jsonb_typeof(a.attributes) = 'object' THEN a.attributes ELSE '{}' END) AS n) COLLATE "default", 1, 80)
    END AS detail
FROM facts AS f
    LEFT JOIN offered AS x ON x.id = f.taxonomy
    CROSS JOIN drawn AS a
    CROSS JOIN (VALUES ('sliver'), ('tiny'), ('outside_picture'), ('unknown_label'), ('unknown_attribute')) AS r
    WHERE a.task_id = f.task_id
    AND ((a.geometry = 'box' AND a.width IS NOT NULL AND a.height IS NOT NULL AND a.text IS NULL AND a.width > 1e-30 AND a.height > 1e-30 AND (a.width >= 20 * a.height OR a.height >= 20 * a.width))
        OR (a.geometry = 'box' AND a.width IS NOT NULL AND a.height IS NOT NULL AND (a.width < 2 OR a.height < 2 OR a.width * a.height < 16))
        OR (a.geometry IN ('box', 'point') AND coalesce(a.rotation, 0) = 0 AND a."left" IS NOT NULL AND a.top IS NOT NULL AND (a."left" < -1 OR a.top < -1 OR (a."left" + CASE WHEN a.geometry = 'point' THEN 0 ELSE coalesce(a.width, 0) END) > CASE WHEN f.pages IS NULL THEN f.width WHEN a.frame BETWEEN 0 AND 1000000 THEN CASE WHEN jsonb_typeof(f.pages -> CAST(a.frame AS integer) -> 'width') <> 'number' THEN NULL WHEN abs(CAST(f.pages -> CAST(a.frame AS integer) -> 'width' #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST(f.pages -> CAST(a.frame AS integer) -> 'width' #>> '{}' AS numeric)) > 1e15 THEN sign(CAST(f.pages -> CAST(a.frame AS integer) -> 'width' #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST(f.pages -> CAST(a.frame AS integer) -> 'width' #>> '{}' AS numeric) AS double precision) END END + 1 OR (a.top + CASE WHEN a.geometry = 'point' THEN 0 ELSE coalesce(a.height, 0) END) > CASE WHEN f.pages IS NULL THEN f.height WHEN a.frame BETWEEN 0 AND 1000000 THEN CASE WHEN jsonb_typeof(f.pages -> CAST(a.frame AS integer) -> 'height') <> 'number' THEN NULL WHEN abs(CAST(f.pages -> CAST(a.frame AS integer) -> 'height' #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST(f.pages -> CAST(a.frame AS integer) -> 'height' #>> '{}' AS numeric)) > 1e15 THEN sign(CAST(f.pages -> CAST(a.frame AS integer) -> 'height' #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST(f.pages -> CAST(a.frame AS integer) -> 'height' #>> '{}' AS numeric) AS double precision) END END + 1) AND CASE WHEN f.pages IS NULL THEN f.width WHEN a.frame BETWEEN 0 AND 1000000 THEN CASE WHEN jsonb_typeof(f.pages -> CAST(a.frame AS integer) -> 'width') <> 'number' THEN NULL WHEN abs(CAST(f.pages -> CAST(a.frame AS integer) -> 'width' #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST(f.pages -> CAST(a.frame AS integer) -> 'width' #>> '{}' AS numeric)) > 1e15 THEN sign(CAST(f.pages -> CAST(a.frame AS integer) -> 'width' #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST(f.pages -> CAST(a.frame AS integer) -> 'width' #>> '{}' AS numeric) AS double precision) END END >= 1 AND CASE WHEN f.pages IS NULL THEN f.height WHEN a.frame BETWEEN 0 AND 1000000 THEN CASE WHEN jsonb_typeof(f.pages -> CAST(a.frame AS integer) -> 'height') <> 'number' THEN NULL WHEN abs(CAST(f.pages -> CAST(a.frame AS integer) -> 'height' #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST(f.pages -> CAST(a.frame AS integer) -> 'height' #>> '{}' AS numeric)) > 1e15 THEN sign(CAST(f.pages -> CAST(a.frame AS integer) -> 'height' #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST(f.pages -> CAST(a.frame AS integer) -> 'height' #>> '{}' AS numeric) AS double precision) END END >= 1)
        OR (a.label IS NOT NULL AND x.labels IS NOT NULL AND a.geometry IN ('box', 'polygon', 'line', 'point', 'ellipse', 'cuboid', 'segmentation', 'entity', 'category') AND NOT a.geometry || ':' || a.label = ANY (x.labels) AND NOT '*:' || a.label = ANY (x.labels) AND x.geometries && ARRAY[a.geometry, '*'])
        OR (a.attributes IS NOT NULL AND x.attributes IS NOT NULL AND (SELECT min(CASE
            WHEN NOT n.key = ANY (x.attributes) THEN n.key
            WHEN jsonb_typeof(n.value) = 'string' AND NOT (x.choices -> n.key) @> n.value
                THEN n.key || ' = ' || (n.value #>> '{}')
            WHEN jsonb_typeof(n.value) = 'array' AND (x.choices -> n.key) IS NOT NULL THEN (
                SELECT min((n.key || ' = ' || (e.value #>> '{}')) COLLATE "C")
                FROM jsonb_array_elements(CASE WHEN jsonb_typeof(n.value) = 'array' THEN n.value ELSE '[]' END) AS e
                WHERE jsonb_typeof(e.value) = 'string' AND NOT (x.choices -> n.key) @> e.value)
            END COLLATE "C")
        FROM jsonb_each(CASE WHEN jsonb_typeof(a.attributes) = 'object' THEN a.attributes ELSE '{}' END) AS n) COLLATE "default" IS NOT NULL))
    AND CASE r.column1
        WHEN 'sliver' THEN a.geometry = 'box' AND a.width IS NOT NULL AND a.height IS NOT NULL AND a.text IS NULL AND a.width > 1e-30 AND a.height > 1e-30 AND (a.width >= 20 * a.height OR a.height >= 20 * a.width)
        WHEN 'tiny' THEN a.geometry = 'box' AND a.width IS NOT NULL AND a.height IS NOT NULL AND (a.width < 2 OR a.height < 2 OR a.width * a.height < 16)
        WHEN 'outside_picture' THEN a.geometry IN ('box', 'point') AND coalesce(a.rotation, 0) = 0 AND a."left" IS NOT NULL AND a.top IS NOT NULL AND (a."left" < -1 OR a.top < -1 OR (a."left" + CASE WHEN a.geometry = 'point' THEN 0 ELSE coalesce(a.width, 0) END) > CASE WHEN f.pages IS NULL THEN f.width WHEN a.frame BETWEEN 0 AND 1000000 THEN CASE WHEN jsonb_typeof(f.pages -> CAST(a.frame AS integer) -> 'width') <> 'number' THEN NULL WHEN abs(CAST(f.pages -> CAST(a.frame AS integer) -> 'width' #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST(f.pages -> CAST(a.frame AS integer) -> 'width' #>> '{}' AS numeric)) > 1e15 THEN sign(CAST(f.pages -> CAST(a.frame AS integer) -> 'width' #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST(f.pages -> CAST(a.frame AS integer) -> 'width' #>> '{}' AS numeric) AS double precision) END END + 1 OR (a.top + CASE WHEN a.geometry = 'point' THEN 0 ELSE coalesce(a.height, 0) END) > CASE WHEN f.pages IS NULL THEN f.height WHEN a.frame BETWEEN 0 AND 1000000 THEN CASE WHEN jsonb_typeof(f.pages -> CAST(a.frame AS integer) -> 'height') <> 'number' THEN NULL WHEN abs(CAST(f.pages -> CAST(a.frame AS integer) -> 'height' #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST(f.pages -> CAST(a.frame AS integer) -> 'height' #>> '{}' AS numeric)) > 1e15 THEN sign(CAST(f.pages -> CAST(a.frame AS integer) -> 'height' #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST(f.pages -> CAST(a.frame AS integer) -> 'height' #>> '{}' AS numeric) AS double precision) END END + 1) AND CASE WHEN f.pages IS NULL THEN f.width WHEN a.frame BETWEEN 0 AND 1000000 THEN CASE WHEN jsonb_typeof(f.pages -> CAST(a.frame AS integer) -> 'width') <> 'number' THEN NULL WHEN abs(CAST(f.pages -> CAST(a.frame AS integer) -> 'width' #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST(f.pages -> CAST(a.frame AS integer) -> 'width' #>> '{}' AS numeric)) > 1e15 THEN sign(CAST(f.pages -> CAST(a.frame AS integer) -> 'width' #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST(f.pages -> CAST(a.frame AS integer) -> 'width' #>> '{}' AS numeric) AS double precision) END END >= 1 AND CASE WHEN f.pages IS NULL THEN f.height WHEN a.frame BETWEEN 0 AND 1000000 THEN CASE WHEN jsonb_typeof(f.pages -> CAST(a.frame AS integer) -> 'height') <> 'number' THEN NULL WHEN abs(CAST(f.pages -> CAST(a.frame AS integer) -> 'height' #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST(f.pages -> CAST(a.frame AS integer) -> 'height' #>> '{}' AS numeric)) > 1e15 THEN sign(CAST(f.pages -> CAST(a.frame AS integer) -> 'height' #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST(f.pages -> CAST(a.frame AS integer) -> 'height' #>> '{}' AS numeric) AS double precision) END END >= 1
        WHEN 'unknown_label' THEN a.label IS NOT NULL AND x.labels IS NOT NULL AND a.geometry IN ('box', 'polygon', 'line', 'point', 'ellipse', 'cuboid', 'segmentation', 'entity', 'category') AND NOT a.geometry || ':' || a.label = ANY (x.labels) AND NOT '*:' || a.label = ANY (x.labels) AND x.geometries && ARRAY[a.geometry, '*']
        WHEN 'unknown_attribute' THEN a.attributes IS NOT NULL AND x.attributes IS NOT NULL AND (SELECT min(CASE
            WHEN NOT n.key = ANY (x.attributes) THEN n.key
            WHEN jsonb_typeof(n.value) = 'string' AND NOT (x.choices -> n.key) @> n.value
                THEN n.key || ' = ' || (n.value #>> '{}')
            WHEN jsonb_typeof(n.value) = 'array' AND (x.choices -> n.key) IS NOT NULL THEN (
                SELECT min((n.key || ' = ' || (e.value #>> '{}')) COLLATE "C")
                FROM jsonb_array_elements(CASE WHEN jsonb_typeof(n.value) = 'array' THEN n.value ELSE '[]' END) AS e
                WHERE jsonb_typeof(e.value) = 'string' AND NOT (x.choices -> n.key) @> e.value)
            END COLLATE "C")
        FROM jsonb_each(CASE WHEN jsonb_typeof(a.attributes) = 'object' THEN a.attributes ELSE '{}' END) AS n) COLLATE "default" IS NOT NULL
    END
UNION ALL
SELECT r.column1 AS rule, o.task_id, o.ordinal AS ordinal, CASE r.column1
        WHEN 'sliver' THEN CASE WHEN abs(o.width) < 1e12 THEN CAST(round(CAST(trunc(o.width * 10 + CASE WHEN o.width < 0 THEN -0.5 ELSE 0.5 END) AS numeric) / 10, 1) AS text) ELSE 'huge' END || ' x ' || CASE WHEN abs(o.height) < 1e12 THEN CAST(round(CAST(trunc(o.height * 10 + CASE WHEN o.height < 0 THEN -0.5 ELSE 0.5 END) AS numeric) / 10, 1) AS text) ELSE 'huge' END
        WHEN 'tiny' THEN CASE WHEN abs(o.width) < 1e12 THEN CAST(round(CAST(trunc(o.width * 10 + CASE WHEN o.width < 0 THEN -0.5 ELSE 0.5 END) AS numeric) / 10, 1) AS text) ELSE 'huge' END || ' x ' || CASE WHEN abs(o.height) < 1e12 THEN CAST(round(CAST(trunc(o.height * 10 + CASE WHEN o.height < 0 THEN -0.5 ELSE 0.5 END) AS numeric) / 10, 1) AS text) ELSE 'huge' END
        WHEN 'outside_picture' THEN CASE WHEN abs(o."left") < 1e12 THEN CAST(round(CAST(trunc(o."left" * 10 + CASE WHEN o."left" < 0 THEN -0.5 ELSE 0.5 END) AS numeric) / 10, 1) AS text) ELSE 'huge' END || ', ' || CASE WHEN abs(o.top) < 1e12 THEN CAST(round(CAST(trunc(o.top * 10 + CASE WHEN o.top < 0 THEN -0.5 ELSE 0.5 END) AS numeric) / 10, 1) AS text) ELSE 'huge' END || ' to ' || CASE WHEN abs((o."left" + CASE WHEN o.geometry = 'point' THEN 0 ELSE coalesce(o.width, 0) END)) < 1e12 THEN CAST(round(CAST(trunc((o."left" + CASE WHEN o.geometry = 'point' THEN 0 ELSE coalesce(o.width, 0) END) * 10 + CASE WHEN (o."left" + CASE WHEN o.geometry = 'point' THEN 0 ELSE coalesce(o.width, 0) END) < 0 THEN -0.5 ELSE 0.5 END) AS numeric) / 10, 1) AS text) ELSE 'huge' END || ', ' || CASE WHEN abs((o.top + CASE WHEN o.geometry = 'point' THEN 0 ELSE coalesce(o.height, 0) END)) < 1e12 THEN CAST(round(CAST(trunc((o.top + CASE WHEN o.geometry = 'point' THEN 0 ELSE coalesce(o.height, 0) END) * 10 + CASE WHEN (o.top + CASE WHEN o.geometry = 'point' THEN 0 ELSE coalesce(o.height, 0) END) < 0 THEN -0.5 ELSE 0.5 END) AS numeric) / 10, 1) AS text) ELSE 'huge' END || ' of ' || CASE WHEN abs((CASE WHEN f.pages IS NULL THEN f.width WHEN o.frame BETWEEN 0 AND 1000000 THEN CASE WHEN jsonb_typeof(f.pages -> CAST(o.frame AS integer) -> 'width') <> 'number' THEN NULL WHEN abs(CAST(f.pages -> CAST(o.frame AS integer) -> 'width' #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST(f.pages -> CAST(o.frame AS integer) -> 'width' #>> '{}' AS numeric)) > 1e15 THEN sign(CAST(f.pages -> CAST(o.frame AS integer) -> 'width' #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST(f.pages -> CAST(o.frame AS integer) -> 'width' #>> '{}' AS numeric) AS double precision) END END)) < 1e12 THEN CAST(round(CAST(trunc((CASE WHEN f.pages IS NULL THEN f.width WHEN o.frame BETWEEN 0 AND 1000000 THEN CASE WHEN jsonb_typeof(f.pages -> CAST(o.frame AS integer) -> 'width') <> 'number' THEN NULL WHEN abs(CAST(f.pages -> CAST(o.frame AS integer) -> 'width' #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST(f.pages -> CAST(o.frame AS integer) -> 'width' #>> '{}' AS numeric)) > 1e15 THEN sign(CAST(f.pages -> CAST(o.frame AS integer) -> 'width' #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST(f.pages -> CAST(o.frame AS integer) -> 'width' #>> '{}' AS numeric) AS double precision) END END) * 10 + CASE WHEN (CASE WHEN f.pages IS NULL THEN f.width WHEN o.frame BETWEEN 0 AND 1000000 THEN CASE WHEN jsonb_typeof(f.pages -> CAST(o.frame AS integer) -> 'width') <> 'number' THEN NULL WHEN abs(CAST(f.pages -> CAST(o.frame AS integer) -> 'width' #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST(f.pages -> CAST(o.frame AS integer) -> 'width' #>> '{}' AS numeric)) > 1e15 THEN sign(CAST(f.pages -> CAST(o.frame AS integer) -> 'width' #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST(f.pages -> CAST(o.frame AS integer) -> 'width' #>> '{}' AS numeric) AS double precision) END END) < 0 THEN -0.5 ELSE 0.5 END) AS numeric) / 10, 1) AS text) ELSE 'huge' END || ' x ' || CASE WHEN abs((CASE WHEN f.pages IS NULL THEN f.height WHEN o.frame BETWEEN 0 AND 1000000 THEN CASE WHEN jsonb_typeof(f.pages -> CAST(o.frame AS integer) -> 'height') <> 'number' THEN NULL WHEN abs(CAST(f.pages -> CAST(o.frame AS integer) -> 'height' #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST(f.pages -> CAST(o.frame AS integer) -> 'height' #>> '{}' AS numeric)) > 1e15 THEN sign(CAST(f.pages -> CAST(o.frame AS integer) -> 'height' #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST(f.pages -> CAST(o.frame AS integer) -> 'height' #>> '{}' AS numeric) AS double precision) END END)) < 1e12 THEN CAST(round(CAST(trunc((CASE WHEN f.pages IS NULL THEN f.height WHEN o.frame BETWEEN 0 AND 1000000 THEN CASE WHEN jsonb_typeof(f.pages -> CAST(o.frame AS integer) -> 'height') <> 'number' THEN NULL WHEN abs(CAST(f.pages -> CAST(o.frame AS integer) -> 'height' #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST(f.pages -> CAST(o.frame AS integer) -> 'height' #>> '{}' AS numeric)) > 1e15 THEN sign(CAST(f.pages -> CAST(o.frame AS integer) -> 'height' #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST(f.pages -> CAST(o.frame AS integer) -> 'height' #>> '{}' AS numeric) AS double precision) END END) * 10 + CASE WHEN (CASE WHEN f.pages IS NULL THEN f.height WHEN o.frame BETWEEN 0 AND 1000000 THEN CASE WHEN jsonb_typeof(f.pages -> CAST(o.frame AS integer) -> 'height') <> 'number' THEN NULL WHEN abs(CAST(f.pages -> CAST(o.frame AS integer) -> 'height' #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST(f.pages -> CAST(o.frame AS integer) -> 'height' #>> '{}' AS numeric)) > 1e15 THEN sign(CAST(f.pages -> CAST(o.frame AS integer) -> 'height' #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST(f.pages -> CAST(o.frame AS integer) -> 'height' #>> '{}' AS numeric) AS double precision) END END) < 0 THEN -0.5 ELSE 0.5 END) AS numeric) / 10, 1) AS text) ELSE 'huge' END
        WHEN 'degenerate_polygon' THEN CASE WHEN o.points < 3 THEN CAST(o.points AS text) || ' points' WHEN o.area <= 0.000000001 * (o.width * o.width + o.height * o.height) THEN CAST(o.points AS text) || ' points without an area' ELSE 'it crosses itself' END
        WHEN 'duplicate_vertex' THEN CAST(o.repeated AS text) || ' of ' || CAST(o.points AS text) || ' points'
    END AS detail
FROM outlines AS o
    CROSS JOIN facts AS f
    CROSS JOIN (VALUES ('sliver'), ('tiny'), ('outside_picture'), ('degenerate_polygon'), ('duplicate_vertex')) AS r
    WHERE f.task_id = o.task_id AND o.points = o.elements
    AND ((o.geometry = 'polygon' AND o.area > 0.000000001 * (o.width * o.width + o.height * o.height) AND 20.05 * o.area <= o.width * o.width + o.height * o.height)
        OR (o.geometry = 'polygon' AND o.area > 0.000000001 * (o.width * o.width + o.height * o.height) AND (o.width < 2 OR o.height < 2 OR o.area < 16))
        OR (o.points > 0 AND (o."left" < -1 OR o.top < -1 OR o."left" + o.width > CASE WHEN f.pages IS NULL THEN f.width WHEN o.frame BETWEEN 0 AND 1000000 THEN CASE WHEN jsonb_typeof(f.pages -> CAST(o.frame AS integer) -> 'width') <> 'number' THEN NULL WHEN abs(CAST(f.pages -> CAST(o.frame AS integer) -> 'width' #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST(f.pages -> CAST(o.frame AS integer) -> 'width' #>> '{}' AS numeric)) > 1e15 THEN sign(CAST(f.pages -> CAST(o.frame AS integer) -> 'width' #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST(f.pages -> CAST(o.frame AS integer) -> 'width' #>> '{}' AS numeric) AS double precision) END END + 1 OR o.top + o.height > CASE WHEN f.pages IS NULL THEN f.height WHEN o.frame BETWEEN 0 AND 1000000 THEN CASE WHEN jsonb_typeof(f.pages -> CAST(o.frame AS integer) -> 'height') <> 'number' THEN NULL WHEN abs(CAST(f.pages -> CAST(o.frame AS integer) -> 'height' #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST(f.pages -> CAST(o.frame AS integer) -> 'height' #>> '{}' AS numeric)) > 1e15 THEN sign(CAST(f.pages -> CAST(o.frame AS integer) -> 'height' #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST(f.pages -> CAST(o.frame AS integer) -> 'height' #>> '{}' AS numeric) AS double precision) END END + 1) AND CASE WHEN f.pages IS NULL THEN f.width WHEN o.frame BETWEEN 0 AND 1000000 THEN CASE WHEN jsonb_typeof(f.pages -> CAST(o.frame AS integer) -> 'width') <> 'number' THEN NULL WHEN abs(CAST(f.pages -> CAST(o.frame AS integer) -> 'width' #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST(f.pages -> CAST(o.frame AS integer) -> 'width' #>> '{}' AS numeric)) > 1e15 THEN sign(CAST(f.pages -> CAST(o.frame AS integer) -> 'width' #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST(f.pages -> CAST(o.frame AS integer) -> 'width' #>> '{}' AS numeric) AS double precision) END END >= 1 AND CASE WHEN f.pages IS NULL THEN f.height WHEN o.frame BETWEEN 0 AND 1000000 THEN CASE WHEN jsonb_typeof(f.pages -> CAST(o.frame AS integer) -> 'height') <> 'number' THEN NULL WHEN abs(CAST(f.pages -> CAST(o.frame AS integer) -> 'height' #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST(f.pages -> CAST(o.frame AS integer) -> 'height' #>> '{}' AS numeric)) > 1e15 THEN sign(CAST(f.pages -> CAST(o.frame AS integer) -> 'height' #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST(f.pages -> CAST(o.frame AS integer) -> 'height' #>> '{}' AS numeric) AS double precision) END END >= 1)
        OR (o.geometry = 'polygon' AND (o.points < 3 OR o.area <= 0.000000001 * (o.width * o.width + o.height * o.height) OR (o.points = 4 AND CASE WHEN ((o.x_1 - o.x_0) * (o.y_2 - o.y_1) - (o.y_1 - o.y_0) * (o.x_2 - o.x_1)) < 0 THEN 1 ELSE 0 END + CASE WHEN ((o.x_2 - o.x_1) * (o.y_3 - o.y_2) - (o.y_2 - o.y_1) * (o.x_3 - o.x_2)) < 0 THEN 1 ELSE 0 END + CASE WHEN ((o.x_3 - o.x_2) * (o.y_0 - o.y_3) - (o.y_3 - o.y_2) * (o.x_0 - o.x_3)) < 0 THEN 1 ELSE 0 END + CASE WHEN ((o.x_0 - o.x_3) * (o.y_1 - o.y_0) - (o.y_0 - o.y_3) * (o.x_1 - o.x_0)) < 0 THEN 1 ELSE 0 END = 2 AND CASE WHEN ((o.x_1 - o.x_0) * (o.y_2 - o.y_1) - (o.y_1 - o.y_0) * (o.x_2 - o.x_1)) > 0 THEN 1 ELSE 0 END + CASE WHEN ((o.x_2 - o.x_1) * (o.y_3 - o.y_2) - (o.y_2 - o.y_1) * (o.x_3 - o.x_2)) > 0 THEN 1 ELSE 0 END + CASE WHEN ((o.x_3 - o.x_2) * (o.y_0 - o.y_3) - (o.y_3 - o.y_2) * (o.x_0 - o.x_3)) > 0 THEN 1 ELSE 0 END + CASE WHEN ((o.x_0 - o.x_3) * (o.y_1 - o.y_0) - (o.y_0 - o.y_3) * (o.x_1 - o.x_0)) > 0 THEN 1 ELSE 0 END = 2)))
        OR (o.geometry IN ('polygon', 'line') AND o.repeated > 0))
    AND CASE r.column1
        WHEN 'sliver' THEN o.geometry = 'polygon' AND o.area > 0.000000001 * (o.width * o.width + o.height * o.height) AND 20.05 * o.area <= o.width * o.width + o.height * o.height
        WHEN 'tiny' THEN o.geometry = 'polygon' AND o.area > 0.000000001 * (o.width * o.width + o.height * o.height) AND (o.width < 2 OR o.height < 2 OR o.area < 16)
        WHEN 'outside_picture' THEN o.points > 0 AND (o."left" < -1 OR o.top < -1 OR o."left" + o.width > CASE WHEN f.pages IS NULL THEN f.width WHEN o.frame BETWEEN 0 AND 1000000 THEN CASE WHEN jsonb_typeof(f.pages -> CAST(o.frame AS integer) -> 'width') <> 'number' THEN NULL WHEN abs(CAST(f.pages -> CAST(o.frame AS integer) -> 'width' #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST(f.pages -> CAST(o.frame AS integer) -> 'width' #>> '{}' AS numeric)) > 1e15 THEN sign(CAST(f.pages -> CAST(o.frame AS integer) -> 'width' #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST(f.pages -> CAST(o.frame AS integer) -> 'width' #>> '{}' AS numeric) AS double precision) END END + 1 OR o.top + o.height > CASE WHEN f.pages IS NULL THEN f.height WHEN o.frame BETWEEN 0 AND 1000000 THEN CASE WHEN jsonb_typeof(f.pages -> CAST(o.frame AS integer) -> 'height') <> 'number' THEN NULL WHEN abs(CAST(f.pages -> CAST(o.frame AS integer) -> 'height' #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST(f.pages -> CAST(o.frame AS integer) -> 'height' #>> '{}' AS numeric)) > 1e15 THEN sign(CAST(f.pages -> CAST(o.frame AS integer) -> 'height' #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST(f.pages -> CAST(o.frame AS integer) -> 'height' #>> '{}' AS numeric) AS double precision) END END + 1) AND CASE WHEN f.pages IS NULL THEN f.width WHEN o.frame BETWEEN 0 AND 1000000 THEN CASE WHEN jsonb_typeof(f.pages -> CAST(o.frame AS integer) -> 'width') <> 'number' THEN NULL WHEN abs(CAST(f.pages -> CAST(o.frame AS integer) -> 'width' #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST(f.pages -> CAST(o.frame AS integer) -> 'width' #>> '{}' AS numeric)) > 1e15 THEN sign(CAST(f.pages -> CAST(o.frame AS integer) -> 'width' #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST(f.pages -> CAST(o.frame AS integer) -> 'width' #>> '{}' AS numeric) AS double precision) END END >= 1 AND CASE WHEN f.pages IS NULL THEN f.height WHEN o.frame BETWEEN 0 AND 1000000 THEN CASE WHEN jsonb_typeof(f.pages -> CAST(o.frame AS integer) -> 'height') <> 'number' THEN NULL WHEN abs(CAST(f.pages -> CAST(o.frame AS integer) -> 'height' #>> '{}' AS numeric)) < 1e-30 THEN 0 WHEN abs(CAST(f.pages -> CAST(o.frame AS integer) -> 'height' #>> '{}' AS numeric)) > 1e15 THEN sign(CAST(f.pages -> CAST(o.frame AS integer) -> 'height' #>> '{}' AS numeric)) * 1e15 ELSE CAST(CAST(f.pages -> CAST(o.frame AS integer) -> 'height' #>> '{}' AS numeric) AS double precision) END END >= 1
        WHEN 'degenerate_polygon' THEN o.geometry = 'polygon' AND (o.points < 3 OR o.area <= 0.000000001 * (o.width * o.width + o.height * o.height) OR (o.points = 4 AND CASE WHEN ((o.x_1 - o.x_0) * (o.y_2 - o.y_1) - (o.y_1 - o.y_0) * (o.x_2 - o.x_1)) < 0 THEN 1 ELSE 0 END + CASE WHEN ((o.x_2 - o.x_1) * (o.y_3 - o.y_2) - (o.y_2 - o.y_1) * (o.x_3 - o.x_2)) < 0 THEN 1 ELSE 0 END + CASE WHEN ((o.x_3 - o.x_2) * (o.y_0 - o.y_3) - (o.y_3 - o.y_2) * (o.x_0 - o.x_3)) < 0 THEN 1 ELSE 0 END + CASE WHEN ((o.x_0 - o.x_3) * (o.y_1 - o.y_0) - (o.y_0 - o.y_3) * (o.x_1 - o.x_0)) < 0 THEN 1 ELSE 0 END = 2 AND CASE WHEN ((o.x_1 - o.x_0) * (o.y_2 - o.y_1) - (o.y_1 - o.y_0) * (o.x_2 - o.x_1)) > 0 THEN 1 ELSE 0 END + CASE WHEN ((o.x_2 - o.x_1) * (o.y_3 - o.y_2) - (o.y_2 - o.y_1) * (o.x_3 - o.x_2)) > 0 THEN 1 ELSE 0 END + CASE WHEN ((o.x_3 - o.x_2) * (o.y_0 - o.y_3) - (o.y_3 - o.y_2) * (o.x_0 - o.x_3)) > 0 THEN 1 ELSE 0 END + CASE WHEN ((o.x_0 - o.x_3) * (o.y_1 - o.y_0) - (o.y_0 - o.y_3) * (o.x_1 - o.x_0)) > 0 THEN 1 ELSE 0 END = 2))
        WHEN 'duplicate_vertex' THEN o.geometry IN ('polygon', 'line') AND o.repeated > 0
    END
UNION ALL
SELECT 'overlap' AS rule, p.task_id, p.ordinal AS ordinal, 'IoU ' || CAST(round(CAST(trunc(p.iou * 100 + 0.000001) AS numeric) / 100, 2) AS text) || ' with annotation ' || CAST(p.other AS text) AS detail
FROM pairs AS p
    CROSS JOIN live AS t
    WHERE t.task_id = p.task_id
    AND (1 = 1)
UNION ALL
SELECT 'crossed_cuboid' AS rule, c.task_id, c.ordinal AS ordinal, CASE WHEN (((c.x_top_right - c.x_top_left) * (c.y_bottom_right - c.y_top_right) - (c.y_top_right - c.y_top_left) * (c.x_bottom_right - c.x_top_right)) < 0 OR ((c.x_bottom_right - c.x_top_right) * (c.y_bottom_left - c.y_bottom_right) - (c.y_bottom_right - c.y_top_right) * (c.x_bottom_left - c.x_bottom_right)) < 0 OR ((c.x_bottom_left - c.x_bottom_right) * (c.y_top_left - c.y_bottom_left) - (c.y_bottom_left - c.y_bottom_right) * (c.x_top_left - c.x_bottom_left)) < 0 OR ((c.x_top_left - c.x_bottom_left) * (c.y_top_right - c.y_top_left) - (c.y_top_left - c.y_bottom_left) * (c.x_top_right - c.x_top_left)) < 0) THEN 'face' ELSE 'side' END AS detail
FROM cuboids AS c
    CROSS JOIN live AS t
    WHERE t.task_id = c.task_id
    AND (((((c.x_top_right - c.x_top_left) * (c.y_bottom_right - c.y_top_right) - (c.y_top_right - c.y_top_left) * (c.x_bottom_right - c.x_top_right)) < 0 OR ((c.x_bottom_right - c.x_top_right) * (c.y_bottom_left - c.y_bottom_right) - (c.y_bottom_right - c.y_top_right) * (c.x_bottom_left - c.x_bottom_right)) < 0 OR ((c.x_bottom_left - c.x_bottom_right) * (c.y_top_left - c.y_bottom_left) - (c.y_bottom_left - c.y_bottom_right) * (c.x_top_left - c.x_bottom_left)) < 0 OR ((c.x_top_left - c.x_bottom_left) * (c.y_top_right - c.y_top_left) - (c.y_top_left - c.y_bottom_left) * (c.x_top_right - c.x_top_left)) < 0) OR (c.x_side_bottom - c.x_side_top) * (c.x_bottom_left - c.x_top_left) + (c.y_side_bottom - c.y_side_top) * (c.y_bottom_left - c.y_top_left) < 0))
UNION ALL
SELECT 'misplaced_text' AS rule, e.task_id, e.ordinal AS ordinal, CAST(e.text_start AS text) || ' to ' || CAST(e.text_end AS text) || ' is not ' || substr(e.text, 1, 40) AS detail
FROM texts AS w
    CROSS JOIN annotations AS e
    WHERE e.task_id = w.task_id AND e.geometry = 'entity'
        AND e.text IS NOT NULL AND e.text_start IS NOT NULL AND e.text_end IS NOT NULL
    AND (NOT (e.text_start >= 0 AND (substr(w.text, CAST(least(e.text_start, 1000000000) AS integer) + 1, length(e.text)) = e.text AND CAST(e.text_end AS numeric) - e.text_start IN (length(e.text), length(e.text) - 1)
            OR w.units IS NOT NULL AND substr(w.units, CAST(least(e.text_start, 1000000000) AS integer) + 1, length(regexp_replace(e.text, '[\U00010000-\U0010FFFF]', '\&x', 'g'))) = regexp_replace(e.text, '[\U00010000-\U0010FFFF]', '\&x', 'g') AND CAST(e.text_end AS numeric) - e.text_start IN (length(regexp_replace(e.text, '[\U00010000-\U0010FFFF]', '\&x', 'g')), length(regexp_replace(e.text, '[\U00010000-\U0010FFFF]', '\&x', 'g')) - 1))))
UNION ALL
SELECT 'completed_empty' AS rule, t.task_id, CAST(NULL AS bigint) AS ordinal, 'completed without an annotation' AS detail
FROM live AS t
    WHERE t.status = 'completed'
        AND NOT EXISTS (SELECT 1 FROM annotations AS a WHERE a.task_id = t.task_id)
        AND NOT EXISTS (SELECT 1 FROM task_files AS l JOIN result_files AS r ON r.url = l.url
            WHERE l.task_id = t.task_id AND r.read_at IS NULL)
        AND NOT EXISTS (SELECT 1 FROM unread_responses AS u WHERE u.task_id = t.task_id)
    AND (1 = 1)"""
