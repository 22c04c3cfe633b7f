"""Claim a mirror for an account, or hand it over to another key of the same account.

Hazard: rows of two accounts in one mirror cannot be separated again, so a key of another account is refused.
"""

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
    """The result of asking the API about a key."""

    projects: frozenset[str] | None
    """Names of the account's projects; None: the API was unreachable."""
    reason: str = ""
    """Why it was unreachable."""


@dataclass(frozen=True, slots=True)
class Initialized:
    """The result of `Mirror.init`: schema before and after, and the owner."""

    before: str | None
    """None: the database had no schema."""
    after: str
    owner: Account | None
    """None: no key was given."""
    asked: KeyCheck | None
    """None: the API was not asked."""


def check_key(open_api: "Callable[[], AbstractContextManager[ScaleApi]]") -> KeyCheck:
    """Ask the API for the projects of the key's account. Raises ScaleException if it refuses the key."""
    from scalesync.sync.streams import all_projects

    try:
        with open_api() as api:
            return KeyCheck(frozenset(to_row(PROJECTS, doc).key for doc in all_projects(api).docs))
    except ScaleException as error:
        # Refused (401, 403) is an answer; anything else only means that the API could not be asked.
        if error.exit_code == ScaleUnauthorized.exit_code:
            raise
        return KeyCheck(None, str(error))


def adopt_or_claim(conn: Connection, account: Account, asked: KeyCheck | None) -> None:
    """Claim the mirror for `account`, or hand it over if the API was `asked` about the key.

    Raises DatabaseError if the mirror belongs to another account.
    """
    # Scale never deletes projects: an account without any of the mirror's projects is another one.
    claim_for_account(conn, account, adopt=asked is not None)
    here = frozenset(query.keys(conn, PROJECTS))
    if asked is not None and asked.projects is not None and here and not here & asked.projects:
        msg = f"None of the {len(here):,} projects in this mirror is in the account of this key."
        raise DatabaseError(msg, advice="Use a key of the mirror's account, or another database with --db.")
