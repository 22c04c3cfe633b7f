"""One pace for all threads."""

import threading
import time
from itertools import pairwise

import pytest

from scalesync.api.rate_limiter import RateLimiter
from scalesync.clock import Clock
from scalesync.errors import ScaleNotSent, ScaleTooManyRequests, ScaleTurnTooLate
from scalesync.models.request_rate import FIRST_INTERVAL, MAX_INTERVAL
from tests.support.scripted_server import SteppingClock


def limiter(clock: Clock, *, rate: float | None = None) -> RateLimiter:
    """Return a limiter that rests 2 s after a 429 without Retry-After."""
    return RateLimiter(clock, rate=rate, pause=2)


def test_free_until_refused() -> None:
    """Before the first 429 nobody waits."""
    clock = SteppingClock()
    pace = limiter(clock)

    for _ in range(1000):
        pace.acquire(0)
    assert clock.slept == []


def test_fixed_rate() -> None:
    """A fixed rate spaces requests from the first one on, and successes do not lift it."""
    clock = SteppingClock()
    pace = limiter(clock, rate=4)

    for _ in range(5):
        pace.acquire(10)
        pace.on_success()
    assert clock.slept == [0.25] * 4


def test_rest_and_half_the_pace() -> None:
    """After a 429 the next request waits for as long as the API asked, and the ones after it are spaced."""
    clock = SteppingClock()
    pace = limiter(clock)

    pace.on_throttled(pace.acquire(0), 7)
    pace.acquire(10)
    pace.acquire(10)

    assert clock.slept == pytest.approx([7, FIRST_INTERVAL])


def test_rest_without_retry_after() -> None:
    """A 429 that names no time means the rest that was configured."""
    clock = SteppingClock()
    pace = limiter(clock)

    pace.on_throttled(pace.acquire(0), None)
    pace.acquire(10)

    assert clock.slept == [2]


def test_a_burst_counts_once() -> None:
    """Refusals of requests that were on their way already prolong the rest and do not halve again."""
    clock = SteppingClock()
    pace = limiter(clock)
    starts = [pace.acquire(0) for _ in range(8)]
    clock.sleep(1)

    for seconds, start in enumerate(starts):
        pace.on_throttled(start, seconds)

    assert pace.interval == FIRST_INTERVAL
    pace.acquire(10)
    assert clock.slept == [1, 7]


def test_pace_falls_and_recovers() -> None:
    """Each further 429 halves the pace down to a limit; successes bring it back, gradually, to no limit."""
    clock = SteppingClock()
    pace = limiter(clock)
    seen = []
    for _ in range(10):
        pace.on_throttled(pace.acquire(100), 0)
        clock.sleep(1)
        seen.append(pace.interval)
    for _ in range(60):
        pace.on_success()
        seen.append(pace.interval)

    assert seen[:4] == [0.1, 0.2, 0.4, 0.8]
    assert seen[9] == MAX_INTERVAL
    assert seen[9:] == sorted(seen[9:], reverse=True)
    assert seen[30] > 0
    assert seen[-1] == 0


def test_a_fixed_rate_is_the_fastest_recovery() -> None:
    """After a 429 the pace recovers to the fixed rate and no further."""
    clock = SteppingClock()
    pace = limiter(clock, rate=5)
    pace.on_throttled(pace.acquire(0), 0)
    slowed = pace.interval
    for _ in range(60):
        pace.on_success()

    assert (slowed, pace.interval) == (0.4, 0.2)


def test_impatience() -> None:
    """A rest longer than one's patience is told at once, without a request and without a wait."""
    clock = SteppingClock()
    pace = limiter(clock)
    pace.on_throttled(pace.acquire(0), 3600)

    with pytest.raises(ScaleTooManyRequests) as caught:
        pace.acquire(60)
    assert (caught.value.retry_after, clock.slept) == (3600, [])


def test_a_wait_for_ones_own_rate_is_no_refusal_of_the_api() -> None:
    """It is told apart from a rest that the API asked for, and from a pace that its refusals slowed."""
    clock = SteppingClock()
    pace = limiter(clock, rate=0.5)
    begun = pace.acquire(0)

    with pytest.raises(ScaleTurnTooLate, match="The rate given"):
        pace.wait(1)
    pace.on_throttled(begun, 0)
    clock.sleep(2)
    pace.acquire(0)
    with pytest.raises(ScaleTooManyRequests):
        pace.acquire(3)


def test_stop_ends_the_wait() -> None:
    """Asked to stop, a waiting thread leaves at once and has sent nothing; one that need not wait goes on."""
    clock = Clock()
    pace = limiter(clock)
    pace.on_throttled(pace.acquire(0), 30)
    errors = []

    def wait() -> None:
        try:
            pace.acquire(60)
        except ScaleNotSent as error:
            errors.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.05)
    clock.stopping.set()
    waiting.join(10)

    assert (len(errors), waiting.is_alive()) == (1, False)
    limiter(clock).acquire(0)


def test_all_threads_rest() -> None:
    """Threads that wait already when another 429 comes rest for as long as that asks, and start spaced."""
    clock = Clock()
    pace = limiter(clock)
    first = pace.acquire(0)
    pace.on_throttled(first, 0.5)
    starts: list[float] = []
    threads = [threading.Thread(target=lambda: starts.append(pace.acquire(10))) for _ in range(4)]
    for thread in threads:
        thread.start()
    refused_at = clock.monotonic()
    pace.on_throttled(first, 0.8)
    for thread in threads:
        thread.join()

    starts.sort()
    assert starts[0] >= refused_at + 0.8
    assert all(late - early >= FIRST_INTERVAL for early, late in pairwise(starts))
