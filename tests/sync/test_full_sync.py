"""A mirror of thousands of tasks equals the API, document for document, on both databases."""

from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime
from typing import Literal

import pytest

from scalesync.db.database import Database
from scalesync.sandbox import SandboxServer, Switches
from scalesync.sync.planner import SyncRequest
from tests.support.engine_rotation import in_turn
from tests.support.sync_env import differences, served, session, sync

Start = Callable[..., SandboxServer]

READINGS: dict[str, Switches] = {
    "bounds exclusive": Switches(bounds="exclusive"),
    "bounds half open": Switches(bounds="half_open"),
    "ties shuffled": Switches(ties="shuffled"),
    "ties skipped": Switches(ties="skipped"),
    "tokens are offsets": Switches(tokens="offset"),
    "tokens are offsets and ties shuffled": Switches(tokens="offset", ties="shuffled"),
    "tokens live half a second": Switches(token_lifetime=0.5),
    "tokens bound to filters": Switches(token_bound_to_filters=True),
    "a project is required": Switches(project_required=True),
    "totals stop at a cap": Switches(total="capped", total_cap=700),
    "updated_at moves on content only": Switches(updated_at_moves_on="content"),
    "tasks without updated_at match": Switches(hide_without_updated_at=False),
    "presigned links in every read": Switches(presigned_urls="always"),
    "batches give tokens": Switches(batches_next_token=True),
    "batches reopen": Switches(batches_reopen=True),
    "archived projects are hidden": Switches(archived_projects="hidden"),
    "the API's clock is two hours behind": Switches(clock_skew=-7200.0),
}


def test_a_mirror_of_5000_tasks_equals_the_api(start_sandbox: Start, database: Database) -> None:
    """After a full sync, and after random changes and an incremental one."""
    server = start_sandbox(tasks=5000)
    first = sync(server, database)

    assert (first.complete, differences(server, database)) == (True, {})

    server.backend.churn(200)
    second = sync(server, database)

    assert (second.complete, differences(server, database)) == (True, {})
    assert second.requests < first.requests


@pytest.mark.parametrize(("name", "database_url"), in_turn(READINGS), indirect=["database_url"])
def test_a_mirror_equals_the_api_under_every_reading_of_it(
    name: str, start_sandbox: Start, database: Database
) -> None:
    """Changes land before every page of a first sync; when all is quiet, the next one brings equality."""
    server = start_sandbox(tasks=1200, switches=READINGS[name])

    def let_changes_land(*_: object) -> None:
        server.backend.churn(2)

    server.backend.before_list = let_changes_land
    sync(server, database)
    server.backend.before_list = None

    # Which writes move updated_at is not known; where some do not, only a full pass can see them.
    again = sync(server, database, SyncRequest(full=name == "updated_at moves on content only"))

    different = differences(server, database)
    if name == "a project is required":
        # Tasks of no project cannot be asked for; the run says so.
        theirs = served(server, "tasks")
        different = {"tasks": [key for key in different["tasks"] if "project" in theirs[key]]}
        different = {stream: keys for stream, keys in different.items() if keys}
    assert (again.complete, different) == (True, {})


def test_every_reading_that_bears_on_listing_is_tried() -> None:
    """A new switch of the sandbox is tried here, or named as one about writing or pace."""
    about_others = {"cancel_twice", "completes_at_once", "error_status_filter", "rate_limit", "retry_after"}
    usual = Switches()
    tried = {
        field.name
        for field in fields(Switches)
        if any(getattr(reading, field.name) != getattr(usual, field.name) for reading in READINGS.values())
    }

    assert tried | about_others == {field.name for field in fields(Switches)}


@pytest.mark.parametrize("ties", ["by_id", "skipped"])
def test_more_tasks_in_one_millisecond_than_a_page_holds(
    ties: Literal["by_id", "skipped"], start_sandbox: Start, database: Database
) -> None:
    """They are mirrored if the API's tokens can tell them apart; if not, nothing is called complete."""
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    server = start_sandbox(clock=lambda: noon, switches=Switches(ties=ties))
    with session(server, database) as ready:
        for _ in range(130):
            ready.store.api.create_task("categorization", {"attachment": "text", "categories": ["a"]})

    summary = sync(server, database)

    assert summary.complete == (ties == "by_id") == (differences(server, database) == {})
    assert summary.complete or "100 rows came where the API counts 130" in str(summary.runs[-1].error)


def test_totals_that_promise_too_much_are_never_called_complete(
    start_sandbox: Start, database: Database
) -> None:
    """The run ends incomplete, says why, and moves no watermark."""
    server = start_sandbox(tasks=600, switches=Switches(total="over"))

    summary = sync(server, database)

    assert not summary.complete
    assert "rows came where the API counts" in str(summary.runs[-1].error)


def test_a_run_without_news_asks_little_and_writes_nothing(start_sandbox: Start, database: Database) -> None:
    """At most 6 requests, and no row of any table is new or changed."""
    server = start_sandbox(tasks=1500)
    sync(server, database)

    again = sync(server, database)

    assert again.complete
    assert again.requests <= 6
    assert all(written.new + written.changed == 0 for written in again.totals.written.values())
