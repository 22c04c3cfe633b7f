"""What `check` says of a key and of an address."""

import pytest

from tests.support.cli_process import Scalesync, execute


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


def test_old_records_are_only_spoken_of_where_there_are_many(mirror: Scalesync) -> None:
    """More than ten thousand of one kind; the storage has a line in any case, and all is well."""
    assert mirror("task", "create", "annotation", "attachment=https://example.com/1.jpg").code == 0
    at = "'2026-01-01T00:00:00.000Z'"
    execute(mirror.mirror, f"UPDATE commands SET state = 'delivered', finished_at = {at}")
    few = mirror("check")
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10001)"
    names = "command_id, fence, at, step, outcome"
    execute(
        mirror.mirror,
        f"{numbers} INSERT INTO command_attempts ({names}) SELECT 1, 1, {at}, 'look', 'x' FROM n",
    )
    many = mirror("check")

    assert (few.code, many.code) == (0, 0)
    assert "ok      storage   the file has " in few.out
    assert "prune" not in few.out
    assert "prune` says how many of the mirror's own records are older than 90 days." in many.out
