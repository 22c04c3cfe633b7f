"""Write the documentation's lists of tables and views from what the schema says of them.

`python -m scalesync.db.schema_docs` writes `tables.md` and `views.md` again, below the line that they mark.
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
    """Return the page of PAGES with its list as the schema has it now, and its head as the file has it."""
    head, _, _ = (FOLDER / f"{name}.md").read_text(encoding="utf-8").partition(MADE)
    return head + MADE + "".join(map(section, documented(name)))


def documented(name: str) -> Iterator[Table]:
    """Yield the views, or by name the tables; a table without a meaning is internal, and left out."""
    by_name = sorted(metadata.tables.values(), key=lambda table: str(table.name))
    tables: Iterable[Table] = VIEWS.values() if name == "views" else by_name
    return (table for table in tables if meaning(table))


def meaning(of: Table | Column[object]) -> str | None:
    """Return what a table, a view or a column of either means, in one line; None if nobody wrote it down.

    Comments are the views' only: those of a table would have to be migrated to Postgres.
    """
    return of.comment or (of.info.get("doc") if isinstance(of, Table) else of.doc)


def section(table: Table) -> str:
    """Return the Markdown of one table or view: a heading, what a row is, and a line for each column."""
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
