"""Dispatchers that lack one protection each, by which the matrix shows that it would see that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scalesync.api.client import ScaleApi
from scalesync.db.queue import enqueue as queued
from scalesync.models.api import Document
from scalesync.models.commands import AttemptStep, Claim, Command, CommandKind, CommandState, Settlement
from scalesync.queue.dispatcher_store import DispatcherStore
from scalesync.queue.handlers import HANDLERS
from scalesync.queue.handlers.batches import CreateBatch, FinalizeBatch
from scalesync.queue.handlers.interface import Absent, CommandHandler, LookUp, Prepared
from scalesync.queue.handlers.projects import CreateProject, UpdateProject
from scalesync.queue.handlers.tasks import CancelTask, CreateTask
from scalesync.queue.timing import Timing
from tests.queue.matrix.scenarios import Wire
from tests.queue.matrix.stage import Means
from tests.queue.matrix.timeline import StoppedClock
from tests.queue.matrix.wire import OnWrite


class _Blind(CommandHandler):
    """A kind that takes what it was not told for not having happened."""

    resend_before_settle = True

    def look_up(self, api: ScaleApi, command: Command) -> LookUp:  # noqa: ARG002 - it does not look
        """Return Absent."""
        return Absent()


class _CreateTask(_Blind, CreateTask):
    pass


class _CancelTask(_Blind, CancelTask):
    pass


class _CreateBatch(_Blind, CreateBatch):
    pass


class _FinalizeBatch(_Blind, FinalizeBatch):
    pass


class _CreateProject(_Blind, CreateProject):
    pass


class _UpdateProject(_Blind, UpdateProject):
    def prepare(self, api: ScaleApi, command: Command) -> Prepared:  # noqa: ARG002 - as above
        return Prepared()


BLIND: Mapping[str, CommandHandler] = {
    CommandKind.CREATE_TASK: _CreateTask(),
    CommandKind.CANCEL_TASK: _CancelTask(),
    CommandKind.CREATE_BATCH: _CreateBatch(),
    CommandKind.FINALIZE_BATCH: _FinalizeBatch(),
    CommandKind.CREATE_PROJECT: _CreateProject(),
    CommandKind.UPDATE_PROJECT: _UpdateProject(),
}
assert BLIND.keys() == HANDLERS.keys()


@dataclass
class Unfenced(DispatcherStore):
    """A ledger that takes whatever claim there is now for its own."""

    def arm(self, claim: Claim, **given: Any) -> bool:
        """Arm under the present fence."""
        return super().arm(self._present(claim), **given)

    def settle(
        self,
        claim: Claim,
        verdict: Settlement,
        steps: Sequence[AttemptStep] = (),
        *,
        answer: tuple[str, Document] | None = None,
    ) -> CommandState | None:
        """Settle under the present fence."""
        return super().settle(self._present(claim), verdict, steps, answer=answer)

    def _present(self, claim: Claim) -> Claim:
        with self.database.read() as conn:
            command = queued.find(conn, claim.command.id)
        return (
            claim if command is None else replace(claim, command=replace(claim.command, fence=command.fence))
        )


@dataclass
class Unarmed(DispatcherStore):
    """A ledger that does not write down that a command is about to be sent."""

    def arm(self, claim: Claim, **given: Any) -> bool:  # noqa: ARG002 - kept nowhere
        """Return True."""
        return True


class _Credulous(UpdateProject):
    """A kind that takes every 200 for the answer to what it sent."""

    def confirms(self, command: Command, answer: Document) -> bool:  # noqa: ARG002 - it does not look
        """Return True."""
        return True


@dataclass(frozen=True)
class Weakness:
    """Dispatchers without one protection, and a wire under which the matrix soon sees what it was for."""

    means: Means
    wire: Wire
    shows: str = "happened 2 times"
    """How a scenario goes wrong for lack of it."""


WITHOUT: Mapping[str, Weakness] = {
    "asking first": Weakness(Means(handlers=BLIND), Wire((OnWrite.DROPPED,))),
    "the fence": Weakness(Means(ledger=Unfenced), Wire((OnWrite.LATER,))),
    "the own deadline": Weakness(Means(clock=StoppedClock), Wire((OnWrite.LATER,))),
    "the settle time": Weakness(Means(timing=Timing(settle=0)), Wire((OnWrite.MUCH_LATER,))),
    "whose answer it is": Weakness(
        Means(handlers={**HANDLERS, CommandKind.UPDATE_PROJECT: _Credulous()}),
        Wire((OnWrite.MIXED_UP,)),
        "happened 0 times, delivered",
    ),
    "arming": Weakness(Means(ledger=Unarmed), Wire((OnWrite.MUCH_LATER,))),
}
