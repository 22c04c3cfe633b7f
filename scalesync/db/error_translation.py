"""Translate drivers' errors into a sentence for people and advice: tables by SQLite code, SQLSTATE, words."""

from collections.abc import Callable
from dataclasses import dataclass
from sqlite3 import (
    SQLITE_BUSY,
    SQLITE_CANTOPEN,
    SQLITE_CORRUPT,
    SQLITE_FULL,
    SQLITE_IOERR,
    SQLITE_IOERR_SHORT_READ,
    SQLITE_LOCKED,
    SQLITE_NOTADB,
    SQLITE_PERM,
    SQLITE_READONLY,
)

from sqlalchemy import exc

from scalesync import advice
from scalesync.errors import LOOK_CLOSER, DatabaseError, DatabaseUnavailableError


@dataclass(frozen=True, slots=True)
class _ErrorText:
    sentence: str
    """With {shown} for the database's address and {line} for the first line of the driver's message."""
    advice: str
    kind: type[DatabaseError] = DatabaseError


_FULL = _ErrorText(
    "The disk that holds {shown} is full.", "Make room, then run again: what was committed is kept."
)
_READONLY = _ErrorText("{shown} may only be read here.", advice.PERMISSIONS_OR_ANOTHER)
_ONLY_READS = _ErrorText(
    "{shown} may only be read here.",
    advice.PRIMARY_OR_ROLE,
)
_SESSION = _ErrorText(
    "{shown} refuses the session that was asked for: {line}.",
    "Correct PGOPTIONS, PGTZ, PGDATESTYLE, or the options of the URL; a pooler takes none of them.",
)
_SHARED = _ErrorText(
    "Something between here and {shown} hands its sessions around: {line}.",
    "Add pgbouncer=true to the URL's options, or name the server itself.",
)
_NO_SCHEMA = _ErrorText(
    "{shown} has no schema for tables: {line}.",
    "Set search_path, for the role or the database, to a schema that is there.",
)
_ENDED = _ErrorText(
    "{shown} ended a statement: {line}.",
    "Run again: what was committed is kept. A pooler's time limit for statements may be too short.",
    DatabaseUnavailableError,
)
_ADDRESS = _ErrorText("The address of {shown} cannot be used: {line}.", advice.CORRECT_DB)
_LOCKED = _ErrorText(
    "Another program kept {shown} locked for too long.",
    "Run again when it has finished: what was committed is kept.",
    DatabaseUnavailableError,
)
_FOREIGN = _ErrorText("{shown} is not an SQLite database.", advice.ANOTHER_FILE)
_DAMAGED = _ErrorText(
    "{shown} is damaged: {line}.",
    advice.RESTORE,
)
_UNREADABLE = _ErrorText(
    "{shown} cannot be opened: {line}.", "Look after the file, its directory and its disk."
)
_BROKEN = _ErrorText(
    "The disk that holds {shown} failed: {line}.",
    "Look after the disk, then run again: what was committed is kept.",
)
_CUT_SHORT = _ErrorText(
    "A part of {shown} is missing, or of the -wal beside it: it was deleted or cut off while in use.",
    "End every process that uses this mirror, and run again.",
)
_NO_TABLES = _ErrorText("{shown} has no mirror's tables, or older ones.", advice.INIT)
_REFUSED = _ErrorText("The database server refused the user name or password for {shown}.", advice.CORRECT_DB)
_UNKNOWN = _ErrorText("The server knows no such database or user: {line}.", advice.CREATE_OR_CORRECT_DB)
_UNREACHABLE = _ErrorText(
    "Cannot connect to {shown}: {line}.",
    "Is the server running, and the address right?",
    DatabaseUnavailableError,
)
_LOST = _ErrorText(
    "The connection to {shown} was lost: {line}.",
    "Run again: what was committed is kept.",
    DatabaseUnavailableError,
)
_CROSSED = _ErrorText(
    "Another writer of {shown} got in the way: {line}.",
    "Run again: what was committed is kept.",
    DatabaseUnavailableError,
)
_DENIED = _ErrorText("The database user may not do this in {shown}: {line}.", "Grant it what a mirror needs.")
_CROWDED = _ErrorText(
    "{shown} has no connection to spare: {line}.",
    advice.FEWER_WORKERS,
    DatabaseUnavailableError,
)
_OTHER = _ErrorText("{shown}: {line}.", LOOK_CLOSER)

_BY_SQLITE_CODE = {
    SQLITE_FULL: _FULL,
    SQLITE_READONLY: _READONLY,
    SQLITE_PERM: _READONLY,
    SQLITE_BUSY: _LOCKED,
    SQLITE_LOCKED: _LOCKED,
    SQLITE_NOTADB: _FOREIGN,
    SQLITE_CORRUPT: _DAMAGED,
    SQLITE_CANTOPEN: _UNREADABLE,
    SQLITE_IOERR: _BROKEN,
}

# By the beginning of the SQLSTATE that Postgres gave; the first match counts, so exact codes come before
# classes.
_BY_SQLSTATE = (
    ("53100", _FULL),
    ("53300", _CROWDED),
    ("25006", _ONLY_READS),
    ("25P03", _LOST),
    ("42P01", _NO_TABLES),
    ("42703", _NO_TABLES),
    ("42501", _DENIED),
    ("3F000", _NO_SCHEMA),
    ("26000", _SHARED),
    ("42P05", _SHARED),
    ("57014", _ENDED),
    ("28", _REFUSED),
    ("3D000", _UNKNOWN),
    ("40", _CROSSED),
    ("55P03", _LOCKED),
    ("57P", _LOST),
    ("08", _LOST),
)

# By words of a message without a code: libpq gives no SQLSTATE for errors of connecting (documented). The
# order counts: most of these messages also contain "connection to server", which says least.
_BY_WORDS = (
    ("no such table", _NO_TABLES),
    ("no such column", _NO_TABLES),
    ("unsupported startup parameter", _SESSION),
    ("invalid value for parameter", _SESSION),
    ("unrecognized configuration parameter", _SESSION),
    ("invalid command-line argument", _SESSION),
    ("no such database", _UNKNOWN),
    ("no such user", _UNKNOWN),
    ("permission denied for database", _DENIED),
    ("not permitted to log in", _REFUSED),
    ("authentication failed", _REFUSED),
    ("no password supplied", _REFUSED),
    ("no pg_hba.conf entry", _REFUSED),
    ("does not exist", _UNKNOWN),
    ("too many clients", _CROWDED),
    ("connection slots are reserved", _CROWDED),
    ("no more connections allowed", _CROWDED),
    ("the connection is lost", _LOST),
    ("server closed the connection", _LOST),
    ("connection to server", _UNREACHABLE),
    ("connection timeout", _UNREACHABLE),
    ("failed to resolve", _UNREACHABLE),
    ("invalid ", _ADDRESS),
)


def database_error(
    error: Exception, *, shown: str, hide: Callable[[str], str], lost: bool = False
) -> DatabaseError:
    """Return an error for people made from an error of SQLAlchemy or a driver.

    `shown` is the address without secrets; `hide` removes secrets from the driver's message; `lost` says that
    the connection is unusable (SQLAlchemy's errors say so themselves). Returns a DatabaseUnavailableError if
    waiting may help.
    """
    cause = error.orig if isinstance(error, exc.DBAPIError) and error.orig is not None else error
    line = hide(next(iter(str(cause).strip().splitlines()), type(cause).__name__)).strip().rstrip(".")
    meaning = _CROWDED if isinstance(error, exc.TimeoutError) else _meaning(cause)
    lost = lost or (isinstance(error, exc.DBAPIError) and error.connection_invalidated)
    if meaning is _OTHER and lost:
        meaning = _LOST
    return meaning.kind(meaning.sentence.format(shown=shown, line=line), advice=meaning.advice)


def _meaning(cause: BaseException) -> _ErrorText:
    code = getattr(cause, "sqlite_errorcode", None)
    if code == SQLITE_IOERR_SHORT_READ:
        return _CUT_SHORT
    # The low byte is the primary code; extended codes add details in the higher bytes (documented).
    if code is not None and code & 0xFF in _BY_SQLITE_CODE:
        return _BY_SQLITE_CODE[code & 0xFF]
    state = getattr(cause, "sqlstate", None)
    if state:
        return next((meaning for start, meaning in _BY_SQLSTATE if state.startswith(start)), _OTHER)
    words = str(cause)
    return next((meaning for part, meaning in _BY_WORDS if part in words), _OTHER)
