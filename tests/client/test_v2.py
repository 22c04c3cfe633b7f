"""Tasks of the newer API are passed through, page by page."""

from datetime import UTC, datetime
from enum import Enum

import pytest

from scalesync.client import ScaleClient
from scalesync.errors import ScaleNoAnswer
from tests.support.sandboxes import LIVE_KEY
from tests.support.scripted_server import ScriptedServer, say


class _Option(Enum):
    """A choice as the official client's enums have it."""

    METADATA = "metadata"


def _client(server: ScriptedServer, database: str) -> ScaleClient:
    return ScaleClient(
        LIVE_KEY, api_instance_url=f"http://127.0.0.1:{server.port}/v1", database=database, max_age=0
    )


def test_every_page_is_asked_for_at_the_newer_api(sqlite_url: str) -> None:
    """With all filters, until there is no token."""
    tasks = [{"task_id": str(number), "status": "completed"} for number in range(3)]
    with ScriptedServer([say({"tasks": tasks[:2], "next_token": "on"}), say({"tasks": tasks[2:]})]) as server:
        found = _client(server, sqlite_url).v2_get_tasks(
            project_name="a b", opts=[_Option.METADATA], completed_after=datetime(2026, 1, 2, tzinfo=UTC)
        )
        assert [(task.task_id, task.status, task.threads) for task in found] == [
            (str(number), "completed", None) for number in range(3)
        ]
        first, second = (seen.target for seen in server.seen)
    assert first.startswith("/v2/tasks?project_name=a+b&completed_after=2026-01-02T00%3A00%3A00.000Z")
    assert "opts=metadata" in first
    assert second == f"{first}&next_token=on"


def test_a_list_without_an_end_is_not_read_for_ever(sqlite_url: str) -> None:
    """The same token twice is an error, not a loop."""
    with (
        ScriptedServer([say({"tasks": [], "next_token": "on"})]) as server,
        pytest.raises(ScaleNoAnswer, match="twice"),
    ):
        list(_client(server, sqlite_url).v2_get_tasks(project_name="p"))
