"""What a person can ask of a dispatcher, and what is refused."""

from math import inf, nan

import pytest

from scalesync.errors import ConfigurationError
from scalesync.queue.dispatch_options import DispatchOptions


@pytest.mark.parametrize(
    ("rate", "timeout"),
    [
        (0.001, 60.0),
        (0.0499, 60.0),
        (0.01, 3600.0),
        (1.0, 2.9),
        (0.0, 60.0),
        (-1.0, 60.0),
        (nan, 60.0),
        (inf, 60.0),
        (1e308, 60.0),
        (1_000_001.0, 60.0),
    ],
)
def test_a_rate_that_no_command_could_keep_is_refused(rate: float, timeout: float) -> None:
    """One sentence says the bounds: a command's turns must all come while its lease lasts."""
    with pytest.raises(ConfigurationError, match=r"^The rate must be from .* to 1,000,000 requests a second"):
        DispatchOptions(rate=rate, timeout=timeout)


@pytest.mark.parametrize(
    ("rate", "timeout"),
    [(0.05, 60.0), (0.017, 3600.0), (3.0, 1.0), (0.429, 7.0), (1_000_000.0, 60.0), (None, 0.1)],
)
def test_any_other_rate_is_taken(rate: float | None, timeout: float) -> None:
    """The least one that the refusal names is."""
    assert DispatchOptions(rate=rate, timeout=timeout).rate == rate
