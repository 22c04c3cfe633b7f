"""What a command does not need it does not load: importing takes longer than what most of them do."""

import subprocess
import sys

import pytest

from tests.support.cli_process import Scalesync

PROGRAM = """
import atexit, gc, sys
from scalesync.__main__ import main
atexit.register(lambda: print("garbage" if gc.isenabled() else "", *sys.modules, file=sys.stderr))
main()
"""

DATABASE = {"sqlalchemy", "scalesync.db"}
NETWORK = {"asyncio", "ssl", "requests", "urllib3", "scalesync.api"}
READING = {"scalesync.sync.runner", "scalesync.sync.verify.verifier", "scalesync.annotations.flatten"}
SELDOM = {
    "alembic",
    "deltalake",
    "psycopg",
    "pyarrow",
    "rich.console",
    "scalesync.publish",
    "scalesync.queue",
    "scalesync.sandbox",
    "sqlalchemy.dialects.postgresql",
    "starlette",
}


@pytest.mark.parametrize(
    ("command", "unneeded"),
    [
        ("--help", DATABASE | NETWORK | READING | SELDOM),
        ("docs", DATABASE | NETWORK | READING | SELDOM),
        ("status", READING | SELDOM | {"requests", "urllib3", "scalesync.api"}),
        ("sync", SELDOM | {"scalesync.sync.verify.verifier", "scalesync.sync.result_files"}),
    ],
)
def test_a_command_loads_what_it_needs(command: str, unneeded: set[str], mirror: Scalesync) -> None:
    """Whoever works on the mirror also has its garbage collected, which is off while modules are loaded."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, command],
        cwd=mirror.directory,
        env=mirror.environment(),
        capture_output=True,
        text=True,
        check=True,
    )

    loaded = set(done.stderr.splitlines()[-1].split(" "))
    assert loaded & unneeded == set()
    assert ("garbage" in loaded) == (command not in ("--help", "docs"))
