"""The database's own clock, which leases go by: the only one that all processes share."""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, literal_column, type_coerce

from scalesync.db.tables import Instant


def database_time(conn: Connection, seconds: float = 0.0) -> ColumnElement[datetime]:
    """Return an expression for the database's present time plus `seconds`, comparable with an instant column.

    On Postgres it moves on within a transaction (`clock_timestamp()`); on SQLite it is this machine's clock.
    """
    if conn.dialect.name == "postgresql":
        now = func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)
        return type_coerce(now, Instant)
    moment = func.strftime(literal_column("'%Y-%m-%dT%H:%M:%fZ'"), "now", f"{seconds:+.3f} seconds")
    return type_coerce(moment, Instant)
