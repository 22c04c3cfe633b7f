"""Decides whether and when a failed read is sent again. Pure functions.

Not for writes: whether a command may be sent again is decided by the queue.
"""

from dataclasses import dataclass

from scalesync.errors import ScaleException, ScaleNoAnswer, ScaleNotSent

_MAX_DOUBLINGS = 60
"""Doublings, at most: any cap in seconds is reached long before, and the float cannot overflow."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Limits of the attempts at one read."""

    attempts: int = 7
    """Attempts, at most, the first one included."""
    seconds: float = 240.0
    """Seconds after the first attempt within which the last one begins."""
    base: float = 0.5
    """Seconds of the longest wait after the first failure; doubles with every further one."""
    cap: float = 30.0
    """Seconds of the longest wait between two attempts, unless the API asks for more."""


def is_transient(error: ScaleException) -> bool:
    """Return whether the same read may succeed later.

    True for 408, 429 and every 5xx (Cloudflare's 520 to 530 included), for a failed or broken connection, for
    an answer that is missing, cut short or of the wrong form, and for a refusal of another object.
    """
    if isinstance(error, ScaleNotSent | ScaleNoAnswer) or error.about_another:
        return True
    return error.code is not None and (error.code in (408, 429) or error.code >= 500)


def retry_delay(
    error: ScaleException, *, attempts: int, elapsed: float, chance: float, policy: RetryPolicy
) -> float | None:
    """Return the seconds to wait before the next attempt, or None to give up.

    `attempts` were made in `elapsed` seconds, the last of which ended in `error`; `chance` is a random number
    from 0 to 1. The wait is `chance * min(cap, base * 2 ** (attempts - 1))` plus the API's Retry-After, cut
    at the policy's seconds. A Retry-After that reaches further gives None.
    """
    left = policy.seconds - elapsed
    asked = error.retry_after or 0.0
    if attempts >= policy.attempts or left <= 0 or asked > left or not is_transient(error):
        return None
    # A random wait, so that clients that failed together do not return together.
    return min(asked + chance * exponential(policy.base, attempts - 1, cap=policy.cap), left)


def exponential(seconds: float, times: int, *, cap: float) -> float:
    """Return `seconds` doubled `times` times, `cap` at most."""
    return min(cap, seconds * 2.0 ** min(times, _MAX_DOUBLINGS))
