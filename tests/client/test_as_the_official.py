"""What the official client's users do works with the drop-in: the tests of the one, run with the other."""

import inspect
from collections.abc import Callable
from functools import partial

import pytest

from scalesync.client import ScaleClient
from scalesync.errors import ConfigurationError, ScaleException
from scalesync.sandbox import SandboxServer
from tests.sandbox import test_official_client, test_official_team

_OTHERWISE = {
    "test_files_are_uploaded_and_imported": "what has no path is not uploaded",
    "test_a_unique_id_is_changed_cleared_and_never_shared": "the 409 has words of our own",
    "test_enterprise_batches_are_open_at_once": "a batch whose finalize is queued takes no more tasks",
    "test_rapid_batches_collect_tasks_until_finalized": "a second finalize is the first one again",
    "test_projects_keep_every_version_of_their_params": "the same params again make no version",
}
"""Tests of the official client that the drop-in does not pass, each with the reason."""


_NAMES = {"client", "sandbox"}


def _tests() -> list[tuple[str, Callable[..., None]]]:
    modules = (test_official_client, test_official_team)
    return [
        (name, test)
        for module in modules
        for name, test in vars(module).items()
        if name.startswith("test_") and set(inspect.signature(test).parameters) <= _NAMES
    ]


@pytest.mark.parametrize(("name", "test"), _tests(), ids=[name for name, _ in _tests()])
def test_the_official_clients_test_passes(
    name: str, test: Callable[..., None], client: ScaleClient, sandbox: SandboxServer
) -> None:
    """With the drop-in in place of the official client, over the same sandbox."""
    given = {"client": client, "sandbox": sandbox}
    run = partial(test, **{each: given[each] for each in inspect.signature(test).parameters})
    if name not in _OTHERWISE:
        run()
        return
    refusals = (AssertionError, ConfigurationError, ScaleException, pytest.fail.Exception)
    with pytest.raises(refusals):
        run()
