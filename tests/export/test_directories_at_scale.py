"""Directories of pictures are written in flat memory, however many tasks there are."""

import tracemalloc
from pathlib import Path

import pytest

from scalesync.db.mirror.documents import TASKS
from scalesync.export.exporter import Format
from tests.support.databases import opened
from tests.support.export_account import box, written
from tests.support.picture_account import directory_of, keep, picture_task


@pytest.mark.parametrize("format_name", [Format.YOLO, Format.HUGGINGFACE])
def test_ten_times_the_pictures_take_no_more_memory(
    format_name: Format, sqlite_url: str, tmp_path: Path
) -> None:
    """200 pictures and 2,000, with ten boxes each; the pieces of work are the same."""
    peaks = []
    with opened(sqlite_url) as database:
        for first, last in ((0, 200), (200, 2000)):
            ids = [f"task{n:06}" for n in range(first, last)]
            written(
                database, TASKS, [picture_task(each, *(box("a", n, 1) for n in range(10))) for each in ids]
            )
            for each in ids:
                keep(database, each, (100, 50))
            tracemalloc.start()
            counts = directory_of(database, tmp_path / str(last), format_name, pictures="none")
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            assert (counts.pictures, counts.written) == (last, 10 * last)
    assert peaks[1] < 2 * peaks[0] + 2_000_000
