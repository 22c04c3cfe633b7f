"""Read what the mirror's tables and their indexes take on the disk."""

from collections.abc import Iterable
from operator import itemgetter

import sqlalchemy as sa

from scalesync import advice

# Also declares every table, and so fills the metadata.
from scalesync.db.schema.partial_indexes import metadata
from scalesync.db.statements import list_parameter
from scalesync.models.storage import DatabaseSizes, TableSize

SMALL = 10_000_000
"""Bytes of an SQLite file up to which there is nothing to advise."""
LARGE = 100_000_000
"""Bytes of an SQLite file above which statistics are advised."""
FREE_SHARE = 0.25
"""Of an SQLite file, above which a VACUUM is advised."""
MANY_ROWS = 10_000
"""Rows of a table on Postgres up to which there is nothing to advise."""
DEAD_SHARE = 0.2
"""Of the rows of a table on Postgres, above which a VACUUM is advised."""

# For each table, the pages of its rows and of its indexes: `aggregate` makes one row of each of those.
_PAGES = sa.text("""
SELECT m.tbl_name AS "table",
    sum(d.pgsize) FILTER (WHERE m.type = 'table') AS rows,
    sum(d.pgsize) FILTER (WHERE m.type = 'index') AS indexes
FROM dbstat AS d JOIN sqlite_schema AS m ON m.name = d.name
WHERE d.aggregate = 1
GROUP BY m.tbl_name
""")
_HAS_DBSTAT = sa.text("SELECT sqlite_compileoption_used('ENABLE_DBSTAT_VTAB')")
_FILE = sa.text("""
SELECT page_count * page_size AS bytes, freelist_count * page_size AS free
FROM pragma_page_count, pragma_page_size, pragma_freelist_count
""")
# Two counters are kept: that of every change since the statistics began, which a crash sets back to zero, and
# that of the last VACUUM or ANALYZE, which is -1 before the first.
_ON_POSTGRES = sa.text("""
SELECT given.name AS "table", pg_table_size(c.oid) AS bytes, pg_indexes_size(c.oid) AS indexes,
    CASE
        WHEN pg_relation_size(c.oid) = 0 THEN 0
        WHEN s.n_live_tup > 0 THEN s.n_live_tup
        WHEN c.reltuples >= 0 THEN c.reltuples
    END AS rows
FROM unnest(:names) AS given (name)
JOIN pg_class AS c ON c.oid = to_regclass(quote_ident(given.name))
LEFT JOIN pg_stat_user_tables AS s ON s.relid = c.oid
""").bindparams(list_parameter("names", sa.Text()))
# A table that was never analyzed is planned for as if it were small; dead rows are read past again and again.
_NEGLECTED = sa.text("""
SELECT given.name, coalesce(s.last_analyze, s.last_autoanalyze) IS NULL AS unanalyzed
FROM unnest(:names) AS given (name)
JOIN pg_stat_user_tables AS s ON s.relid = to_regclass(quote_ident(given.name))
WHERE (coalesce(s.last_analyze, s.last_autoanalyze) IS NULL AND s.n_live_tup > :many)
    OR (s.n_dead_tup > :many AND s.n_dead_tup > :share * (s.n_live_tup + s.n_dead_tup))
ORDER BY given.name
""").bindparams(list_parameter("names", sa.Text()))
_DATABASE = sa.text("SELECT pg_database_size(current_database())")


def read_sizes(conn: sa.Connection) -> DatabaseSizes:
    """Return the sizes of all tables, largest first, and of the whole database.

    On SQLite it counts the rows and reads the whole file, which takes seconds for each gigabyte.
    """
    if conn.dialect.name == "sqlite":
        file = conn.execute(_FILE).one()
        return DatabaseSizes(
            _largest_first(_sqlite_tables(conn)), file.bytes, file.free, rows_estimated=False
        )
    rows = conn.execute(_ON_POSTGRES, {"names": list(metadata.tables)})
    tables = [
        TableSize(row.table, None if row.rows is None else int(row.rows), row.bytes, row.indexes)
        for row in rows
    ]
    size: int = conn.execute(_DATABASE).scalar_one()
    return DatabaseSizes(_largest_first(tables), size, None, rows_estimated=True)


def _sqlite_tables(conn: sa.Connection) -> Iterable[TableSize]:
    # Python's SQLite has the table of pages if whoever built it asked for that: Debian did, Alpine did not.
    known = conn.execute(_HAS_DBSTAT).scalar_one()
    pages = {row.table: (row.rows, row.indexes or 0) for row in conn.execute(_PAGES)} if known else {}
    for name, table in metadata.tables.items():
        count = conn.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
        yield TableSize(name, count, *pages.get(name, (None, None)))


def _largest_first(tables: Iterable[TableSize]) -> list[TableSize]:
    """Return the tables in the order of their sizes, or where those are not known, of their rows."""
    keyed = [((t.bytes or 0) + (t.index_bytes or 0), t.rows or 0, t) for t in tables]
    return [table for _, _, table in sorted(keyed, key=itemgetter(0, 1), reverse=True)]


def describe_storage(conn: sa.Connection) -> tuple[str, list[str]]:
    """Return the size of the database in words, and for what would help a sentence each."""
    if conn.dialect.name == "sqlite":
        file = conn.execute(_FILE).one()
        return f"the file has {file.bytes / 1e6:,.1f} MB, {file.free / 1e6:,.1f} MB of it free", [
            *([advice.VACUUM] if file.bytes > SMALL and file.free > FREE_SHARE * file.bytes else []),
            *([advice.ANALYZE] if file.bytes > LARGE and not _has_statistics(conn) else []),
        ]
    size: int = conn.execute(_DATABASE).scalar_one()
    rows = conn.execute(_NEGLECTED, {"names": list(metadata.tables), "many": MANY_ROWS, "share": DEAD_SHARE})
    neglected = [(row.name, row.unanalyzed) for row in rows]
    return f"the database has {size / 1e6:,.1f} MB", [
        *advice.analyze_tables([name for name, unanalyzed in neglected if unanalyzed]),
        *advice.vacuum_tables([name for name, unanalyzed in neglected if not unanalyzed]),
    ]


def _has_statistics(conn: sa.Connection) -> bool:
    query = sa.text("SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_stat1'")
    return bool(conn.execute(query).scalar_one())
