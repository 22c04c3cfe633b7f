"""Writing a file or a directory whole or not at all."""

import os
import signal
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from scalesync.errors import ConfigurationError


def write_lines(path: Path, lines: Iterable[bytes]) -> None:
    """Write lines to `path`; until all are written, `path` stays as it was.

    Raises ConfigurationError if it cannot be written.
    """
    with atomic_write(path) as file:
        for line in lines:
            file.write(line + b"\n")


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Lend a file that takes the place of `path` at the end of the block; on an error `path` stays as it was.

    The file can be read by its owner only. What is no file, such as /dev/null or a named pipe, is written to
    as it is. Raises ConfigurationError if it cannot be written, and for a database: nothing that is written
    here is one.
    """
    from scalesync.sqlite_files import is_of_database

    with _named(path):
        # A link stays a link: what it points to is replaced.
        target = path.resolve()
        if is_of_database(target):
            msg = f"{path} is an SQLite database, or belongs to one, such as a mirror with its queue."
            raise ConfigurationError(msg, advice="Name another file with -o, or remove this one.")
        if target.exists() and not target.is_file():
            with target.open("wb") as file:
                yield file
            return
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


@contextmanager
def replacing_directory(path: Path, is_ours: Callable[[Path], bool]) -> Iterator[Path]:
    """Lend a directory that takes the place of `path` at the end; on an error `path` stays as it was.

    It can be read by its owner only. A directory that is there already is replaced only if `is_ours` says
    that nothing else is in it. Raises ConfigurationError if it is not, or nothing can be written there.
    """
    with _named(path):
        target = path.resolve()
        if target.exists() and not (target.is_dir() and is_ours(target)):
            msg = f"{path} holds something else than a dataset made by --partition."
            raise ConfigurationError(msg, advice="Name another directory with -o, or remove this one.")
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as room:
            made, before = Path(room, "made"), Path(room, "before")
            made.mkdir(mode=0o700)
            yield made
            _exchange(made, target, before)


def _exchange(made: Path, target: Path, before: Path) -> None:
    if target.exists():
        target.rename(before)
    try:
        made.rename(target)
    except OSError:
        if before.exists():
            before.rename(target)
        raise


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, leaving nothing."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Translate what the system says, and let SIGTERM end the block as Ctrl-C does, leaving nothing."""
    try:
        with ended_by_sigterm():
            yield
    except OSError as error:
        msg = f"Cannot write {path}: {error.strerror or error}."
        raise ConfigurationError(msg, advice="Name another file with -o.") from error
