"""Programs that are measured, each in a process of its own; none outlives whoever waits for it."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict

from tests.benchmark.peers.protocol import Measurement, Order, peak
from tests.benchmark.server import KEY, ROOT

_LOOK_EVERY = 0.005
"""Seconds."""


class FailedError(Exception):
    """A program did not do what it was asked for; the text is its last words."""


def run_peer(module: str, order: Order) -> Measurement:
    """Return what a peer tells. Raises FailedError."""
    command = [sys.executable, "-m", f"tests.benchmark.peers.{module}", json.dumps(asdict(order))]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), cwd=ROOT, check=False)
    if done.returncode:
        raise FailedError(_last_words(done.stderr))
    return Measurement(**json.loads(done.stdout.splitlines()[-1]))


def scalesync(arguments: Sequence[str], api: str, database: str) -> Measurement:
    """Return what a scalesync command took as a whole, its start included. Raises FailedError."""
    command = [sys.executable, "-m", "scalesync", *arguments]
    given = {"SCALESYNC_API_URL": api, "SCALESYNC_DB": database, "SCALE_API_KEY": KEY}
    with tempfile.TemporaryFile("w+") as words:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=words, env=environment() | given, cwd=ROOT
        )
        try:
            used, most = _watched(process)
        except BaseException:
            process.kill()
            process.wait()
            raise
        seconds = time.perf_counter() - began
        if process.returncode:
            words.seek(0)
            raise FailedError(_last_words(words.read()))
    return Measurement(seconds, used.ru_utime + used.ru_stime, most)


def _watched(process: "subprocess.Popen[bytes]") -> "tuple[resource.struct_rusage, int]":
    """Return what a process used until its end, and the bytes of memory that it was seen to hold at most."""
    most = 0
    while True:
        ended, status, used = os.wait4(process.pid, os.WNOHANG)
        if ended:
            process.returncode = os.waitstatus_to_exitcode(status)
            return used, most
        most = max(most, peak(process.pid))
        time.sleep(_LOOK_EVERY)


def environment() -> dict[str, str]:
    """Return this process's variables without those that scalesync reads."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SCALE")}


def _last_words(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip(" ^")]
    return " ".join(lines[-2:]) or "it said nothing"
