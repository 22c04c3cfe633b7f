"""Run the migrations on the connection that `scalesync init` lends, or on the database of SCALESYNC_DB."""

import os

from alembic import context
from sqlalchemy import Connection

from scalesync.db.database import Database
from scalesync.db.schema.partial_indexes import metadata
from scalesync.settings import DEFAULT_DATABASE, database_url


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_type=True,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()


def _migrate_named_database() -> None:
    named = os.environ.get("SCALESYNC_DB") or DEFAULT_DATABASE
    database = Database.open(database_url(named), create=True)
    try:
        with database.write() as connection:
            _migrate(connection)
    finally:
        database.close()


lent: Connection | None = context.config.attributes.get("connection")
if lent is not None:
    _migrate(lent)
else:
    _migrate_named_database()
