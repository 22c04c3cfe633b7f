"""When to try a read again, as arithmetic: an error, what was spent, a policy, and the seconds to wait.

Writes never come here: whether a command may be sent again is for the queue to find out.
"""

from dataclasses import dataclass

from scalesync.errors import ScaleException, ScaleNoAnswer, ScaleNotSent

_EXPONENT_CAP = 60
"""Doubling stops here; any cap in seconds is reached long before, and a float never overflows."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How much trying one read is worth."""

    attempts: int = 7
    """How often a request is sent at most, the first time included."""
    seconds: float = 240.0
    """No attempt begins later than this after the first one."""
    base: float = 0.5
    """The longest wait after the first failure; it doubles with every further one."""
    cap: float = 30.0
    """The longest wait between two attempts, unless the API asks for more."""


def is_transient(error: ScaleException) -> bool:
    """Tell whether the same read may succeed later.

    True for 408, 429 and every 5xx (Cloudflare's 520 to 530 included), for a connection that could not be
    made or broke, for an answer that is missing, cut short or not what was promised, and for a refusal that
    is about another object.
    """
    if isinstance(error, ScaleNotSent | ScaleNoAnswer) or error.about_another:
        return True
    return error.code is not None and (error.code in (408, 429) or error.code >= 500)


def retry_delay(
    error: ScaleException, *, attempts: int, elapsed: float, chance: float, policy: RetryPolicy
) -> float | None:
    """Return how many seconds to wait before the next attempt, or None to give up.

    `attempts` have been made in `elapsed` seconds, the last of which ended in `error`; `chance` is a random
    number from 0 to 1. The wait is `chance * min(cap, base * 2 ** (attempts - 1))`, on top of what the API
    asked for with Retry-After, and never reaches past the policy's seconds; a Retry-After that does is None.
    """
    left = policy.seconds - elapsed
    asked = error.retry_after or 0.0
    if attempts >= policy.attempts or left <= 0 or asked > left or not is_transient(error):
        return None
    return min(asked + chance * exponential(policy.base, attempts - 1, cap=policy.cap), left)


def exponential(seconds: float, times: int, *, cap: float) -> float:
    """Return the seconds doubled so many times, and no more than `cap`."""
    return min(cap, seconds * 2.0 ** min(times, _EXPONENT_CAP))
