"""People's own SQL, asked so that the database itself refuses to change anything."""

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

_AT_ONCE = 1_000
_SIZE = 1 << 20
"""Rows, and bytes of their values, held in memory while reading."""
_STEPS = 10_000
"""Steps of SQLite's machine between two looks at the clock: less than a millisecond."""
_GRACE = 0.5
"""Seconds after which a statement of SQLite that is not ended by that is left behind."""
_LONGEST = 256 << 20
"""Bytes of a value or a row in SQLite: more than any document, and not enough to fill the memory."""
_BUSY_SECONDS = 30

_POSTGRES_JSON = {114, 3802}
"""The numbers of the types json and jsonb, which no server changes."""

_SQLITE_WRONG = {
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_SCHEMA,  # what a wrong name is called in the first statement of a connection
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_CONSTRAINT,
}
_READING_PRAGMAS = {
    "application_id", "collation_list", "compile_options", "data_version", "database_list", "encoding",
    "foreign_key_check", "foreign_key_list", "freelist_count", "function_list", "index_info", "index_list",
    "index_xinfo", "integrity_check", "module_list", "page_count", "page_size", "pragma_list", "quick_check",
    "schema_version", "table_info", "table_list", "table_xinfo", "user_version",
}  # fmt: skip
"""Those that tell something. Others change the file, the connection or what else the process holds."""

_POSTGRES_FAILING = ("08", "28", "3D", "40", "53", "55P03", "57", "58", "F0", "XX")
"""Beginnings of the SQLSTATEs that speak of the server; all others speak of the statement."""
_PROTOCOL = "08P01"
_TIMES = ("date", "time", "timetz", "timestamp", "timestamptz", "interval")
_CANCELED = "57014"

_ADVICE = advice.ONE_READING_STATEMENT


class _TimeAllowance:
    """The time that a database may be at work on a statement; what its reader takes does not count."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        self.seconds = seconds
        self._left = seconds
        self._ends: float | None = None
        self._clock = clock

    @contextmanager
    def used(self) -> Iterator[None]:
        """Count the time that the block takes. Raises IncompleteError where it was too long."""
        self._ends = self._clock.monotonic() + self._left
        yield
        self._left, self._ends = self.left(), None
        if self._left <= 0:
            raise self.spent()

    def left(self) -> float:
        """Return the seconds that are left."""
        return self._left if self._ends is None else self._ends - self._clock.monotonic()

    def spent(self) -> IncompleteError:
        """Return what to say when nothing is left."""
        return IncompleteError(
            f"The statement took longer than {self.seconds:g} s.",
            advice=advice.ASK_LESS,
        )


@contextmanager
def run_query(database: Database, statement: str, *, seconds: float, clock: Clock) -> Iterator[QueryResult]:
    """Lend the answer to one statement; its rows come as they are read, in flat memory.

    The connection is its own and can only read: on SQLite it is opened so, and no other file can be joined
    to it; on Postgres the statement is that of a cursor, in a transaction that only reads. Raises
    ConfigurationError for a statement that is wrong, would change anything, or is more than one;
    IncompleteError when the database is at work for more than `seconds`; DatabaseError where it fails.
    """
    _check_characters(statement)
    ask = _asking_sqlite if database.is_sqlite else _asking_postgres
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
def _asking_sqlite(database: Database, statement: str, allowance: _TimeAllowance) -> Iterator[QueryResult]:
    with OwnThread("sql") as thread:

        def within(act: Callable[[], T]) -> T:
            return thread.call(act, max(0.0, allowance.left()) + _GRACE)

        try:
            connection = thread.call(lambda: _read_only(Path(database.url_shown)))
            thread.at_end(connection.close, hasten=connection.interrupt)
            connection.set_progress_handler(lambda: allowance.left() <= 0, _STEPS)
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
    """Return a connection that can read this file and nothing else."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro",
        uri=True,
        isolation_level=None,
        timeout=_BUSY_SECONDS,
        check_same_thread=False,
    )
    # Otherwise one name that is not UTF-8 would hide every row.
    connection.text_factory = lambda data: data.decode(errors="replace")
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
    connection.execute("PRAGMA query_only = ON")
    connection.set_authorizer(_may)
    return connection


def _may(action: int, name: str | None, *_: str | None) -> int:
    """Tell SQLite what a statement may do: what it refuses to write by itself needs no word here."""
    forbidden = action == sqlite3.SQLITE_PRAGMA and str(name).lower() not in _READING_PRAGMAS
    return sqlite3.SQLITE_DENY if forbidden else sqlite3.SQLITE_OK


def _nothing() -> list[tuple[str]]:
    raise ConfigurationError("The statement gives no rows.", advice=_ADVICE)


def _from_sqlite(database: Database, error: Exception, allowance: _TimeAllowance) -> BaseException:
    # What the driver itself refuses, such as a second statement, has no code.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code == sqlite3.SQLITE_INTERRUPT:
        return allowance.spent()
    if code in _SQLITE_WRONG:
        return _refused(database, error)
    return database.translated(error)


@contextmanager
def _asking_postgres(database: Database, statement: str, allowance: _TimeAllowance) -> Iterator[QueryResult]:
    from psycopg import Error

    with closing(database.driver_connection()) as connection:

        @contextmanager
        def limited() -> Iterator[None]:
            connection.execute(f"SET LOCAL statement_timeout = {_milliseconds(allowance.left())}")
            with allowance.used():
                yield

        try:
            _begin(connection)
            # A named cursor is DECLAREd by the protocol that takes one statement, and takes none but a query.
            with connection.cursor("scalesync_sql") as cursor:
                with limited():
                    cursor.execute(statement)
                columns = tuple(Column(each.name, _kind(each.type_code)) for each in cursor.description or ())
                yield QueryResult(columns, _rows(cursor.fetchmany, limited))
        except Error as error:
            raise _from_postgres(database, error, allowance, lost=connection.broken) from error


def _begin(connection: "psycopg.Connection[Any]") -> None:
    """Begin a transaction that only reads, and in which every date and time can be read.

    Policies hide rows here as they are meant to, and are no error as in transactions of our own.
    """
    begin = postgres.begin_as(connection, postgres.READING)
    connection.execute("; ".join(filter(None, [begin, "SET LOCAL row_security TO DEFAULT"])))
    for name in _TIMES:
        _read_or_keep(connection, name)


def _read_or_keep(connection: "psycopg.Connection[Any]", name: str) -> None:
    """Have values of a type read, and those that Python has no form of, such as `infinity`, kept as text."""
    from psycopg import DataError
    from psycopg.adapt import Loader
    from psycopg.pq import Format

    number = connection.adapters.types[name].oid
    known = connection.adapters.get_loader(number, Format.TEXT)

    class OrText(Loader):
        def load(self, data: Any) -> object:
            if name == "interval" and any(unit in bytes(data) for unit in (b"year", b"mon")):
                return bytes(data).decode()
            try:
                return known(self.oid, self.connection).load(data) if known else bytes(data).decode()
            except (DataError, OverflowError):
                return bytes(data).decode()

    connection.adapters.register_loader(number, OrText)


def _milliseconds(seconds: float) -> int:
    """Return what Postgres takes for a time: rounded up, so that it ends only after ours has."""
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
    # Without a state it is a value that Python has no form of.
    if lost or (state or "").startswith(_POSTGRES_FAILING):
        return database.translated(error, lost=lost)
    return _refused(database, error)


def _refused(database: Database, error: Exception) -> ConfigurationError:
    said = next(iter(str(error).strip().splitlines()), type(error).__name__)
    line = database.without_secrets(said).rstrip(".")
    return ConfigurationError(f"The statement cannot be run: {line}.", advice=_ADVICE)


def _rows(
    fetch: Callable[[int], list[Sequence[object]]], timed: Callable[[], AbstractContextManager[None]]
) -> Iterator[Sequence[object]]:
    """Yield rows that are fetched some at a time: few where they are long."""
    number = 1
    while True:
        with timed():
            some = fetch(number)
        if not some:
            return
        size = sum(len(value) for row in some for value in row if isinstance(value, str | bytes))
        yield from some
        number = min(2 * number, _AT_ONCE) if size < _SIZE else max(1, number // 2)
