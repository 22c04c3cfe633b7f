"""Several processes on one Postgres keep one request rate: real processes and an API that counts."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from scalesync.sandbox import SandboxServer
from tests.support.cli_process import Scalesync, scalesync_in

Start = Callable[..., SandboxServer]


def together(ready: Scalesync, *command: str, processes: int) -> Sequence[dict[str, Any]]:
    """Run a command in several processes at once, each to its end; return what they print as JSON."""
    with ExitStack() as stack:
        running = [stack.enter_context(ready.started(*command, "--json")) for _ in range(processes)]
        ended = [ready.ended(process) for process in running]
    assert [each.code for each in ended if each.code not in (0, 6)] == [], [each.err for each in ended]
    return [each.json for each in ended if each.out]


@pytest.fixture
def ready(postgres_url: str, tmp_path: Path) -> Scalesync:
    """Return what runs commands with an empty mirror on Postgres, without an API yet."""
    return scalesync_in(tmp_path).having(SCALESYNC_DB=postgres_url)


def test_three_dispatchers_keep_one_rate(ready: Scalesync, start_sandbox: Start) -> None:
    """`--rate 20` of three processes is 20 requests a second together, not 60; each is sent once."""
    server = start_sandbox()
    ready = ready.having(SCALESYNC_API_URL=server.url)
    lines = "".join(
        f'{{"attachment": "https://example.com/{n}.jpg", "unique_id": "{n}"}}\n' for n in range(60)
    )
    (ready.directory / "tasks.jsonl").write_text(lines)
    assert ready("task", "create", "annotation", "--from", "tasks.jsonl").code == 0

    summaries = together(ready, "dispatch", "--rate", "20", processes=3)

    requests = sum(server.backend.requests.values())
    seconds = max(each["seconds"] for each in summaries)
    assert requests >= 60
    assert requests <= 20 * seconds + 3 * 2  # each may have taken two turns ahead
    assert len(server.backend.documents("tasks")) == 60
