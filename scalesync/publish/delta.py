"""Delta tables: data files written by pyarrow, and one commit of the log for each publication.

deltalake's own writer holds more of a partition in memory, and is not used. The log says which publication it
has: a commit and its number are one, however the process ends.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from functools import partial
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4

from scalesync.errors import ConfigurationError
from scalesync.models.publishing import Partition
from scalesync.publish import delta_log
from scalesync.publish.data_files import fine_schema
from scalesync.publish.published_table import (
    OF_DELTA,
    PARTITION_COLUMNS,
    ChangedMeanwhileError,
    NotOursError,
    PublicationStamp,
    TableChange,
    TableState,
    TableWriter,
    check_age,
)
from scalesync.publish.target import Target, check_only_ours, local_files, reason_of
from scalesync.timestamps import format_instant

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import CommitProperties, DeltaTable
    from pyarrow import fs

    from scalesync.models.columns import Column

APP = "scalesync:{}"
"""The application in the log, with the mirror's name; its version is the last change that is included."""
_HOUR = timedelta(hours=1)
_LONGEST_NAME = 240
"""Bytes of a directory's name, less the `project=` before it."""
_BUFFER = 1024**2


class DeltaWriter(TableWriter):
    """A Delta table at a target."""

    def __init__(self, target: Target, name: str, publisher: str) -> None:
        """Prepare for the table `name`, published by the mirror called `publisher`."""
        self._target, self._name, self._app = target, name, APP.format(publisher)
        self._publication = f"{self._app}:publication"
        """The application whose version is the number of the publication."""
        self._address = target.table(name)
        self._table: DeltaTable | None = None

    def target_files(self) -> "fs.FileSystem":
        """Return the files below the target itself."""
        return self._files_at(self._target.address)

    def exists(self) -> bool:
        """Return whether there is a Delta table of anybody."""
        from deltalake import DeltaTable

        return bool(DeltaTable.is_deltatable(self._address))

    def state(self) -> TableState:
        """Read the log. Raises NotOursError for a table that is not this mirror's."""
        if self._target.is_local and "%" in self._address:
            # deltalake looks for the log where the decoded name would lead.
            msg = f"Delta tables cannot lie below a directory with % in its name: {self._target.address}."
            raise ConfigurationError(msg, advice="Name another, or publish Parquet files.")
        self._target.make(self._name)
        self._table = self._opened()
        if self._table is None:
            check_only_ours(self._files(), self._address, OF_DELTA)
            return TableState()
        if self._table.transaction_version(self._app) is None:
            msg = f"The Delta table at {self._address} was not published by this mirror."
            raise NotOursError(msg, advice="Name another target, or remove that table.")
        publication = self._table.transaction_version(self._publication)
        content = str(self._table.transaction_version(f"{self._app}:content") or "")
        fault = delta_log.fault(self._table, self._files(), self._publication, publication or 0)
        return TableState(publication, self._table.version(), content, fault)

    def _opened(self) -> "DeltaTable | None":
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError

        try:
            return DeltaTable(self._address)
        except TableNotFoundError:
            return None
        except DeltaError as error:
            if not self._target.is_local:
                # More likely the store cannot be reached.
                raise
            msg = f"The Delta table at {self._address} cannot be read: {reason_of(error)}."
            raise ConfigurationError(msg, advice="Remove that table: it is published anew.") from error

    def file_schema(self, columns: "Sequence[Column]", *, partitioned: bool) -> "pa.Schema":
        """Return the schema of files, with times in microseconds: it is that of the table."""
        import pyarrow as pa

        schema = fine_schema(columns)
        # The log has them, where most engines read them. Polars reads them in files, or in paths.
        for name in PARTITION_COLUMNS if partitioned else ():
            schema = schema.append(pa.field(name, pa.string()))
        return schema

    def new_path(self, partition: Partition | None) -> str:  # noqa: ARG002 - the log says where a file belongs
        """Return the path of a new file."""
        # Without the partition's names: engines differ in how they read what has to be encoded in a path.
        return f"parts/{uuid4()}.parquet"

    def create(self, path: str) -> IO[bytes]:
        """Create a file."""
        files = self._files()
        if self._target.is_local:
            files.create_dir("parts", recursive=True)
        opened: IO[bytes] = files.open_output_stream(path, buffer_size=_BUFFER)
        return opened

    def commit(self, change: TableChange, stamp: PublicationStamp) -> int | None:
        """Add the files and remove those that they replace, in one version of the log."""
        schema = self.file_schema(change.columns, partitioned=change.is_partitioned)
        partition_by = list(PARTITION_COLUMNS) if change.is_partitioned else []
        added = [delta_log.added(partition, file) for partition, file in change.files]
        properties = self._properties(stamp, change.content)
        table = self._table
        if table is None:
            act = partial(self._create_table, schema, added, partition_by, properties)
            return self._next_version(act, -1, stamp.publication)
        self._add_columns(table, schema)
        removed = delta_log.removed(table, change.replaced)
        act = partial(
            table.create_write_transaction,
            [*added, *removed], "append", schema, partition_by, commit_properties=properties,
        )  # fmt: skip
        return self._next_version(act, table.version(), stamp.publication)

    def delete(self, paths: Collection[str]) -> None:
        """Delete files."""
        files = self._files()
        for path in paths:
            if files.get_file_info(path).is_file:
                files.delete_file(path)

    def compact(self) -> None:
        """Join small files by deltalake's means."""
        from deltalake import DeltaTable

        DeltaTable(self._address).optimize.compact()

    def check_compactable(self, partitions: Collection[Partition]) -> None:
        """Raise ConfigurationError if the name of a project is too long for a directory of deltalake's."""
        if self._target.is_local and any(
            len(quote(each.project, safe="")) > _LONGEST_NAME for each in partitions
        ):
            msg = "The name of a project is too long for compacting in a directory: nothing was published."
            raise ConfigurationError(msg, advice="Leave out --compact: files are large already.")

    def vacuum(self, age: timedelta, *, short: bool) -> int:
        """Delete old files by deltalake's means, also those of publications that were killed."""
        from deltalake import DeltaTable

        check_age(age, short=short)
        table = DeltaTable(self._address)
        deleted = table.vacuum(
            int(age / _HOUR), dry_run=False, enforce_retention_duration=not short, full=True
        )
        return len(deleted)

    def _files(self) -> Any:
        return self._files_at(self._address)

    def _files_at(self, address: str) -> Any:
        if self._target.is_local:
            return local_files(address)
        from deltalake.fs import DeltaStorageHandler
        from pyarrow import fs

        return fs.PyFileSystem(DeltaStorageHandler(address))

    def _properties(self, stamp: PublicationStamp, content: str) -> "CommitProperties":
        from deltalake import CommitProperties, Transaction

        numbers = {
            self._app: stamp.change_id,
            self._publication: stamp.publication,
            f"{self._app}:content": int(content or "0"),
        }
        said = {
            "scalesync.change_id": str(stamp.change_id),
            "scalesync.as_of": stamp.as_of and format_instant(stamp.as_of),
        }
        # Without retries of its own: after any other commit the state has to be read anew.
        return CommitProperties(
            custom_metadata=said,
            max_commit_retries=0,
            app_transactions=[Transaction(app, version) for app, version in numbers.items()],
        )

    def _create_table(
        self, schema: "pa.Schema", added: list[Any], partition_by: list[str], properties: "CommitProperties"
    ) -> None:
        from deltalake import Schema
        from deltalake.transaction import create_table_with_add_actions

        create_table_with_add_actions(
            self._address,
            Schema.from_arrow(schema),
            added,
            mode="error",
            partition_by=partition_by,
            name=self._name,
            commit_properties=properties,
        )

    def _add_columns(self, table: "DeltaTable", schema: "pa.Schema") -> None:
        """Add the columns that the table does not have yet; in older files they are NULL.

        Raises ConfigurationError if one has another type.
        """
        from deltalake import Schema

        wanted = {each.name: each for each in Schema.from_arrow(schema).fields}
        here = {each.name: each for each in table.schema().fields}
        for name in wanted.keys() & here.keys():
            if wanted[name].type != here[name].type:
                msg = f"The column {name} of {self._address} has another type than here."
                raise ConfigurationError(msg, advice="Remove that table: it is published anew.")
        if missing := [each for name, each in wanted.items() if name not in here]:
            self._next_version(partial(table.alter.add_columns, missing), table.version())

    def _next_version(self, act: Callable[[], object], before: int, publication: int | None = None) -> int:
        """Have the table, of version `before` or -1 for none, changed by a commit; return its version.

        Raises ChangedMeanwhileError if somebody else has changed the table before.
        """
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError

        try:
            act()
        except DeltaError as error:
            # The answer to a commit may be lost, and its repetition refused: then the version is our own, and
            # names our files.
            if publication is not None and delta_log.has_publication(
                self._files(), before + 1, self._publication, publication
            ):
                return before + 1
            there = DeltaTable.is_deltatable(self._address)
            if (DeltaTable(self._address).version() if there else -1) != before:
                msg = f"Another process keeps changing the table {self._name} at {self._target.address}."
                raise ChangedMeanwhileError(msg, advice="Publish again when it has finished.") from error
            raise
        return before + 1
