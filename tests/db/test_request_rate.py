"""The request rate that processes on one Postgres share, row by row and turn by turn."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import pairwise

import psycopg
import pytest
from sqlalchemy import text

from scalesync.api.rate_limiter import RateLimiter
from scalesync.clock import Clock
from scalesync.db import request_rate
from scalesync.db.database import Database
from scalesync.db.request_rate import SharedRequestRate
from scalesync.errors import ScaleTurnTooLate
from scalesync.models.request_rate import FIRST_INTERVAL, MAX_INTERVAL, Turns
from tests.support.databases import PostgresServer, migrate, opened

LONG = 1_000.0


@contextmanager
def sharing(url: str, number: int) -> Iterator[list[SharedRequestRate]]:
    """Yield the rate as some processes have it, each with a database of its own."""
    with ExitStack() as stack:
        databases = [stack.enter_context(opened(url)) for _ in range(number)]
        yield [stack.enter_context(closing(SharedRequestRate(each, Clock()))) for each in databases]


def taken(rate: SharedRequestRate, number: int = 1, least: float = 0.0, successes: int = 0) -> Turns:
    """Take turns; the database answers."""
    turns = rate.take(number, least, successes, LONG)
    assert turns is not None
    return turns


def test_turns_of_two_processes_follow_each_other(postgres_url: str) -> None:
    """Each begins where the other's end; time that nobody used is not made up for."""
    with sharing(postgres_url, 2) as (one, other):
        asked = ((one, 4), (other, 1), (one, 1), (other, 1))
        turns = [taken(rate, number, 50.0) for rate, number in asked]
        with opened(postgres_url) as database, database.write() as conn:
            conn.execute(text("UPDATE request_rate SET next_at = clock_timestamp() - interval '1 day'"))
        turns += [taken(rate, 1, 50.0) for rate in (one, other)]

    assert [(each.number, each.interval) for each in turns[:2]] == [(4, 50), (1, 50)]
    assert [each.wait for each in turns] == pytest.approx([0, 200, 250, 300, 0, 50], abs=5)


def test_of_different_rates_none_is_exceeded(postgres_url: str) -> None:
    """A turn takes as long as the rate of the process that takes it says."""
    with sharing(postgres_url, 2) as (fast, slow):
        waits = [taken(rate, 1, least).wait for rate, least in ((fast, 20), (slow, 100)) for _ in range(2)]

    assert waits == pytest.approx([0, 20, 40, 140], abs=5)


def test_a_refusal_slows_all_and_successes_of_all_bring_it_back(postgres_url: str) -> None:
    """It halves the rate, also that of a process that did not know; each success adds one a second."""
    with sharing(postgres_url, 2) as (one, other):
        one.slow_down(time.monotonic(), 0.0, 0.0)
        intervals = [one.interval, taken(other).interval]
        for _ in range(3):
            intervals += [taken(one, successes=5).interval, taken(other, successes=10).interval]

    assert intervals == pytest.approx([0.1, 0.1, 1 / 15, 1 / 25, 1 / 30, 1 / 40, 1 / 45, 0.0])
    assert [one.interval, other.interval] == pytest.approx([1 / 45, 0])


def test_one_burst_counts_once_whoever_sent_it(postgres_url: str) -> None:
    """Requests that began before the rate was halved prolong the pause only; later ones halve it again."""
    with sharing(postgres_url, 3) as rates:
        started = time.monotonic()
        for rate in rates:
            rate.slow_down(started, 1.0, 0.0)
        rates[0].slow_down(started, 2.0, 0.0)
        once = [taken(rate).interval for rate in rates]
        rates[1].slow_down(time.monotonic(), 0.0, 0.0)
        wait = rates[2].take(1, 0.0, 0, LONG)

    assert once == [FIRST_INTERVAL] * 3
    assert wait is not None
    assert (wait.interval, wait.wait > 1.5) == (2 * FIRST_INTERVAL, True)


def test_the_pause_and_the_slowest_rate_have_bounds(postgres_url: str) -> None:
    """Ten refusals one after the other; a process's own rate holds where the row allows more."""
    with sharing(postgres_url, 1) as (rate,):
        for _ in range(10):
            rate.slow_down(time.monotonic(), 0.0, 0.0)
            time.sleep(0.002)
        assert rate.interval == MAX_INTERVAL
        assert taken(rate, 1, 30.0).interval == 30.0


def test_a_pause_of_years_does_not_stop_everybody_for_years(postgres_url: str) -> None:
    """The row keeps ten minutes of it; nobody could take it back."""
    with sharing(postgres_url, 2) as (one, other):
        one.slow_down(time.monotonic(), 365 * 86_400.0, 0.0)
        assert taken(other).wait == pytest.approx(request_rate.LONGEST_PAUSE, abs=5)


def test_a_turn_that_comes_too_late_is_not_taken(postgres_url: str) -> None:
    """The seconds until it are said, and the row is as it was."""
    with sharing(postgres_url, 1) as (rate,):
        rate.slow_down(time.monotonic(), 60.0, 0.0)
        late = [each for _ in range(2) if (each := rate.take(1, 0.0, 0, 5.0))]

    assert [each.number for each in late] == [0, 0]
    assert [each.wait for each in late] == pytest.approx([60, 60], abs=2)


def test_turns_that_others_have_are_not_asked_for_again_at_once(postgres_url: str) -> None:
    """A process whose turn comes too late says so after a moment: it would ask the database in a loop."""
    with sharing(postgres_url, 2) as rates:
        one, other = (RateLimiter(Clock(), rate=0.1, pause=1, shared=rate) for rate in rates)
        one.acquire(1)
        began = time.monotonic()
        with pytest.raises(ScaleTurnTooLate, match="The rate given"):
            other.wait(0.3)
        assert time.monotonic() - began >= 0.3


def test_another_transaction_notices_a_refusal(postgres_url: str) -> None:
    """Without a statement for each request: a claim or a page reads the row, twice a second at most."""
    with sharing(postgres_url, 2) as (one, other), opened(postgres_url) as database:
        one.slow_down(time.monotonic(), 30.0, 0.0)
        assert other.interval == 0.0
        with database.read() as conn:
            other.notice(conn)
        assert (other.interval, other.paused_until > time.monotonic() + 25) == (FIRST_INTERVAL, True)
        with database.write() as conn:
            conn.execute(text("UPDATE request_rate SET interval_seconds = NULL"))
            other.notice(conn)
            assert other.interval == FIRST_INTERVAL


def test_nothing_is_asked_while_nothing_limits(postgres_url: str) -> None:
    """No connection is opened, no statement is sent, and no thread is started before the first refusal."""
    with sharing(postgres_url, 1) as (rate,):
        before = threading.active_count()
        limiter = RateLimiter(Clock(), rate=None, pause=1, shared=rate)
        for _ in range(1_000):
            limiter.acquire(0)
            limiter.on_success()
        assert (threading.active_count(), rate._connection) == (before, None)  # noqa: SLF001 - that is the point


def test_many_threads_of_many_processes_keep_one_rate(postgres_url: str) -> None:
    """Three limiters of four threads each at 50 requests a second together make 50, and no more."""
    ends = time.monotonic() + 2
    starts: list[float] = []

    def request(limiter: RateLimiter) -> None:
        while time.monotonic() < ends:
            starts.append(limiter.acquire(60))

    with sharing(postgres_url, 3) as rates:
        limiters = [RateLimiter(Clock(), rate=50, pause=1, shared=rate) for rate in rates]
        threads = [threading.Thread(target=request, args=(each,)) for each in limiters for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    seconds = max(starts) - min(starts)
    assert 40 < (len(starts) - 1) / seconds < 58
    ordered = sorted(starts)
    most = max(sum(1 for each in ordered if at <= each < at + 0.5) for at in ordered)
    assert most <= 25 + 3 * 5  # each process may have five turns in hand


class BusyApi:
    """An API that answers 20 requests in any second, and refuses others for 0.3 s."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.answered: list[float] = []
        self.refused: list[float] = []

    def request(self, limiter: RateLimiter, ends: float) -> None:
        """Make requests, each of 20 ms, until it is time to end."""
        while time.monotonic() < ends:
            started = limiter.acquire(60)
            with self.lock:
                recent = [at for at in self.answered[-20:] if at > time.monotonic() - 1]
                if answers := len(recent) < 20:
                    self.answered.append(time.monotonic())
                else:
                    self.refused.append(time.monotonic())
            time.sleep(0.02)
            limiter.on_success() if answers else limiter.on_throttled(started, 0.3)

    def threads(self, rate: SharedRequestRate | None, ends: float) -> list[threading.Thread]:
        """Return four threads of one process, not started."""
        limiter = RateLimiter(Clock(), rate=None, pause=1, shared=rate)
        return [threading.Thread(target=self.request, args=(limiter, ends)) for _ in range(4)]


def test_three_processes_are_refused_hardly_more_often_than_one(postgres_url: str) -> None:
    """But for those of their first requests that are under way together; not three times as often."""
    one, three, apart, begins = BusyApi(), BusyApi(), BusyApi(), time.monotonic()
    ends = begins + 5
    with sharing(postgres_url, 3) as rates:
        threads = one.threads(None, ends)
        for rate in rates:
            threads += [*three.threads(rate, ends), *apart.threads(None, ends)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    # The first second has what was under way before anybody knew of a limit: one request of each thread.
    later = [sum(at > begins + 1 for at in api.refused) for api in (one, three, apart)]
    assert later[1] <= 1.2 * later[0] + 3 < later[2]


def test_a_database_that_is_away_neither_stops_nor_frees(mortal_server: PostgresServer) -> None:
    """The process goes on by its own rate, and shares it again once the database is back."""
    url = mortal_server.create("rates")
    migrate(url)
    with opened(url) as database, closing(SharedRequestRate(database, Clock())) as rate:
        limiter = RateLimiter(Clock(), rate=20, pause=1, shared=rate)
        limiter.acquire(5)
        mortal_server.crash()
        began = time.monotonic()
        starts = [limiter.acquire(5) for _ in range(21)]

        assert time.monotonic() - began < 1 + request_rate.ANSWER_SECONDS + 0.5
        assert min(later - start for start, later in pairwise(starts[2:])) > 0.045
        mortal_server.start()
        rate._ask_at = 0.0  # noqa: SLF001 - five seconds later
        assert rate.take(1, 0.05, 0, LONG) is not None


def test_a_database_that_does_not_answer_is_not_waited_for_twice(postgres_url: str) -> None:
    """Somebody holds the row locked: one wait of two seconds, and then the process's own rate."""
    with sharing(postgres_url, 1) as (rate,), psycopg.connect(postgres_url) as holder:
        limiter = RateLimiter(Clock(), rate=50, pause=1, shared=rate)
        holder.execute("SELECT 1 FROM request_rate FOR UPDATE")
        began = time.monotonic()
        for _ in range(10):
            limiter.acquire(60)
        assert 1.9 < time.monotonic() - began < 3
        holder.rollback()


def test_a_deleted_row_leaves_each_process_its_own_rate(postgres_url: str) -> None:
    """Nothing fails, whoever deleted it."""
    with sharing(postgres_url, 1) as (rate,), opened(postgres_url) as database:
        with database.write() as conn:
            conn.execute(text("DELETE FROM request_rate"))
        assert rate.take(1, 0.1, 0, LONG) is None
        rate.slow_down(time.monotonic(), 1.0, 0.0)
        assert rate.interval == FIRST_INTERVAL


def test_the_row_is_there_once(database: Database) -> None:
    """Made by the migration on both databases; a second one is refused."""
    with database.read() as conn:
        assert [tuple(row) for row in conn.execute(text("SELECT * FROM request_rate"))] == [
            (1, None, None, None, None)
        ]
