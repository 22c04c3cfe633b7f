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
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_COLOR = re.compile(r"\x1b\[[0-9;]*m")
_LONGEST_REASON = 300
_QUERY = re.compile(r"\?[^\s\"']*")

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
            return cls._directory(given) if match is None else cls._store(match[1].lower(), urlsplit(given))
        except (ValueError, RuntimeError) as error:
            msg = f"{given!r} is neither a directory nor the address of one."
            raise ConfigurationError(msg, advice="Name another target.") from error

    @classmethod
    def _directory(cls, given: str) -> "Target":
        path = Path(given).expanduser().absolute()
        if not given or (path.exists() and not path.is_dir()) or is_of_database(path):
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
        reason = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
        # Errors of object stores are several lines, drawn as a tree for terminals.
        lines = [line.strip(" ↳") for line in _COLOR.sub("", _QUERY.sub("", reason)).splitlines()]
        line = ": ".join(filter(None, lines))[:_LONGEST_REASON].rstrip(". ")
        check = "Check its permissions and its free space." if self.is_local else _CHECK_ACCESS
        return ConfigurationError(f"Cannot publish at {self.address}: {line}.", advice=check)


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
            msg = f"{address} holds {found.base_name!r}, which `scalesync publish` has not put there."
            raise NotOursError(msg, advice="Name another target, or empty that directory.")


def store_error() -> type[Exception]:
    """Return the class of deltalake's errors."""
    from deltalake.exceptions import DeltaError

    error: type[Exception] = DeltaError
    return error
