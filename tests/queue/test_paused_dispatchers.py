"""Dispatchers that stand still for longer than their lease, and go on when another has done their work."""

import time
from contextlib import ExitStack

from scalesync.queue import new_commands
from tests.support.databases import opened
from tests.support.dispatch_env import dispatch_env
from tests.support.pausing_dispatcher import BRIEF, Point, paused_dispatchers
from tests.support.sandboxes import StartSandbox


def test_a_stalled_dispatcher_does_nothing_again(
    start_sandbox: StartSandbox, sqlite_url: str, postgres_url: str
) -> None:
    """Stopped after the claim, the arming or the answer: its successor settles it, and it ends with 0."""
    with ExitStack() as stack:
        both = []
        for url in (sqlite_url, postgres_url):
            server, database = start_sandbox(), stack.enter_context(opened(url))
            successor = stack.enter_context(dispatch_env(database, server, timing=BRIEF))
            ids = successor.put(
                *(new_commands.create_project(point.name, "annotation", {}) for point in Point)
            )
            ordered = list(zip(ids, Point, strict=True))
            both.append(
                (server, successor, ids, stack.enter_context(paused_dispatchers(url, server.url, ordered)))
            )
        while not all(stalled.all_stopped for *_, stalled in both):
            time.sleep(0.01)

        for server, successor, ids, stalled in both:
            summary = successor.dispatch()
            assert (summary.delivered, summary.looks >= 2) == (3, True)
            assert successor.states(ids) == ["delivered"] * 3
            before = [successor.command(one) for one in ids]
            assert stalled.resume() == [0, 0, 0]

            assert [successor.command(one) for one in ids] == before
            effects = [server.backend.applied.count("project", point.name, "created") for point in Point]
            assert (effects, server.backend.requests["POST /projects"]) == ([1, 1, 1], 3)
