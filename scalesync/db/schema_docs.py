"""Write the documentation's lists of tables and views from the schema's own comments.

`python -m scalesync.db.schema_docs` rewrites `tables.md` and `views.md` below the line MADE in each.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from sqlalchemy import Column, Table

import scalesync
from scalesync.db.export.rows import kind_of
from scalesync.db.schema.partial_indexes import metadata
from scalesync.db.schema.views import VIEWS

PAGES = ("tables", "views")
FOLDER = Path(scalesync.__file__).parent / "docs"
MADE = "<!-- From here on made from the schema by `python -m scalesync.db.schema_docs`: edit it there. -->\n"


def page(name: str) -> str:
    """Return the text of one of PAGES: the file's head, and the list from the present schema."""
    head, _, _ = (FOLDER / f"{name}.md").read_text(encoding="utf-8").partition(MADE)
    return head + MADE + "".join(map(section, documented(name)))


def documented(name: str) -> Iterator[Table]:
    """Yield the views, or the tables by name; internal tables, which have no meaning text, are left out."""
    by_name = sorted(metadata.tables.values(), key=lambda table: str(table.name))
    tables: Iterable[Table] = VIEWS.values() if name == "views" else by_name
    return (table for table in tables if meaning(table))


def meaning(of: Table | Column[object]) -> str | None:
    """Return the line that describes a table, view or column, or None."""
    # Tables use `doc` instead of `comment`, which Alembic would want to migrate on Postgres.
    return of.comment or (of.info.get("doc") if isinstance(of, Table) else of.doc)


def section(table: Table) -> str:
    """Return the Markdown of one table or view: heading, meaning of a row, and a line for each column."""
    rows = [(f"`{column.name}`", str(kind_of(column)), meaning(column) or "") for column in table.columns]
    first = max(len(name) for name, _, _ in rows)
    lines = [f"| {name:<{first}} | {kind:<7} | {what} |" for name, kind, what in rows]
    head = [f"| {'column':<{first}} | type    | meaning |", f"| {'-' * first} | {'-' * 7} | ------- |"]
    what = meaning(table) or ""
    return "\n".join(["", f"## {table.name}", "", f"{what[:1].upper()}{what[1:]}.", "", *head, *lines, ""])


if __name__ == "__main__":
    for each in PAGES:
        made = page(each)
        (FOLDER / f"{each}.md").write_text(made, encoding="utf-8")
