"""Every kind, every API behavior, every step, every disturbance: each effect is there exactly once.

The whole product takes a quarter of an hour for each database. The suite plays a large share of it where
every protection shows, and a small one of the rest, spread evenly, another one on each database;
`SCALESYNC_MATRIX=full` plays it all.
"""

import os
from collections.abc import Iterable, Iterator
from itertools import islice

import pytest

from scalesync.db.database import Database
from tests.queue.failure_matrix.cases import BY_NAME, CASES, Case
from tests.queue.failure_matrix.disturbances import PAIRS, ApiBehavior, Scenario, play, scenarios_of
from tests.queue.failure_matrix.missing_protections import WITHOUT

FULL = os.environ.get("SCALESYNC_MATRIX") == "full"
SHARE = 140
"""One of so many scenarios of every second pair of kind and API behavior is played."""
SHARE_OF_APPENDS = 180
"""The same for the kinds that the API itself does not protect."""
REVEALING = sorted({weak.behavior for weak in WITHOUT.values()}, key=str)
"""The API behaviors under which the lack of any protection shows, as `test_without_a_protection` proves."""


def share(arena: Database, case: Case) -> Iterator[Scenario]:
    """Yield the scenarios of a case that are to be played on this database."""
    every = SHARE_OF_APPENDS if case.appends else SHARE
    pairs = [pair for pair in PAIRS if pair[0] is case]
    if FULL:
        for _, behavior in pairs:
            yield from scenarios_of(arena, case, behavior)
        return
    turn = 0 if arena.is_sqlite else 1
    for number, (_, behavior) in enumerate(pairs[turn::2]):
        yield from islice(scenarios_of(arena, case, behavior), (number * 7 + turn) % every, None, every)


@pytest.mark.timeout(7200 if FULL else 240)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_matrix(arena: Database, case: Case) -> None:
    """Whatever the API does and whatever happens to dispatchers, the effect is there once and known of."""
    assert play_all(arena, share(arena, case)) > 5


@pytest.mark.parametrize("behavior", REVEALING, ids=str)
def test_where_every_protection_shows(arena: Database, behavior: ApiBehavior) -> None:
    """The same for the kind that needs every protection: each fourth scenario, on Postgres each twelfth."""
    every = 1 if FULL else 4 if arena.is_sqlite else 12
    scenarios = islice(scenarios_of(arena, BY_NAME["update_project"], behavior), 0, None, every)
    assert play_all(arena, scenarios) > 80 / every


def play_all(arena: Database, scenarios: Iterable[Scenario]) -> int:
    """Play scenarios and return how many; fail if any went wrong."""
    played = 0
    wrong = []
    for scenario in scenarios:
        played += 1
        if (violation := play(arena, scenario)) is not None:
            wrong.append(violation)
    assert not wrong, f"{len(wrong)} of {played} scenarios went wrong. The first: {wrong[0]}"
    return played


@pytest.mark.parametrize("protection", WITHOUT)
def test_without_a_protection(sqlite_arena: Database, protection: str) -> None:
    """Without any one of the protections the same scenarios bring an effect twice, or none."""
    weak = WITHOUT[protection]
    violations = (
        violation
        for scenario in scenarios_of(sqlite_arena, BY_NAME["update_project"], weak.behavior)
        if (violation := play(sqlite_arena, scenario, weak.protections)) is not None
    )
    assert any(weak.shows in violation for violation in violations)
