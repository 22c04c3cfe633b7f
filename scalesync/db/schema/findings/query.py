"""Put the rules together: the SQL of the view `annotation_findings`, and of a search for some rules."""

# ruff: noqa: S608 - every text that goes into this SQL is in this folder

from collections.abc import Collection, Mapping

from scalesync.db.schema.findings import postgres, sqlite
from scalesync.db.schema.findings.dialect import Dialect
from scalesync.db.schema.findings.rules import RULES, Source
from scalesync.models.findings import DEFAULT_IOU, FindingRule

_LIVE = """NOT MATERIALIZED (
    SELECT t.task_id, t.project, t.type, t.status, t.params, t.metadata, t.extra
    FROM tasks AS t
    WHERE t.missing_since IS NULL
)"""
"""The tasks that the view is about; a search has others under the same name."""
_CHOSEN = {
    dialect: f"""MATERIALIZED (
    SELECT t.task_id, t.project, t.type, t.status, t.params, t.metadata, t.extra
    FROM tasks AS t
    WHERE {condition}
)"""
    for dialect, condition in {
        "sqlite": "t.task_id IN (SELECT value FROM json_each(:keys))",
        "postgresql": "t.task_id = ANY (:keys)",
    }.items()
}


_DIALECTS = {"sqlite": sqlite.DIALECT, "postgresql": postgres.DIALECT}


def view(dialect: str) -> str:
    """Return the query of the view in the SQL of a dialect of SQLAlchemy."""
    say = _DIALECTS[dialect]
    parts = _parts(say, tuple(FindingRule))
    tables = {"live": _LIVE, **_tables(say, parts)}
    if dialect == "postgresql":
        return _filled(say, tables, "\nUNION ALL".join(parts.values()), str(DEFAULT_IOU), "")
    # DuckDB would spell a UNION so that SQLite does not take it. Here each part has a number of its own, by
    # which it is joined to its row of `lists`.
    numbered = {
        f"part_{source}": f"MATERIALIZED ({query.replace('SELECT ', f'SELECT {number} AS part, ', 1)}\n)"
        for number, (source, query) in enumerate(parts.items(), 1)
    }
    lists = {"lists(part)": f"(VALUES {', '.join(f'({number})' for number in range(1, len(parts) + 1))})"}
    return _filled(say, {**tables, **numbered, **lists}, _joined(list(numbered)), str(DEFAULT_IOU), "")


def search(dialect: str, rules: Collection[FindingRule]) -> str:
    """Return a query for the findings of some rules, at least one, in the tasks of the parameter `keys`.

    Its parameter `iou` is the least overlap, its columns are those of the view, and its rows in no order.
    """
    say = _DIALECTS[dialect]
    parts = _parts(say, rules)
    chosen = "\n        AND a.task_id IN (SELECT task_id FROM live)"
    tables = {"live": _CHOSEN[dialect], **_tables(say, parts)}
    return _filled(say, tables, "\nUNION ALL".join(parts.values()), ":iou", chosen)


def _parts(say: Dialect, rules: Collection[FindingRule]) -> dict[Source, str]:
    """Return a query for each source that the rules need."""
    parts = {}
    for source in Source:
        cases = {
            rule.name: (case.when(say), case.detail(say))
            for rule in RULES
            for case in rule.cases
            if rule.name in rules and case.source is source
        }
        if cases:
            parts[source] = _part(say, source, cases)
    return parts


def _part(say: Dialect, source: Source, cases: Mapping[FindingRule, tuple[str, str]]) -> str:
    ordinal = say.no_ordinal if source is Source.EMPTY else f"{source}.ordinal"
    if len(cases) == 1:
        ((name, (when, detail)),) = cases.items()
        chosen = f"'{name}' AS rule, {source}.task_id, {ordinal} AS ordinal, {detail} AS detail"
        return f"\nSELECT {chosen}\nFROM {say.rows[source].replace('{rules}', '')}\n    AND ({when})"
    # Only rows that some rule finds are met by all of the rules.
    listed = ", ".join(f"('{name}')" for name in cases)
    any_of = "\n        OR ".join(f"({when})" for when, _ in cases.values())
    each = "\n        ".join(f"WHEN '{name}' THEN {when}" for name, (when, _) in cases.items())
    details = "\n        ".join(f"WHEN '{name}' THEN {detail}" for name, (_, detail) in cases.items())
    rows = say.rows[source].replace("{rules}", f"CROSS JOIN (VALUES {listed}) AS r\n    ")
    return f"""
SELECT r.column1 AS rule, {source}.task_id, {ordinal} AS ordinal, CASE r.column1
        {details}
    END AS detail
FROM {rows}
    AND ({any_of})
    AND CASE r.column1
        {each}
    END"""


def _tables(say: Dialect, parts: Collection[Source]) -> dict[str, str]:
    """Return the common table expressions that the sources need, by name, in their order."""
    return {name: query for source in parts for name, query in say.sources[source]}


def _joined(names: list[str]) -> str:
    def first_of(column: str) -> str:
        return f"coalesce({', '.join(f'{name}.{column}' for name in names)})"

    joins = "\n".join(f"LEFT JOIN {name} ON {name}.part = l.part" for name in names)
    columns = ", ".join(f"{first_of(name)} AS {name}" for name in ("task_id", "ordinal", "detail"))
    # DuckDB does not have `likely`, which changes nothing here, and so it has SQLite run the view.
    return f"""
SELECT likely({first_of("rule")}) AS rule, {columns}
FROM lists AS l
{joins}
WHERE {first_of("rule")} IS NOT NULL"""


def _filled(say: Dialect, tables: Mapping[str, str], query: str, iou: str, chosen: str) -> str:
    """Return a query with its common table expressions before it."""
    listed = ", ".join(f"{name} AS {text}" for name, text in tables.items())
    return f"\n{say.begin} {listed}{query}".replace("{iou}", iou).replace("{chosen}", chosen)
