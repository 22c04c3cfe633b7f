"""Bad days at the API: the mirror is complete, or the run says that it is not and the next one mends it."""

from collections.abc import Callable

import pytest

from scalesync.db.database import Database
from scalesync.db.sync.runs import read_watermarks
from scalesync.errors import ScalesyncError
from scalesync.sandbox import SandboxServer
from tests.support.engine_rotation import in_turn
from tests.support.sync_env import differences, sync, task_pages

Start = Callable[..., SandboxServer]

FAULTS = (
    "500:10%",
    "503:10%",
    "520:10%",
    "429:10%:retry-after=0.05",
    "reset:10%",
    "truncate:10%",
    "html:10%",
    "hang:10%",
    "trickle:10%",
)


@pytest.mark.parametrize(("fault", "database_url"), in_turn(FAULTS), indirect=["database_url"])
def test_a_tenth_of_all_requests_may_fail(fault: str, start_sandbox: Start, database: Database) -> None:
    """Either the run is complete and equal, or it ends in an error, and a quiet one completes it."""
    server = start_sandbox(tasks=2000, faults=(fault,))
    try:
        complete = sync(server, database).complete
    except ScalesyncError:
        complete = False
    if not complete:
        server.backend.faults.replace(())
        assert sync(server, database).complete

    assert differences(server, database) == {}
    assert server.backend.faults.injected[fault] > 0


def test_an_api_that_dies_in_mid_sync_costs_only_what_was_on_its_way(
    start_sandbox: Start, database: Database
) -> None:
    """The run ends with the API's error and no watermark; what came is kept, and the next run goes on."""
    server = start_sandbox(tasks=3000)

    def die_after_twenty_pages(*_: object) -> None:
        if task_pages(server) >= 20:
            server.backend.faults.replace(("500:100%@GET /tasks",))

    server.backend.before_list = die_after_twenty_pages
    with pytest.raises(ScalesyncError) as raised:
        sync(server, database)
    with database.read() as conn:
        assert read_watermarks(conn) == {}
    assert raised.value.exit_code == 4

    server.backend.before_list = None
    server.backend.faults.replace(())
    before = task_pages(server)
    assert sync(server, database).complete

    assert differences(server, database) == {}
    assert task_pages(server) - before < 30
