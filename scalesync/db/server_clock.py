"""SQL functions of the database's clock. Leases use it, since it is the only clock that all processes share.

On Postgres it moves on within a transaction (`clock_timestamp()`); on SQLite it is this machine's clock.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Dialect,
    Float,
    String,
    TypeDecorator,
    bindparam,
    literal,
    select,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

from scalesync.db.types import Instant

# The exact form of instant columns on SQLite: times are compared as text.
_FORMAT = "'%Y-%m-%dT%H:%M:%fZ'"


class _Seconds(TypeDecorator[float]):
    """Seconds in the form that a database adds to a time: a number, or `+5.000 seconds` on SQLite."""

    impl = Float
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type of the parameter."""
        return dialect.type_descriptor(Float() if dialect.name == "postgresql" else String())

    def process_bind_param(self, value: float | None, dialect: Dialect) -> object:
        """Return the value for the driver."""
        return value if dialect.name == "postgresql" else f"{value or 0.0:+.3f} seconds"


class utc_now(FunctionElement[datetime]):  # noqa: N801 - reads as a function of SQL
    """The current time of the database's clock, comparable with an instant column."""

    name = "utc_now"
    type = Instant()
    inherit_cache = True


class seconds_from_now(FunctionElement[datetime]):  # noqa: N801 - reads as a function of SQL
    """The time in `seconds` seconds; a text is the name of the parameter with the number."""

    name = "seconds_from_now"
    type = Instant()
    inherit_cache = True

    def __init__(self, seconds: float | str) -> None:
        super().__init__(
            bindparam(seconds, type_=_Seconds) if isinstance(seconds, str) else literal(seconds, _Seconds)
        )


class seconds_until(FunctionElement[float]):  # noqa: N801 - reads as a function of SQL
    """The seconds until an instant by the database's clock; negative if it is past."""

    name = "seconds_until"
    type = Float()
    inherit_cache = True

    def __init__(self, instant: ColumnElement[Any]) -> None:
        super().__init__(instant)


def time_in(conn: Connection, seconds: float) -> datetime:
    """Return the time of the database's clock in `seconds` seconds; a negative number is in the past."""
    found: datetime = conn.execute(select(seconds_from_now(seconds))).scalar_one()
    return found


@compiles(utc_now, "sqlite")
def _sqlite_now(_element: utc_now, _compiler: SQLCompiler, **_options: Any) -> str:
    return f"strftime({_FORMAT}, 'now')"


@compiles(utc_now, "postgresql")
def _postgres_now(_element: utc_now, _compiler: SQLCompiler, **_options: Any) -> str:
    # Not now(), which stays at the transaction's start: after waiting for a lock, leases would seem longer.
    return "clock_timestamp()"


@compiles(seconds_from_now, "sqlite")
def _sqlite_from_now(element: seconds_from_now, compiler: SQLCompiler, **options: Any) -> str:
    return f"strftime({_FORMAT}, 'now', {compiler.process(element.clauses, **options)})"


@compiles(seconds_from_now, "postgresql")
def _postgres_from_now(element: seconds_from_now, compiler: SQLCompiler, **options: Any) -> str:
    seconds = compiler.process(element.clauses, **options)
    return f"(clock_timestamp() + make_interval(secs => {seconds}))"


@compiles(seconds_until, "sqlite")
def _sqlite_until(element: seconds_until, compiler: SQLCompiler, **options: Any) -> str:
    instant = compiler.process(element.clauses, **options)
    return f"((julianday({instant}) - julianday('now')) * 86400.0)"


@compiles(seconds_until, "postgresql")
def _postgres_until(element: seconds_until, compiler: SQLCompiler, **options: Any) -> str:
    return f"EXTRACT(epoch FROM {compiler.process(element.clauses, **options)} - clock_timestamp())"
