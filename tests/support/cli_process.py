"""The `scalesync` command as people run it: a process of its own, with its own directory and environment.

The fixtures run it without one, which is ten times as fast; `started` and a plain `Scalesync` make a process.
"""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from tests.support.sandboxes import LIVE_KEY

COMMAND = (sys.executable, "-W", "error", "-m", "scalesync")
SECONDS = 100


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, object]:
        """What it printed, as the one JSON object that it is."""
        return msgspec.json.decode(self.out, type=dict[str, object])

    @property
    def lines(self) -> list[dict[str, object]]:
        """What it printed, as JSON lines."""
        return [msgspec.json.decode(line, type=dict[str, object]) for line in self.out.split("\n")[:-1]]


@dataclass(frozen=True)
class Scalesync:
    """Runs `scalesync` in one directory, where its mirror is `scalesync.db`."""

    directory: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def mirror(self) -> Path:
        """The SQLite file that commands use unless told otherwise."""
        return self.directory / "scalesync.db"

    def having(self, **variables: str | None) -> "Scalesync":
        """Return the same with other environment variables; None takes one away."""
        merged = {**self.variables, **variables}
        return replace(self, variables={name: value for name, value in merged.items() if value is not None})

    def environment(self) -> dict[str, str]:
        """Return the environment of a command: none of the caller's SCALE... variables are in it."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("SCALE")}
        return {**ours, "COLUMNS": "100", **self.variables}

    def __call__(self, *arguments: str | Path) -> Done:
        """Run a command to its end."""
        with self.started(*arguments) as process:
            return self.ended(process)

    @contextmanager
    def started(self, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
        """Yield a running command; it is killed at the end of the block."""
        command = [*COMMAND, *map(str, arguments)]
        with subprocess.Popen(
            command,
            cwd=self.directory,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="backslashreplace",
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    @staticmethod
    def ended(process: subprocess.Popen[str]) -> Done:
        """Wait for a command's end and return what it left behind."""
        out, err = process.communicate(timeout=SECONDS)
        return Done(process.returncode, out, err)


def scalesync_in(directory: Path, url: str | None = None) -> Scalesync:
    """Return what runs commands in a directory, with a live key, against the API at `url`."""
    variables = {"SCALE_API_KEY": LIVE_KEY, "SCALESYNC_PATIENCE": "20s"}
    return Scalesync(directory, variables | ({"SCALESYNC_API_URL": url} if url else {}))


def execute(path: Path, statement: str) -> list[tuple[object, ...]]:
    """Run a statement on an SQLite file behind scalesync's back."""
    connection = sqlite3.connect(path)
    try:
        with connection:
            return connection.execute(statement).fetchall()
    finally:
        connection.close()


def check_refusal(done: Done, code: int, *words: str) -> None:
    """Hold a failed command to its promise: its code, a sentence, advice, no traceback and no key."""
    said = done.out + done.err
    assert (code, "Traceback" in said, LIVE_KEY in said) == (done.code, False, False), said
    sentence, *advice = done.err[done.err.index("Error: ") :].strip().splitlines()
    usage = done.err.startswith("Usage: ")  # click's own refusals give sentence and way in one line
    assert len(advice) == (0 if usage else 1), done.err
    assert [word for word in words if word not in "\n".join([sentence, *advice])] == [], done.err


def check_interrupted(process: subprocess.Popen[str], number: signal.Signals) -> Done:
    """Signal a running command and return what it left behind."""
    process.send_signal(number)
    return Scalesync.ended(process)
