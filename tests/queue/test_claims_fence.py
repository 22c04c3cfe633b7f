"""What counts of what a claim's owner writes, and what becomes of commands whose owner is gone."""

from typing import Any

import pytest

from scalesync.db.database import Database
from scalesync.db.queue.rescue import CRASH_LOOP
from scalesync.models.commands import AttemptStep, CommandState, Outcome, Settlement
from scalesync.queue import new_commands
from tests.support.claims import BACK, DONE, DOUBT, REFUSED, alter, arm, claim, ids, settle, soon, taken
from tests.support.commands import change, found, put, put_all, steps, task

QUEUED, SENDING, IN_DOUBT = CommandState.QUEUED, CommandState.SENDING, CommandState.IN_DOUBT
DELIVERED, DEAD, DISCARDED = CommandState.DELIVERED, CommandState.DEAD, CommandState.DISCARDED


def test_arming_says_that_it_is_about_to_be_sent(database: Database) -> None:
    """When and how often is written down; each arming counts."""
    put(database, task("a"))
    one = taken(database)
    assert arm(database, one)
    command = found(database, 1)
    assert command.sent_at is not None
    assert (command.sends, command.state, abs((command.sent_at - soon(0)).total_seconds()) < 10) == (
        1,
        SENDING,
        True,
    )
    assert arm(database, one)
    assert found(database, 1).sends == 2


@pytest.mark.parametrize(
    ("changes", "armed"),
    [
        ({"priority": 0}, True),
        ({"leased_until": soon(3600)}, True),
        ({"leased_until": soon(-1)}, False),
        ({"leased_until": soon(30)}, False),
        ({"discard_requested": True}, False),
        ({"fence": 2}, False),
        ({"state": "queued", "leased_until": None}, False),
    ],
    ids=["ours", "long lease", "lease over", "short lease", "unwanted", "lost", "rescued"],
)
def test_nothing_is_armed_that_may_not_be_sent(
    database: Database, changes: dict[str, Any], armed: bool
) -> None:
    """The command must be ours, wanted, and have enough of its lease left."""
    put(database, task("a"))
    one = taken(database)
    alter(database, 1, **changes)
    assert arm(database, one) is armed
    command = found(database, 1)
    assert (command.sends, command.sent_at is not None) == (int(armed), armed)


@pytest.mark.parametrize(
    ("ambiguous", "before", "after"),
    [(False, None, 7), (False, 3, 7), (True, 3, 3), (True, None, 7)],
    ids=["first", "again", "may have been sent", "distrusted before it was ever armed"],
)
def test_the_base_is_that_of_the_first_send(
    database: Database, ambiguous: bool, before: int | None, after: int
) -> None:
    """What may have been sent keeps the version it had before; everything else takes the one just read."""
    put(database, new_commands.update_project("p", {"instruction": "x"}))
    alter(database, 1, ambiguous=ambiguous, base=before)
    assert arm(database, taken(database), base=7)
    assert found(database, 1).base == after


def test_a_verdict_is_written_whole(database: Database) -> None:
    """A failure is counted and waited after, a refusal ends it, and each is logged under its number."""
    put(database, task("a"))
    wait = Settlement(
        IN_DOUBT, ambiguous=True, failed=True, wait=60, hold_reason="h", error_code=500, error="e"
    )
    assert settle(database, taken(database), wait, [AttemptStep("send", "unanswered", 500)])
    command = found(database, 1)
    assert (command.state, command.ambiguous, command.failures, command.hold_reason) == (
        IN_DOUBT,
        True,
        1,
        "h",
    )
    assert (command.error_code, command.error, command.owner, command.leased_until) == (500, "e", None, None)
    assert command.not_before is not None
    assert 50 < (command.not_before - soon(0)).total_seconds() < 70
    alter(database, 1, not_before=None, hold_reason=None)
    assert settle(database, taken(database), REFUSED)
    command = found(database, 1)
    assert (command.state, command.outcome, command.failures) == (DEAD, Outcome.REJECTED, 1)
    assert (command.not_before, command.finished_at is not None) == (None, True)
    assert steps(database, 1) == [("send", "unanswered", 1)]


def test_a_delivery_is_written_with_its_result(database: Database) -> None:
    """What the API named is kept, and the command has ended."""
    put(database, task("a"))
    assert settle(database, taken(database), DONE)
    command = found(database, 1)
    assert (command.state, command.outcome, command.ambiguous) == (DELIVERED, Outcome.APPLIED, False)
    assert (command.result or "").replace(" ", "") == '{"task_id":"t"}'
    assert (command.fence, command.finished_at is not None) == (1, True)


@pytest.mark.parametrize("verdict", [BACK, DOUBT, REFUSED], ids=lambda verdict: str(verdict.state))
@pytest.mark.parametrize("state", [SENDING, QUEUED, IN_DOUBT, DEAD, DELIVERED, DISCARDED])
def test_a_late_failure_is_dropped(database: Database, state: CommandState, verdict: Settlement) -> None:
    """Whoever lost the command changes nothing of it; the log says so."""
    put(database, task("a"))
    one = taken(database)
    change(database, 1, state, fence=2, owner="other" if state is SENDING else None)
    before = found(database, 1)
    assert not settle(database, one, verdict)
    assert found(database, 1) == before
    assert steps(database, 1) == [("settle", "dropped", 1)]


@pytest.mark.parametrize("first", [BACK, DOUBT, REFUSED, DONE], ids=lambda verdict: str(verdict.state))
def test_a_claim_is_settled_once(database: Database, first: Settlement) -> None:
    """What was given up is not ours any more, though its number is still the same."""
    put(database, task("a"))
    one = taken(database)
    assert settle(database, one, first)
    before = found(database, 1)
    assert not settle(database, one, Settlement(QUEUED, failed=True, error="again"))
    assert not arm(database, one)
    assert found(database, 1) == before


@pytest.mark.parametrize("state", list(CommandState))
def test_a_late_success_is_a_fact(database: Database, state: CommandState) -> None:
    """It ends the command whoever has it, and who has it can settle it no more; what has ended stays."""
    put(database, task("a"))
    one = taken(database)
    change(database, 1, state, fence=2, owner="other" if state is SENDING else None)
    merged = state not in (DELIVERED, DISCARDED)
    assert settle(database, one, DONE) is merged
    command = found(database, 1)
    assert (command.state, command.fence, command.owner) == (DELIVERED if merged else state, 2 + merged, None)
    assert command.idempotency_key is not None
    assert steps(database, 1) == [("settle", "merged" if merged else "dropped", 1)]


def test_a_late_success_finds_its_key_taken(database: Database) -> None:
    """The command that took the key meanwhile keeps it."""
    put(database, task("a"))
    one = taken(database)
    change(database, 1, DEAD, fence=2)
    assert put(database, task("a", instruction="other")).command_id == 2
    assert settle(database, one, DONE)
    assert found(database, 1).state is DELIVERED
    assert found(database, 1).idempotency_key is None
    assert found(database, 2).idempotency_key is not None


def test_a_name_that_is_free_again_is_given_up(database: Database) -> None:
    """Delivered commands of that resource lose their keys, so that one of the same name can be queued."""
    put_all(database, [task("a"), task("b")])
    for one in claim(database):
        settle(database, one, DONE)
    cancel = put(
        database, new_commands.cancel_task(task_id="t", unique_id="a", clear_unique_id=True)
    ).command_id
    assert cancel is not None
    [one] = claim(database)
    settle(database, one, Settlement(DELIVERED, Outcome.APPLIED, frees_key=True))
    assert found(database, 1).idempotency_key is None
    assert found(database, 2).idempotency_key is not None


@pytest.mark.parametrize("verdict", [BACK, REFUSED, DOUBT], ids=lambda verdict: str(verdict.state))
def test_a_requested_discard_is_honoured_once_there_is_no_effect(
    database: Database, verdict: Settlement
) -> None:
    """With what hung on the command; in doubt it stays requested."""
    put_all(database, [new_commands.create_batch("b", "p"), task("a", "b"), new_commands.finalize_batch("b")])
    one = claim(database)[0]
    alter(database, 1, discard_requested=True)
    assert settle(database, one, verdict)
    expected = [IN_DOUBT, QUEUED, QUEUED] if verdict is DOUBT else [DISCARDED] * 3
    assert [found(database, number).state for number in (1, 2, 3)] == expected


# Rescue --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, QUEUED),
        ({"sent_at": soon(-5)}, IN_DOUBT),
        ({"ambiguous": True}, IN_DOUBT),
        ({"discard_requested": True}, DISCARDED),
        ({"discard_requested": True, "sent_at": soon(-5)}, IN_DOUBT),
    ],
    ids=["unarmed", "armed", "ambiguous", "unwanted", "armed and unwanted"],
)
def test_what_a_lost_owner_leaves_is_free_again(
    database: Database, changes: dict[str, Any], state: CommandState
) -> None:
    """It is in doubt if it may have been sent, and its owner's number is void."""
    put(database, task("a"))
    one = taken(database)
    alter(database, 1, leased_until=soon(-1), not_before=soon(60), **changes)
    assert claim(database, 0) == []
    command = found(database, 1)
    assert (command.state, command.ambiguous) == (state, state is IN_DOUBT)
    assert (command.fence, command.owner, command.not_before) == (2 + (state is DISCARDED), None, None)
    assert steps(database, 1)[0] == ("rescue", "in_doubt" if state is IN_DOUBT else "queued", 2)
    assert not settle(database, one, REFUSED)


@pytest.mark.parametrize(
    ("left", "mine", "rescued"),
    [
        (30, 10, False),
        (3000, 10, False),
        (4000, 10, True),
        (4000, 2500, False),
        (6000, 2500, True),
        (-1, 10, True),
    ],
    ids=["good", "longer than ours", "too far", "ours is long", "too far for ours", "over"],
)
def test_a_lease_that_is_too_far_away_is_over(
    database: Database, left: int, mine: int, rescued: bool
) -> None:
    """The clock went back then; but another dispatcher may have a longer lease than ours."""
    put(database, task("a"))
    taken(database)
    alter(database, 1, leased_until=soon(left))
    assert ids(database, lease=mine) == ([1] if rescued else [])


def test_owners_who_are_gone_lose_their_commands_at_once(database: Database) -> None:
    """And nobody else does."""
    put_all(database, [task("a"), task("b")])
    claim(database, 1, owner="gone")
    claim(database, 1, owner="alive")
    assert ids(database, gone=["never seen"]) == []
    assert ids(database, gone=["gone", "other"]) == [1]


def test_what_kills_its_dispatchers_is_held(database: Database) -> None:
    """After so many rescues with nothing but looks between them; any other step begins the count anew."""
    put(database, task("a"))

    def crash(times: int) -> str | None:
        for _ in range(times):
            taken(database)
            alter(database, 1, leased_until=soon(-1))
            claim(database, 0)
        return found(database, 1).hold_reason

    assert crash(CRASH_LOOP - 1) is None
    settle(database, taken(database), BACK, [AttemptStep("send", "unreachable")])
    assert crash(1) is None
    settle(database, taken(database), BACK, [AttemptStep("look", "absent")])
    assert crash(CRASH_LOOP - 2) is None
    assert "10 times in a row" in (crash(1) or "")
    assert claim(database) == []
