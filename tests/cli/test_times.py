"""Times on the command line and in Python: what may be written, and that `--until` is never included."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest

from scalesync import Mirror
from scalesync.errors import ConfigurationError
from scalesync.sandbox import SandboxServer
from scalesync.timestamps import format_instant, instant_of
from tests.support.cli_process import Scalesync, check_refusal, execute
from tests.support.sandboxes import LIVE_KEY

Start = Callable[..., SandboxServer]
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2026-11-23", datetime(2026, 11, 23, tzinfo=UTC)),
        ("2026-11-23T08:30:00+02:00", datetime(2026, 11, 23, 6, 30, tzinfo=UTC)),
        ("2026-11-23T08:30:00.0001", datetime(2026, 11, 23, 8, 30, 0, 1000, tzinfo=UTC)),
        ("7d", datetime(2026, 11, 17, 12, tzinfo=UTC)),
        ("90s", datetime(2026, 11, 24, 11, 58, 30, tzinfo=UTC)),
        ("1.5h", datetime(2026, 11, 24, 10, 30, tzinfo=UTC)),
        (date(2026, 11, 23), datetime(2026, 11, 23, tzinfo=UTC)),
        (datetime(2026, 11, 23, 1), datetime(2026, 11, 23, 1, tzinfo=UTC)),  # noqa: DTZ001 - what is tested
        (timedelta(days=7), datetime(2026, 11, 17, 12, tzinfo=UTC)),
    ],
)
def test_a_time_is_a_date_a_time_or_a_span_back_from_now(given: object, expected: datetime) -> None:
    """Without an offset it is UTC; a part of a millisecond counts as a whole one."""
    assert instant_of(given, NOW) == expected


@pytest.mark.parametrize(
    "given", ["yesterday", "2026-13-01", "7", "2026", "7w", "..s", "999999d", "1899-12-31", "", 7, None]
)
def test_anything_else_gets_one_sentence(given: object) -> None:
    """Which shows what to write."""
    with pytest.raises(ConfigurationError, match="is not a time") as caught:
        instant_of(given, NOW)
    assert "2026-11-23" in caught.value.advice


def test_until_is_not_included_in_any_command(start_sandbox: Start, empty_mirror: Scalesync) -> None:
    """Since one task's creation and until the next one's, each sees that one task and no other."""
    server = start_sandbox(tasks=30)
    ready = empty_mirror.having(SCALESYNC_API_URL=server.url)
    assert ready("sync").code == 0
    first, second = (
        str(at)
        for (at,) in execute(
            ready.mirror, "SELECT created_at FROM tasks ORDER BY created_at LIMIT 2 OFFSET 9"
        )
    )
    between = ("--since", first, "--until", second)
    seen = [line["task_id"] for line in ready("task", "list", "--json", *between).lines]
    assert len(seen) == 1
    assert [line["task_id"] for line in ready("export", "tasks", *between).lines] == seen
    assert {line["task_id"] for line in ready("export", "task_facts", *between).lines} == set(seen)
    mirror = Mirror(ready.mirror, api_key=LIVE_KEY, api_url=server.url)
    assert [task["task_id"] for task in mirror.tasks(since=first, until=second)] == seen

    (window,) = mirror.plan_sync("tasks", since=first, until=second)[0].windows
    assert window.created_to == datetime.fromisoformat(second) - timedelta(milliseconds=1)

    part = ready.having(SCALESYNC_DB="part.db")
    assert (part("init").code, part("sync", "tasks", *between).code) == (0, 0)
    path = ready.directory / "part.db"
    asked = execute(path, "SELECT created_from, created_to FROM windows")
    assert asked == [(first, format_instant(window.created_to))]
    # The API's bounds may be of either kind, so a millisecond more is read: what lies there may come too.
    execute(path, f"DELETE FROM tasks WHERE created_at = '{second}'")
    assert execute(path, "SELECT task_id FROM tasks") == [(seen[0],)]
    assert part("verify", "tasks", *between, "--json").json["drift"] == []
    assert part("verify", "tasks", "--since", first, "--json").json["drift"] != []
    assert (
        Mirror(path, api_key=LIVE_KEY, api_url=server.url).verify("tasks", since=first, until=second).proven
    )


def test_changes_are_half_open_too(empty_mirror: Scalesync, start_sandbox: Start) -> None:
    """By the time at which they were seen."""
    server = start_sandbox(tasks=3)
    ready = empty_mirror.having(SCALESYNC_API_URL=server.url)
    assert ready("sync").code == 0
    (at,) = {str(line["seen_at"]) for line in ready("changes", "--json").lines}
    mirror = Mirror(ready.mirror)

    assert ready("changes", "--until", at).out == ""
    assert len(ready("changes", "--since", at, "--until", "2199-01-01").out.splitlines()) == 3
    assert (list(mirror.changes(until=at)), len(list(mirror.changes(since="1h")))) == ([], 3)


COMMANDS = ("sync", "verify", "task list", "batch list", "export tasks", "changes")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_time_takes_a_span_and_help_explains_it(command: str, synced: Scalesync) -> None:
    """And says of `--until` the same everywhere."""
    words = command.split()
    shown = " ".join(synced(*words, "--help").out.split())

    assert "before this time" in shown
    assert "TIME is" in shown
    assert "7d" in shown
    check_refusal(synced(*words, "--since", "soon"), 2, "7d")
    check_refusal(synced(*words, "--since", "1d", "--until", "2d"), 2, "lies after")
    check_refusal(synced(*words, "--since", "2026-01-01", "--until", "2026-01-01"), 2, "not included")
    if command not in ("sync", "verify"):
        assert synced(*words, "--since", "1h").code == 0


@pytest.mark.parametrize(
    ("command", "kinds"),
    [
        ("sync", "TIME SPAN"),
        ("dispatch", "SPAN"),
        ("fetch-results", "SPAN SIZE"),
        ("queue pause", "SPAN"),
        ("sql", "SPAN"),
    ],
)
def test_help_explains_each_kind_of_value_that_it_has(command: str, kinds: str, scalesync: Scalesync) -> None:
    """And none that it has not."""
    shown = scalesync(*command.split(), "--help").out

    assert [kind for kind in ("TIME", "SPAN", "SIZE") if f"{kind} is" in shown] == kinds.split()
    assert "SPAN is" in scalesync("--help").out
