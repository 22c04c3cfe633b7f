"""The queue as people see it and mend it: each call is one transaction, and none talks to the API."""

import json
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from scalesync.db.database import Database
from scalesync.db.mirror.known_names import UnknownName, unknown
from scalesync.db.queue import enqueue, listing, management, pause
from scalesync.errors import BY_STATUS, ConfigurationError, QueueError, ScaleException
from scalesync.models.commands import (
    Attempt,
    CommandState,
    CommandView,
    DiscardResult,
    DisplayState,
    PausedBy,
    PauseState,
    QueueStats,
)
from scalesync.models.selection import Selection

_LONGEST_PAUSE = 36_500 * 86_400.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class CommandDetail:
    """Everything there is to know about one command."""

    shown: CommandView
    attempts: list[Attempt]
    """Every step that was taken with it, oldest first, a person's included."""
    why: list[CommandView]
    """From the command to the one at the root of its waiting; only itself where it waits for no other."""


class Queue:
    """Sees and mends the queue. Raises QueueError for a command that does not exist."""

    def __init__(self, lend: Callable[[], AbstractContextManager[Database]]) -> None:
        """Use the database that `lend` opens for each call."""
        self._lend = lend

    def commands(
        self,
        *,
        state: DisplayState | str | None = None,
        kind: str | None = None,
        batch: str | None = None,
        finished: bool = False,
        limit: int | None = None,
    ) -> Iterator[CommandView]:
        """Yield commands in the order of their ids, in flat memory, with why each of them waits.

        `batch` chooses what belongs to a batch: its create, its tasks' creates and its finalize. What is
        delivered or discarded is there only if `finished` or that very state is asked for.
        """
        display = None if state is None else DisplayState(state)
        chosen = {"kind": kind, "batch": batch, "finished": finished or display is not None, "limit": limit}
        with self._lend() as database, database.read() as conn:
            yield from listing.list_commands(conn, display=display, **chosen)  # type: ignore[arg-type]

    def listing(self, **filters: Any) -> Iterator[CommandView]:
        """Return `commands(**filters)`. Deprecated: use that."""
        warnings.warn("Use Queue.commands().", DeprecationWarning, stacklevel=2)
        return self.commands(**filters)

    def tasks(self, wanted: Selection) -> Iterator[bytes]:
        """Yield tasks that are queued and not known to be at Scale, as JSON, in flat memory.

        Each is what will be sent, with `command_id`, `type` and, as `state`, where the command stands.
        """
        with self._lend() as database, database.read() as conn:
            yield from listing.queued_tasks(conn, wanted)

    def show(self, command_id: int) -> CommandDetail:
        """Return a command with every step that was taken with it."""
        with self._lend() as database, database.read() as conn:
            shown = listing.view(conn, command_id)
            if shown is None:
                raise QueueError(f"There is no command {command_id}.")
            return CommandDetail(shown, enqueue.attempts(conn, command_id), listing.why(conn, command_id))

    def result(self, command_id: int) -> dict[str, Any] | None:
        """Return what the API named for a delivered command, such as its task_id; None: not delivered yet.

        Raises the ScaleException, with `.code` and `.message`, for which it is dead.
        """
        command = self.show(command_id).shown.command
        if command.state is CommandState.DEAD:
            kind = BY_STATUS.get(command.error_code or 0, ScaleException)
            raise kind(command.error or "", command.error_code)
        return None if command.result is None else json.loads(command.result)

    def why(self, command_id: int) -> list[CommandView]:
        """Return the command, the one it waits for, the one that waits for, and so on to the root."""
        return self.show(command_id).why

    def unknown(self, names: Iterable[tuple[str, str]], *, listed: bool = False) -> list[UnknownName]:
        """Return those of `names` that neither mirror nor queue knows, each with the nearest known one.

        Each comes with what it is of: project, batch, type, status, batch status or review. `listed` says
        that they choose among what is here.
        """
        with self._lend() as database, database.read() as conn:
            return list(unknown(conn, names, listed=listed))

    def depth(self) -> tuple[QueueStats, PauseState]:
        """Return how full the queue is, and whether anything may be sent."""
        with self._lend() as database, database.read() as conn:
            return listing.queue_stats(conn), pause.pause_state(conn)

    def retry(self, command_ids: Iterable[int]) -> list[int]:
        """Have dead or held commands tried again and return their ids; all of them, or none.

        Raises QueueError for one that is neither, and for an update that a newer one has overtaken.
        """
        asked = list(dict.fromkeys(command_ids))
        with self._lend() as database, database.write(durable=True) as conn:
            for command_id in asked:
                management.retry(conn, command_id)
        return asked

    def retry_dead(self) -> list[int]:
        """Have every dead command tried again and return their ids."""
        with self._lend() as database, database.write(durable=True) as conn:
            return management.retry_dead(conn)

    def discard(self, command_ids: Iterable[int]) -> list[DiscardResult]:
        """Withdraw commands, and return for each whether it is withdrawn, will be, or is too late."""
        asked = list(dict.fromkeys(command_ids))
        answers = list[DiscardResult]()
        with self._lend() as database, database.write(durable=True) as conn:
            for command_id in asked:
                answers.append(management.discard(conn, command_id))
        return answers

    def discard_dead(self) -> list[DiscardResult]:
        """Withdraw every dead command, oldest first, and return the same for each that was dead.

        One whose effect is unknown stays dead while another command has its task, batch or project in hand.
        """
        with self._lend() as database, database.write(durable=True) as conn:
            return management.discard_dead(conn)

    def pause(self, *, seconds: float | None = None, reason: str = "") -> PauseState:
        """Let no host send anything for `seconds`, or until `resume`, and return what is in force now.

        A longer pause stays. Raises ConfigurationError for less than a second, and for more than 100 years.
        """
        if seconds is not None and not 1 <= seconds <= _LONGEST_PAUSE:
            raise ConfigurationError(
                f"A pause lasts at least one second and at most 100 years, and not {seconds:g} s.",
                advice="Give it a longer or shorter time, or none to pause until `scalesync queue resume`.",
            )
        why = f"paused by a person: {reason}" if reason else "paused by a person"
        with self._lend() as database, database.write(durable=True) as conn:
            pause.pause(conn, seconds=seconds, reason=why, by=PausedBy.PERSON)
            return pause.pause_state(conn)

    def resume(self) -> PauseState:
        """End a pause, whatever its reason, and return what is in force now."""
        with self._lend() as database, database.write(durable=True) as conn:
            pause.resume(conn)
            return pause.pause_state(conn)

    def distrust(self) -> int:
        """Have the API asked about every open command before it is sent, and return how many there are.

        For a database that was restored from a backup: what it calls unsent may have been sent since. Dead
        commands are looked up too, when they are retried.
        """
        with self._lend() as database, database.write(durable=True) as conn:
            return management.distrust(conn)
