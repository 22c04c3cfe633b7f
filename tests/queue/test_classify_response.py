"""What an answer means, and how long anything waits: arithmetic, without a clock, a network or a disk."""

import pytest

from scalesync.errors import (
    BY_STATUS,
    ConfigurationError,
    ScaleException,
    ScaleInvalidRequest,
    ScaleNoAnswer,
    ScaleNotSent,
)
from scalesync.queue.classify_response import ResponseClass, SendContext, classify, throttle_seconds
from scalesync.queue.handlers import HANDLERS
from scalesync.queue.timing import Timing, backoff

UNANSWERED = [200, 204, 301, 302, 408, 500, 501, 502, 503, 504, 520, 524, 530]
CLEAN = [400, 404, 405, 410, 413, 415, 422]


def answered(status: int) -> ScaleException:
    """Return the error that an HTTP status becomes."""
    return BY_STATUS.get(status, ScaleException)("The API's words.", status)


@pytest.mark.parametrize("ambiguous", [False, True])
@pytest.mark.parametrize("kind", HANDLERS)
def test_what_says_nothing_of_the_command(kind: str, ambiguous: bool) -> None:
    """Not sent, slow down and a closed door mean the same for every kind, in doubt or not."""
    seen = SendContext(ambiguous, HANDLERS[kind].rejects_402)

    assert classify(ScaleNotSent("No route."), seen) is ResponseClass.NOT_SENT
    assert classify(answered(429), seen) is ResponseClass.THROTTLED
    assert {classify(answered(status), seen) for status in (401, 403, 407)} == {ResponseClass.ACCESS_DENIED}


@pytest.mark.parametrize("ambiguous", [False, True])
@pytest.mark.parametrize("kind", HANDLERS)
def test_what_leaves_the_effect_unknown(kind: str, ambiguous: bool) -> None:
    """No answer, half an answer, and every status that is neither success nor refusal are unknown."""
    seen = SendContext(ambiguous, HANDLERS[kind].rejects_402)
    errors = [ScaleNoAnswer("Reset."), ScaleException("?"), *map(answered, UNANSWERED)]
    unknown = {ResponseClass.UNKNOWN, ResponseClass.NEEDS_LOOKUP} if ambiguous else {ResponseClass.UNKNOWN}

    assert {classify(error, seen) for error in errors} <= unknown


@pytest.mark.parametrize("kind", HANDLERS)
def test_a_refusal_is_final_only_if_no_earlier_request_can_have_been_applied(kind: str) -> None:
    """Any 4xx while in doubt may be our own echo; without doubt it is the API's last word, but for 409."""
    clean = SendContext(rejects_402=HANDLERS[kind].rejects_402)
    doubtful = SendContext(ambiguous=True, rejects_402=HANDLERS[kind].rejects_402)

    assert {classify(answered(status), clean) for status in CLEAN} == {ResponseClass.REFUSED}
    assert {classify(answered(status), doubtful) for status in CLEAN} == {ResponseClass.NEEDS_LOOKUP}
    assert {classify(answered(409), seen) for seen in (clean, doubtful)} == {ResponseClass.NEEDS_LOOKUP}


def test_a_402_is_about_the_task_type_or_about_the_account() -> None:
    """It refuses the create of a task of a type; anything else it refuses for everybody."""
    meanings = {
        kind: classify(answered(402), SendContext(rejects_402=handler.rejects_402))
        for kind, handler in HANDLERS.items()
    }

    for kind in ("create_task", "create_evaluation_task", "create_training_task"):
        assert meanings.pop(kind) is ResponseClass.REFUSED
    assert set(meanings.values()) == {ResponseClass.ACCESS_DENIED}
    assert (
        classify(answered(402), SendContext(ambiguous=True, rejects_402=True)) is ResponseClass.NEEDS_LOOKUP
    )


def test_a_404_soon_after_the_creation_is_read_lag() -> None:
    """For a minute an object of ours may not be found; after that it is not there."""
    lost = answered(404)

    assert classify(lost, SendContext(since_created=59.9)) is ResponseClass.NOT_VISIBLE_YET
    assert classify(lost, SendContext(since_created=60.0)) is ResponseClass.REFUSED
    assert classify(lost, SendContext(ambiguous=True, since_created=1.0)) is ResponseClass.NEEDS_LOOKUP
    assert classify(answered(400), SendContext(since_created=1.0)) is ResponseClass.REFUSED


def test_what_cannot_even_be_written_down_is_refused() -> None:
    """A request that our own client refuses to build is refused, not unknown."""
    assert classify(ScaleInvalidRequest("'..' cannot be a name."), SendContext()) is ResponseClass.REFUSED


def test_a_rest_is_what_was_asked_for_within_reason() -> None:
    """Up to a tenth more than asked, 5 s if nothing was, half a second at least, an hour at the most."""
    assert (throttle_seconds(20.0, 0.0), throttle_seconds(20.0, 1.0)) == (20.0, 22.0)
    assert throttle_seconds(None, 0.0) == 5.0
    assert throttle_seconds(0.0, 0.0) == 0.5
    assert throttle_seconds(86_400.0, 1.0) == 3600.0


def test_waits_double_up_to_a_limit() -> None:
    """From half a second to 20 s, and after eight tries to 5 minutes; anything between nothing and that."""
    longest = [backoff(tries, 1.0) for tries in range(12)]

    assert longest == [0.5, 1, 2, 4, 8, 16, 20, 20, 20, 256, 300, 300]
    assert backoff(10_000, 1.0) == 300
    assert (backoff(5, 0.0), backoff(5, 0.25)) == (0.0, 4.0)


def test_limits_fit_into_each_other() -> None:
    """A lease holds a look, a preparation and a send; what cannot hold a send is refused."""
    timing = Timing(request=10, margin=2)

    assert (timing.lease, timing.min_lease_left) == (32, 12)
    assert timing.lease - timing.min_lease_left >= 2 * timing.request
    for wrong in ({"request": 0}, {"margin": 0}, {"settle": -1}):
        with pytest.raises(ConfigurationError):
            Timing(**wrong)


def test_a_late_application_has_time_after_a_request_that_was_cut_off() -> None:
    """As it comes, the settle time is longer than a request, from whose beginning it counts."""
    timing = Timing()

    assert timing.settle > timing.request + timing.margin
