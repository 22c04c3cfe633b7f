"""The API of a soak: a sandbox in a process of its own, steered by lines on its stdin."""

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalesync.sandbox import SandboxOptions, SandboxServer
from scalesync.sandbox.server import Annotator
from tests.soak.writers import Writers

FAULTS = (
    "500:3%",
    "503:1.5%",
    "429:1%:retry-after=0.5",
    "reset:2.5%",
    "truncate:1.2%",
    "html:0.5%",
    "hang:0.3%:seconds=20",
    "applied-then-dropped:2%",
    "applied-then-500:1%",
    "applied-late:1%:seconds=2",
    "latency:10%:20ms",
)
"""Strike 10 % of the reads and 14 % of the writes, besides the slow ones."""

KINDS = ("tasks", "batches", "projects")


@dataclass(frozen=True)
class Api:
    """A running sandbox and its controls."""

    process: "subprocess.Popen[str]"
    control_url: str

    @property
    def url(self) -> str:
        """The address of the API."""
        return f"{self.control_url}/v1"

    def say(self, *words: str) -> str:
        """Have an order carried out and return what it answers."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def ask(self, path: str) -> dict[str, Any]:
        """Return what one of the sandbox's own controls tells."""
        with urllib.request.urlopen(f"{self.control_url}/_sandbox{path}", timeout=60) as answer:
            told: dict[str, Any] = json.load(answer)
        return told


@contextmanager
def running(*, tasks: int, seed: int, annotate: float, changes: int) -> Iterator[Api]:
    """Start an API with `tasks` tasks and yield it; end it with the block or with this process."""
    given = json.dumps({"tasks": tasks, "seed": seed, "annotate": annotate, "changes": changes})
    command = [sys.executable, "-m", "tests.soak.api", given]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Api(process, process.stdout.readline().strip())
        finally:
            process.kill()


def main() -> None:
    """Serve until stdin ends. `faults`, `quiet` and `write DIRECTORY` are what it can be told."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the soak's to deal with
    given = json.loads(sys.argv[1])
    options = SandboxOptions(tasks=given["tasks"], seed=given["seed"])
    with SandboxServer(options) as server:
        people = Writers(server.backend, given["changes"], given["seed"])
        annotator = Annotator(server.backend, given["annotate"])
        _answer(server.control_url)
        for line in sys.stdin:
            match json.loads(line):
                case ["faults"]:
                    server.backend.faults.replace(FAULTS)
                    server.backend.before_list = people.come
                    annotator.start()
                case ["quiet"]:
                    annotator.stop()
                    server.backend.before_list = None
                    server.backend.faults.replace(())
                case ["write", directory]:
                    _write(server, people, Path(directory))
            _answer("done")


def _write(server: SandboxServer, people: Writers, directory: Path) -> None:
    """Write every document, a line each, and what happened to them."""
    for kind in KINDS:
        (directory / f"{kind}.jsonl").write_bytes(b"\n".join(server.backend.documents(kind)))
    told = {"effects": list(server.backend.applied), "removed": people.removed, "changes": people.made}
    (directory / "told.json").write_text(json.dumps(told))


def _answer(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
