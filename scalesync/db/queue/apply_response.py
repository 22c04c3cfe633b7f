"""Taking the API's answer to a command into the mirror, without putting the command at risk."""

from contextlib import nullcontext

from sqlalchemy import Connection
from sqlalchemy.exc import DataError, DBAPIError

from scalesync.db.caller_transaction import savepoint
from scalesync.db.mirror import upsert
from scalesync.db.mirror.documents import MAPPINGS
from scalesync.errors import InconsistentPageError
from scalesync.models.api import Document

_BEYOND_LIMITS = "54"
"""The class of SQLSTATE for what is too large, such as an index entry."""


def apply_response(conn: Connection, stream: str, document: Document) -> bool:
    """Write an object of a stream as of its own answer, and return whether the mirror could take it.

    What it cannot take leaves the transaction as it was. Other failures of the database are raised.
    """
    try:
        # On Postgres the writing undoes itself, and a savepoint more would be two waits for the server.
        with savepoint(conn) if conn.dialect.name == "sqlite" else nullcontext():
            upsert.write_documents(conn, MAPPINGS[stream], [document])
    except InconsistentPageError:
        return False
    except DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None) or ""
        if isinstance(error, DataError) or state.startswith(_BEYOND_LIMITS):
            return False
        raise
    return True
