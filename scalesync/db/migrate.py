"""Create, upgrade and check the schema. The migrations are in the `migrations` folder."""

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

REVISIONS = tuple(f"{number:04}" for number in range(1, 23))
"""All revisions, oldest first; repeated here so that only an upgrade has to load Alembic."""

# At these revisions responses were not flattened yet: an upgrade has to do it for all that are stored.
_WITHOUT_ANNOTATIONS = ("0001", "0002")

# At these revisions scalesync knew fewer forms of responses: an upgrade reads the stored ones again.
_OLDER_FORMS = REVISIONS[: REVISIONS.index("0008")]

# At these revisions audits and attempts were in no table of their own.
_WITHOUT_REVIEWS = REVISIONS[: REVISIONS.index("0013")]

# At these revisions nothing said which tasks have a response that was not understood completely.
_WITHOUT_UNREAD = REVISIONS[REVISIONS.index("0008") : REVISIONS.index("0016")]

# The key of the Postgres advisory lock for upgrades.
_LOCK = 0x5CA1E5_0001


def head_revision() -> str:
    """Return the revision that this scalesync works with."""
    return REVISIONS[-1]


def current_revision(database: Database) -> str | None:
    """Return the revision of the database's schema, or None if it has none of scalesync."""
    with database.read() as connection:
        return _revision(connection)


def upgrade(database: Database) -> tuple[str | None, str]:
    """Create or upgrade the schema in one transaction; return the revisions before and after.

    A failure leaves the old schema usable. Several processes may call it at once. Raises DatabaseError for a
    database of a newer scalesync.
    """
    with database.write() as connection:
        # The revision is read under the lock: whoever waited here finds the upgrade done. On SQLite the
        # transaction has the write lock already.
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        found = _revision(connection)
        head = head_revision()
        if found is not None:
            _refuse_newer(database, found)
        if found != head:
            from alembic import command

            command.upgrade(_config(connection), "head")
            # In the same transaction: nobody sees the new schema with the old annotations.
            _make_rows_anew(connection, found)
        return found, head


def _make_rows_anew(connection: Connection, found: str | None) -> None:
    """Write the rows that an upgrade from the revision `found` makes from others."""
    if found in _WITHOUT_ANNOTATIONS:
        from scalesync.db.mirror.annotations import backfill

        backfill(connection)
    elif found in _OLDER_FORMS:
        from scalesync.db.mirror.annotations import make_anew

        make_anew(connection)
    if found in _WITHOUT_UNREAD:
        from scalesync.db.mirror.annotations import record_unread

        record_unread(connection)
    if found in _WITHOUT_REVIEWS:
        from scalesync.db.mirror import reviews

        reviews.backfill(connection)
    # None of these marks partitions: what is published after an upgrade is published whole.
    if found is not None:
        connection.execute(text("DELETE FROM publications"))


def check_schema(database: Database) -> None:
    """Raise DatabaseError unless the schema has the revision that this scalesync works with."""
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
    """Return the revision in Alembic's table, or None."""
    # Without Alembic: every command checks the schema, and importing Alembic takes longer than the check.
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
    """Return the migrations folder: in the package if installed from a wheel, beside it in a checkout."""
    package = Path(scalesync.__file__).parent
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"
