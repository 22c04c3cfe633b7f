"""`scalesync init --adopt`: the API is asked about the key, and the answer says whose mirror it is then."""

from collections.abc import Callable

import pytest

from scalesync.db.mirror.account import fingerprint
from scalesync.sandbox import SandboxServer
from tests.support.cli_in_process import in_process
from tests.support.cli_process import Scalesync, check_refusal, execute
from tests.support.scripted_server import ScriptedServer, say

Start = Callable[..., SandboxServer]


def owner(scalesync: Scalesync) -> list[tuple[object, ...]]:
    """Return whose mirror it is."""
    return execute(scalesync.mirror, "SELECT account_fingerprint, mode, api_url FROM mirror")


def test_a_key_that_the_api_refuses_is_not_adopted(mirror: Scalesync, start_sandbox: Start) -> None:
    """Exit code 3, and the mirror belongs to the key before as it did."""
    before = owner(mirror)
    server = start_sandbox(tasks=1000, keys=frozenset({"live_right"}))
    wrong = mirror.having(SCALE_API_KEY="live_wrong", SCALESYNC_API_URL=server.url)

    check_refusal(wrong("init", "--adopt"), 3, "401")
    assert owner(mirror) == before
    done = wrong.having(SCALE_API_KEY="live_right")("init", "--adopt")
    assert (done.code, owner(mirror)) == (0, [(fingerprint("live_right"), "live", server.url)])
    assert f"live account of the key {fingerprint('live_right')} now" in done.err
    assert f"{server.url} takes that key" in done.err


@pytest.mark.parametrize("status", [403, 401])
def test_a_refusal_makes_no_new_mirror(status: int, scalesync: Scalesync) -> None:
    """Where there was none, there is none."""
    with ScriptedServer([say({"error": "no"}, status)]) as server:
        check_refusal(scalesync.having(SCALESYNC_API_URL=server.url)("init", "--adopt"), 3, "no")

    assert list(scalesync.directory.iterdir()) == []


@pytest.mark.parametrize("answer", [500, 200])
def test_an_api_that_cannot_be_asked_is_said_to_be_so(answer: int, mirror: Scalesync) -> None:
    """Away, failing or answering something else: the key is adopted, and nothing is claimed of it."""
    with ScriptedServer([say({"error": "oops"}, answer)]) as server:
        new = mirror.having(SCALE_API_KEY="live_new", SCALESYNC_PATIENCE="0")
        failing = new.having(SCALESYNC_API_URL=server.url)
        failed = failing("init", "--adopt")
    away = failing.having(SCALESYNC_API_URL="http://127.0.0.1:9/v1")("init", "--adopt")

    for done in (failed, away):
        assert done.code == 0, done.err
        assert f"live account of the key {fingerprint('live_new')} now" in done.err
        assert "could not be asked whether it takes that key" in done.err
    assert "Could not reach" in away.err


def test_the_key_of_another_account_is_not_adopted(mirror: Scalesync, start_sandbox: Start) -> None:
    """It is one that has none of the mirror's projects; a mirror of no project may be anybody's."""
    before = owner(mirror)
    other = mirror.having(SCALESYNC_API_URL=start_sandbox().url)

    check_refusal(other("init", "--adopt"), 5, "None of the", "projects in this mirror")
    assert owner(mirror) == before
    execute(mirror.mirror, "DELETE FROM projects")
    assert other("init", "--adopt", "-q").code == 0


def test_it_is_quiet_where_it_is_to_be(mirror: Scalesync) -> None:
    """Running it twice changes nothing."""
    quiet = in_process(mirror).having(SCALE_API_KEY="live_new")

    for _ in range(2):
        done = quiet("-q", "init", "--adopt")
        assert (done.code, done.out, done.err) == (0, "", "")
