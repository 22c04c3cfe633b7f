"""The account that a database mirrors: written at first use, so that two accounts or modes never mix."""

from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import blake2b

from sqlalchemy import Connection, select, update

from scalesync import advice
from scalesync.db.schema.mirror import mirror
from scalesync.db.statements import insert_into
from scalesync.errors import DatabaseError

_PERSON = b"scalesync.stamp"


@dataclass(frozen=True, slots=True)
class Account:
    """Which account, mode and API a database mirrors, and since when."""

    account_fingerprint: str
    mode: str
    api_url: str
    created_at: datetime


def fingerprint(key: str) -> str:
    """Return 16 hex digits that identify an API key without revealing it."""
    return blake2b(key.encode(), digest_size=8, person=_PERSON).hexdigest()


def mode_of(key: str) -> str:
    """Return "test" or "live": which of the account's two separate data sets a key opens (documented)."""
    return "test" if key.startswith("test_") or key.endswith("|test") else "live"


def describe_key(key: str) -> str:
    """Return a phrase for a key by its prefix, without the key."""
    mode = mode_of(key)
    if mode == "live" and not key.startswith("live_"):
        return "a key that begins with neither live_ nor test_"
    return f"a {mode} key"


def read_account(conn: Connection) -> Account | None:
    """Return the account that the database mirrors, or None before its first use."""
    found = conn.execute(
        select(mirror.c.account_fingerprint, mirror.c.mode, mirror.c.api_url, mirror.c.created_at)
    ).first()
    return None if found is None else Account(*found)


def claim_for_account(conn: Connection, mine: Account, *, adopt: bool = False) -> None:
    """Store the account at the first use of a database; later, raise DatabaseError if it is another one.

    With `adopt`, replaces the stored key's fingerprint and API address; the mode can never change.
    """
    # Insert first, then read: of two processes that start at the same time, one is checked against the other.
    first = insert_into(conn.dialect.name, mirror).values({"id": 1, **asdict(mine)})
    conn.execute(first.on_conflict_do_nothing())
    held = read_account(conn)
    if held is None or not _is_differing(held, mine, adopt=adopt):
        return
    taken = {"account_fingerprint": mine.account_fingerprint, "api_url": mine.api_url}
    conn.execute(update(mirror).values(taken))


def check_account(conn: Connection, mine: Account) -> None:
    """Raise DatabaseError if the database mirrors another account, mode or API; changes nothing."""
    held = read_account(conn)
    if held is not None:
        _is_differing(held, mine)


def _is_differing(held: Account, mine: Account, *, adopt: bool = False) -> bool:
    """Return whether key or API address are others, which raises DatabaseError without `adopt`."""
    if held.mode != mine.mode:
        raise DatabaseError(
            f"This database mirrors {held.mode} data, and the key is a {mine.mode} key.",
            advice=advice.ANOTHER_KEY,
        )
    differing = [
        f"{what} ({old}, not {new})"
        for what, old, new in (
            ("key", held.account_fingerprint, mine.account_fingerprint),
            ("API address", held.api_url, mine.api_url),
        )
        if old != new
    ]
    if differing and not adopt:
        raise DatabaseError(
            f"This database was made with another {' and another '.join(differing)}.",
            advice=advice.ANOTHER_DB_OR_ADOPT,
        )
    return bool(differing)
