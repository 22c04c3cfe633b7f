"""The record of verifications: when the mirror was last proven equal to the API, and over what."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec
from sqlalchemy import BigInteger, Boolean, Column, ColumnElement, Connection, Table, Text, insert, select

from scalesync.db.tables import Instant, Json, Serial, metadata, one_of
from scalesync.model import Window, format_instant


class VerificationState(StrEnum):
    """What came of a verification."""

    PROVEN = "proven"
    """Nothing differs."""
    DRIFT = "drift"
    """Something differs; `drift` says how much."""
    UNPROVEN = "unproven"
    """Nothing is known to differ, but not everything could be compared; `unproven` says why."""


verifications = Table(
    "verifications",
    metadata,
    Column("id", Serial, primary_key=True, doc="in the order in which they ended"),
    Column("as_of", Instant, nullable=False, doc="the API's clock when it began"),
    Column(
        "state",
        Text,
        nullable=False,
        doc="`proven`, `drift` (something differs), or `unproven` (not everything could be compared)",
    ),
    Column("scope", Json, nullable=False, doc="the windows that were compared, as JSON"),
    Column("everything", Boolean, nullable=False, doc="whether that was all there is"),
    Column("deep", Boolean, nullable=False, doc="whether whole documents were compared"),
    Column("drift", BigInteger, nullable=False, doc="how many objects differed"),
    Column("unproven", Text, doc="what could not be compared, and why"),
    Column("requests", BigInteger, nullable=False, doc="how many requests it sent"),
    Column(
        "behind",
        BigInteger,
        nullable=False,
        server_default="0",
        doc="how many objects had only changed since the last sync",
    ),
    one_of("state", VerificationState),
    sqlite_autoincrement=True,
    info={"doc": "one row for each verification"},
)


@dataclass(frozen=True, slots=True)
class Verified:
    """One verification, as it is remembered."""

    as_of: datetime
    """The API's clock when it began."""
    state: VerificationState
    scope: str
    """What was held against the API: a JSON list of windows, each with the filters it has."""
    everything: bool
    """Whether that was all there is."""
    deep: bool
    """Whether whole documents were compared."""
    drift: int
    """How many objects differed."""
    unproven: str | None
    requests: int
    behind: int
    """How many objects differed for having changed since the last sync."""


_FILTERS = ("stream", "project", "created_from", "created_to", "updated_from")


def scope_of(windows: Sequence[Window]) -> str:
    """Return the windows as JSON, filters that they do not have left out."""
    filters = [{name: getattr(window, name) for name in _FILTERS} for window in windows]
    shown = [
        {
            name: format_instant(value) if isinstance(value, datetime) else value
            for name, value in one.items()
            if value is not None
        }
        for one in filters
    ]
    return msgspec.json.encode(shown).decode()


def remember(conn: Connection, verified: Verified) -> None:
    """Add a verification to the record."""
    values = {name: getattr(verified, name) for name in Verified.__dataclass_fields__}
    conn.execute(insert(verifications).values(**values))


def last(conn: Connection) -> Verified | None:
    """Return the last verification."""
    return _last(conn)


def last_proof(conn: Connection) -> Verified | None:
    """Return the last verification that proved everything there is."""
    return _last(conn, verifications.c.state == VerificationState.PROVEN, verifications.c.everything)


def _last(conn: Connection, *where: ColumnElement[bool]) -> Verified | None:
    columns = [verifications.c[name] for name in Verified.__dataclass_fields__]
    query = select(*columns).where(*where).order_by(verifications.c.id.desc()).limit(1)
    row = conn.execute(query).first()
    return None if row is None else Verified(*row)
