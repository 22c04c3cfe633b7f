"""Write a file or a directory atomically: it appears complete, or not at all."""

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from scalesync.errors import ConfigurationError


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file that replaces `path` at the end of the block; on an error `path` is unchanged.

    Only the owner may read the file. Raises ConfigurationError if it cannot be written, and for a path that
    is an SQLite database.
    """
    from scalesync.sqlite_files import is_of_database

    with _translate_errors(path):
        # A link stays a link: its target is replaced.
        target = path.resolve()
        if is_of_database(target):
            msg = f"{path} is an SQLite database, or belongs to one, such as a mirror with its queue."
            raise ConfigurationError(msg, advice="Name another file with -o, or remove this one.")
        # /dev/null or a named pipe cannot be replaced: write into it.
        if target.exists() and not target.is_file():
            with target.open("wb") as file:
                yield file
            return
        # In the same directory, because a rename is atomic only within one file system.
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


@contextmanager
def atomic_directory(path: Path, may_replace: Callable[[Path], bool]) -> Iterator[Path]:
    """Yield a directory that replaces `path` at the end of the block; on an error `path` is unchanged.

    Only the owner may read it. Raises ConfigurationError if it cannot be written, and for an existing
    directory that `may_replace` refuses.
    """
    with _translate_errors(path):
        target = path.resolve()
        if target.exists() and not (target.is_dir() and may_replace(target)):
            msg = f"{path} holds something else than an earlier export."
            raise ConfigurationError(msg, advice="Name another directory with -o, or remove this one.")
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as temporary:
            new, old = Path(temporary, "made"), Path(temporary, "before")
            new.mkdir(mode=0o700)
            yield new
            _swap(new, target, old)


def _swap(new: Path, target: Path, old: Path) -> None:
    # A directory cannot be replaced by one rename: the old one moves away first, and back on a failure.
    if target.exists():
        target.rename(old)
    try:
        new.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM, so that temporary files are removed."""
    old = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, old)


@contextmanager
def _translate_errors(path: Path) -> Iterator[None]:
    """Translate OSError to ConfigurationError, and let SIGTERM clean up like Ctrl-C."""
    try:
        with sigterm_as_interrupt():
            yield
    except OSError as error:
        msg = f"Cannot write {path}: {error.strerror or error}."
        raise ConfigurationError(msg, advice="Name another file with -o.") from error
