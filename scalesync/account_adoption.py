"""Whose mirror a database becomes: the key is shown to the API, and the account's projects to the mirror."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scalesync.db.caller_transaction import Connection
from scalesync.db.mirror import query
from scalesync.db.mirror.account import Account, claim_for_account
from scalesync.db.mirror.documents import PROJECTS, to_row
from scalesync.errors import DatabaseError, ScaleException, ScaleUnauthorized

if TYPE_CHECKING:
    from scalesync.api.client import ScaleApi


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """What the API said to a key."""

    projects: frozenset[str] | None
    """The names of the account's projects; None: it could not be asked."""
    reason: str = ""
    """Why it could not."""


@dataclass(frozen=True, slots=True)
class Initialized:
    """What became of a database: its schema before and after, and whose mirror it is."""

    before: str | None
    """None: it had none."""
    after: str
    owner: Account | None
    """None: there was no key to say."""
    asked: KeyCheck | None
    """None: nothing was asked."""


def check_key(lend: "Callable[[], AbstractContextManager[ScaleApi]]") -> KeyCheck:
    """Ask the API for the projects of the key's account. Raises ScaleException where it refuses the key."""
    from scalesync.sync.streams import all_projects

    try:
        with lend() as api:
            return KeyCheck(frozenset(to_row(PROJECTS, doc).key for doc in all_projects(api).docs))
    except ScaleException as error:
        if error.exit_code == ScaleUnauthorized.exit_code:
            raise
        return KeyCheck(None, str(error))


def adopt_or_claim(conn: Connection, account: Account, asked: KeyCheck | None) -> None:
    """Make it the mirror of `account` at its first use, or hand it over where the API was `asked` about that.

    Raises DatabaseError where it is the mirror of somebody else, or the account has none of its projects,
    which are never deleted at Scale.
    """
    claim_for_account(conn, account, adopt=asked is not None)
    here = frozenset(query.keys(conn, PROJECTS))
    if asked is not None and asked.projects is not None and here and not here & asked.projects:
        msg = f"None of the {len(here):,} projects in this mirror is in the account of this key."
        raise DatabaseError(msg, advice="Use a key of the mirror's account, or another database with --db.")
