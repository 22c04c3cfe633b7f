"""Switches as people write them."""

import pytest

from scalesync.sandbox import Switches, parse_switch


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bounds=exclusive", ("bounds", "exclusive")),
        ("token_lifetime=1.5", ("token_lifetime", 1.5)),
        ("token_lifetime=none", ("token_lifetime", None)),
        ("rate_limit=20", ("rate_limit", 20.0)),
        ("total_cap=50", ("total_cap", 50)),
        ("project_required=yes", ("project_required", True)),
        ("clock_skew=-2", ("clock_skew", -2.0)),
    ],
)
def test_a_switch_is_read_from_text(text: str, expected: tuple[str, object]) -> None:
    """A switch can be written as name=value and then makes Switches."""
    assert parse_switch(text) == expected
    assert getattr(Switches(**dict([expected])), expected[0]) == expected[1]  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["bounds", "nothing=1", "project_required=maybe", "total_cap=many", "="])
def test_an_unknown_switch_is_refused(text: str) -> None:
    """A switch that does not exist, or a value of the wrong kind, is a ValueError."""
    with pytest.raises(ValueError):  # noqa: PT011 - any words will do
        parse_switch(text)


def test_an_unknown_reading_is_refused() -> None:
    """Switches cannot be made with a reading that does not exist."""
    with pytest.raises(ValueError, match="bounds is one of inclusive, exclusive, half_open"):
        Switches(bounds="fuzzy")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("total_cap=many", "total_cap is a number"),
        ("total_cap=-1", "not negative"),
        ("total_cap=nan", "total_cap is a number"),
        ("token_lifetime=soon", "a number or none"),
        ("token_lifetime=-1", "above 0"),
        ("token_lifetime=0", "above 0"),
        ("token_lifetime=nan", "above 0"),
        ("token_lifetime=inf", "above 0"),
        ("rate_limit=0.5", "from 1 to"),
        ("rate_limit=nan", "from 1 to"),
        ("rate_limit=inf", "from 1 to"),
        ("clock_skew=nan", "thirty years"),
        ("clock_skew=-inf", "thirty years"),
        ("clock_skew=1e300", "thirty years"),
    ],
)
def test_a_number_that_means_nothing_is_refused(text: str, words: str) -> None:
    """In a sentence, as a person reads it."""
    with pytest.raises(ValueError, match=words):
        Switches(**dict([parse_switch(text)]))  # type: ignore[arg-type]
