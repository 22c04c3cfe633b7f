"""Every way out of the mirror: each call is one reading transaction, and none changes anything."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import IO

from scalesync.clock import Clock
from scalesync.db.database import Database
from scalesync.db.export import drawn_shapes, readonly_sql, rows
from scalesync.db.mirror import query
from scalesync.db.mirror.documents import MAPPINGS, TASKS
from scalesync.errors import ConfigurationError
from scalesync.export import parquet
from scalesync.export.coco import coco_lines
from scalesync.export.counts import ExportCounts
from scalesync.export.csv_jsonl import csv_lines, json_lines
from scalesync.export.fiftyone import fiftyone_lines
from scalesync.models.columns import QueryResult
from scalesync.models.selection import EVERYTHING, Selection


class Format(StrEnum):
    """What an export is written as."""

    JSONL = "jsonl"
    """Of tasks, batches and projects the documents as the API sent them; of all else a row a line."""
    CSV = "csv"
    PARQUET = "parquet"
    COCO = "coco"
    """Boxes and polygons on images."""
    FIFTYONE = "fiftyone"
    """What FiftyOne's importer of Scale's labels reads."""


_OF_TASKS = (Format.COCO, Format.FIFTYONE)


@dataclass(frozen=True, slots=True)
class Export:
    """What is to leave the mirror, and how."""

    name: str
    """A table or a view."""
    format: Format = Format.JSONL
    wanted: Selection = EVERYTHING

    def __post_init__(self) -> None:
        """Raise ConfigurationError where the format holds no such thing."""
        if self.format in _OF_TASKS and self.name not in ("tasks", "annotations"):
            msg = f"The format {self.format} is made of tasks with their annotations, not of {self.name}."
            raise ConfigurationError(msg, advice="Export tasks, or choose jsonl, csv or parquet.")


class Exporter:
    """Answers people's SQL, and writes tables, views and datasets."""

    def __init__(self, lend: Callable[[], AbstractContextManager[Database]], clock: Clock) -> None:
        """Use the database that `lend` opens for each call."""
        self._lend = lend
        self._clock = clock

    @contextmanager
    def answer(self, statement: str, *, seconds: float) -> Iterator[QueryResult]:
        """Lend the answer to one statement that only reads, as `readonly_sql.asking` does."""
        with (
            self._lend() as database,
            readonly_sql.run_query(database, statement, seconds=seconds, clock=self._clock) as answer,
        ):
            yield answer

    def lines(self, export: Export, tally: ExportCounts) -> Iterator[bytes]:
        """Yield an export in any format but Parquet, line by line, in flat memory.

        Raises ConfigurationError for an unknown table, or a filter that cannot be applied to it.
        """
        name, wanted = export.name, export.wanted
        with self._lend() as database, database.read() as conn:
            if export.format is Format.COCO:
                yield from coco_lines(drawn_shapes.ImageShapes(conn, wanted), tally)
            elif export.format is Format.FIFTYONE:
                documents = query.documents(conn, TASKS, replace(wanted, limit=None))
                yield from fiftyone_lines(documents, tally, limit=wanted.limit)
            elif export.format is Format.JSONL and name in MAPPINGS:
                yield from tally.counting(query.documents(conn, MAPPINGS[name], wanted))
            else:
                with closing(rows.rows(conn, name, wanted)) as found:
                    written = tally.counting(found.rows)
                    if export.format is Format.JSONL:
                        yield from json_lines(found.columns, written)
                    else:
                        yield from csv_lines(found.columns, written, tally)

    def total(self, stream: str, wanted: Selection) -> int:
        """Return how many mirrored objects of a stream are wanted, without a limit."""
        with self._lend() as database, database.read() as conn:
            return query.total(conn, MAPPINGS[stream], wanted)

    def task_counts(self) -> dict[str, dict[str, int | None]]:
        """Return how many tasks of each batch are pending and completed; None until they are counted."""
        with self._lend() as database, database.read() as conn:
            return query.task_counts(conn)

    def parquet(self, export: Export, file: IO[bytes], tally: ExportCounts) -> None:
        """Write a table or view as one Parquet file; raises ConfigurationError as `lines` does."""
        parquet.require_pyarrow()
        with (
            self._lend() as database,
            database.read() as conn,
            closing(rows.rows(conn, export.name, export.wanted)) as found,
        ):
            parquet.write(file, found.columns, tally.counting(found.rows))

    def partitions(self, export: Export, directory: Path, tally: ExportCounts) -> None:
        """Write a table or view below an empty directory, a Parquet file for each project and month.

        Raises ConfigurationError as `lines` does, and where rows have no project and time.
        """
        parquet.require_pyarrow()
        with (
            self._lend() as database,
            database.read() as conn,
            closing(rows.rows_by_month(conn, export.name, export.wanted)) as found,
        ):
            shortened = parquet.write_partitions(directory, found.columns, tally.counting(found.rows))
        tally.alter("shortened: names of projects, which the column project_name has whole", shortened)
