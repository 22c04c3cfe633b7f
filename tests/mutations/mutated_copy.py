"""A copy of the project in which one line can be broken, and tests run beside that."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from tests.mutations import pytest_report_plugin

ROOT = Path(__file__).parent.parent.parent
NEEDED = ("scalesync", "migrations", "tests", "alembic.ini", "pyproject.toml")
SECONDS = 100

_moments = count(1)


@dataclass(frozen=True)
class Variant:
    """One line of the product broken by hand, and the tests that must fail for it."""

    name: str
    file: str
    """Below `scalesync/`."""
    line: str
    """As it stands, without its indentation."""
    broken: str
    tests: tuple[str, ...]
    """Node ids, below `tests/`: quick ones."""
    below: str = ""
    """A line that stands once in the file; the line meant is the first one below it."""

    def applied(self, text: str) -> str:
        """Return the file's text with the line broken. Raises LookupError unless it is there exactly once."""
        lines = text.splitlines(keepends=True)
        places = [number for number, line in enumerate(lines) if line.strip() == self.line]
        if self.below:
            marks = [number for number, line in enumerate(lines) if line.strip() == self.below]
            places = [place for place in places if len(marks) == 1 and place > marks[0]][:1]
        if len(places) != 1:
            msg = f"{self.name}: this line is not to be found once in {self.file}, write it anew: {self.line}"
            raise LookupError(msg)
        lines[places[0]] = lines[places[0]].replace(self.line, self.broken)
        return "".join(lines)


@dataclass(frozen=True)
class MutatedCopy:
    """The copy."""

    directory: Path

    @classmethod
    def at(cls, directory: Path) -> "MutatedCopy":
        """Make the copy in a directory that is not there yet."""
        directory.mkdir()
        for name in NEEDED:
            source, to = ROOT / name, directory / name
            if source.is_dir():
                shutil.copytree(source, to, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(source, to)
        return cls(directory)

    @contextmanager
    def broken(self, variant: Variant) -> Iterator[None]:
        """Have the line broken while the block lasts."""
        path = self.directory / "scalesync" / variant.file
        whole, moment = path.read_text(), path.stat().st_mtime
        path.write_text(variant.applied(whole))
        # What was compiled is known by the file's size and second: no two variants may share those.
        os.utime(path, (next(_moments),) * 2)
        try:
            yield
        finally:
            path.write_text(whole)
            os.utime(path, (moment, moment))

    def run(self, tests: Sequence[str]) -> tuple[int, dict[str, str], str]:
        """Run tests beside the copy; return pytest's exit code, what became of each, and what it printed."""
        told = self.directory / "told.json"
        told.unlink(missing_ok=True)
        plugins = ("-p", "no:cacheprovider", "-p", "pytest_timeout", "-p", pytest_report_plugin.__name__)
        command = [sys.executable, "-m", "pytest", *plugins, *(f"tests/{test}" for test in tests)]
        done = subprocess.run(
            command,
            cwd=self.directory,
            env=self._environment() | {pytest_report_plugin.REPORT_FILE: str(told)},
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        became = json.loads(told.read_text()) if told.exists() else {}
        return done.returncode, _below_tests(became), done.stdout + done.stderr

    def _environment(self) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "SCALE"))}
        # Of all plugins that are installed only those that are named: half of the time goes into starting.
        return ours | {"PYTHONPATH": str(self.directory), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def _below_tests(became: dict[str, str]) -> dict[str, str]:
    return {node.removeprefix("tests/"): outcome for node, outcome in became.items()}
