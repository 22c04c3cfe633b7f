"""Define, play and judge one scenario: a command, an API behavior, a step and a disturbance."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from scalesync.db.database import Database
from scalesync.models.commands import CommandState
from tests.queue.failure_matrix.cases import CASES, Case
from tests.queue.failure_matrix.fake_api import ReadOutcome, WriteOutcome
from tests.queue.failure_matrix.simulation import Dispatcher, Protections, Simulation, drain

PEER_STEPS = (1, 2, 3, 4, 5)
"""How far another dispatcher comes before it is killed, or the first one wakes up."""


class Disturbance(StrEnum):
    """What happens to the dispatcher at a step."""

    KILL = "killed; on this machine, so that it is known at once"
    KILL_ELSEWHERE = "killed; its lease has to run out"
    KILL_RESCUER = "killed, and its rescuer too"
    THAW = "frozen for longer than its lease, then goes on"
    THAW_AFTER_PEER = "frozen until a peer did everything"
    THAW_AFTER_RESCUE = "frozen until a peer took over and is in the middle of it"
    PEER = "a peer comes at once"


WITH_PEER_STEPS = frozenset({Disturbance.KILL_RESCUER, Disturbance.THAW_AFTER_RESCUE})


@dataclass(frozen=True)
class ApiBehavior:
    """What becomes of the first requests; all others are answered."""

    writes: tuple[WriteOutcome, ...] = ()
    looks: tuple[ReadOutcome, ...] = ()

    def __str__(self) -> str:
        """Return it for the ids of tests."""
        return "+".join(
            [*(f"write {fate}" for fate in self.writes), *(f"look {fate}" for fate in self.looks)]
        )

    @property
    def refuses(self) -> bool:
        """Whether a command may rightly end dead: it was refused and not applied."""
        return bool({WriteOutcome.BAD_REQUEST, WriteOutcome.NOT_ENABLED} & set(self.writes))


BEHAVIORS = [
    *(ApiBehavior((fate,)) for fate in WriteOutcome),
    *(
        ApiBehavior((write,), (look, look))
        for write in (WriteOutcome.DROPPED, WriteOutcome.LOST, WriteOutcome.MUCH_LATER)
        for look in (ReadOutcome.LAGGING, ReadOutcome.FAILS, ReadOutcome.BROKEN, ReadOutcome.MIXED_UP)
    ),
    ApiBehavior((WriteOutcome.ANSWERED,), (ReadOutcome.NOT_SENT, ReadOutcome.SLOW_DOWN)),
    ApiBehavior((WriteOutcome.DROPPED,), (ReadOutcome.DROPPED, ReadOutcome.BAD_KEY)),
    ApiBehavior((WriteOutcome.REFUSED_500, WriteOutcome.LATER, WriteOutcome.DROPPED)),
    ApiBehavior((WriteOutcome.MUCH_LATER, WriteOutcome.LOST)),
    ApiBehavior((WriteOutcome.SLOW_DOWN, WriteOutcome.APPLIED_500)),
    ApiBehavior((WriteOutcome.LOST, WriteOutcome.BAD_REQUEST)),
    ApiBehavior((WriteOutcome.MUCH_LATER, WriteOutcome.BAD_REQUEST)),
    ApiBehavior((WriteOutcome.LOST, WriteOutcome.MIXED_UP_400)),
    ApiBehavior((WriteOutcome.MIXED_UP, WriteOutcome.SWAPPED), (ReadOutcome.MIXED_UP,)),
]


@dataclass(frozen=True)
class Scenario:
    """What is to be tried."""

    case: Case
    behavior: ApiBehavior
    step: int
    """At which step of the first dispatcher it happens, from 1."""
    disturbance: Disturbance
    peer_steps: int = 0

    def __str__(self) -> str:
        """Return it in one line."""
        return f"{self.case}, {self.behavior}; step {self.step}: {self.disturbance} ({self.peer_steps})"


def applicable(case: Case, behavior: ApiBehavior) -> bool:
    """Return whether a case can meet a behavior.

    Only creates are answered 409 for their own first effect. And where neither a look-up nor another send can
    show the effect, nobody can tell another's refusal that names nothing.
    """
    if case.appends:
        alone = case.unseen and WriteOutcome.NAMELESS_400 in behavior.writes
        return WriteOutcome.ECHO not in behavior.writes and not alone
    return WriteOutcome.ECHO not in behavior.writes or case.name.startswith(("create_", "import_", "upload_"))


PAIRS = [(case, behavior) for case in CASES for behavior in BEHAVIORS if applicable(case, behavior)]


def play(database: Database, scenario: Scenario, protections: Protections | None = None) -> str | None:
    """Play a scenario to its end and judge it by its effects; return what is wrong, None if nothing is."""
    sim, command_id = _staged(database, scenario.case, scenario.behavior, protections)
    killed_here = scenario.disturbance in (Disturbance.KILL, Disturbance.KILL_RESCUER)
    first = Dispatcher(sim, gone=killed_here).rounds()
    if forward(first, scenario.step):
        _disturb(sim, scenario, first)
    drain(sim)
    wrong = _judge(sim, scenario.case, scenario.behavior, command_id)
    return f"{scenario}: {wrong}" if wrong else None


def play_undisturbed(database: Database, case: Case, behavior: ApiBehavior) -> list[int]:
    """Return the numbers of the steps at which an undisturbed dispatcher has something in hand.

    Raises AssertionError where even that goes wrong.
    """
    sim, command_id = _staged(database, case, behavior, None)
    steps = [number for number, step in enumerate(Dispatcher(sim).rounds(), 1) if step != "claim"]
    drain(sim)
    wrong = _judge(sim, case, behavior, command_id)
    assert wrong is None, f"{case}, {behavior}: {wrong}"
    return steps


def scenarios_of(database: Database, case: Case, behavior: ApiBehavior) -> Iterator[Scenario]:
    """Yield every disturbance at every step that the dispatcher comes to."""
    for step in play_undisturbed(database, case, behavior):
        for disturbance in Disturbance:
            for steps in PEER_STEPS if disturbance in WITH_PEER_STEPS else (0,):
                yield Scenario(case, behavior, step, disturbance, steps)


def forward(steps: Iterator[str], number: int) -> bool:
    """Run a dispatcher up to the step with this number; return False if it has fewer steps."""
    return all(next(steps, None) is not None for _ in range(number))


def _staged(
    database: Database, case: Case, behavior: ApiBehavior, protections: Protections | None
) -> tuple[Simulation, int]:
    sim = Simulation(database, protections)
    command_id = sim.queue(case.order(sim.server.backend.live))
    sim.server.write_outcomes.extend(behavior.writes)
    sim.server.read_outcomes.extend(behavior.looks)
    return sim, command_id


def finish(steps: Iterator[str]) -> None:
    """Let a dispatcher finish the claim in its hands, and claim no other."""
    for step in steps:
        if step == "claim":
            return


def _disturb(sim: Simulation, scenario: Scenario, first: Iterator[str]) -> None:
    past_lease = sim.protections.timing.lease + 1
    match scenario.disturbance:
        case Disturbance.KILL_RESCUER:
            forward(Dispatcher(sim, gone=True).rounds(), scenario.peer_steps)
        case Disturbance.THAW:
            sim.timeline.advance(past_lease)
            finish(first)
        case Disturbance.THAW_AFTER_PEER:
            sim.timeline.advance(past_lease)
            Dispatcher(sim).finish()
            finish(first)
        case Disturbance.THAW_AFTER_RESCUE:
            sim.timeline.advance(past_lease)
            peer = Dispatcher(sim).rounds()
            forward(peer, scenario.peer_steps)
            finish(first)
            finish(peer)
        case Disturbance.PEER:
            list(Dispatcher(sim).once())
            finish(first)


def _judge(sim: Simulation, case: Case, behavior: ApiBehavior, command_id: int) -> str | None:
    sim.timeline.advance(sim.protections.timing.settle)
    happened = case.happened(sim.server.backend)
    command = sim.command(command_id)
    if case.ended_well(command, sim.server.backend):
        return None
    if command.state is CommandState.DEAD and happened == 0 and behavior.refuses:
        return None
    held = f", held: {command.hold_reason}" if command.hold_reason else ""
    return f"happened {happened} times, {command.state}{held} ({command.error}){sim.story()}"
