"""Writing a file whole or not at all."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from scalesync.errors import ConfigurationError


def write_lines(path: Path, lines: Iterable[bytes]) -> int:
    """Write lines to `path` and return how many there were; until all are written, `path` stays as it was.

    The file can be read by its owner only. What is no file, such as /dev/null or a named pipe, is written to
    as it is. Raises ConfigurationError if it cannot be written.
    """
    try:
        # A link stays a link: what it points to is replaced.
        target = path.resolve()
        if target.exists() and not target.is_file():
            with target.open("wb") as file:
                return _write(file, lines)
        return _replace(target, lines)
    except OSError as error:
        msg = f"Cannot write {path}: {error.strerror}."
        raise ConfigurationError(msg, advice="Name another file with -o.") from error


def _replace(target: Path, lines: Iterable[bytes]) -> int:
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            count = _write(file, lines)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return count


def _write(file: IO[bytes], lines: Iterable[bytes]) -> int:
    count = 0
    for line in lines:
        file.write(line + b"\n")
        count += 1
    return count
