"""Windows are split where no task is near, with enough tasks in each part."""

from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random

import pytest

from scalesync.db.database import Database
from scalesync.db.mirror.documents import TASKS
from scalesync.db.mirror.upsert import write_rows
from scalesync.db.sync.split_points import MARGIN, every_point, middle_point
from scalesync.models.changes import SeenBy
from scalesync.models.sync import Window
from scalesync.timestamps import format_instant
from tests.db.test_upserts import at, task

_BEGIN = datetime(2024, 1, 1, tzinfo=UTC)


def _write(database: Database, steps: list[int]) -> list[datetime]:
    """Write a task after each of these milliseconds since the one before; return the times."""
    created = [_BEGIN + timedelta(milliseconds=ms) for ms in accumulate(steps)]
    rows = [
        task(f"t{number:05}", created_at=format_instant(instant)) for number, instant in enumerate(created)
    ]
    with database.write() as conn:
        write_rows(conn, TASKS, rows, SeenBy(at(0)))
    return created


@pytest.mark.parametrize("size", [0, 1, 7, 300, 1_200])
def test_each_part_has_enough_tasks_and_no_split_is_near_one(database: Database, size: int) -> None:
    """Also behind hundreds of tasks of one instant; the points are those that a look at all times finds."""
    random = Random(4)
    created = _write(database, [*random.choices([0, 1, 5, 6, 9], k=700), *[0] * 650, *[40] * 300])
    with database.read() as conn:
        points = list(every_point(conn, Window("tasks"), created[-1] + timedelta(days=1), size))

    expected, since = [], 0
    for before, after in zip([None, *created], created, strict=False):
        if before and since >= size and after - before >= 3 * MARGIN:
            expected.append(before)
            since = 0
        since += 1
    assert [max(each for each in created if each < point) for point in points] == expected
    assert all(abs(each - point) >= MARGIN for each in created for point in points[:20])


def test_the_middle_is_the_gap_nearest_to_it(database: Database) -> None:
    """None if the tasks follow each other too closely."""
    created = _write(database, [1] * 100)
    later = created[-1] + timedelta(days=1)
    with database.read() as conn:
        assert middle_point(conn, Window("tasks"), later) is None
    more = _write(database, [1] * 60 + [50] + [1] * 39)
    with database.read() as conn:
        assert middle_point(conn, Window("tasks"), later) == more[59] + timedelta(milliseconds=25)
