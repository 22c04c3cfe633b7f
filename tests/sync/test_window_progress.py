"""What a page means for its window, decided without a network or a database."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from scalesync.db.mirror.documents import TASKS, to_row
from scalesync.errors import InconsistentPageError
from scalesync.models.api import Page
from scalesync.models.sync import Window
from scalesync.sync.parsed_page import ParsedPage
from scalesync.sync.splitting import TIME_RESOLUTION
from scalesync.sync.streams import STREAMS
from scalesync.sync.window_progress import WindowProgress
from tests.support.misbehaving_api import BEGAN, task

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def page(*keys: str, total: int | None, token: str | None = None, more: bool | None = None) -> ParsedPage:
    """Return a page of tasks with these ids."""
    docs = tuple(msgspec.Raw(b'{"task_id":"%s"}' % key.encode()) for key in keys)
    has_more = token is not None if more is None else more
    return ParsedPage(Page(docs, total, token, has_more, NOW), tuple(to_row(TASKS, doc) for doc in docs))


def read(*pages: ParsedPage, stream: str = "tasks") -> WindowProgress:
    """Return a window after it took these pages."""
    reading = WindowProgress(STREAMS[stream], Window(stream))
    for fetched in pages:
        reading.accept(fetched)
    return reading


@pytest.mark.parametrize(
    ("pages", "reason"),
    [
        ([page("a", total=2, more=True)], "says that there is more and gives no token"),
        ([page("a", total=3, token="t"), page(total=3, token="u")], "token for a further page on an empty"),
        ([page("a", total=3, token="t"), page("b", total=3, token="t")], "the same page token twice"),
        ([page("a", total=3, token="t"), page("a", total=3, token="u")], "repeats a page"),
        ([page("a", "b", total=3)], "2 rows came where the API counts 3"),
        ([page("a", total=2, token="t"), page("a", total=2)], "1 rows came where the API counts 2"),
        ([page("a", total=None)], "does not say how many there are"),
        (
            [page("a", "b", total=4, token="t"), page("c", total=3)],
            "3 rows came where the API counts 4, and 3",
        ),
    ],
)
def test_a_contradiction_closes_no_window(pages: list[ParsedPage], reason: str) -> None:
    """Each way in which a listing may be short of what there is is refused, in words."""
    with pytest.raises(InconsistentPageError, match=reason):
        read(*pages)


def test_a_token_for_more_than_all_leads_nowhere() -> None:
    """Where one page held all that the API counts, a second one without news ends the window."""
    reading = read(page("a", "b", total=2, token="t"), page("b", total=2, token="u"))

    assert (reading.window.rows_received, reading.window.next_token) == (2, None)


def test_rows_that_left_after_they_came_are_no_loss() -> None:
    """As many came as there were at first."""
    assert read(page("a", "b", total=3, token="t"), page("c", total=2)).window.rows_received == 3


def test_rows_that_joined_meanwhile_are_the_next_runs_business() -> None:
    """They are newer than this run, so that the first total suffices."""
    assert read(page("a", total=2, token="t"), page("b", total=5)).window.rows_received == 2


def test_more_rows_than_the_api_counts_are_no_contradiction() -> None:
    """A total that stops at a cap is too low; nothing is missed."""
    assert read(page("a", "b", total=1)).window.rows_received == 2


def test_a_list_without_a_count_is_as_long_as_it_is() -> None:
    """Projects come as one bare array."""
    projects = ParsedPage(Page((), None, None, has_more=False, served_at=NOW), ())

    assert read(projects, stream="projects").window.rows_received == 0


def dated(*numbers: int, total: int, token: str | None = None) -> ParsedPage:
    """Return a page of tasks that were created a number of minutes after the first."""
    docs = tuple(msgspec.Raw(msgspec.json.encode(task(number))) for number in numbers)
    return ParsedPage(
        Page(docs, total, token, token is not None, NOW), tuple(to_row(TASKS, doc) for doc in docs)
    )


def test_a_window_is_divided_after_any_page_behind_what_was_read() -> None:
    """The part that was read ends above the oldest row, and the others begin with it: no row lies between."""
    oldest = BEGAN + timedelta(minutes=1_998)
    reading = read(dated(2_000, 1_999, total=2_000, token="t"), dated(1_998, 1_998, total=2_000, token="u"))

    assert reading.is_divisible
    parts, behind = reading.parts(), reading.read_part
    assert parts[-1].created_to == oldest
    assert behind is not None
    assert (behind.created_from, behind.created_to) == (oldest + TIME_RESOLUTION, None)
    # The oldest row is read again by the next part: here it does not count.
    assert (reading.window.rows_received, behind.rows_received, behind.rows_within) == (3, 2, 2)


@pytest.mark.parametrize(
    "pages",
    [
        [dated(1, 2, total=2_000, token="t")],
        [dated(2, 1, total=2_000, token="t"), dated(3, total=2_000, token="u")],
        [page("a", total=2_000, token="t")],
        [dated(9, 8, total=900, token="t")],
    ],
    ids=["oldest first", "out of order", "without times", "little left"],
)
def test_a_window_stays_whole_if_nothing_tells_read_from_unread(pages: list[ParsedPage]) -> None:
    """Or if too little is left."""
    assert not read(*pages).is_divisible


def test_a_window_of_one_instant_is_not_divided() -> None:
    """Most of what was read would be read again by the next part."""
    docs = [msgspec.Raw(msgspec.json.encode(task(1, task_id=f"x{number}"))) for number in range(100)]
    one_instant = ParsedPage(
        Page(tuple(docs), 2_000, "t", True, NOW), tuple(to_row(TASKS, doc) for doc in docs)
    )

    assert not read(one_instant).is_divisible
