"""The floor: the rows of a finished mirror, from memory into an empty one, by a bare driver."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.benchmark.peers.protocol import measured, order, tell

AT_ONCE = 1_000
"""Tasks of a transaction; what belongs to them goes with them."""

OF_A_TASK = ("annotations", "annotation_links", "task_files", "task_changes")
OTHERS = ("projects", "project_versions", "batches", "result_files")

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Rows:
    """Rows of one table, as the driver reads and writes them."""

    table: str
    columns: tuple[str, ...]
    rows: Sequence[Row]

    @property
    def names(self) -> str:
        """Its columns, for SQL."""
        return ", ".join(f'"{name}"' for name in self.columns)

    @property
    def upsert(self) -> str:
        """What follows VALUES or SELECT, for tasks."""
        changes = ", ".join(f'"{name}" = excluded."{name}"' for name in self.columns[1:])
        return f'ON CONFLICT ("{self.columns[0]}") DO UPDATE SET {changes}'


def portions(tables: dict[str, Rows]) -> list[list[Rows]]:
    """Return what is written in each transaction: first what belongs to no task, then so many tasks each."""
    tasks = tables["tasks"]
    split = [_by_task(tables[name]) for name in OF_A_TASK]
    found = [[tables[name] for name in OTHERS]]
    for start in range(0, len(tasks.rows), AT_ONCE):
        some = tasks.rows[start : start + AT_ONCE]
        chunk = [Rows("tasks", tasks.columns, some)]
        for name, rows in zip(OF_A_TASK, split, strict=True):
            theirs = [row for task in some for row in rows[task[0]]]
            chunk.append(Rows(name, tables[name].columns, theirs))
        found.append(chunk)
    return [[rows for rows in portion if rows.rows] for portion in found]


def _by_task(rows: Rows) -> dict[str, list[Row]]:
    place = rows.columns.index("task_id")
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows.rows:
        found[row[place]].append(row)
    return found


def tables() -> Iterator[str]:
    """Yield the tables that are copied."""
    yield from ("tasks", *OF_A_TASK, *OTHERS)


def main() -> None:
    """Copy them."""
    asked = order()
    if asked.file:
        from tests.benchmark.peers.floor_sqlite import Floor
    else:
        from tests.benchmark.peers.floor_postgres import Floor  # type: ignore[assignment]
    source = Floor(asked.source)
    chunks = portions({name: source.read(name) for name in tables()})
    source.close()
    target = Floor(asked.database)
    with measured() as told:
        for chunk in chunks:
            target.write(chunk)
    told.tasks = len(target.read("tasks").rows)
    target.close()
    tell(told, asked)


if __name__ == "__main__":
    main()
