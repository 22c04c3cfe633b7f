"""One scenario of the matrix: a command, what the wire does, where its dispatcher is disturbed, and how."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from scalesync.db.database import Database
from scalesync.models.commands import CommandState
from tests.queue.matrix.cases import CASES, Case
from tests.queue.matrix.stage import Means, Process, Stage, drain
from tests.queue.matrix.wire import OnLook, OnWrite

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
class Wire:
    """What becomes of the first requests; all others are answered."""

    writes: tuple[OnWrite, ...] = ()
    looks: tuple[OnLook, ...] = ()

    def __str__(self) -> str:
        """Return it for the ids of tests."""
        return "+".join(
            [*(f"write {fate}" for fate in self.writes), *(f"look {fate}" for fate in self.looks)]
        )

    @property
    def refuses(self) -> bool:
        """Whether a command may rightly end dead: it was refused and not applied."""
        return bool({OnWrite.BAD_REQUEST, OnWrite.NOT_ENABLED} & set(self.writes))


WIRES = [
    *(Wire((fate,)) for fate in OnWrite),
    *(
        Wire((write,), (look, look))
        for write in (OnWrite.DROPPED, OnWrite.LOST, OnWrite.MUCH_LATER)
        for look in (OnLook.LAGGING, OnLook.FAILS, OnLook.BROKEN, OnLook.MIXED_UP)
    ),
    Wire((OnWrite.ANSWERED,), (OnLook.NOT_SENT, OnLook.SLOW_DOWN)),
    Wire((OnWrite.DROPPED,), (OnLook.DROPPED, OnLook.BAD_KEY)),
    Wire((OnWrite.REFUSED_500, OnWrite.LATER, OnWrite.DROPPED)),
    Wire((OnWrite.MUCH_LATER, OnWrite.LOST)),
    Wire((OnWrite.SLOW_DOWN, OnWrite.APPLIED_500)),
    Wire((OnWrite.LOST, OnWrite.BAD_REQUEST)),
    Wire((OnWrite.MUCH_LATER, OnWrite.BAD_REQUEST)),
    Wire((OnWrite.LOST, OnWrite.MIXED_UP_400)),
    Wire((OnWrite.MIXED_UP, OnWrite.SWAPPED), (OnLook.MIXED_UP,)),
]


@dataclass(frozen=True)
class Scenario:
    """What is to be tried."""

    case: Case
    wire: Wire
    step: int
    """At which step of the first dispatcher it happens, from 1."""
    disturbance: Disturbance
    peer_steps: int = 0

    def __str__(self) -> str:
        """Return it in one line."""
        return f"{self.case}, {self.wire}; step {self.step}: {self.disturbance} ({self.peer_steps})"


def applicable(case: Case, wire: Wire) -> bool:
    """Whether a wire means anything for a case: only creates are told 409 for what they did themselves."""
    return OnWrite.ECHO not in wire.writes or case.name.startswith("create_")


PAIRS = [(case, wire) for case in CASES for wire in WIRES if applicable(case, wire)]


def play(database: Database, scenario: Scenario, means: Means | None = None) -> str | None:
    """Play a scenario to its end and judge it by its effects; return what is wrong, None if nothing is."""
    stage, command_id = _staged(database, scenario.case, scenario.wire, means)
    killed_here = scenario.disturbance in (Disturbance.KILL, Disturbance.KILL_RESCUER)
    first = Process(stage, gone=killed_here).rounds()
    if forward(first, scenario.step):
        _disturb(stage, scenario, first)
    drain(stage)
    wrong = _judge(stage, scenario.case, scenario.wire, command_id)
    return f"{scenario}: {wrong}" if wrong else None


def play_undisturbed(database: Database, case: Case, wire: Wire) -> list[int]:
    """Return the numbers of the steps at which an undisturbed dispatcher has something in hand.

    Raises AssertionError where even that goes wrong.
    """
    stage, command_id = _staged(database, case, wire, None)
    steps = [number for number, step in enumerate(Process(stage).rounds(), 1) if step != "claim"]
    drain(stage)
    wrong = _judge(stage, case, wire, command_id)
    assert wrong is None, f"{case}, {wire}: {wrong}"
    return steps


def scenarios_of(database: Database, case: Case, wire: Wire) -> Iterator[Scenario]:
    """Yield every disturbance at every step that the dispatcher comes to."""
    for step in play_undisturbed(database, case, wire):
        for disturbance in Disturbance:
            for steps in PEER_STEPS if disturbance in WITH_PEER_STEPS else (0,):
                yield Scenario(case, wire, step, disturbance, steps)


def forward(steps: Iterator[str], number: int) -> bool:
    """Move a dispatcher on to just before its step of that number; return whether it has so many."""
    return all(next(steps, None) is not None for _ in range(number))


def _staged(database: Database, case: Case, wire: Wire, means: Means | None) -> tuple[Stage, int]:
    stage = Stage(database, means)
    command_id = stage.queue(case.order(stage.server.backend.live))
    stage.server.on_writes.extend(wire.writes)
    stage.server.on_looks.extend(wire.looks)
    return stage, command_id


def finish(steps: Iterator[str]) -> None:
    """Let a dispatcher finish the claim in its hands, and claim no other."""
    for step in steps:
        if step == "claim":
            return


def _disturb(stage: Stage, scenario: Scenario, first: Iterator[str]) -> None:
    past_lease = stage.means.timing.lease + 1
    match scenario.disturbance:
        case Disturbance.KILL_RESCUER:
            forward(Process(stage, gone=True).rounds(), scenario.peer_steps)
        case Disturbance.THAW:
            stage.timeline.advance(past_lease)
            finish(first)
        case Disturbance.THAW_AFTER_PEER:
            stage.timeline.advance(past_lease)
            Process(stage).finish()
            finish(first)
        case Disturbance.THAW_AFTER_RESCUE:
            stage.timeline.advance(past_lease)
            peer = Process(stage).rounds()
            forward(peer, scenario.peer_steps)
            finish(first)
            finish(peer)
        case Disturbance.PEER:
            list(Process(stage).once())
            finish(first)


def _judge(stage: Stage, case: Case, wire: Wire, command_id: int) -> str | None:
    stage.timeline.advance(stage.means.timing.settle)
    happened = case.happened(stage.server.backend)
    command = stage.command(command_id)
    if command.state is CommandState.DELIVERED and happened == 1:
        return None
    if command.state is CommandState.DEAD and happened == 0 and wire.refuses:
        return None
    held = f", held: {command.hold_reason}" if command.hold_reason else ""
    return f"happened {happened} times, {command.state}{held} ({command.error}){stage.story()}"
