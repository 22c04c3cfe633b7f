"""The files of an SQLite database: which there are beside it, and who may open them."""

import os
from pathlib import Path

SUFFIXES = ("-wal", "-shm")
"""Of the files that SQLite keeps beside a database in use."""


BESIDE = (*SUFFIXES, "-journal")
"""Of all files that SQLite may keep beside a database."""


_BEGINS = b"SQLite format 3\0"


def is_of_database(path: Path) -> bool:
    """Return whether a path is that of an SQLite database, or of a file that SQLite keeps beside one."""
    of = next((path.name.removesuffix(end) for end in BESIDE if path.name.endswith(end)), path.name)
    try:
        with path.with_name(of or path.name).open("rb") as file:
            return file.read(len(_BEGINS)) == _BEGINS
    except OSError:
        return False


def readable_by_others(path: Path) -> bool:
    """Tell whether more than its owner may read or write a file, as far as its mode says."""
    return os.name == "posix" and bool(path.stat().st_mode & 0o066)
