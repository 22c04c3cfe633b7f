"""Make Postgres engines whose sessions override the settings of server, role and pooler.

Hazard: a pooler such as PgBouncer may run every transaction in another session of the server. There each
transaction begins with the settings, nothing is prepared, and temporary tables end with the transaction.
"""

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL
from sqlalchemy.pool import ConnectionPoolEntry

from scalesync import advice
from scalesync.db.sqlite import BEGIN, BUSY_SECONDS
from scalesync.db.types import json_as_text
from scalesync.errors import DatabaseError

if TYPE_CHECKING:
    import psycopg

READING = "REPEATABLE READ READ ONLY"
# READ COMMITTED, so that a transaction that waited for a lock sees what was committed meanwhile. It does not
# say READ WRITE, which would overrule a default that somebody set on purpose: see `examine`.
WRITING = "READ COMMITTED"
# The same modes for psycopg: (number of the isolation level, read only).
_DRIVER_MODES = {READING: (3, True), WRITING: (2, None)}
_CONNECT_SECONDS = 10
# A server that acknowledges nothing for so long is given up: some networks drop packets without an error.
_SILENT_SECONDS = 60
# Executions of a statement before it is prepared; psycopg's default.
_PREPARED_AFTER = 5
# Roles and databases may have other values for each of these, which would change how values are read and
# written, or end long statements.
_SETTINGS = {
    "client_encoding": "UTF8",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "3",
    "standard_conforming_strings": "on",
    "array_nulls": "on",
    "row_security": "off",  # rows hidden by a policy are an error then; otherwise they would seem missing
    "lock_timeout": f"{BUSY_SECONDS}s",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
# After a crash of the server, a command that was sent must not look unsent: no commit may be lost. Values
# other than `off` are at least as safe, and stay.
_DURABLE = """
SELECT set_config('synchronous_commit', 'on', {local}) WHERE current_setting('synchronous_commit') = 'off'
"""
_SESSION = "SELECT pg_backend_pid(), current_setting('server_encoding')"
_FITNESS = text("""
SELECT pg_is_in_recovery() AS is_standby,
    current_setting('default_transaction_read_only')::boolean AS only_reads,
    has_database_privilege(current_database(), 'TEMPORARY') AS has_temporary,
    current_setting('fsync')::boolean AS is_durable,
    quote_ident(current_user) AS role,
    quote_ident(current_database()) AS database
""")


def engine_at(address: URL, shown: str) -> Engine:
    """Return the engine of a Postgres database; the execution option BEGIN sets a transaction's mode.

    `shown` is the address without secrets.
    """
    arguments: dict[str, object] = {
        "application_name": "scalesync",
        "connect_timeout": _CONNECT_SECONDS,
        "keepalives_idle": _SILENT_SECONDS // 2,
        "tcp_user_timeout": _SILENT_SECONDS * 1000,
    }
    arguments = {name: value for name, value in arguments.items() if name not in address.query}
    engine = create_engine(
        address.difference_update_query(["client_encoding"]),
        connect_args=arguments | {"client_encoding": "utf8", "prepare_threshold": None},
        pool_pre_ping=True,
        use_native_hstore=False,
        hide_parameters=True,
        json_serializer=json_as_text,
        json_deserializer=_as_text,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: "psycopg.Connection[tuple[Any, ...]]", _entry: ConnectionPoolEntry) -> None:
        try:
            _prepare(connection, shown)
        except BaseException:
            connection.close()
            raise

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        if first := begin_as(driver, connection.get_execution_options()[BEGIN]):
            connection.exec_driver_sql(first)

    return engine


def is_pooled(connection: Any) -> bool:
    """Return whether a connection goes through a pooler, so that no session state outlasts a transaction."""
    return getattr(connection, "prepare_threshold", None) is None


def begin_as(connection: "psycopg.Connection[Any]", mode: str) -> str:
    """Make a driver's next transaction READING or WRITING; return SQL to run first, which may be empty."""
    # Behind a pooler, BEGIN and all settings are one message to the server: separate ones would cost a round
    # trip each. Otherwise psycopg sends its BEGIN with the first statement.
    if is_pooled(connection):
        return f"BEGIN ISOLATION LEVEL {mode}; {_settings(connection, local=True)}"
    level, read_only = _DRIVER_MODES[mode]
    if (connection.isolation_level, connection.read_only) != (level, read_only):
        from psycopg import IsolationLevel

        connection.isolation_level = IsolationLevel(level)
        connection.read_only = read_only
    return ""


def examine(conn: Connection, shown: str) -> str:
    """Return remarks about the server as a phrase, or an empty text.

    Raises DatabaseError if a mirror cannot be written. `default_transaction_read_only` is not overruled:
    providers set it while a disk is full.
    """
    found = conn.execute(_FITNESS).one()
    if found.is_standby:
        raise DatabaseError(
            f"{shown} is a standby, which can only be read.",
            advice=advice.NAME_PRIMARY,
        )
    if found.only_reads:
        raise DatabaseError(
            f"{shown} may only be read: default_transaction_read_only is on.",
            advice=f"Set it off if nobody relies on it: ALTER ROLE {found.role} IN DATABASE {found.database} "
            "SET default_transaction_read_only = off",
        )
    if not found.has_temporary:
        raise DatabaseError(
            f"The role {found.role} may not make temporary tables in {shown}, which writing needs.",
            advice=f"GRANT TEMPORARY ON DATABASE {found.database} TO {found.role}",
        )
    notes = ["behind a connection pooler"] if is_pooled(conn.connection.driver_connection) else []
    notes += [] if found.is_durable else ["fsync is off: after a power cut it may forget what was sent"]
    return "; ".join(notes)


def _prepare(connection: "psycopg.Connection[tuple[Any, ...]]", shown: str) -> None:
    """Set up a new connection. Raises DatabaseError if the database's encoding is not UTF-8."""
    connection.autocommit = True
    pid, encoding = connection.execute(_SESSION).fetchone() or (None, None)
    if encoding != "UTF8":
        raise DatabaseError(
            f"The database at {shown} is encoded in {encoding}, which cannot hold every name.",
            advice="Make one with CREATE DATABASE ... TEMPLATE template0 ENCODING 'UTF8' for it.",
        )
    # A pooler tells its clients process ids of its own (for cancel requests): if the id that the server gives
    # differs from the one told at connecting, there is a pooler between, and the session is not ours.
    if pid == connection.info.backend_pid:
        connection.execute(_settings(connection, local=False))
        connection.prepare_threshold = _PREPARED_AFTER
        connection.autocommit = False


def _settings(connection: "psycopg.Connection[Any]", *, local: bool) -> str:
    """Return SQL that sets _SETTINGS for the session, or with `local` for the transaction."""
    # An unknown setting is an error: `transaction_timeout` exists since Postgres 17.
    settings = _SETTINGS | ({"transaction_timeout": "0"} if connection.info.server_version >= 170000 else {})
    scope = "LOCAL " if local else ""
    statements = [f"SET {scope}{name} = '{value}'" for name, value in settings.items()]
    return "; ".join([*statements, _DURABLE.format(local=str(local).lower())])


def _as_text(data: bytes | str) -> str:
    return data if isinstance(data, str) else data.decode()
