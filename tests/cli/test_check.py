"""What `check` says of a key and of an address."""

import pytest

from tests.support.cli_process import Scalesync


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("live_0123456789abcdef", "a live key"),
        ("test_0123456789abcdef", "a test key"),
        ("0123456789abcdef|test", "a test key"),
        ("bad_key", "a key that begins with neither live_ nor test_"),
        ("LIVE_0123456789abcdef", "a key that begins with neither live_ nor test_"),
    ],
)
def test_a_key_is_called_live_only_where_it_says_so(key: str, said: str, synced: Scalesync) -> None:
    """Any other is called what it looks like, and never shown."""
    done = synced.having(SCALE_API_KEY=key)("check")

    (line,) = [line for line in done.out.splitlines() if line.split()[1] == "key"]
    assert line.split(maxsplit=2) == ["ok", "key", said]
    assert key not in done.out + done.err


@pytest.mark.parametrize("command", ["check", "sync"])
def test_an_address_without_its_version(command: str, synced: Scalesync) -> None:
    """Where `/v1` is missing it is asked for."""
    root = synced.variables["SCALESYNC_API_URL"].removesuffix("/v1")
    wrong = synced.having(SCALESYNC_API_URL=root, SCALESYNC_DB="other.db")
    assert wrong.having(SCALE_API_KEY=None)("init").code == 0

    done = wrong(command)

    assert done.code == 4
    assert f"Should the API's address end in /v1? It is {root}." in done.out + done.err
