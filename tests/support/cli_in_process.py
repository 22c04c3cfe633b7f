"""Run commands within the test process, for tests that need many and signal none."""

import os
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from scalesync.cli.main import cli
from tests.support.cli_process import Done, Scalesync


@dataclass(frozen=True)
class InProcess(Scalesync):
    """Runs `scalesync` as a process of its own would, from its directory and with its environment."""

    def __call__(self, *arguments: str | Path) -> Done:
        """Run a command to its end. Raises whatever would have been a traceback."""
        others = dict.fromkeys(name for name in os.environ if name.startswith("SCALE"))
        runner = CliRunner(env={**others, "COLUMNS": "100", **self.variables})
        with chdir(self.directory):
            done = runner.invoke(cli, [str(word) for word in arguments], prog_name="scalesync")
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Done(done.exit_code, done.stdout, done.stderr)


def in_process(scalesync: Scalesync) -> InProcess:
    """Return the same directory and environment, without processes."""
    return InProcess(scalesync.directory, scalesync.variables)
