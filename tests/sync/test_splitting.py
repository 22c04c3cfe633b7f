"""Windows divided in time: nothing between the parts, nothing outside them."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalesync.models.sync import Window
from scalesync.sync.splitting import TAIL_PARTS, divide, halve, is_newest_first, part_count

MILLISECOND = timedelta(milliseconds=1)
START = datetime(2020, 1, 1, tzinfo=UTC)
instants = st.integers(0, 10**11).map(lambda ms: START + ms * MILLISECOND)


def check_cover(parts: tuple[Window, ...], lower: datetime | None, upper: datetime | None) -> None:
    """Each part begins one millisecond after the next older one ends; together they have the bounds given."""
    assert upper == parts[0].created_to
    assert lower == parts[-1].created_from
    for newer, older in pairwise(parts):
        assert newer.created_from is not None
        assert newer.created_from - MILLISECOND == older.created_to
    for part in parts:
        assert part.created_from is None or part.created_to is None or part.created_from <= part.created_to


@given(st.tuples(instants, instants, instants).map(sorted), st.integers(2, 16), st.booleans())
def test_the_parts_cover_the_unread_rest_and_nothing_else(
    times: list[datetime], parts: int, known: bool
) -> None:
    """From the oldest row read down to the window's lower bound, or to the beginning of time."""
    lower, oldest, newest = times
    window = Window("tasks", "p", lower if known else None, None, updated_from=START)

    made = divide(window, oldest, newest, parts)

    assert len(made) <= parts
    if made:
        check_cover(made, lower if known else None, oldest)
        assert all((w.stream, w.project, w.updated_from) == ("tasks", "p", START) for w in made)
    else:
        assert known


@given(st.tuples(instants, instants, instants).map(sorted))
def test_halves_cover_the_whole(times: list[datetime]) -> None:
    """The newer half begins at the dividing instant, the older ends just before."""
    lower, at, upper = times
    if lower < at:
        check_cover(halve(Window("tasks", None, lower, upper), at), lower, upper)


def test_an_open_end_is_divided_ever_more_coarsely() -> None:
    """Without a lower bound the parts grow with age, so that a short and a long history are both divided."""
    now = datetime(2026, 1, 1, tzinfo=UTC)

    made = divide(Window("tasks"), now - timedelta(days=1), now, 8)

    lengths = [w.created_to - w.created_from for w in made if w.created_to and w.created_from]
    assert lengths == sorted(lengths)
    assert len(made) == 8


def test_a_page_in_another_order_is_noticed() -> None:
    """Then its last row does not divide what was read from what was not."""
    newest_first = [START + MILLISECOND, START, START]

    assert is_newest_first(newest_first)
    assert not is_newest_first(newest_first[::-1])
    assert not is_newest_first([START, None])


@pytest.mark.parametrize(("left", "parts"), [(200, 2), (401, 3), (1_000, 5), (1_001, 2), (64_000, 64)])
def test_what_is_nearly_read_is_divided_finely(left: int, parts: int) -> None:
    """So that all workers end at once; before, parts are larger, since each has a last page half empty."""
    assert part_count(left) == parts + TAIL_PARTS
