"""The request rate that all processes of one Postgres share, by turns taken from one row.

A turn is one UPDATE in a transaction of its own, on a connection of its own, in a thread of its own. If the
database does not answer, a request waits no longer than ANSWER_SECONDS, once, and then goes by the rate of
its own process. All times are the database's; only spans of seconds leave it.
"""

import contextlib
import logging
from collections.abc import Callable
from math import inf
from threading import Lock
from typing import Any, TypeVar

import sqlalchemy as sa

from scalesync.clock import Clock
from scalesync.db import postgres
from scalesync.db.caller_transaction import Connection
from scalesync.db.database import Database
from scalesync.db.own_thread import OwnThread
from scalesync.db.schema.sync import request_rate
from scalesync.db.server_clock import seconds_until
from scalesync.models.request_rate import (
    FIRST_INTERVAL,
    FREE_INTERVAL,
    MAX_INTERVAL,
    RECOVERY_RATE,
    Turns,
    faster,
    slower,
)

ANSWER_SECONDS = 2.0
"""Seconds that a request waits for a turn from the database, before it goes by its own process's rate."""
RETRY_SECONDS = 5.0
"""Seconds for which a database that did not answer is not asked again."""
LONGEST_PAUSE = 600.0
"""Seconds of a pause that the row keeps for all processes, for nobody could end a pause of a year.

A process that asks the API after it, and is refused again, prolongs it.
"""
NOTICE_SECONDS = 0.5
"""Seconds between two looks at the row by transactions that are made for something else."""

_log = logging.getLogger("scalesync.api")
_T = TypeVar("_T")

_RECOVERED = f"(1 / (1 / interval_seconds + %(successes)s * {RECOVERY_RATE}))"
_KEPT = f"CASE WHEN {_RECOVERED} >= {FREE_INTERVAL} THEN {_RECOVERED} END"
# GREATEST ignores NULL. In SET the columns are those before, in RETURNING those after; the time moves on.
_TAKE = f"""
UPDATE request_rate SET
    interval_seconds = {_KEPT},
    next_at = greatest(next_at, paused_until, clock_timestamp())
        + make_interval(secs => %(number)s * greatest(%(least)s, {_KEPT}))
WHERE id = 1 AND greatest(next_at, paused_until, clock_timestamp())
    <= clock_timestamp() + make_interval(secs => %(longest)s)
RETURNING
    extract(epoch FROM next_at - clock_timestamp())::float8
        - %(number)s * greatest(%(least)s, interval_seconds),
    greatest(%(least)s, interval_seconds),
    coalesce(interval_seconds, 0),
    coalesce(extract(epoch FROM paused_until - clock_timestamp()), 0)::float8
"""  # noqa: S608 - of numbers and texts in this file
_UNTIL_FREE = """
SELECT extract(epoch FROM greatest(next_at, paused_until) - clock_timestamp())::float8,
    coalesce(interval_seconds, 0), coalesce(extract(epoch FROM paused_until - clock_timestamp()), 0)::float8
FROM request_rate WHERE id = 1
"""
# A burst that was refused counts once, whichever processes sent it: its requests began before the first
# refusal was written.
_COUNTS = "slowed_at IS NULL OR slowed_at < clock_timestamp() - make_interval(secs => %(since_started)s)"
_SLOW_DOWN = f"""
UPDATE request_rate SET
    paused_until = greatest(paused_until, clock_timestamp() + make_interval(secs => %(pause)s)),
    interval_seconds = CASE WHEN {_COUNTS} THEN least({MAX_INTERVAL},
        greatest({FIRST_INTERVAL}, 2 * greatest(interval_seconds, %(least)s))) ELSE interval_seconds END,
    slowed_at = CASE WHEN {_COUNTS} THEN clock_timestamp() ELSE slowed_at END
WHERE id = 1
RETURNING coalesce(interval_seconds, 0), extract(epoch FROM paused_until - clock_timestamp())::float8
"""  # noqa: S608 - of numbers and texts in this file
_NOTICE = sa.select(
    sa.func.coalesce(request_rate.c.interval_seconds, 0.0),
    sa.func.coalesce(seconds_until(request_rate.c.paused_until), 0.0),
)


class SharedRequestRate:
    """The rate in a Postgres database, as this process last knew it; a SharedRate of the API client."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._lock = Lock()
        """Held by the one thread that asks."""
        self._thread: OwnThread | None = None
        self._connection: Any = None
        self._asking = self._said = self._closed = False
        """Whether a call is under way in the thread; whether it was said that the database is away; ended."""
        self._ask_at = self._notice_at = -inf
        self._interval = 0.0
        self._paused_until = -inf

    @property
    def interval(self) -> float:
        """The seconds between two requests of all processes after a 429, as last known; 0: no limit."""
        return self._interval

    @property
    def paused_until(self) -> float:
        """The monotonic time before which no process should send, as last known."""
        return self._paused_until

    def notice(self, conn: Connection) -> None:
        """Read within an open transaction whether another process was refused; at most twice a second."""
        now = self._clock.monotonic()
        if now < self._notice_at:
            return
        self._notice_at = now + NOTICE_SECONDS
        self._learn(*conn.execute(_NOTICE).one())

    def take(self, number: int, least: float, successes: int, longest: float) -> Turns | None:
        """Take turns, at least `least` seconds apart; None: the database does not answer. See SharedRate."""
        given = {"number": number, "least": least, "successes": successes, "longest": max(0.0, longest)}

        def ask(connection: Any) -> Turns | None:
            row = connection.execute(_TAKE, given).fetchone()
            if row is not None:
                wait, interval, known, paused = row
                self._learn(known, paused)
                return Turns(number, max(0.0, wait), interval)
            row = connection.execute(_UNTIL_FREE).fetchone()
            if row is None:
                return None  # somebody deleted it
            self._learn(*row[1:])
            return Turns(0, row[0], least)

        turns = self._ask(ask)
        if turns is None:
            self._interval = faster(self._interval, successes)
        return turns

    def slow_down(self, started: float, pause: float, least: float) -> None:
        """Pause all processes, and halve their rate unless it was since that request started."""

        def ask(connection: Any) -> bool:
            # Only now: to connect took its time, too.
            since = self._clock.monotonic() - started
            given = {"since_started": since, "pause": min(pause, LONGEST_PAUSE), "least": least}
            row = connection.execute(_SLOW_DOWN, given).fetchone()
            if row is not None:
                self._learn(*row)
            return row is not None

        if not self._ask(ask):
            self._learn(max(least, slower(max(self._interval, least))), pause)

    def close(self) -> None:
        """End the thread and close the connection, now or once the database lets go of it."""
        with self._lock:
            self._closed = True
            self._end_thread()
            if not self._asking:
                self._forget_connection()

    def _learn(self, interval: float, pause: float) -> None:
        self._interval = float(interval)
        self._paused_until = self._clock.monotonic() + float(pause)

    def _ask(self, ask: Callable[[Any], _T]) -> _T | None:
        """Return the answer of the database to one question; None if it does not answer in time, or fails."""
        with self._lock:
            if self._asking or self._closed or self._clock.monotonic() < self._ask_at:
                return None
            self._thread = self._thread or OwnThread("request rate")
            self._asking = True
            try:
                answer = self._thread.call(lambda: self._answer(ask), ANSWER_SECONDS)
            except Exception as error:  # noqa: BLE001 - a rate must not be what ends a sync
                self._ask_at = self._clock.monotonic() + RETRY_SECONDS
                # A call that was abandoned may go on for long; until it ends, nothing else is asked.
                if isinstance(error, TimeoutError):
                    self._end_thread()
                self._say_that_it_is_away(error)
                return None
            self._said = False
            return answer

    def _end_thread(self) -> None:
        """Have the thread end after the call that is under way, if any, and wait for it if there is none."""
        if self._thread is not None:
            with self._thread:
                self._thread = None

    def _answer(self, ask: Callable[[Any], _T]) -> _T:
        """Ask on the connection, which is opened first if there is none; in the thread."""
        try:
            if self._connection is None:
                self._connection = self._connect()
            return ask(self._connection)
        except BaseException:
            self._forget_connection()
            raise
        finally:
            self._asking = False
            if self._closed:
                self._forget_connection()

    def _connect(self) -> Any:
        connection = self._database.driver_connection()
        connection.autocommit = True
        # What a crash of the server loses is one burst. Behind a pooler the setting would be somebody else's.
        if not postgres.is_pooled(connection):
            connection.execute("SET synchronous_commit = off")
        return connection

    def _forget_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.close()

    def _say_that_it_is_away(self, error: Exception) -> None:
        if not self._said:
            self._said = True
            reason = "no answer" if isinstance(error, TimeoutError) else type(error).__name__
            _log.warning("request rate not shared for now", extra={"reason": reason})
