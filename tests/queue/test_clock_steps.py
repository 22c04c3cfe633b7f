"""The clock that leases go by is set an hour on: no process takes from itself what it has in hand."""

import threading
import time
from collections.abc import Iterator

import pytest

from scalesync.db.database import Database
from scalesync.models.commands import CommandState
from scalesync.queue import new_commands
from scalesync.queue.dispatch_options import DispatchOptions
from scalesync.sandbox import SandboxServer
from tests.queue.failure_matrix.cases import BY_NAME
from tests.queue.failure_matrix.fake_api import WriteOutcome
from tests.queue.failure_matrix.simulation import Dispatcher, Simulation
from tests.queue.failure_matrix.virtual_time import shift_database
from tests.support.dispatch_env import DispatchEnv, dispatch_env

HOUR = 3600.0


@pytest.fixture
def env(database: Database, sandbox: SandboxServer) -> Iterator[DispatchEnv]:
    """Return an environment on each database, over an account with a project."""
    with dispatch_env(database, sandbox) as made:
        made.api.create_project({"name": "p", "type": "imageannotation"})
        yield made


def test_a_clock_that_steps_forward_while_it_sends(env: DispatchEnv, sandbox: SandboxServer) -> None:
    """Its lease is over by that clock, and it goes on claiming: the update is sent once all the same."""
    [one] = env.put(new_commands.update_project("p", {"a": 1}))
    sandbox.backend.faults.replace(["latency:1500ms@POST"])
    dispatcher = env.dispatcher(DispatchOptions(workers=4, patience=20))
    thread = threading.Thread(target=dispatcher.run)
    thread.start()
    while not env.command(one).sends:
        time.sleep(0.01)
    shift_database(env.database, HOUR)
    thread.join()

    assert (env.ended(one), env.command(one).sends) == (("delivered", "applied"), 1)
    assert sandbox.backend.applied.count("project", "p", "versioned") == 1
    assert "rescue in_doubt" not in env.log(one)


@pytest.mark.parametrize("step", [HOUR, -HOUR])
def test_a_clock_that_steps_while_it_is_in_doubt(database: Database, step: float) -> None:
    """The settle time counts on a clock that nobody sets, where the process armed the command itself."""
    case = BY_NAME["update_project"]
    sim = Simulation(database)
    command_id = sim.queue(case.order(sim.server.backend.live))
    sim.server.write_outcomes.append(WriteOutcome.MUCH_LATER)
    process = Dispatcher(sim)
    list(process.once())
    shift_database(database, step)
    process.finish()
    sim.timeline.advance(sim.protections.timing.settle)

    assert sim.command(command_id).state is CommandState.DELIVERED, sim.story()
    assert case.happened(sim.server.backend) == 1, sim.story()
    assert sim.timeline.moved < HOUR / 2
