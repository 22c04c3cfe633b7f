"""Write a JSON file of the outcome of each test, for the pytest that runs in a mutated copy."""

import json
import os
from collections.abc import Generator
from pathlib import Path

import pytest

import scalesync

REPORT_FILE = "SCALESYNC_TEST_REPORT"
"""The environment variable that names the file to write."""

_NO_TEST_AT_ALL = (ImportError, NameError, SyntaxError)
"""What a line that cannot even run raises: no test is needed to notice that."""

_became: dict[str, str] = {}


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to run beside any other code than that of the copy."""
    imported = Path(scalesync.__file__)
    if not imported.is_relative_to(config.rootpath):
        raise pytest.UsageError(f"{imported} is not in {config.rootpath}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note the worst of what became of the test in its three phases."""
    report = yield
    if call.excinfo is None:
        _became.setdefault(item.nodeid, "passed")
    elif report.when == "call" and not call.excinfo.errisinstance(_NO_TEST_AT_ALL):
        _became[item.nodeid] = "failed"
    else:
        _became[item.nodeid] = f"{call.excinfo.typename} in {report.when}"
    return report


def pytest_sessionfinish() -> None:
    """Write the outcomes."""
    Path(os.environ[REPORT_FILE]).write_text(json.dumps(_became))
