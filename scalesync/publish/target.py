"""Where tables are published: a directory, or an address of an object store."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from scalesync.errors import ConfigurationError, how_to_install
from scalesync.publish.published_table import NotOursError
from scalesync.sqlite_files import is_of_database

if TYPE_CHECKING:
    import pyarrow.fs

STORES = ("s3", "gs", "az")
"""Schemes of the object stores."""
_OF_TABLES = ("_delta_log", "_manifest.json")
"""Names of which a table's directory has one, in either form."""
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_COLOR = re.compile(r"\x1b\[[0-9;]*m")
_LONGEST_REASON = 300
_BACKTRACE = re.compile(r"\s*(\d+: |at \S+:\d+)")
"""Lines that deltalake's errors may have below their text."""
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_QUERY = re.compile(r"(?<!<)\?[^\s\"']*")
_XML = re.compile(r"<\?xml.*<Message>(.*?)</Message>.*", re.DOTALL)
"""What an object store answers to a request that failed."""

_CHECK_ACCESS = "Check the address, and the credentials in the environment."


@dataclass(frozen=True, slots=True)
class Target:
    """A directory or an address, below which each table has a directory of its own."""

    address: str
    """An absolute path, or a URL without a slash at its end. It holds no secret."""
    is_local: bool

    @classmethod
    def parse(cls, given: str) -> "Target":
        """Return the target that a person named.

        Raises ConfigurationError for another scheme, and for a URL that holds a password or parameters.
        """
        match = _SCHEME.match(given)
        try:
            found = cls._directory(given) if match is None else cls._store(match[1].lower(), urlsplit(given))
            found.address.encode()
        except (ValueError, RuntimeError, OSError) as error:
            reason = f": {error.strerror}" if isinstance(error, OSError) else ""
            msg = f"{given!r} is neither a directory nor the address of one{reason}."
            raise ConfigurationError(msg, advice="Name another target.") from error
        # Of what was given too: URLs are parsed without their line breaks, as if there were none.
        if _CONTROLS.search(given + found.address):
            msg = "The name of the target holds a line break or another control character."
            raise ConfigurationError(msg, advice="Name another target.")
        return found

    @classmethod
    def _directory(cls, given: str) -> "Target":
        path = Path(given).expanduser().absolute()
        if not given or (not path.is_dir() and (path.exists() or is_of_database(path))):
            msg = f"{given or 'An empty name'} is not a directory."
            raise ConfigurationError(msg, advice="Name a directory, or a new one.")
        return cls(str(path.resolve()), is_local=True)

    @classmethod
    def _store(cls, scheme: str, parts: SplitResult) -> "Target":
        if scheme not in STORES:
            msg = f"Tables are not published at addresses that begin with {scheme}://."
            raise ConfigurationError(msg, advice="Name a directory, or an s3://, gs:// or az:// address.")
        if "@" in parts.netloc or parts.query or parts.fragment:
            msg = "The address of the target holds a user, a password or parameters."
            raise ConfigurationError(msg, advice="Leave them out: the environment has the credentials.")
        if not parts.netloc:
            raise ConfigurationError("The address of the target names no bucket.", advice="Add it.")
        return cls(f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}", is_local=False)

    def table(self, name: str) -> str:
        """Return the address of a table."""
        return str(Path(self.address, name)) if self.is_local else f"{self.address}/{name}"

    def make(self, name: str) -> None:
        """Create the directory of a table, if the target is local. Raises OSError."""
        if self.is_local:
            Path(self.address, name).mkdir(parents=True, exist_ok=True)

    def error(self, error: Exception) -> ConfigurationError:
        """Return an error of reading or writing here as a sentence, without what may be secret in it."""
        check = _CHECK_ACCESS
        if self.is_local:
            check = "Check its permissions and its free space."
            if not isinstance(error, OSError):
                check += " Remove a table that others have damaged: it is published anew."
        return ConfigurationError(f"Cannot publish at {self.address}: {reason_of(error)}.", advice=check)

    def check_parquet(self) -> None:
        """Raise ConfigurationError for an object store at which only Delta tables are published."""
        # pyarrow asks for missing credentials without end, and no signal ends it.
        if self.address.startswith(("gs://", "az://")):
            msg = f"Parquet files are published in directories and at s3:// addresses, not at {self.address}."
            raise ConfigurationError(msg, advice="Publish Delta tables there, or name another target.")

    def check_is_no_table(self, files: "pyarrow.fs.FileSystem") -> None:
        """Raise ConfigurationError if the target is a table, or a directory within one.

        `files` are those below it.
        """
        from pyarrow import fs

        for name in _OF_TABLES:
            if files.get_file_info(name).type != fs.FileType.NotFound:
                msg = f"{self.address} is a table itself: it holds {name!r}."
                raise ConfigurationError(msg, advice="Name another target, such as the directory above it.")
        for above in Path(self.address).parents if self.is_local else ():
            if found := next((name for name in _OF_TABLES if (above / name).exists()), None):
                msg = f"{self.address} lies within a table: {above} holds {found!r}."
                raise ConfigurationError(
                    msg, advice="Name a target outside of it: a vacuum deletes it there."
                )


def reason_of(error: Exception) -> str:
    """Return the reason that an error of a file system or of deltalake gives, as one line without secrets."""
    reason = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
    # Errors of object stores are several lines, drawn as a tree for terminals.
    lines = [
        line.strip(" ↳")
        for line in _COLOR.sub("", _QUERY.sub("", _XML.sub(r"\1", reason))).splitlines()
        if not _BACKTRACE.match(line)
    ]
    return ": ".join(filter(None, lines))[:_LONGEST_REASON].rstrip(". ")


def require_packages() -> None:
    """Raise ConfigurationError if the packages for publishing are not installed."""
    try:
        import deltalake  # noqa: F401 - whether it can be imported is the question
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        msg = "Publishing needs deltalake and pyarrow, which are not installed."
        raise ConfigurationError(msg, advice=how_to_install("lake")) from error


def local_files(directory: str) -> "pyarrow.fs.FileSystem":
    """Return the files below a local directory."""
    from pyarrow import fs

    return fs.SubTreeFileSystem(directory, fs.LocalFileSystem())


def check_only_ours(files: "pyarrow.fs.FileSystem", address: str, ours: re.Pattern[str]) -> None:
    """Raise ConfigurationError if a table's directory holds anything whose name does not match `ours`."""
    from pyarrow import fs

    for found in files.get_file_info(fs.FileSelector("", allow_not_found=True)):
        if not ours.fullmatch(found.base_name):
            msg = f"{address} holds {found.base_name!r}, which does not belong to a table of this form."
            raise NotOursError(msg, advice="Name another target, or empty that directory.")


def store_error() -> type[Exception]:
    """Return the class of deltalake's errors."""
    from deltalake.exceptions import DeltaError

    error: type[Exception] = DeltaError
    return error
