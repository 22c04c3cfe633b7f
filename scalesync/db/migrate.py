"""Create, upgrade and check the schema; the migrations themselves stand in the `migrations` folder."""

import logging
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

import scalesync
from scalesync import advice
from scalesync.db.database import Database
from scalesync.errors import DatabaseError

if TYPE_CHECKING:
    from alembic.config import Config

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011", "0012")
"""Every revision there is, oldest first; written out so that only an upgrade has to load Alembic."""

_WITHOUT_ANNOTATIONS = ("0001", "0002")
"""Revisions at which responses were not flattened yet: an upgrade from them does it for what is here."""

_OLDER_FORMS = REVISIONS[: REVISIONS.index("0008")]
"""Revisions whose scalesync knew fewer forms of results: an upgrade from them reads again what is here."""

_LOCK = 0x5CA1E5_0001
"""The Postgres advisory lock that upgrades of scalesync take turns by."""


def head_revision() -> str:
    """Return the revision that this scalesync works with."""
    return REVISIONS[-1]


def current_revision(database: Database) -> str | None:
    """Return the revision that the database is at, None where there is no schema of ours."""
    with database.read() as connection:
        return _revision(connection)


def upgrade(database: Database) -> tuple[str | None, str]:
    """Create or upgrade the schema in one transaction, so that a failure leaves the old one usable.

    Returns the revision found and the revision now. Any number of processes may do this at once: they take
    turns. Raises DatabaseError for a database of a newer scalesync.
    """
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        found = _revision(connection)
        head = head_revision()
        if found is not None:
            _refuse_newer(database, found)
        if found != head:
            from alembic import command

            command.upgrade(_config(connection), "head")
            if found in _WITHOUT_ANNOTATIONS:
                from scalesync.db.mirror.annotations import backfill

                backfill(connection)
            elif found in _OLDER_FORMS:
                from scalesync.db.mirror.annotations import make_anew

                make_anew(connection)
        return found, head


def check_schema(database: Database) -> None:
    """Return where the schema is the one this scalesync works with; raise DatabaseError otherwise."""
    found = current_revision(database)
    if found is None:
        raise DatabaseError(f"{database.url_shown} holds no mirror yet.", advice=advice.INIT)
    _refuse_newer(database, found)
    if found != head_revision():
        raise DatabaseError(
            f"The schema of {database.url_shown} is older than this scalesync.",
            advice=advice.INIT,
        )


def _refuse_newer(database: Database, found: str) -> None:
    if found not in REVISIONS:
        raise DatabaseError(
            f"The schema of {database.url_shown} ({found}) comes from a newer scalesync.",
            advice="Upgrade scalesync.",
        )


def _revision(connection: Connection) -> str | None:
    """Return the version that Alembic noted, the way Alembic would."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return version


def _config(connection: Connection | None = None) -> "Config":
    from alembic.config import Config

    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config(stdout=StringIO(), attributes={"connection": connection})
    config.set_main_option("script_location", str(_folder()).replace("%", "%%"))
    return config


def _folder() -> Path:
    """Return the migrations: inside the package when installed from a wheel, beside it in a checkout."""
    package = Path(scalesync.__file__).parent
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"
