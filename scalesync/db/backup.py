"""Back up an SQLite mirror into another file while others write to it."""

import os
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from scalesync import advice
from scalesync.db.database import Database
from scalesync.db.wal import random_number
from scalesync.errors import ConfigurationError
from scalesync.sqlite_files import BESIDE, SUFFIXES, is_of_database

BackupWatcher = Callable[[int, int], None]
"""Called with the numbers of copied pages and of all pages; an error that it raises ends the backup."""

# Pages copied between two calls of the watcher.
_PAGES = 2_000
# Errors of reading the mirror; all others are about the file written.
_SOURCE_ERRORS = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_IOERR_READ,
    sqlite3.SQLITE_IOERR_SHORT_READ,
}
_ADVICE = "Name another file."


def back_up(database: Database, target: Path, watch: BackupWatcher, *, overwrite: bool = False) -> int:
    """Write a consistent copy of an SQLite mirror to `target` and return its size in bytes.

    Does not block writers. The file appears whole or not at all, readable by its owner only. Raises
    ConfigurationError for a mirror on Postgres, a file that cannot be written, and one that exists unless
    `overwrite`; DatabaseError if the mirror cannot be read.
    """
    if not database.is_sqlite:
        raise ConfigurationError(
            "A mirror on Postgres is backed up by the server's own tools.",
            advice="Run `pg_dump --format=custom --file=FILE DATABASE`.",
        )
    try:
        # A symbolic link stays one: the file that it points to is replaced.
        final = target.resolve()
        _check_target(database, target, final, overwrite=overwrite)
        with tempfile.TemporaryDirectory(dir=final.parent, prefix=".scalesync-backup-") as folder:
            made = Path(folder, "copy")
            _copy(database, made, watch)
            # Again: copying takes minutes, and the target may be in use by now.
            _check_target(database, target, final, overwrite=overwrite)
            made.replace(final)
        _flush(final.parent)
        return final.stat().st_size
    except (OSError, sqlite3.Error) as error:
        if getattr(error, "sqlite_errorcode", None) in _SOURCE_ERRORS:
            raise database.translated(error) from error
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(f"Cannot write {target}: {reason}.", advice=_ADVICE) from error


def _check_target(database: Database, target: Path, final: Path, *, overwrite: bool) -> None:
    """Raise ConfigurationError if the copy must not be put at `final`."""
    # SQLite would replay a -wal of another database into the copy, and damage it.
    beside = [f"{target}{suffix}" for suffix in SUFFIXES if Path(f"{final}{suffix}").exists()]
    if beside:
        raise ConfigurationError(
            f"{beside[0]} is there: {target} is a database in use, or was one.", advice=_ADVICE
        )
    if final.name.endswith(BESIDE) and is_of_database(final):
        raise ConfigurationError(f"{target} belongs to the database beside it.", advice=_ADVICE)
    if not final.exists():
        return
    if final.samefile(database.url_shown):
        raise ConfigurationError(f"{target} is the mirror itself.", advice=_ADVICE)
    if not final.is_file():
        raise ConfigurationError(f"{target} is not a file.", advice=_ADVICE)
    if not overwrite:
        raise ConfigurationError(f"{target} is there already.", advice=advice.NAME_BACKUP_OR_OVERWRITE)


def _copy(database: Database, path: Path, watch: BackupWatcher) -> None:
    """Copy the mirror to a new file at `path`, flushed to the disk, with no -wal beside it."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    with closing(database.driver_connection()) as source, closing(sqlite3.connect(path)) as copy:
        # Within one reading transaction: otherwise the backup starts anew with each commit of others.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
        copy.execute("PRAGMA synchronous = OFF")
        source.backup(copy, pages=_PAGES, progress=lambda _, left, pages: watch(pages - left, pages))
        # A new random number: a -wal that is left when the copy replaces the mirror is then recognized.
        copy.execute(f"PRAGMA user_version = {random_number()}")
        copy.commit()
    _flush(path)


def _flush(path: Path) -> None:
    """Flush a file, or the names in a directory, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
