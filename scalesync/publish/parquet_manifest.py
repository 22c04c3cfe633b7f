"""Parquet files by project and month, and a manifest that lists those that count.

The manifest is replaced last, in one step: its readers see all of a publication or nothing of it.
"""

import os
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec

from scalesync.export.arrow import arrow_schema
from scalesync.export.parquet import partition_path
from scalesync.models.publishing import Partition
from scalesync.publish.published_table import (
    OF_PARQUET,
    NotOursError,
    PublicationStamp,
    TableBusyError,
    TableChange,
    TableState,
    TableWriter,
    check_age,
    lacking_files,
)
from scalesync.publish.target import Target, check_only_ours, local_files

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import fs

    from scalesync.models.columns import Column

MANIFEST = "_manifest.json"
_LOCK = ".scalesync-lock"
_PART_FILE = re.compile(r"part-[0-9a-f-]{36}\.parquet")


class ManifestFile(msgspec.Struct, frozen=True):
    """A file that counts."""

    rows: int
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, omit_defaults=False):
    """The contents of `_manifest.json`."""

    table: str
    mirror: str
    """The name of the mirror that published it."""
    publication: int
    change_id: int
    as_of: datetime | None
    partitions: dict[str, ManifestFile]
    """By path below the table's directory."""
    content: str = ""


_read = msgspec.json.Decoder(Manifest).decode


class ParquetWriter(TableWriter):
    """A table of Parquet files at a target."""

    def __init__(self, target: Target, name: str, publisher: str) -> None:
        """Prepare for the table `name`, published by the mirror called `publisher`."""
        self._target, self._name, self._publisher = target, name, publisher
        self._address = target.table(name)
        self._held = ExitStack()
        self._manifest: Manifest | None = None

    def target_files(self) -> "fs.FileSystem":
        """Return the files below the target itself."""
        return self._files_at(self._target.address)

    def exists(self) -> bool:
        """Return whether there is a manifest of anybody."""
        return bool(self._files().get_file_info(MANIFEST).is_file)

    def state(self) -> TableState:
        """Read the manifest; in a directory, nobody else changes the table until `close`."""
        if not self.exists():
            # Before the lock, which is a file itself.
            check_only_ours(self._files(), self._address, OF_PARQUET)
        self._target.make(self._name)
        if self._target.is_local:
            self._held.enter_context(self._locked())
        self._manifest = self._read_manifest()
        if self._manifest is None:
            return TableState()
        if self._manifest.mirror != self._publisher:
            msg = f"The table at {self._address} was not published by this mirror."
            raise NotOursError(msg, advice="Name another target, or remove that table.")
        listed = {path: file.bytes for path, file in self._manifest.partitions.items()}
        fault = lacking_files(self._files(), listed)
        return TableState(self._manifest.publication, None, self._manifest.content, fault)

    def file_schema(self, columns: "Sequence[Column]", *, partitioned: bool) -> "pa.Schema":  # noqa: ARG002
        """Return the schema of files, with times in milliseconds, as exports have it."""
        # The partition is in the path, where readers look for it.
        return arrow_schema(columns)

    def new_path(self, partition: Partition | None) -> str:
        """Return the path of a new file, in the directory of its partition."""
        name = f"part-{uuid4()}.parquet"
        return name if partition is None else f"{_directory(partition)}/{name}"

    def create(self, path: str) -> IO[bytes]:
        """Create a file, and its directory."""
        files = self._files()
        if self._target.is_local and "/" in path:
            files.create_dir(path.rpartition("/")[0], recursive=True)
        opened: IO[bytes] = files.open_output_stream(path)
        return opened

    def commit(self, change: TableChange, stamp: PublicationStamp) -> None:
        """Replace the manifest; on an object store the last process to do so wins.

        Each manifest is complete in itself, as of the moment that it names.
        """
        here = self._manifest.partitions if self._manifest is not None else {}
        replaced = change.replaced
        gone = None if replaced is None else {_directory(partition) for partition in replaced}
        kept = {path: file for path, file in here.items() if gone is not None and _parent(path) not in gone}
        added = {file.path: ManifestFile(file.rows, file.bytes, file.sha256) for _, file in change.files}
        manifest = Manifest(
            self._name,
            self._publisher,
            stamp.publication,
            stamp.change_id,
            stamp.as_of,
            dict(sorted((kept | added).items())),
            change.content,
        )
        self._replace(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
        self._manifest = manifest

    def delete(self, paths: Collection[str]) -> None:
        """Delete files."""
        files = self._files()
        for path in paths:
            if files.get_file_info(path).is_file:
                files.delete_file(path)

    def compact(self) -> None:
        """Do nothing: every partition is written as few large files."""

    def vacuum(self, age: timedelta, *, short: bool) -> int:
        """Delete the files that the manifest does not list and that are older than `age`."""
        from pyarrow import fs

        check_age(age, short=short)
        files, manifest = self._files(), self._read_manifest()
        counting = manifest.partitions if manifest is not None else {}
        before = datetime.now(UTC) - age
        found = files.get_file_info(fs.FileSelector("", recursive=True))
        old = [
            each.path
            for each in found
            if each.is_file
            and _PART_FILE.fullmatch(each.base_name)
            and each.path not in counting
            and each.mtime <= before
        ]
        self.delete(old)
        return len(old)

    def close(self) -> None:
        """Let others write the table."""
        self._held.close()

    def _files(self) -> Any:
        return self._files_at(self._address)

    def _files_at(self, address: str) -> Any:
        return local_files(address) if self._target.is_local else _store(address)

    def _read_manifest(self) -> Manifest | None:
        files = self._files()
        if not files.get_file_info(MANIFEST).is_file:
            return None
        with files.open_input_stream(MANIFEST) as stream:
            try:
                return _read(stream.read())
            except msgspec.DecodeError as error:
                msg = f"{self._address}/{MANIFEST} is not a manifest of `scalesync publish`."
                raise NotOursError(msg, advice="Name another target, or remove it.") from error

    def _replace(self, text: bytes) -> None:
        if not self._target.is_local:
            # Object stores replace a whole object in one step.
            with self._files().open_output_stream(MANIFEST) as stream:
                stream.write(text)
            return
        made = Path(self._address, f".scalesync-{uuid4()}")
        try:
            with made.open("xb") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            made.replace(Path(self._address, MANIFEST))
        except BaseException:
            made.unlink(missing_ok=True)
            raise

    @contextmanager
    def _locked(self) -> Iterator[None]:
        import fcntl

        handle = os.open(Path(self._address, _LOCK), os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            msg = f"Another process is publishing {self._name} at {self._target.address}."
            raise TableBusyError(msg, advice="Publish again when it has finished.") from error
        try:
            yield
        finally:
            os.close(handle)


def _directory(partition: Partition) -> str:
    return partition_path(partition.project or None, partition.month or None)


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _store(address: str) -> Any:
    """Return the files below an address of S3, by pyarrow."""
    from pyarrow import fs

    # pyarrow finds the credentials and the region in the environment, but not always another endpoint.
    endpoint = urlsplit(os.environ.get("AWS_ENDPOINT_URL", ""))
    store = fs.S3FileSystem(endpoint_override=endpoint.netloc or None, scheme=endpoint.scheme or None)
    return fs.SubTreeFileSystem(address.partition("://")[2], store)
