"""The queue under whatever sequence of orders, dispatchers, faults, delays and people Hypothesis finds.

The suite plays a few sequences, always the same; `SCALESYNC_EXAMPLES=500` plays so many, always others.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from scalesync.db.database import Database
from scalesync.db.queue import enqueue as queued
from scalesync.db.queue import management
from scalesync.db.queue.command_rows import command_of
from scalesync.db.queue.pause import resume
from scalesync.db.schema.queue import commands
from scalesync.errors import QueueError
from scalesync.models.commands import Command, CommandKind, CommandState, NewCommand
from scalesync.models.queue_state import DiscardAnswer
from scalesync.queue import file_commands, new_commands
from tests.queue.failure_matrix.cases import PARAMS, QUALITY, TASK, TASK_TYPE
from tests.queue.failure_matrix.fake_api import ReadOutcome, WriteOutcome
from tests.queue.failure_matrix.simulation import Dispatcher, Protections, Simulation, drain

EXAMPLES = os.environ.get("SCALESYNC_EXAMPLES")
FEW = 12
ASKED = "The test asked for "
Effect = tuple[str, str, str]
CHANGES = [
    CommandKind.AUDIT_TASK,
    CommandKind.SET_TASK_TAGS,
    CommandKind.ADD_TASK_TAGS,
    CommandKind.DELETE_TASK_TAGS,
    CommandKind.SET_TASK_METADATA,
    CommandKind.UPDATE_TASK_UNIQUE_ID,
    CommandKind.CLEAR_TASK_UNIQUE_ID,
    CommandKind.SET_BATCH_METADATA,
]
UNREPEATABLE = [
    CommandKind.SEND_CALLBACK,
    CommandKind.CREATE_EVALUATION_TASK,
    CommandKind.CREATE_TRAINING_TASK,
]
X: Effect = ("batch", "x", "created")


@dataclass(frozen=True)
class Sent:
    """A command that was queued, and what it does at the API."""

    new: NewCommand
    effect: Effect | None
    """Kind, name and effect as the sandbox counts them; None for a version of a project."""
    batch: str | None = None
    """The batch that it fills or finalizes."""
    repeats: bool = False
    """Whether other commands have the same effect: each of them that was sent and delivered counts."""
    unseen: bool = False
    """Whether nobody can see the effect: it is there for each that is delivered, and no more often than it
    was sent; of a file at most once."""


class Machine(RuleBasedStateMachine):
    """One queue, any number of dispatchers, one API."""

    database: ClassVar[Database]
    protections: ClassVar[Protections] = Protections(random=lambda: 0.5)

    def __init__(self) -> None:
        super().__init__()
        self.sim = Simulation(self.database, self.protections)
        self.dispatchers: list[Iterator[str]] = []
        self.sent: dict[int, Sent] = {}
        self.answers: dict[int, DiscardAnswer] = {}
        self.versions = 0
        self.done = self.sim.server.backend.live.tasks.by_unique_id["done"]
        self.effects: list[Effect] = []
        self.sim.server.backend.applied.on_count = lambda *effect: self.effects.append(effect[:3])

    @initialize(sealed=st.booleans(), fates=st.lists(st.sampled_from(WriteOutcome), min_size=2, max_size=5))
    def seed(self, sealed: bool, fates: list[WriteOutcome]) -> None:
        """Begin with a little of everything, on a bad day."""
        for number in range(3):
            self.create_task(number, "bx"[number % 2])
        self.update_project(patch=True)
        if sealed:
            self.finalize_batch("b")
            self.finalize_batch("x")
        self.bad_writes(fates)

    # Orders ----------------------------------------------------------------------------------------------

    @rule(number=st.integers(0, 3), batch=st.sampled_from(["b", "x"]))
    def create_task(self, number: int, batch: str) -> None:
        """Queue a task; the same number is the same task."""
        name = f"{batch}{number}"
        new = new_commands.create_task(TASK_TYPE, {**TASK, "batch": batch, "unique_id": name})
        self._queue(Sent(new, ("unique_id", name, "created"), batch))

    @rule(name=st.sampled_from(["here", "b0", "b1", "x0"]))
    def cancel_task(self, name: str) -> None:
        """Queue a cancel of a task that is there, queued, or neither."""
        self._queue(Sent(new_commands.cancel_task(unique_id=name), ("unique_id", name, "canceled")))

    @rule()
    def create_batch(self) -> None:
        """Queue the batch x, in the project p."""
        self._queue(Sent(new_commands.create_batch("x", "p"), X))

    @rule(name=st.sampled_from(["b", "x"]))
    def finalize_batch(self, name: str) -> None:
        """Queue a finalize, which seals the batch."""
        self._queue(Sent(new_commands.finalize_batch(name), ("batch", name, "finalized"), name))

    @rule()
    def create_project(self) -> None:
        """Queue another project."""
        self._queue(Sent(new_commands.create_project("np", TASK_TYPE, PARAMS), ("project", "np", "created")))

    @rule(patch=st.booleans())
    def update_project(self, patch: bool) -> None:
        """Queue new params, each time others."""
        self.versions += 1
        new = new_commands.update_project(
            "p", {"instruction": f"Version {self.versions}."}, patch=patch or None
        )
        self._queue(Sent(new, None))

    def _queue(self, sent: Sent) -> None:
        if sent.batch == "x" and not any(one.effect == X for one in self.sent.values()):
            self.create_batch()
        try:
            with self.sim.database.write() as conn:
                answer = queued.enqueue(conn, sent.new)
        except QueueError:
            return
        if answer.new and answer.command_id is not None:
            self.sent[answer.command_id] = sent

    @rule(kind=st.sampled_from(CHANGES))
    def change(self, kind: CommandKind) -> None:
        """Queue a change of the completed task or of the batch b, each time another."""
        self.versions += 1
        new, effect = self._change(kind, f"v{self.versions}")
        name = "b" if kind is CommandKind.SET_BATCH_METADATA else self.done
        self._queue(Sent(new, ("batch" if name == "b" else "task", name, effect), repeats=True))

    def _change(  # noqa: PLR0911 - one each
        self, kind: CommandKind, word: str
    ) -> tuple[NewCommand, str]:
        named = {"task_id": self.done}
        match kind:
            case CommandKind.AUDIT_TASK:
                return new_commands.audit_task(**named, accepted=True, comments=word), "audited"
            case CommandKind.SET_TASK_METADATA:
                return new_commands.set_task_metadata({"is": word}, **named), "described"
            case CommandKind.SET_BATCH_METADATA:
                return new_commands.set_batch_metadata("b", {"is": word}), "described"
            case CommandKind.UPDATE_TASK_UNIQUE_ID:
                return new_commands.update_task_unique_id(word, **named), "renamed"
            case CommandKind.CLEAR_TASK_UNIQUE_ID:
                return new_commands.clear_task_unique_id(**named), "renamed"
            case CommandKind.DELETE_TASK_TAGS:
                return new_commands.change_tags(kind, [f"v{self.versions - 1}", "old"], **named), "tagged"
        return new_commands.change_tags(kind, [word], **named), "tagged"

    @rule(number=st.integers(0, 1), uploaded=st.booleans())
    def create_file(self, number: int, uploaded: bool) -> None:
        """Queue a file, and a task that refers to it; the same number is the same file."""
        name = f"f{number}"
        order = file_commands.import_file("https://example.com/1.jpg", reference_id=name)
        if uploaded:
            order = file_commands.upload_file(__file__, reference_id=name)
        self._queue(Sent(order, ("file", name, "created"), unseen=True))
        body = {**TASK, "batch": None, "attachment": f"scalesync-file:{name}", "unique_id": name}
        self._queue(Sent(new_commands.create_task(TASK_TYPE, body), ("unique_id", name, "created")))

    @rule(kind=st.sampled_from(UNREPEATABLE))
    def unrepeatable(self, kind: CommandKind) -> None:
        """Queue what the API does a second time, and cannot be asked about."""
        if kind is CommandKind.SEND_CALLBACK:
            new = new_commands.send_callback(task_id=self.done)
            self._queue(Sent(new, ("task", self.done, "called_back"), unseen=True))
            return
        self.versions += 1
        name = f"q{self.versions}"
        new = new_commands.create_quality_task(kind, TASK_TYPE, {**QUALITY, "unique_id": name})
        self._queue(Sent(new, ("quality_task", name, "created"), unseen=True))

    # Dispatchers -----------------------------------------------------------------------------------------

    @rule(steps=st.integers(2, 6))
    def start(self, steps: int) -> None:
        """Let a dispatcher come, and a few steps far."""
        self.dispatchers.append(Dispatcher(self.sim).rounds())
        self._forward(len(self.dispatchers) - 1, steps)

    @precondition(lambda self: self.dispatchers)
    @rule(which=st.integers(0, 5), steps=st.integers(1, 6))
    def step(self, which: int, steps: int) -> None:
        """Let a dispatcher go on, however long it was frozen."""
        self._forward(which % len(self.dispatchers), steps)

    @precondition(lambda self: self.dispatchers)
    @rule(which=st.integers(0, 5))
    def kill(self, which: int) -> None:
        """Kill a dispatcher elsewhere: nobody can tell."""
        del self.dispatchers[which % len(self.dispatchers)]

    @rule(steps=st.integers(2, 8))
    def come_and_die(self, steps: int) -> None:
        """Let a dispatcher of this machine come a few steps far and die, which everybody can tell."""
        dispatcher = Dispatcher(self.sim, gone=True).rounds()
        for _ in range(steps):
            next(dispatcher, None)

    @rule(steps=st.integers(10, 40))
    def work_for_a_while(self, steps: int) -> None:
        """Let a peer work for a while, and end between two commands."""
        for number, step in enumerate(Dispatcher(self.sim).rounds()):
            if number >= steps and step == "claim":
                return

    def _forward(self, which: int, steps: int) -> None:
        for _ in range(steps):
            if next(self.dispatchers[which], None) is None:
                del self.dispatchers[which]
                return

    # Time, API, people -----------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.3, 2.0, 6.0, 21.0, 66.0, 121.0, 186.0, 400.0]))
    def wait(self, seconds: float) -> None:
        """Time goes by for everybody; who is in the middle of something was frozen."""
        self.sim.timeline.advance(seconds)

    @rule(fates=st.lists(st.sampled_from(WriteOutcome), min_size=1, max_size=3))
    def bad_writes(self, fates: list[WriteOutcome]) -> None:
        """Have the next writes go wrong."""
        self.sim.server.write_outcomes.extend(fates)

    @rule(fates=st.lists(st.sampled_from(ReadOutcome), min_size=1, max_size=3))
    def bad_looks(self, fates: list[ReadOutcome]) -> None:
        """Have the next looks go wrong."""
        self.sim.server.read_outcomes.extend(fates)

    @precondition(lambda self: self.sent)
    @rule(which=st.integers(0, 20))
    def discard(self, which: int) -> None:
        """Withdraw a command."""
        command_id = self._chosen(which)
        answer = self._by_hand(lambda conn: management.discard(conn, command_id))
        if answer is not None:
            self.answers[command_id] = answer.answer

    @precondition(lambda self: self.sent)
    @rule(which=st.integers(0, 20))
    def retry(self, which: int) -> None:
        """Have a command tried again."""
        self._by_hand(lambda conn: management.retry(conn, self._chosen(which)))

    @rule()
    def distrust(self) -> None:
        """Distrust the queue."""
        self._by_hand(management.distrust)

    @rule()
    def resume(self) -> None:
        """Open the gate, as a person does."""
        self._by_hand(resume)

    def _chosen(self, which: int) -> int:
        return sorted(self.sent)[which % len(self.sent)]

    def _by_hand(self, act: Callable[[Any], Any]) -> Any:
        try:
            with self.sim.database.write() as conn:
                return act(conn)
        except QueueError:
            return None

    # The end ---------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """Let everybody finish in peace, and compare what is known with what happened."""
        try:
            drain(self.sim)
            self.sim.timeline.advance(self.sim.protections.timing.settle)
            with self.sim.database.read() as conn:
                found = [command_of(row) for row in conn.execute(select(commands).order_by(commands.c.id))]
            stuck = [one for one in found if one.state is CommandState.DEAD or one.hold_reason]
            for command in found:
                self._check_end(command, stuck)
            self._check_effects(found)
            self._check_order(found)
        except AssertionError as error:
            raise AssertionError(f"{error}{self.sim.story()}") from error

    def _check_end(self, command: Command, stuck: list[Command]) -> None:
        """Fail unless the command ended as it may: what is left open is held, or waits for what is stuck."""
        told = f"{command.id} {command.kind} {command.resource} is {command.state}: {command.error}"
        above = {command.resource, command.depends_on, command.scope, *command.needed_files}
        waits = above & {name for one in stuck for name in (one.resource, one.scope)}
        assert (
            command.hold_reason or waits or command.state not in (CommandState.SENDING, CommandState.IN_DOUBT)
        ), told
        if self.answers.get(command.id) is DiscardAnswer.DISCARDED:
            assert command.state is CommandState.DISCARDED, told
        if self.answers.get(command.id) is DiscardAnswer.TOO_LATE:
            assert command.state is CommandState.DELIVERED, told
        if command.state is CommandState.DEAD and not self.answers:
            canceled = command.kind == CommandKind.CANCEL_TASK
            assert canceled or (command.error or "").startswith(ASKED), told

    def _check_effects(self, found: list[Command]) -> None:
        """Fail unless each effect is there as often as commands of it are delivered."""
        delivered = [self.sent[one.id] for one in found if one.state is CommandState.DELIVERED]
        for effect, sent in {one.effect: one for one in self.sent.values() if one.effect}.items():
            ours = [one for one in found if self.sent[one.id].effect == effect]
            there = self.effects.count(effect)
            ended = [one for one in ours if one.state is CommandState.DELIVERED]
            if sent.unseen:
                most = 1 if effect[0] == "file" else sum(one.sends for one in ours)
                assert len(ended) <= there <= most, (effect, len(ended), there, most)
                continue
            times = sum(one.sends > 0 for one in ended) if sent.repeats else len(ended)
            assert sent.repeats or times <= 1, effect
            assert there == times, (effect, times, there)
        versions = len(self.sim.server.backend.live.projects["p"]["param_history"]) - 1
        updates = sum(sent.effect is None for sent in delivered)
        assert versions == updates, (versions, updates)

    def _check_order(self, found: list[Command]) -> None:
        """Fail unless every finalize came after all that its batch was to hold."""
        for command in found:
            sent = self.sent[command.id]
            if sent.effect is None or sent.effect[2] != "created" or sent.batch is None:
                continue
            finalized = ("batch", sent.batch, "finalized")
            if sent.effect in self.effects and finalized in self.effects:
                assert self.effects.index(sent.effect) < self.effects.index(finalized), sent.effect


def test_every_effect_once_after_any_sequence(arena: Database) -> None:
    """After a quiet end each command's effect is there once, or not at all where that is the answer."""
    run_state_machine_as_test(
        type("Playing", (Machine,), {"database": arena}),
        settings=settings(
            max_examples=int(EXAMPLES or FEW),
            stateful_step_count=50 if EXAMPLES else 25,
            derandomize=not EXAMPLES,
            phases=[Phase.generate, Phase.shrink] if EXAMPLES else [Phase.generate],
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
