"""What the forms of published tables have in common: their state, and a commit that replaces partitions."""

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import IO, TYPE_CHECKING

from scalesync.errors import AlreadyRunningError, ConfigurationError
from scalesync.models.publishing import Partition
from scalesync.publish.data_files import DataFile

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import fs

    from scalesync.models.columns import Column

PARTITION_COLUMNS = ("project", "month")

OF_DELTA = re.compile(r"parts|_delta_log|project=.*|part-.*|\.scalesync-lock")
"""Names in the directory of a Delta table that publishing made, or compaction."""
OF_PARQUET = re.compile(r"project=.*|part-.*|_manifest\.json|\.scalesync-.*")
"""Names in the directory of a table of Parquet files that publishing made."""
SHORTEST_RETENTION = timedelta(days=7)
"""Age below which files are deleted only if nobody uses them."""


CHANGED = "was changed by another program"
"""A fault of a table; see `TableState.fault`."""


class ChangedMeanwhileError(AlreadyRunningError):
    """Another process changed the table after its state was read: nothing of ours is in it."""


class TableBusyError(AlreadyRunningError):
    """Another process is publishing the table: nothing was begun."""


class NotOursError(ConfigurationError):
    """A directory holds something else than a table that this mirror published."""


@dataclass(frozen=True, slots=True)
class TableState:
    """What a published table says about itself."""

    publication: int | None = None
    """The number of the last publication; None: the table is not there."""
    version: int | None = None
    """Of a Delta table."""
    content: str = ""
    """A digest of the rows, of a table that is published as a whole."""
    fault: str = ""
    """Why it is not as that publication left it, as the end of a sentence; empty: it is."""


@dataclass(frozen=True, slots=True)
class TableChange:
    """New files of a table, and those that they replace."""

    columns: "Sequence[Column]"
    """Columns of the files, without those of the partition."""
    files: Sequence[tuple[Partition | None, DataFile]]
    """None: the table has no partitions."""
    replaced: Collection[Partition] | None
    """Partitions whose earlier files do not count any more; None: of all of them."""
    partitions: int
    """The number of partitions written; 1 of a table without any."""
    content: str = ""
    """As in TableState."""
    is_partitioned: bool = True


@dataclass(frozen=True, slots=True)
class PublicationStamp:
    """What a published table says about its last change."""

    publication: int
    change_id: int
    as_of: datetime | None


def lacking_files(files: "fs.FileSystem", sizes: Mapping[str, int]) -> str:
    """Return the fault of a table that has to have files of these sizes, by path; empty if they are there."""
    from pyarrow import fs

    # One listing: asking for each file is slow at an object store.
    found = files.get_file_info(fs.FileSelector("", recursive=True)) if sizes else []
    there = {each.path: each.size for each in found if each.is_file}
    lost = sum(there.get(path) != size for path, size in sizes.items())
    return f"lacks {lost:,} of its {len(sizes):,} data files, or they are damaged" if lost else ""


def check_age(age: timedelta, *, short: bool) -> None:
    """Raise ConfigurationError for an age at which files may still be in use, unless `short` allows it."""
    if age < SHORTEST_RETENTION and not short:
        msg = "Files that readers may still use would be deleted by --vacuum for less than 7d."
        raise ConfigurationError(msg, advice="Add --allow-short-retention if nobody reads or publishes now.")


class TableWriter(ABC):
    """One published table. Methods raise OSError or an error of deltalake for what cannot be reached."""

    @abstractmethod
    def target_files(self) -> "fs.FileSystem":
        """Return the files below the target itself."""

    @abstractmethod
    def exists(self) -> bool:
        """Return whether there is a table in this form, of anybody; changes nothing."""

    @abstractmethod
    def state(self) -> TableState:
        """Read the state that the next `commit` replaces.

        Raises NotOursError for a table that another mirror published, or that is none of ours, and
        TableBusyError while another process publishes it, if only one may.
        """

    @abstractmethod
    def file_schema(self, columns: "Sequence[Column]", *, partitioned: bool) -> "pa.Schema":
        """Return the schema of files with these columns; the partition's come last if files have them."""

    @abstractmethod
    def new_path(self, partition: Partition | None) -> str:
        """Return the path of a new file, which nobody has used."""

    @abstractmethod
    def create(self, path: str) -> IO[bytes]:
        """Create a file."""

    @abstractmethod
    def commit(self, change: TableChange, stamp: PublicationStamp) -> int | None:
        """Make the new files count, in one step; return the table's version, if it has one.

        Raises ChangedMeanwhileError if the table is not as `state` found it.
        """

    @abstractmethod
    def delete(self, paths: Collection[str]) -> None:
        """Delete files that were never committed."""

    @abstractmethod
    def compact(self) -> None:
        """Join small files; does nothing where there are none."""

    def check_compactable(self, partitions: Collection[Partition]) -> None:  # noqa: B027 - most always are
        """Raise ConfigurationError if a table of these partitions cannot be compacted."""

    @abstractmethod
    def vacuum(self, age: timedelta, *, short: bool) -> int:
        """Delete files that have not counted for this long; return how many.

        `short`: also for an age at which readers or writers may still use them.
        """

    def close(self) -> None:  # noqa: B027 - most have nothing to do
        """Let others write the table."""
