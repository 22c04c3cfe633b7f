"""Show and repair the queue: each method is one transaction, and none calls the API."""

import json
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from scalesync.db.database import Database
from scalesync.db.mirror.known_names import UnknownName, unknown
from scalesync.db.queue import command_rows, listing, management, pause, stats
from scalesync.errors import BY_STATUS, ConfigurationError, QueueError, ScaleException
from scalesync.models.commands import Attempt, CommandState, Outcome
from scalesync.models.queue_state import (
    CommandView,
    DiscardResult,
    DisplayState,
    PausedBy,
    PauseState,
    QueueStats,
)
from scalesync.models.selection import Selection

_CODES = {Outcome.CONFLICT: 409, Outcome.REJECTED: 400}
"""HTTP statuses for what a look-up decided, without a refusal by the API."""
_LONGEST_PAUSE = 36_500 * 86_400.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class CommandDetail:
    """A command with its history and what it waits for."""

    shown: CommandView
    attempts: list[Attempt]
    """Its steps, oldest first, including a person's."""
    why: list[CommandView]
    """The chain from this command over what it waits for to the first cause; itself alone if none."""


class Queue:
    """The queue's commands, as people see and change them. Raises QueueError for an unknown command id."""

    def __init__(self, open_database: Callable[[], AbstractContextManager[Database]]) -> None:
        """Open the database with `open_database` for each call."""
        self._open_database = open_database

    def commands(
        self,
        *,
        state: DisplayState | str | None = None,
        kind: str | None = None,
        batch: str | None = None,
        finished: bool = False,
        limit: int | None = None,
    ) -> Iterator[CommandView]:
        """Yield commands in the order of their ids, each with why it waits, in constant memory.

        `batch` selects a batch's create, its tasks' creates and its finalize. Delivered and discarded ones
        are left out unless `finished` is true or `state` asks for them.
        """
        shown = None if state is None else DisplayState(state)
        all_states = finished or shown is not None
        with self._open_database() as database, database.read() as conn:
            yield from listing.list_commands(
                conn, display=shown, kind=kind, batch=batch, finished=all_states, limit=limit
            )

    def listing(self, **filters: Any) -> Iterator[CommandView]:
        """Return `commands(**filters)`, which replaces this deprecated name."""
        warnings.warn("Use Queue.commands().", DeprecationWarning, stacklevel=2)
        return self.commands(**filters)

    def tasks(self, wanted: Selection) -> Iterator[bytes]:
        """Yield queued tasks that are not known to be at Scale, as JSON, in constant memory.

        Each is the body that will be sent, with `command_id`, `type` and the command's `state`.
        """
        with self._open_database() as database, database.read() as conn:
            yield from listing.queued_tasks(conn, wanted)

    def show(self, command_id: int) -> CommandDetail:
        """Return a command with its steps and what it waits for."""
        with self._open_database() as database, database.read() as conn:
            shown = listing.view(conn, command_id)
            if shown is None:
                raise QueueError(f"There is no command {command_id}.")
            attempts = command_rows.attempts(conn, command_id)
            return CommandDetail(shown, attempts, listing.why(conn, command_id))

    def result(self, command_id: int) -> dict[str, Any] | None:
        """Return a delivered command's result, such as its task_id; None: not delivered yet, or withdrawn.

        For one that is dead, or came too late, raises the ScaleException, with `.code` and `.message`, that
        ended it: 409 for a name that is taken.
        """
        with self._open_database() as database, database.read() as conn:
            command = command_rows.find(conn, command_id)
        if command is None:
            raise QueueError(f"There is no command {command_id}.")
        if command.state is CommandState.DEAD or command.outcome is Outcome.REJECTED:
            code = command.error_code or _CODES.get(command.outcome or Outcome.EXHAUSTED)
            kind = BY_STATUS.get(code or 0, ScaleException)
            raise kind(command.error or "", code)
        return None if command.result is None else json.loads(command.result)

    def why(self, command_id: int) -> list[CommandView]:
        """Return the command, the one it waits for, the one that one waits for, and so on."""
        with self._open_database() as database, database.read() as conn:
            found = listing.why(conn, command_id)
        if not found:
            raise QueueError(f"There is no command {command_id}.")
        return found

    def unknown(self, names: Iterable[tuple[str, str]], *, listed: bool = False) -> list[UnknownName]:
        """Return those of `names` that neither mirror nor queue knows, each with the nearest known one.

        Each name is a pair (kind, name); kinds are project, batch, type, status, batch status and review.
        `listed`: the names filter what is in the mirror.
        """
        with self._open_database() as database, database.read() as conn:
            return list(unknown(conn, names, listed=listed))

    def depth(self) -> tuple[QueueStats, PauseState]:
        """Return the queue's counts and its pause."""
        with self._open_database() as database, database.read() as conn:
            return stats.queue_stats(conn), pause.pause_state(conn)

    def retry(self, command_ids: Iterable[int]) -> list[int]:
        """Retry dead or held commands and return their ids; all of them, or none.

        Raises QueueError for one that is neither, and for an update that a newer one has overtaken.
        """
        chosen_ids = list(dict.fromkeys(command_ids))
        with self._open_database() as database, database.write(durable=True) as conn:
            for command_id in chosen_ids:
                management.retry(conn, command_id)
        return chosen_ids

    def retry_dead(self) -> list[int]:
        """Queue every dead command again and return their ids."""
        with self._open_database() as database, database.write(durable=True) as conn:
            return management.retry_dead(conn)

    def discard(self, command_ids: Iterable[int]) -> list[DiscardResult]:
        """Discard commands; return for each whether it is discarded, will be, or it is too late."""
        chosen_ids = list(dict.fromkeys(command_ids))
        with self._open_database() as database, database.write(durable=True) as conn:
            return [management.discard(conn, command_id) for command_id in chosen_ids]

    def discard_refused(self, command_id: int) -> None:
        """Discard a command if it is dead and has certainly had no effect, as after a refusal."""
        with self._open_database() as database, database.write(durable=True) as conn:
            command = command_rows.find(conn, command_id)
            if command is not None and command.state is CommandState.DEAD and not command.ambiguous:
                management.discard(conn, command_id)

    def discard_dead(self) -> list[DiscardResult]:
        """Discard every dead command, oldest first, and return the result for each.

        One whose effect is unknown stays dead while another command on its task, batch or project is active.
        """
        with self._open_database() as database, database.write(durable=True) as conn:
            return management.discard_dead(conn)

    def pause(self, *, seconds: float | None = None, reason: str = "") -> PauseState:
        """Pause sending on all hosts for `seconds`, or until `resume`; return the pause now in force.

        A longer pause is kept. Raises ConfigurationError for less than a second or more than 100 years.
        """
        if seconds is not None and not 1 <= seconds <= _LONGEST_PAUSE:
            raise ConfigurationError(
                f"A pause lasts at least one second and at most 100 years, and not {seconds:g} s.",
                advice="Give it a longer or shorter time, or none to pause until `scalesync queue resume`.",
            )
        why = f"paused by a person: {reason}" if reason else "paused by a person"
        with self._open_database() as database, database.write(durable=True) as conn:
            pause.pause(conn, seconds=seconds, reason=why, by=PausedBy.PERSON)
            return pause.pause_state(conn)

    def resume(self) -> PauseState:
        """End any pause and return the pause state."""
        with self._open_database() as database, database.write(durable=True) as conn:
            pause.resume(conn)
            return pause.pause_state(conn)

    def distrust(self) -> int:
        """Mark all open commands to be looked up before they are sent; return their number.

        For a database restored from a backup: commands it calls unsent may have been sent since. Dead ones
        are looked up too, when they are retried.
        """
        with self._open_database() as database, database.write(durable=True) as conn:
            return management.distrust(conn)
