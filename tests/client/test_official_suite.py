"""The tests that the official client brings along pass with the drop-in in its place."""

import os
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path
from xml.etree.ElementTree import parse

import pytest

from scalesync import Mirror
from scalesync.sandbox import SandboxServer
from tests.support.sandboxes import TEST_KEY

_OTHERWISE = {
    "test_files_upload": "its picture is not in the source distribution",
    "test_process_tasks_endpoint_args_with_optional_project_name": "it calls a private method",
}
"""Tests that do not pass, each with the reason."""
_IN_ITS_PLACE = """
import scaleapi
from scalesync.client import ScaleClient
scaleapi.ScaleClient = ScaleClient
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """Return a directory with the tests of the official client, out of its source distribution."""
    fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    done = subprocess.run(
        [*fetch, "--dest", str(tmp_path), f"scaleapi=={version('scaleapi')}"],
        capture_output=True,
        text=True,
        check=False,
    )
    found = list(tmp_path.glob("scaleapi-*.tar.gz"))
    if not found:
        pytest.skip(f"its source distribution cannot be fetched here: {done.stderr.strip()[-200:]}")
    directory = tmp_path / "suite"
    directory.mkdir()
    with tarfile.open(found[0]) as archive:
        (name,) = (each for each in archive.getnames() if each.endswith("/tests/test_client.py"))
        source = archive.extractfile(name)
        assert source is not None
        (directory / "test_client.py").write_bytes(source.read())
    (directory / "conftest.py").write_text(_IN_ITS_PLACE)
    return directory


def test_its_tests_pass_but_for_two(suite: Path, sandbox: SandboxServer, sqlite_url: str) -> None:
    """Every list and object is asked of the API; what is written goes through the queue."""
    Mirror(sqlite_url, api_key=TEST_KEY, api_url=sandbox.url).init()
    report = suite / "report.xml"
    options = ["--rootdir", ".", "-c", os.devnull, "-p", "no:cacheprovider", f"--junitxml={report}"]
    own = {
        "SCALE_TEST_API_KEY": TEST_KEY,
        "SCALESYNC_API_URL": sandbox.url,
        "SCALESYNC_DB": sqlite_url,
        "SCALESYNC_MAX_AGE": "0",
    }
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *options, "test_client.py"],
        cwd=suite,
        env={**{name: text for name, text in os.environ.items() if "PYTEST" not in name}, **own},
        capture_output=True,
        check=False,
    )
    cases = list(parse(report).iter("testcase"))
    assert {case.attrib["name"] for case in cases if len(case)} == set(_OTHERWISE)
    assert len(cases) > 40
