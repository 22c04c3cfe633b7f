"""Run peers and commands as whole processes, and measure each from its exec to its exit."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import IO

from tests.benchmark.peers.protocol import Job, Report
from tests.benchmark.results import Measurement
from tests.benchmark.server import KEY, ROOT

_MEMORY_EVERY = 0.02
"""Seconds between two looks at the memory of a process."""
_CONDITION_EVERY = 0.02


class FailedError(Exception):
    """A process did not do its job; the text is the end of its stderr."""


def run_peer(module: str, job: Job) -> Measurement:
    """Return what a peer's process took, without what it reported as no part of its work.

    Raises FailedError.
    """
    measured, output = _run(_command(module, job), environment())
    report = Report(**json.loads(output.splitlines()[-1]))
    measured.seconds -= report.seconds_aside
    measured.cpu -= report.cpu_aside
    measured.tasks, measured.annotations = report.tasks, report.annotations
    measured.requests = report.requests
    return measured


def run_scalesync(
    arguments: Sequence[str], api: str, database: str, variables: Mapping[str, str] = MappingProxyType({})
) -> Measurement:
    """Return what a scalesync command took, with further variables. Raises FailedError."""
    own = {"SCALESYNC_API_URL": api, "SCALESYNC_DB": database, "SCALE_API_KEY": KEY}
    return _run([sys.executable, "-m", "scalesync", *arguments], environment() | own | dict(variables))[0]


def kill_peer(module: str, job: Job, when: Callable[[], bool]) -> Measurement:
    """Run a peer until `when` returns True, and kill it by SIGKILL; return what it took until then.

    Raises FailedError if it ends before.
    """
    with _started(_command(module, job), environment()) as (process, began, _, errors):
        while not when():
            if process.poll() is not None:
                raise FailedError(f"it ended before it was to be killed: {_end_of(errors)}")
            time.sleep(_CONDITION_EVERY)
        seconds = time.perf_counter() - began
        process.kill()
        used = _wait(process)
    return Measurement(seconds, used.ru_utime + used.ru_stime)


def environment() -> dict[str, str]:
    """Return this process's variables without those that scalesync reads, or that make all imports slower."""
    left_out = ("SCALE", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(left_out)}


def _command(module: str, job: Job) -> list[str]:
    return [sys.executable, "-m", f"tests.benchmark.peers.{module}", json.dumps(asdict(job))]


def _run(command: Sequence[str], variables: Mapping[str, str]) -> tuple[Measurement, str]:
    """Return what a process and all its children took, and its stdout. Raises FailedError."""
    with _started(command, variables) as (process, began, output, errors):
        with _memory_watched(process.pid) as peaks:
            used = _wait(process)
            seconds = time.perf_counter() - began
        if process.returncode:
            raise FailedError(_end_of(errors))
        output.seek(0)
        return Measurement(seconds, used.ru_utime + used.ru_stime, sum(peaks.values())), output.read()


def _wait(process: "subprocess.Popen[bytes]") -> resource.struct_rusage:
    """Return what an ended process used, with those of its children that it waited for."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return used


@contextmanager
def _started(
    command: Sequence[str], variables: Mapping[str, str]
) -> Iterator[tuple["subprocess.Popen[bytes]", float, IO[str], IO[str]]]:
    """Yield a started process, its time of start, stdout and stderr; kill it if the block fails."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=variables, cwd=ROOT
        )
        try:
            yield process, began, output, errors
        except BaseException:
            if process.returncode is None:
                process.kill()
                process.wait()
            raise


@contextmanager
def _memory_watched(root: int) -> Iterator[dict[int, int]]:
    """Yield the peaks of memory, in bytes, of a process and its descendants by id, kept up to date."""
    peaks: dict[int, int] = {}
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_MEMORY_EVERY):
            for process in family(root):
                # A high-water mark of the system's: a later value is never smaller, but 0 after the end.
                peaks[process] = _peak(process) or peaks.get(process, 0)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peaks
    finally:
        over.set()
        watcher.join()


def family(root: int) -> Iterator[int]:
    """Yield a process and those of its descendants that run a program of their own."""
    yield root
    for listing in Path(f"/proc/{root}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, listing.read_text().split()):
                # Between fork and exec a child has the memory of its parent, which would count twice.
                if _command_line(child) != _command_line(root):
                    yield from family(child)


def _command_line(process: int) -> bytes:
    return Path(f"/proc/{process}/cmdline").read_bytes()


def _peak(process: int) -> int:
    """Return the most bytes of memory that a process has had; 0 if it ended, or without a /proc."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    lines = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(lines[0].split()[1]) * 1024 if lines else 0


def _end_of(errors: IO[str]) -> str:
    errors.seek(0)
    lines = [line.strip() for line in errors if line.strip(" ^\n")]
    return " ".join(lines[-2:]) or "its stderr is empty"
