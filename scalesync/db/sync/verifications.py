"""Read and write the record of verifications: when the mirror was found equal to the API, and which part."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import ColumnElement, Connection, insert, select

from scalesync.db.schema.sync import verifications
from scalesync.models.sync import VerificationRecord, VerificationState, Window
from scalesync.timestamps import format_instant

_FILTERS = ("stream", "project", "created_from", "created_to", "updated_from")


RECORD_COLUMNS = tuple(verifications.c[name] for name in VerificationRecord.__dataclass_fields__)
"""In the order of the fields of a record."""


def scope_of(windows: Sequence[Window]) -> str:
    """Return the windows as JSON, without filters that are None."""
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


def remember(conn: Connection, verified: VerificationRecord) -> None:
    """Add a verification to the record."""
    values = {name: getattr(verified, name) for name in VerificationRecord.__dataclass_fields__}
    conn.execute(insert(verifications).values(**values))


def last(conn: Connection) -> VerificationRecord | None:
    """Return the last verification, or None."""
    return _last(conn)


def last_proof(conn: Connection) -> VerificationRecord | None:
    """Return the last verification that found the whole mirror equal to the API, or None."""
    return _last(conn, verifications.c.state == VerificationState.PROVEN, verifications.c.everything)


def _last(conn: Connection, *where: ColumnElement[bool]) -> VerificationRecord | None:
    query = select(*RECORD_COLUMNS).where(*where).order_by(verifications.c.id.desc()).limit(1)
    row = conn.execute(query).first()
    return None if row is None else VerificationRecord(*row)
