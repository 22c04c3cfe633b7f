"""Run people's own SQL on a connection on which the database itself refuses every change."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from scalesync import advice
from scalesync.clock import Clock
from scalesync.db import postgres
from scalesync.db.database import Database
from scalesync.db.own_thread import OwnThread
from scalesync.errors import ConfigurationError, IncompleteError, ScalesyncError
from scalesync.models.columns import Column, ColumnKind, QueryResult

if TYPE_CHECKING:
    import psycopg

T = TypeVar("T")

# Rows, and bytes of their values, held in memory while reading.
_AT_ONCE = 1_000
_SIZE = 1 << 20
# Steps of SQLite's virtual machine between two checks of the time: less than a millisecond.
_STEPS_BETWEEN_CHECKS = 10_000
# Seconds after its time limit until a statement is abandoned: one step, such as `instr` on a long value, may
# take hours, and only between two steps can SQLite be stopped.
_GRACE_SECONDS = 0.5
# Bytes of a value or row in SQLite: more than any document, and too few to fill the memory.
_MAX_BYTES = 256 << 20
_BUSY_SECONDS = 30

# The OIDs of json and jsonb, which are fixed (documented).
_POSTGRES_JSON = {114, 3802}

# Errors of the statement; all others are of the file.
_SQLITE_STATEMENT_ERRORS = {
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_SCHEMA,  # what a wrong name is called in the first statement of a connection
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_CONSTRAINT,
}
# Pragmas that only return something. Others change the file, the connection, or state of the process.
_READING_PRAGMAS = {
    "application_id", "collation_list", "compile_options", "data_version", "database_list", "encoding",
    "foreign_key_check", "foreign_key_list", "freelist_count", "function_list", "index_info", "index_list",
    "index_xinfo", "integrity_check", "module_list", "page_count", "page_size", "pragma_list", "quick_check",
    "schema_version", "table_info", "table_list", "table_xinfo", "user_version",
}  # fmt: skip

# Beginnings of the SQLSTATEs for failures of the server; all others are errors of the statement.
_POSTGRES_SERVER_ERRORS = ("08", "28", "3D", "40", "53", "55P03", "57", "58", "F0", "XX")
_PROTOCOL = "08P01"
_TIMES = ("date", "time", "timetz", "timestamp", "timestamptz", "interval")
_CANCELED = "57014"

_ADVICE = advice.ONE_READING_STATEMENT


class _TimeAllowance:
    """The time that the database may work on a statement; the time of the reader does not count."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        self.seconds = seconds
        self._left = seconds
        self._ends: float | None = None
        self._clock = clock

    @contextmanager
    def used(self) -> Iterator[None]:
        """Count the time of the block. Raises IncompleteError if none is left afterwards."""
        self._ends = self._clock.monotonic() + self._left
        yield
        self._left, self._ends = self.left(), None
        if self._left <= 0:
            raise self.spent()

    def left(self) -> float:
        """Return the seconds left."""
        return self._left if self._ends is None else self._ends - self._clock.monotonic()

    def spent(self) -> IncompleteError:
        """Return the error for a statement that took too long."""
        return IncompleteError(
            f"The statement took longer than {self.seconds:g} s.",
            advice=advice.ASK_LESS,
        )


@contextmanager
def run_query(database: Database, statement: str, *, seconds: float, clock: Clock) -> Iterator[QueryResult]:
    """Run one reading statement on a connection of its own and yield its result, read in constant memory.

    Raises ConfigurationError for a statement that is wrong, would change anything, or is more than one;
    IncompleteError if the database works on it for more than `seconds`; DatabaseError if the database fails.
    """
    _check_characters(statement)
    ask = _run_on_sqlite if database.is_sqlite else _run_on_postgres
    with ask(database, statement, _TimeAllowance(seconds, clock)) as answer:
        yield answer


def _check_characters(statement: str) -> None:
    try:
        statement.encode()
    except UnicodeEncodeError as error:
        raise ConfigurationError("The statement is not text in UTF-8.", advice=_ADVICE) from error
    if "\0" in statement:
        raise ConfigurationError("The statement holds a NUL character.", advice=_ADVICE)


@contextmanager
def _run_on_sqlite(database: Database, statement: str, allowance: _TimeAllowance) -> Iterator[QueryResult]:
    with OwnThread("sql") as thread:

        def within(act: Callable[[], T]) -> T:
            return thread.call(act, max(0.0, allowance.left()) + _GRACE_SECONDS)

        try:
            connection = thread.call(lambda: _read_only(Path(database.url_shown)))
            thread.at_end(connection.close, hasten=connection.interrupt)
            # Two limits: this one ends a statement between two steps, the thread's timeout abandons the rest.
            connection.set_progress_handler(lambda: allowance.left() <= 0, _STEPS_BETWEEN_CHECKS)
            with allowance.used():
                cursor = within(lambda: connection.execute(statement))
            names = [name for name, *_ in cursor.description or _nothing()]
            columns = tuple(Column(name, ColumnKind.UNDECLARED) for name in names)
            yield QueryResult(
                columns, _rows(lambda number: within(lambda: cursor.fetchmany(number)), allowance.used)
            )
        except TimeoutError:
            raise allowance.spent() from None
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise _from_sqlite(database, error, allowance) from error


def _read_only(path: Path) -> sqlite3.Connection:
    """Return an SQLite connection that can read this file and nothing else."""
    # Layers: the file is opened read-only, ATTACH is limited to none, query_only refuses writes to temporary
    # tables too, and the authorizer denies pragmas that would undo these.
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro",
        uri=True,
        isolation_level=None,
        timeout=_BUSY_SECONDS,
        check_same_thread=False,
    )
    # Otherwise one text that is not UTF-8 would make every row unreadable.
    connection.text_factory = lambda data: data.decode(errors="replace")
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_BYTES)
    connection.execute("PRAGMA query_only = ON")
    connection.set_authorizer(_authorize)
    return connection


def _authorize(action: int, name: str | None, *_: str | None) -> int:
    """Deny pragmas that change anything (SQLite's authorizer callback); writes are refused already."""
    forbidden = action == sqlite3.SQLITE_PRAGMA and str(name).lower() not in _READING_PRAGMAS
    return sqlite3.SQLITE_DENY if forbidden else sqlite3.SQLITE_OK


def _nothing() -> list[tuple[str]]:
    raise ConfigurationError("The statement gives no rows.", advice=_ADVICE)


def _from_sqlite(database: Database, error: Exception, allowance: _TimeAllowance) -> BaseException:
    # Errors of the driver itself, such as for a second statement, have no code.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code == sqlite3.SQLITE_INTERRUPT:
        return allowance.spent()
    if code in _SQLITE_STATEMENT_ERRORS:
        return _refused(database, error)
    return database.translated(error)


@contextmanager
def _run_on_postgres(database: Database, statement: str, allowance: _TimeAllowance) -> Iterator[QueryResult]:
    from psycopg import Error

    with closing(database.driver_connection()) as connection:

        @contextmanager
        def limited() -> Iterator[None]:
            connection.execute(f"SET LOCAL statement_timeout = {_milliseconds(allowance.left())}")
            with allowance.used():
                yield

        try:
            _begin(connection)
            # A named cursor is DECLAREd by the extended protocol, which accepts one statement only, and
            # DECLARE accepts queries only: "COMMIT; DROP ..." cannot leave the read-only transaction.
            with connection.cursor("scalesync_sql") as cursor:
                with limited():
                    cursor.execute(statement)
                columns = tuple(Column(each.name, _kind(each.type_code)) for each in cursor.description or ())
                yield QueryResult(columns, _rows(cursor.fetchmany, limited))
        except Error as error:
            raise _from_postgres(database, error, allowance, lost=connection.broken) from error


def _begin(connection: "psycopg.Connection[Any]") -> None:
    """Begin a read-only transaction, in which row policies apply and every date and time can be read."""
    begin = postgres.begin_as(connection, postgres.READING)
    connection.execute("; ".join(filter(None, [begin, "SET LOCAL row_security TO DEFAULT"])))
    for name in _TIMES:
        _read_or_keep(connection, name)


def _read_or_keep(connection: "psycopg.Connection[Any]", name: str) -> None:
    """Read values of a type as text if Python cannot represent them, such as `infinity`."""
    from psycopg import DataError
    from psycopg.adapt import Loader
    from psycopg.pq import Format

    number = connection.adapters.types[name].oid
    known = connection.adapters.get_loader(number, Format.TEXT)

    class OrText(Loader):
        def load(self, data: Any) -> object:
            # psycopg would make 30 days of a month and 365 of a year.
            if name == "interval" and any(unit in bytes(data) for unit in (b"year", b"mon")):
                return bytes(data).decode()
            try:
                return known(self.oid, self.connection).load(data) if known else bytes(data).decode()
            except (DataError, OverflowError):
                return bytes(data).decode()

    connection.adapters.register_loader(number, OrText)


def _milliseconds(seconds: float) -> int:
    """Return whole milliseconds for statement_timeout."""
    # Rounded up: our allowance is spent when Postgres cancels, which tells this from other cancels; and 0
    # would mean no limit.
    return min(max(0, int(seconds * 1_000)) + 1, 2**31 - 1)


def _kind(type_code: int) -> ColumnKind:
    return ColumnKind.JSON if type_code in _POSTGRES_JSON else ColumnKind.UNDECLARED


def _from_postgres(
    database: Database, error: Exception, allowance: _TimeAllowance, *, lost: bool
) -> ScalesyncError:
    state = getattr(error, "sqlstate", None)
    if state == _CANCELED and allowance.left() <= 0:
        return allowance.spent()
    if state == _PROTOCOL and not lost:
        return ConfigurationError(
            "The statement cannot be run: it has placeholders ($1), and nothing is given for them.",
            advice="Write the values into the statement.",
        )
    # Without a state: psycopg could not convert a value.
    if lost or (state or "").startswith(_POSTGRES_SERVER_ERRORS):
        return database.translated(error, lost=lost)
    return _refused(database, error)


def _refused(database: Database, error: Exception) -> ConfigurationError:
    said = next(iter(str(error).strip().splitlines()), type(error).__name__)
    line = database.without_secrets(said).rstrip(".")
    return ConfigurationError(f"The statement cannot be run: {line}.", advice=_ADVICE)


def _rows(
    fetch: Callable[[int], list[Sequence[object]]], timed: Callable[[], AbstractContextManager[None]]
) -> Iterator[Sequence[object]]:
    """Yield rows, fetched in portions that are smaller where rows are long."""
    # Doubled from one row on: a single row may have megabytes, and its size is known only after it was read.
    number = 1
    while True:
        with timed():
            some = fetch(number)
        if not some:
            return
        size = sum(len(value) for row in some for value in row if isinstance(value, str | bytes))
        yield from some
        number = min(2 * number, _AT_ONCE) if size < _SIZE else max(1, number // 2)
