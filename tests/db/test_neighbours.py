"""Walks through tasks: in the order of creation, in both directions, and never further than they say."""

import pytest

from scalesync.db.database import Database
from scalesync.db.mirror.documents import TASKS
from scalesync.db.mirror.neighbours import Place, Walk, place_of
from scalesync.db.mirror.query import page_keys
from scalesync.models.selection import EVERYTHING, Selection
from tests.support.view_edge_cases import hold_corners

SELECTIONS = (
    EVERYTHING,
    Selection(missing=True),
    Selection(project="p"),
    Selection(batch="pair", status="completed"),
    Selection(status="completed"),
    Selection(status="none of these"),
    Selection(customer_review_status=("fixed", "rejected")),
    Selection(unique_id=("a", "lost")),
)


@pytest.fixture
def corners(database: Database) -> Database:
    """Return a mirror of odd tasks, some of them without a time."""
    hold_corners(database)
    return database


@pytest.mark.parametrize("newer", [False, True], ids=["newest first", "oldest first"])
@pytest.mark.parametrize("portions", [(1,), (2, 3), (500,)], ids=str)
@pytest.mark.parametrize("wanted", SELECTIONS, ids=str)
def test_walks_meet_every_selected_task_once(
    corners: Database, wanted: Selection, portions: tuple[int, ...], newer: bool
) -> None:
    """One portion after the other, however few of the tasks in between are selected."""
    with corners.read() as conn:
        known = [Place(*each) for each in page_keys(conn, TASKS, wanted, 10_000)]
        walk, found, turns = Walk(TASKS, wanted, newer, portions), [], 0
        portion = walk.portion(conn, 2)
        while True:
            assert len(portion.places) <= 2
            found += portion.places
            turns += 1
            if portion.goes_on is None:
                break
            assert portion.places or portion.stopped
            portion = walk.portion(conn, 2, portion.goes_on)
    assert found == (known[::-1] if newer else known)
    assert turns < 1_000


def test_a_walk_stops_where_it_says(corners: Database) -> None:
    """It looks at no more tasks than its portions have, and goes on behind the last of them."""
    with corners.read() as conn:
        every = [Place(*each) for each in page_keys(conn, TASKS, Selection(missing=True), 10_000)]
        portion = Walk(TASKS, Selection(status="none of these"), False, (2, 3)).portion(conn, 1)
        assert (portion.places, portion.goes_on, portion.stopped) == ([], every[4], True)
        assert place_of(conn, TASKS, every[4].key) == every[4]
        assert place_of(conn, TASKS, "nothing") is None
