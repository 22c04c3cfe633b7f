"""What is asked of the API for a window: at least what it means, and the same for every page of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from scalesync.api.client import ScaleApi
from scalesync.api.options import ApiOptions
from scalesync.models.api import BatchFilter, TaskFilter
from scalesync.models.sync import Window
from scalesync.sandbox import Switches
from scalesync.sync.streams import STREAMS, batch_filter, task_filter
from tests.support.sandboxes import LIVE_KEY, StartSandbox

START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
A_LITTLE = timedelta(milliseconds=1)
"""The API's resolution."""


def test_every_bound_is_widened() -> None:
    """Outwards and by the API's resolution, so that it does not matter whether bounds are inclusive."""
    window = Window("tasks", "p", START, END, updated_from=START)

    assert task_filter(window) == TaskFilter(
        start_time=START - A_LITTLE, end_time=END + A_LITTLE, updated_after=START - A_LITTLE, project="p"
    )
    assert batch_filter(window) == BatchFilter(
        start_time=START - A_LITTLE, end_time=END + A_LITTLE, project="p"
    )


def test_an_open_end_stays_open() -> None:
    """What has no bound is asked for without one."""
    assert task_filter(Window("tasks")) == TaskFilter()
    assert batch_filter(Window("batches")) == BatchFilter()


def test_a_token_travels_with_the_filters_it_was_made_under(start_sandbox: StartSandbox) -> None:
    """An API that refuses it under any other filters gives the second page too, and nothing twice."""
    server = start_sandbox(tasks=60, switches=Switches(token_bound_to_filters=True))
    early, late = datetime(2015, 1, 1, tzinfo=UTC), datetime(2035, 1, 1, tzinfo=UTC)
    window = Window("tasks", "Street scenes", early, late, updated_from=early)
    with ScaleApi(LIVE_KEY, ApiOptions(url=server.url)) as api:
        first = STREAMS["tasks"].page(api, window, 5)
        second = STREAMS["tasks"].page(api, replace(window, next_token=first.next_token), 5)
    assert (first.total, len(first.docs), len(second.docs)) == (second.total, 5, 5)
    assert {bytes(doc) for doc in first.docs}.isdisjoint(bytes(doc) for doc in second.docs)
