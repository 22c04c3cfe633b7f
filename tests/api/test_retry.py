"""The arithmetic of trying again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalesync.errors import ScaleException, ScaleNoAnswer, ScaleNotSent
from scalesync.retry import RetryPolicy, is_transient, retry_delay

POLICY = RetryPolicy(attempts=5, seconds=100, base=1, cap=6)
PASSING = [408, 429, 500, 502, 503, 504, 520, 523, 530, 599]
LASTING = [201, 301, 304, 400, 401, 402, 403, 404, 405, 409, 410, 413, 422, 451]


def wait(
    error: ScaleException, *, attempts: int = 1, elapsed: float = 0, chance: float = 1.0
) -> float | None:
    """Decide under POLICY."""
    return retry_delay(error, attempts=attempts, elapsed=elapsed, chance=chance, policy=POLICY)


@pytest.mark.parametrize(
    "error", [ScaleNotSent("x"), ScaleNoAnswer("x"), *(ScaleException("x", c) for c in PASSING)]
)
def test_passing_errors(error: ScaleException) -> None:
    """Overload, failures of the server and missing answers may pass."""
    assert is_transient(error)


@pytest.mark.parametrize("error", [ScaleException("x"), *(ScaleException("x", c) for c in LASTING)])
def test_lasting_errors(error: ScaleException) -> None:
    """What the API refuses once it refuses again."""
    assert not is_transient(error)
    assert wait(error) is None


def test_backoff_doubles_up_to_a_cap() -> None:
    """The longest wait doubles with each attempt until the cap, and chance picks a part of it."""
    error = ScaleException("x", 500)

    assert [wait(error, attempts=n) for n in range(1, 6)] == [1, 2, 4, 6, None]
    assert wait(error, attempts=3, chance=0.25) == 1
    assert wait(error, attempts=3, chance=0) == 0


def test_backoff_of_a_patient_policy() -> None:
    """After thousands of attempts the wait is still the cap."""
    patient = RetryPolicy(attempts=10_000, seconds=1e9, base=1, cap=6)
    error = ScaleException("x", 500)

    assert retry_delay(error, attempts=5000, elapsed=0, chance=1, policy=patient) == 6


def test_retry_after_is_obeyed() -> None:
    """What the API asks for is waited at least, with the jitter on top, so that not all come back at once."""
    asking = ScaleException("x", 429, retry_after=20)

    assert wait(asking, chance=0) == 20
    assert wait(asking, chance=0.5) == 20.5
    assert wait(asking, elapsed=79.8) == pytest.approx(20.2)


def test_retry_after_beyond_the_time_left() -> None:
    """Rather than wait for less than the API asks, give up."""
    assert wait(ScaleException("x", 503, retry_after=100.1)) is None
    assert wait(ScaleException("x", 503, retry_after=20), elapsed=80.1) is None


def test_time_bounds() -> None:
    """No attempt begins after the policy's seconds."""
    error = ScaleException("x", 500)

    assert wait(error, attempts=4, elapsed=98) == 2
    assert wait(error, attempts=2, elapsed=100) is None


@given(
    st.integers(1, 10_000),
    st.floats(0, 1e6),
    st.floats(0, 1),
    st.none() | st.floats(0, 1e9),
    st.builds(RetryPolicy, st.integers(1, 10_000), st.floats(0, 1e6), st.floats(0, 1e3), st.floats(0, 1e4)),
)
def test_any_policy(
    attempts: int, elapsed: float, chance: float, asked: float | None, policy: RetryPolicy
) -> None:
    """Any wait is at least what was asked for, and ends within the policy's time and attempts."""
    error = ScaleException("x", 429, retry_after=asked)

    wait = retry_delay(error, attempts=attempts, elapsed=elapsed, chance=chance, policy=policy)

    if wait is not None:
        assert (asked or 0) <= wait <= policy.seconds - elapsed
        assert attempts < policy.attempts
