"""Several processes on one Postgres keep one request rate: real processes and an API that counts."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from scalesync.api.client import ScaleApi
from scalesync.api.options import ApiOptions
from scalesync.clock import Clock
from scalesync.db.request_rate import SharedRequestRate
from scalesync.errors import ScaleTooManyRequests
from scalesync.models.request_rate import FIRST_INTERVAL
from scalesync.queue.dispatcher_store import DispatcherStore
from scalesync.queue.timing import Timing
from scalesync.sandbox import SandboxServer
from scalesync.sync.result_files import UrlRefresher
from scalesync.sync.store import SyncStore
from tests.support.cli_process import Scalesync, scalesync_in
from tests.support.databases import opened
from tests.support.sandboxes import LIVE_KEY

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


def test_claims_learn_of_the_refusals_of_others(postgres_url: str, sandbox: SandboxServer) -> None:
    """Of windows, commands and expired links, also if there is none: the next request is not made."""
    clock = Clock()
    with opened(postgres_url) as database, ExitStack() as stack:
        rates = [stack.enter_context(closing(SharedRequestRate(database, clock))) for _ in range(4)]
        options = ApiOptions(sandbox.url)
        api = stack.enter_context(ScaleApi(LIVE_KEY, options, clock=clock, shared_rate=rates[1]))
        api.wait_for_rate_limit(0)
        rates[0].slow_down(clock.monotonic(), 60, 0.0)

        assert SyncStore(database, api, "me", 30, rate=rates[1]).claim_several(1) == []
        assert DispatcherStore(database, "me", Timing(), rates[2]).claim(1) == []
        assert UrlRefresher(database, api, rates[3]).refresh_url("https://example.com/gone.json") is None
        with pytest.raises(ScaleTooManyRequests):
            api.wait_for_rate_limit(20)

    assert [rate.interval for rate in rates[1:]] == [FIRST_INTERVAL] * 3
