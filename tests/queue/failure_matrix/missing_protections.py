"""Take one protection at a time from dispatchers, so that the matrix must fail."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from scalesync.api.client import ScaleApi
from scalesync.db.queue import command_rows
from scalesync.models.api import Document
from scalesync.models.commands import Claim, Command, CommandKind, CommandState
from scalesync.queue.dispatcher_store import DispatcherStore
from scalesync.queue.handlers import HANDLERS
from scalesync.queue.handlers.batches import CreateBatch, FinalizeBatch
from scalesync.queue.handlers.interface import Absent, CommandHandler, LookUp, Prepared
from scalesync.queue.handlers.projects import CreateProject, UpdateProject
from scalesync.queue.handlers.tasks import CancelTask, CreateTask
from scalesync.queue.timing import Timing
from tests.queue.failure_matrix.disturbances import ApiBehavior
from tests.queue.failure_matrix.fake_api import WriteOutcome
from tests.queue.failure_matrix.simulation import Protections
from tests.queue.failure_matrix.virtual_time import StoppedClock


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
    **HANDLERS,
    CommandKind.CREATE_TASK: _CreateTask(),
    CommandKind.CANCEL_TASK: _CancelTask(),
    CommandKind.CREATE_BATCH: _CreateBatch(),
    CommandKind.FINALIZE_BATCH: _FinalizeBatch(),
    CommandKind.CREATE_PROJECT: _CreateProject(),
    CommandKind.UPDATE_PROJECT: _UpdateProject(),
}


@dataclass
class Unfenced(DispatcherStore):
    """A store that arms and settles under the fence of the current claim instead of its own."""

    def arm(self, claim: Claim, **given: Any) -> bool:
        """Arm under the present fence."""
        return super().arm(self._present(claim), **given)

    def settle(self, claim: Claim, *settlement: Any, **given: Any) -> CommandState | None:
        """Settle under the present fence."""
        return super().settle(self._present(claim), *settlement, **given)

    def _present(self, claim: Claim) -> Claim:
        with self.database.read() as conn:
            command = command_rows.find(conn, claim.command.id)
        return (
            claim if command is None else replace(claim, command=replace(claim.command, fence=command.fence))
        )


@dataclass
class Unarmed(DispatcherStore):
    """A store that does not write down that a command is about to be sent."""

    def arm(self, claim: Claim, **given: Any) -> bool:  # noqa: ARG002 - kept nowhere
        """Return True."""
        return True


class _Credulous(UpdateProject):
    """A kind that takes every 200 for the answer to what it sent."""

    def confirms(self, command: Command, answer: Document) -> bool:  # noqa: ARG002 - it does not look
        """Return True."""
        return True


@dataclass(frozen=True)
class MissingProtection:
    """Dispatchers without one protection, and an API behavior under which the matrix soon shows that."""

    protections: Protections
    behavior: ApiBehavior
    shows: str = "happened 2 times"
    """How a scenario goes wrong for lack of it."""


WITHOUT: Mapping[str, MissingProtection] = {
    "asking first": MissingProtection(Protections(handlers=BLIND), ApiBehavior((WriteOutcome.DROPPED,))),
    "the fence": MissingProtection(Protections(store=Unfenced), ApiBehavior((WriteOutcome.LATER,))),
    "the own deadline": MissingProtection(
        Protections(clock=StoppedClock), ApiBehavior((WriteOutcome.LATER,))
    ),
    "the settle time": MissingProtection(
        Protections(timing=Timing(settle=0)), ApiBehavior((WriteOutcome.MUCH_LATER,))
    ),
    "whose answer it is": MissingProtection(
        Protections(handlers={**HANDLERS, CommandKind.UPDATE_PROJECT: _Credulous()}),
        ApiBehavior((WriteOutcome.MIXED_UP,)),
        "happened 0 times, delivered",
    ),
    "arming": MissingProtection(Protections(store=Unarmed), ApiBehavior((WriteOutcome.MUCH_LATER,))),
}
