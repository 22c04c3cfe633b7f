"""The mirror under whatever sequence of changes, syncs, crashes, stalls and clock steps Hypothesis finds.

The suite plays a few sequences, always the same; `SCALESYNC_EXAMPLES=500` plays so many, always others.
"""

import os
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, timedelta
from typing import ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from scalesync.errors import AlreadyRunningError
from scalesync.sandbox import Switches
from scalesync.sync.planner import SyncRequest
from scalesync.sync.verify.models import Verification
from tests.support.sync_env import differences, mirrored, served
from tests.sync.state_machine.changes import BURST, CHANGES, LEFT, burst, one_of
from tests.sync.state_machine.crashing_database import CrashingDatabase, End, Fate
from tests.sync.state_machine.oracle import Difference, drift
from tests.sync.state_machine.simulation import Simulation, merged
from tests.sync.test_full_sync import READINGS

EXAMPLES = os.environ.get("SCALESYNC_EXAMPLES")
GAMES = {"sqlite": (4, 3), "postgres": (1, 3)}
"""Into how many groups the readings are divided, and how many examples each group gets."""

LISTINGS = READINGS | {"totals stop at a cap": Switches(total="capped", total_cap=110)}
"""The readings of the API, with a cap that is reached here."""

CHANGE = st.tuples(st.sampled_from(sorted(CHANGES)), st.integers(0, 2**16))
FATAL = (End.BEFORE, End.AFTER, End.AWAY, End.AWAY_UNKNOWN)


class Machine(RuleBasedStateMachine):
    """One account, one mirror, any number of syncs."""

    database: ClassVar[CrashingDatabase]
    readings: ClassVar[list[str]] = sorted(LISTINGS)
    all_at_once: ClassVar[bool] = False
    """Whether an example is played under all of these readings, which must not contradict each other."""
    sim: Simulation | None = None
    switches = Switches()

    def __init__(self) -> None:
        super().__init__()
        self.tampered: set[tuple[str, str]] = set()
        """(stream, key) of what was changed behind the mirror's back and not repaired."""

    @initialize(
        chosen=st.lists(st.integers(0, 2**16), min_size=1, max_size=4),
        tasks=st.sampled_from([12, 130, 230]),
    )
    def begin(self, chosen: list[int], tasks: int) -> None:
        """Begin with a made-up account under some readings of the API, and an empty mirror."""
        some = [self.readings[number % len(self.readings)] for number in chosen]
        self.switches = merged([LISTINGS[name] for name in (self.readings if self.all_at_once else some)])
        if self.switches.ties != "by_id":
            # Where tokens lose some of a tie, only an exact total can tell.
            self.switches = replace(self.switches, total="exact")
        self.sim = Simulation(self.database, self.switches, tasks)

    @property
    def here(self) -> Simulation:
        """The simulation of this example."""
        assert self.sim is not None
        return self.sim

    # The world ---------------------------------------------------------------------------------------------

    @rule(changes=st.lists(CHANGE, min_size=1, max_size=6))
    def change(self, changes: list[tuple[str, int]]) -> None:
        """Let people, annotators and the clock do something."""
        for change in changes:
            self.here.change(*change)

    @rule(hours=st.integers(-30, 30))
    def turn_our_clock(self, hours: int) -> None:
        """Set our own clock wrong."""
        self.here.ahead = timedelta(hours=hours)

    # Syncs -------------------------------------------------------------------------------------------------

    @rule(what=st.integers(0, 9), meanwhile=st.lists(CHANGE, max_size=4), lapsed=st.booleans())
    def sync(self, what: int, meanwhile: list[tuple[str, int]], lapsed: bool) -> None:
        """Sync, with changes landing before some pages; to the end, if nobody holds what is to be read."""
        self.here.arriving.extend(meanwhile)
        with suppress(AlreadyRunningError):
            self.here.sync(self._request(what), lapsed=lapsed)
        self.here.arriving.clear()

    @rule(
        what=st.integers(0, 9),
        end=st.sampled_from(FATAL),
        at=st.integers(1, 14),
        elsewhere=st.booleans(),
        meanwhile=st.lists(CHANGE, max_size=3),
    )
    def crash(self, what: int, end: End, at: int, elsewhere: bool, meanwhile: list[tuple[str, int]]) -> None:
        """Sync, and die or lose the database at one of the transactions.

        Where nobody can tell, another comes before the lease is over, and cannot have what is held.
        """
        self.here.arriving.extend(meanwhile)
        self.here.sync_fatally(self._request(what), Fate(end, at), elsewhere=elsewhere)
        self.here.arriving.clear()
        if elsewhere:
            with suppress(AlreadyRunningError):
                self.here.sync(SyncRequest(), lapsed=False)

    @rule(what=st.integers(0, 9), at=st.integers(1, 10))
    def stall(self, what: int, at: int) -> None:
        """Let a sync stand still in the middle, and whoever stood still before go on."""
        self.here.wake()
        self.here.stall(self._request(what), Fate(End.STALLS, at))

    @precondition(lambda self: self.switches.ties == "skipped")
    @rule(later=st.booleans())
    def contradict(self, later: bool) -> None:
        """Have more tasks in an instant than the API can list, so that no run is complete; then fewer."""
        self.here.wake()
        with self.here.server.backend.locked():
            made = burst(self.here.scene)
        self.here.time.step(4000 if later else 2)
        assert not self.here.sync(SyncRequest()).complete
        here = mirrored(self.database, "tasks")
        # What is left fits on a page together with what an earlier burst left: see `LEFT`.
        for task_id in [one for one in made if one in here][: BURST - LEFT]:
            with self.here.server.backend.locked():
                self.here.scene.account.remove("tasks", task_id)
            self.here.scene.unseen.add(("tasks", task_id))

    @rule()
    def wake(self) -> None:
        """Let the sync that stands still go on, whoever did its work meanwhile."""
        self.here.wake()

    def _request(self, what: int) -> SyncRequest:
        """Return an incremental sync, a full one, a backfill, one project or one stream."""
        now = self.here.time.at.astimezone(UTC)
        projects = sorted(self.here.scene.account.projects)
        match what:
            case 4 | 5:
                return SyncRequest(full=True)
            case 6:
                return SyncRequest(since=now - timedelta(days=40), until=now - timedelta(seconds=30))
            case 7:
                return SyncRequest(projects=(projects[now.second % len(projects)],))
            case 8:
                return SyncRequest(streams=("tasks",))
            case 9:
                return SyncRequest(lookback=timedelta())
            case _:
                return SyncRequest()

    # What is to be true ------------------------------------------------------------------------------------

    @rule(full=st.booleans())
    def rest(self, full: bool) -> None:
        """When nothing changes any more, a sync is complete and the mirror equals the API."""
        self.here.wake()
        self.here.time.step(2)
        summary = self.here.sync(SyncRequest(full=full))
        different = self._different()
        assert summary.complete, summary
        if full:
            self.here.scene.unseen.clear()
        found = {(stream, key) for stream, keys in different.items() for key in keys}
        excused = self.here.scene.unseen | self.tampered
        assert found <= excused, found - excused

    @rule(stream=st.sampled_from(["tasks", "batches"]), number=st.integers(0, 2**16), lose=st.booleans())
    def tamper(self, stream: str, number: int, lose: bool) -> None:
        """Lose a row of the mirror, or have it tell another status, behind its back."""
        key = one_of(sorted(mirrored(self.database, stream)), number)
        if key is not None:
            self.here.tamper(stream, key, lose=lose)
            self.tampered.add((stream, key))

    @precondition(lambda self: self.sim is not None and self.sim.complete_once())
    @rule()
    def verify(self) -> None:
        """Verify: it finds exactly what differs; by counts nothing else, though some of it may cancel out."""
        due = self._due()
        counted = self.here.prove(listed=0)
        assert {one for one in _named(counted) if one[2] != "counted"} <= due, (counted, due)
        assert counted.proven or due or self.tampered or self._homeless(), counted
        self._check_proof(self.here.prove())

    @precondition(lambda self: self.sim is not None and self.sim.complete_once())
    @rule()
    def repair(self) -> None:
        """Verify and repair: afterwards nothing differs that can be told."""
        self.here.wake()
        self._check_proof(self.here.prove(repair=True))
        assert self._due() == set()
        self.tampered.clear()

    def _check_proof(self, found: Verification) -> None:
        due = self._due()
        named = _named(found)
        assert {one for one in named if one[2] != "counted"} == due, (named ^ due, found.unproven)
        assert found.proven or due or self.tampered or self._homeless(), found

    def _due(self) -> set[Difference]:
        return drift(self.here.server, self.database, homeless=not self.switches.project_required)

    def _homeless(self) -> bool:
        """Whether the mirror has tasks that the API cannot be asked for; no verification can prove those."""
        ours = mirrored(self.database, "tasks").values() if self.switches.project_required else ()
        return any("project" not in one for one in ours)

    def _different(self) -> dict[str, list[str]]:
        different = differences(self.here.server, self.database)
        if self.switches.project_required and "tasks" in different:
            # Tasks of no project cannot be asked for; each run says so.
            theirs, ours = served(self.here.server, "tasks"), mirrored(self.database, "tasks")
            different["tasks"] = [
                key
                for key in different["tasks"]
                if theirs.get(key, {}).get("project") or ours.get(key, {}).get("project")
            ]
        return different

    def teardown(self) -> None:
        """End in peace: a sync brings what it can see, a full one the rest."""
        if self.sim is None:
            return
        try:
            if self.switches.ties == "skipped":
                self.contradict(later=True)
            self.rest(full=False)
            self.verify()
            self.repair()
            self.rest(full=True)
            self.here.change("recall in completed batch", 0)
            self.rest(full=False)
        finally:
            self.sim.close()


def _named(found: Verification) -> set[Difference]:
    """Return everything that differs, also what is only behind."""
    every = (*found.drift, *found.behind, *found.undated)
    return {(one.stream, one.key, str(one.kind)) for one in every}


def test_after_any_sequence_the_mirror_equals_the_api(arena: CrashingDatabase) -> None:
    """Whatever came before, once nothing changes any more a sync is complete and every document is right."""
    groups, examples = (1, int(EXAMPLES)) if EXAMPLES else GAMES["sqlite" if arena.is_sqlite else "postgres"]
    for number in range(groups):
        means = {
            "database": arena,
            "readings": sorted(LISTINGS)[number::groups],
            "all_at_once": groups > 1,
        }
        run_state_machine_as_test(
            type("Playing", (Machine,), means),
            settings=settings(
                max_examples=examples,
                stateful_step_count=30 if EXAMPLES else 6,
                derandomize=not EXAMPLES,
                phases=[Phase.generate, Phase.shrink] if EXAMPLES else [Phase.generate],
                database=None,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
