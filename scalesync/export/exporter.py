"""Export tables, views, datasets and SQL results: each call is one read-only transaction."""

from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from scalesync.clock import Clock
from scalesync.db.caller_transaction import Connection
from scalesync.db.database import Database
from scalesync.db.export import drawn_shapes, readonly_sql, rows
from scalesync.db.mirror import query
from scalesync.db.mirror.documents import MAPPINGS, TASKS
from scalesync.errors import ConfigurationError
from scalesync.export import arrow, parquet
from scalesync.export.coco import coco_lines
from scalesync.export.counts import ExportCounts
from scalesync.export.csv_jsonl import csv_lines, json_lines
from scalesync.export.dataset_folder import DatasetFolder
from scalesync.export.fiftyone import fiftyone_lines
from scalesync.export.huggingface import write_huggingface
from scalesync.export.picture_dataset import PictureDataset, PictureDone, PictureFiles
from scalesync.export.splits import Splits, parse_splits
from scalesync.export.yolo import YoloKind, write_yolo
from scalesync.models.columns import QueryResult
from scalesync.models.selection import EVERYTHING, OF_ANNOTATIONS, Selection

if TYPE_CHECKING:
    import pyarrow as pa


class Format(StrEnum):
    """A format of an export."""

    JSONL = "jsonl"
    """For tasks, batches and projects the documents as the API sent them; else one row a line."""
    CSV = "csv"
    PARQUET = "parquet"
    COCO = "coco"
    """Boxes and polygons on images."""
    FIFTYONE = "fiftyone"
    """The input of FiftyOne's importer of Scale's labels."""
    YOLO = "yolo"
    """A directory of pictures and labels for Ultralytics."""
    HUGGINGFACE = "huggingface"
    """A directory of pictures with metadata, Hugging Face's `imagefolder`."""


DIRECTORIES = (Format.YOLO, Format.HUGGINGFACE)
"""The formats that are directories."""
_DATASETS = (Format.COCO, Format.FIFTYONE, *DIRECTORIES)


@dataclass(frozen=True, slots=True)
class DirectoryOptions:
    """How a dataset of pictures is written."""

    splits: Splits = field(default_factory=Splits)
    pictures: PictureFiles = PictureFiles.COPY
    yolo_kind: YoloKind = YoloKind.DETECT
    lies_at: Path | None = None
    """Where the directory will lie when it is complete; None: where it is written."""

    @classmethod
    def of(
        cls, *, split: str, pictures: str, yolo_kind: str, lies_at: Path | None = None
    ) -> "DirectoryOptions":
        """Return the options that words describe. Raises ConfigurationError for one that there is not."""
        for name, word, words in (("pictures", pictures, PictureFiles), ("yolo-kind", yolo_kind, YoloKind)):
            if word not in set(words):
                msg = f"There is no --{name} {word!r}."
                raise ConfigurationError(msg, advice=f"Use {', '.join(words)}.")
        return cls(parse_splits(split), PictureFiles(pictures), YoloKind(yolo_kind), lies_at)


@dataclass(frozen=True, slots=True)
class Export:
    """A table or dataset to export, with its format and selection."""

    name: str
    """A table or a view."""
    format: Format = Format.JSONL
    wanted: Selection = EVERYTHING

    def __post_init__(self) -> None:
        """Raise ConfigurationError if the format cannot hold this table."""
        if self.format in _DATASETS and self.name not in ("tasks", "annotations"):
            msg = f"The format {self.format} is made of tasks with their annotations, not of {self.name}."
            raise ConfigurationError(msg, advice="Export tasks, or choose jsonl, csv or parquet.")
        for name in OF_ANNOTATIONS if self.name in MAPPINGS and self.format not in _DATASETS else ():
            if getattr(self.wanted, name) is not None:
                msg = f"--{name} does not apply to {self.name}."
                raise ConfigurationError(msg, advice="Export annotations, or leave it out.")


class Exporter:
    """Exports and SQL queries on one mirror."""

    def __init__(self, open_database: Callable[[], AbstractContextManager[Database]], clock: Clock) -> None:
        """Open the database with `open_database` for each call."""
        self._open_database = open_database
        self._clock = clock

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._open_database() as database, database.read() as conn:
            yield conn

    @contextmanager
    def answer(self, statement: str, *, seconds: float) -> Iterator[QueryResult]:
        """Yield the result of one read-only statement; it is cut off after `seconds`."""
        with (
            self._open_database() as database,
            readonly_sql.run_query(database, statement, seconds=seconds, clock=self._clock) as answer,
        ):
            yield answer

    def lines(self, export: Export, counts: ExportCounts) -> Iterator[bytes]:
        """Yield an export in any format but Parquet, line by line, in constant memory.

        Raises ConfigurationError for an unknown table, a filter that it has no column for, and a format that
        is a directory.
        """
        if export.format in DIRECTORIES:
            raise ConfigurationError(f"The format {export.format} is a directory.", advice="Name one.")
        name, wanted = export.name, export.wanted
        with self._reading() as conn:
            if export.format is Format.COCO:
                yield from coco_lines(drawn_shapes.ImageShapes(conn, wanted), counts)
            elif export.format is Format.FIFTYONE:
                # The limit counts written tasks, and not every task can be written.
                documents = query.documents(conn, TASKS, replace(wanted.of_tasks(), limit=None))
                yield from fiftyone_lines(documents, counts, wanted)
            elif export.format is Format.JSONL and name in MAPPINGS:
                yield from counts.counting(query.documents(conn, MAPPINGS[name], wanted))
            else:
                with closing(rows.rows(conn, name, wanted)) as found:
                    written = counts.counting(found.rows)
                    if export.format is Format.JSONL:
                        yield from json_lines(found.columns, written)
                    else:
                        yield from csv_lines(found.columns, written, counts)

    def directory(
        self,
        export: Export,
        directory: Path,
        counts: ExportCounts,
        options: DirectoryOptions,
        on_event: Callable[[PictureDone], None],
    ) -> None:
        """Write a dataset of pictures below an empty directory, in constant memory.

        Raises ConfigurationError for a format that is no directory.
        """
        if export.format not in DIRECTORIES:
            raise ConfigurationError(f"The format {export.format} is no directory.", advice="Use `export`.")
        folder = DatasetFolder(directory)
        with self._reading() as conn:
            shapes = drawn_shapes.ImageShapes(conn, export.wanted)
            dataset = PictureDataset(shapes, folder, counts, options.splits, options.pictures, on_event)
            if export.format is Format.YOLO:
                write_yolo(dataset, options.yolo_kind, options.lies_at or directory)
            else:
                write_huggingface(dataset)
        folder.sign(export.format)

    def total(self, stream: str, wanted: Selection) -> int:
        """Return the number of mirrored objects that a selection without its limit has."""
        with self._reading() as conn:
            return query.total(conn, MAPPINGS[stream], wanted)

    def task_counts(self) -> dict[str, dict[str, int | None]]:
        """Return pending and completed tasks by batch; None until they are counted."""
        with self._reading() as conn:
            return query.task_counts(conn)

    def parquet(self, export: Export, file: IO[bytes], counts: ExportCounts) -> None:
        """Write a table or view as one Parquet file; raises ConfigurationError as `lines` does."""
        arrow.require_pyarrow()
        with self._reading() as conn, closing(rows.rows(conn, export.name, export.wanted)) as found:
            parquet.write(file, found.columns, counts.counting(found.rows))

    def reader(self, export: Export) -> "pa.RecordBatchReader":
        """Return a table or view as an Arrow reader, in constant memory; raises as `lines` does.

        The database is read until the reader is exhausted or closed.
        """
        arrow.require_pyarrow()

        def found() -> Iterator[object]:
            with self._reading() as conn, closing(rows.rows(conn, export.name, export.wanted)) as read:
                yield read.columns
                yield from read.rows

        return arrow.reader(found())

    def answer_reader(self, statement: str, *, seconds: float) -> "pa.RecordBatchReader":
        """Return the result of one read-only statement as an Arrow reader, cut off after `seconds`."""
        arrow.require_pyarrow()

        def found() -> Iterator[object]:
            with self.answer(statement, seconds=seconds) as answer:
                yield answer.columns
                yield from answer.rows

        return arrow.reader(found())

    def partitions(self, export: Export, directory: Path, counts: ExportCounts) -> None:
        """Write a table or view as one Parquet file for each project and month, below an empty directory.

        Raises ConfigurationError as `lines` does, and if the rows have no project and time.
        """
        arrow.require_pyarrow()
        with self._reading() as conn, closing(rows.rows_by_month(conn, export.name, export.wanted)) as found:
            shortened = parquet.write_partitions(directory, found.columns, counts.counting(found.rows))
        counts.alter("shortened: names of projects, which the column project_name has whole", shortened)


class SqlRows(Iterator[dict[str, Any]]):
    """The rows of one SQL statement: an iterator of dicts, or a stream for libraries that read Arrow.

    `polars.from_arrow`, `pyarrow.table` and `duckdb` take it as it is; `arrow()` is the reader they get.
    """

    def __init__(self, exporter: Exporter, statement: str, timeout: float) -> None:
        """Prepare the statement; it runs when the first row is taken."""
        self._exporter, self._statement, self._timeout = exporter, statement, timeout
        self._rows = self._read()

    def __next__(self) -> dict[str, Any]:
        """Return the next row."""
        return next(self._rows)

    def close(self) -> None:
        """End the statement, even if not all of its rows were read."""
        self._rows.close()

    def arrow(self) -> "pa.RecordBatchReader":
        """Return all rows as an Arrow reader, in constant memory. Needs pyarrow."""
        return self._exporter.answer_reader(self._statement, seconds=self._timeout)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return all rows for a library that reads Arrow's C stream."""
        return self.arrow().__arrow_c_stream__(requested_schema)

    def _read(self) -> Generator[dict[str, Any], None, None]:
        with self._exporter.answer(self._statement, seconds=self._timeout) as answer:
            names = [column.name for column in answer.columns]
            if len(set(names)) < len(names):
                msg = f"Two columns of the answer have the same name: {', '.join(names)}."
                raise ConfigurationError(msg, advice="Rename one with AS.")
            for row in answer.rows:
                yield dict(zip(names, row, strict=True))
