"""Files of an SQLite database: side files, modes, and checks before opening."""

import os
from pathlib import Path

from scalesync import advice
from scalesync.errors import DatabaseError

SUFFIXES = ("-wal", "-shm")
"""Suffixes of the files that SQLite keeps beside a database in use."""

BESIDE = (*SUFFIXES, "-journal")
"""Suffixes of all files that SQLite may keep beside a database."""

_MAGIC = b"SQLite format 3\0"


def is_of_database(path: Path) -> bool:
    """Return whether a path is an SQLite database, or a file that SQLite keeps beside one."""
    main = next((path.name.removesuffix(end) for end in BESIDE if path.name.endswith(end)), path.name)
    try:
        with path.with_name(main or path.name).open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def readable_by_others(path: Path) -> bool:
    """Return whether the mode of a file lets others than its owner read or write it; False on Windows."""
    return os.name == "posix" and bool(path.stat().st_mode & 0o066)


def check_file(path: Path, *, create: bool) -> None:
    """Check that there is a readable and writable file at `path`, or create one. Raises DatabaseError."""
    try:
        if path.is_dir():
            raise DatabaseError(f"{path} is a directory, not a database file.", advice=advice.NAME_FILE)
        if not path.exists():
            if not create:
                raise DatabaseError(f"No mirror at {path}.", advice=advice.INIT_FIRST)
            # Closed to others from its first moment; -wal and -shm take the mode of the database file.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        elif not os.access(path, os.R_OK | os.W_OK):
            raise DatabaseError(
                f"{path} may not be read and written by this user, or its disk is mounted for reading only.",
                advice="Correct its owner or mode, or the mount.",
            )
    except OSError as error:
        reason = error.strerror or str(error)
        raise DatabaseError(
            f"Cannot make a database at {path}: {reason}.", advice=advice.ANOTHER_FILE
        ) from error
