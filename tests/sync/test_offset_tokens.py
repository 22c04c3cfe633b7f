"""Tokens that count rows: what is deleted while a list is read moves others past them."""

from collections.abc import Callable

from scalesync.db.database import Database
from scalesync.sandbox import SandboxServer, Switches
from tests.support.sync_env import differences, sync

Start = Callable[..., SandboxServer]


def test_a_row_that_moved_up_is_not_lost(start_sandbox: Start, database: Database) -> None:
    """A task that came on the first page is deleted before the second is asked for: all others are here."""
    server = start_sandbox(tasks=400, switches=Switches(tokens="offset"))
    pages: list[str] = []

    def delete_one(kind: str, query: object) -> None:
        if kind == "tasks":
            pages.append(str(query))
            if len(pages) == 3:  # the first asks for the time only
                newest = max(server.backend.live.tasks.created)
                server.backend.remove("tasks", newest[1])

    server.backend.before_list = delete_one
    sync(server, database, workers=1)
    server.backend.before_list = None
    again = sync(server, database)

    assert again.complete
    lost = set(differences(server, database).get("tasks", []))
    there = {
        one.key[1] for one in (server.backend.live.tasks[key[1]] for key in server.backend.live.tasks.created)
    }
    assert lost & there == set()
