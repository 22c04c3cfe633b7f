"""What every test may ask for: databases of both kinds and a sandbox over real HTTP."""

import signal
from collections.abc import Iterator

import pytest

LONGEST = ("test_house", "test_readme", "test_wheel", "test_processes", "test_chaos")

pytest_plugins = [
    "tests.support.databases",
    "tests.support.sandboxes",
    "tests.support.forked_cli",
    "tests.support.shown_account",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no process is left with it alone in the end."""
    items.sort(key=lambda item: item.path.stem not in LONGEST)


@pytest.fixture(scope="session", autouse=True)
def _compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let the processes of this suite share what they compile, which is a quarter of the time they take."""
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        environment.setenv("PYTHONPYCACHEPREFIX", str(tmp_path_factory.mktemp("compiled")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _signals_heeded() -> None:
    """Have every process of this suite heed signals, even if the suite was started to ignore them.

    Whoever starts it with `nohup`, or in the background of a script, hands that down to all of them.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
