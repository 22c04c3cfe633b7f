"""The database's own clock, which leases go by: the only one that all processes share."""

from datetime import datetime

from sqlalchemy import (
    TIMESTAMP,
    ColumnElement,
    Connection,
    Dialect,
    Float,
    String,
    TypeDecorator,
    bindparam,
    extract,
    func,
    literal_column,
    type_coerce,
)

from scalesync.db.types import Instant


class _Seconds(TypeDecorator[float]):
    """Seconds as SQLite's date functions take them."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> str:  # noqa: ARG002
        """Return the words for so many seconds from then."""
        return f"{value or 0.0:+.3f} seconds"


def database_time(conn: Connection, seconds: float = 0.0) -> ColumnElement[datetime]:
    """Return an expression for the database's present time plus `seconds`, comparable with an instant column.

    On Postgres it moves on within a transaction (`clock_timestamp()`); on SQLite it is this machine's clock.
    """
    if conn.dialect.name == "postgresql":
        now = func.clock_timestamp()
        return type_coerce(now + func.make_interval(0, 0, 0, 0, 0, 0, seconds) if seconds else now, Instant)
    moment = func.strftime(literal_column("'%Y-%m-%dT%H:%M:%fZ'"), "now", f"{seconds:+.3f} seconds")
    return type_coerce(moment, Instant)


def time_in(conn: Connection, parameter: str) -> ColumnElement[datetime]:
    """Return the same for as many seconds as `parameter` has when the statement is run."""
    if conn.dialect.name == "postgresql":
        seconds = func.make_interval(0, 0, 0, 0, 0, 0, bindparam(parameter, type_=Float))
        return type_coerce(func.clock_timestamp() + seconds, Instant)
    form: ColumnElement[str] = literal_column("'%Y-%m-%dT%H:%M:%fZ'")
    return type_coerce(func.strftime(form, "now", bindparam(parameter, type_=_Seconds)), Instant)


def seconds_until(conn: Connection, instant: ColumnElement[datetime]) -> ColumnElement[float]:
    """Return an expression for the seconds until `instant` by the database's clock; negative: it is past."""
    if conn.dialect.name == "postgresql":
        then = type_coerce(instant, TIMESTAMP(timezone=True))
        left = then - func.clock_timestamp(type_=TIMESTAMP(timezone=True))
        return type_coerce(extract("epoch", left), Float)
    days = func.julianday(instant) - func.julianday("now")
    return type_coerce(days * 86400.0, Float)
