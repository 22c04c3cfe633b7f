"""A database belongs to one account, one mode and one API."""

from datetime import UTC, datetime

import pytest

from scalesync.db.database import Database
from scalesync.db.mirror.account import Account, claim_for_account, fingerprint, mode_of, read_account
from scalesync.errors import DatabaseError

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
API = "https://api.scale.com/v1"


def stamped(
    database: Database, key: str, api_url: str = API, *, at: datetime = NOON, adopt: bool = False
) -> Account | None:
    """Stamp the database for a key and return the stamp it has."""
    with database.write() as conn:
        claim_for_account(conn, Account(fingerprint(key), mode_of(key), api_url, at), adopt=adopt)
        return read_account(conn)


@pytest.mark.parametrize(
    ("key", "mode"),
    [
        ("live_abc", "live"),
        ("test_abc", "test"),
        ("abc|test", "test"),
        ("abc", "live"),
        ("live_test_x", "live"),
    ],
)
def test_the_mode_stands_in_the_key(key: str, mode: str) -> None:
    """Keys that begin with test_ or end in |test are test keys, every other one is live."""
    assert mode_of(key) == mode


def test_a_fingerprint_tells_keys_apart_without_telling_them() -> None:
    """A fingerprint is 16 hex digits, the same for the same key and nothing like it."""
    assert fingerprint("live_abc") == fingerprint("live_abc") != fingerprint("live_abd")
    assert len(fingerprint("live_abc")) == 16
    assert int(fingerprint("live_abc"), 16) >= 0


def test_the_first_use_stamps(database: Database) -> None:
    """An unstamped database takes the first account; the same account may come again."""
    with database.read() as conn:
        assert read_account(conn) is None
    first = stamped(database, "live_a")
    assert first == Account(fingerprint("live_a"), "live", API, NOON)
    assert stamped(database, "live_a", at=NOON.replace(hour=13)) == first


def test_another_key_is_refused_unless_adopted(database: Database) -> None:
    """A different key needs `--adopt`, which keeps the date of the first use."""
    stamped(database, "live_a")
    with pytest.raises(DatabaseError, match="another key") as caught:
        stamped(database, "live_b")
    assert "--db" in caught.value.advice
    assert "scalesync init --adopt" in caught.value.advice
    assert stamped(database, "live_b", adopt=True) == Account(fingerprint("live_b"), "live", API, NOON)
    with pytest.raises(DatabaseError, match="another key"):
        stamped(database, "live_a")


def test_another_api_is_refused_unless_adopted(database: Database) -> None:
    """A different address of the API needs `--adopt`; the message names both."""
    stamped(database, "live_a")
    with pytest.raises(DatabaseError, match="another API address") as caught:
        stamped(database, "live_a", "http://127.0.0.1:1/v1")
    assert API in caught.value.message
    assert "http://127.0.0.1:1/v1" in caught.value.message
    adopted = stamped(database, "live_a", "http://127.0.0.1:1/v1", adopt=True)
    assert adopted is not None
    assert adopted.api_url == "http://127.0.0.1:1/v1"


def test_another_mode_is_always_refused(database: Database) -> None:
    """Live and test data never meet in one database, whatever is asked for."""
    stamped(database, "live_a")
    for adopt in (False, True):
        with pytest.raises(DatabaseError, match="mirrors live data, and the key is a test key"):
            stamped(database, "test_a", adopt=adopt)
