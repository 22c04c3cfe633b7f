"""A peer is measured as a whole process; one that is killed half-way leaves the rest to the next run."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.benchmark.children import FailedError, family, run_peer, run_scalesync
from tests.benchmark.peers.protocol import Job, Report
from tests.benchmark.results import Measurement, Result
from tests.benchmark.resume import first_run, second_run, tasks_in
from tests.benchmark.server import KEY, running


def test_a_peer_is_measured_from_its_start_to_its_end_and_reports_its_rows(sqlite_url: str) -> None:
    """Its seconds, its CPU and its memory are those of a Python program with all imports; it fails aloud."""
    with running(200, corpus="mixed") as api:
        measured = run_peer("mirror", Job(api.url, KEY, sqlite_url, 200))
        floor = Job(api.url, KEY, sqlite_url, 201, source=sqlite_url)
        with pytest.raises(FailedError, match="IntegrityError"):
            run_peer("floor", floor)

    assert measured.tasks == 200
    assert measured.annotations > 200
    assert measured.requests > 3
    assert measured.seconds > 0.1
    assert measured.cpu > 0.1
    assert measured.peak > 20e6


def test_a_block_aside_is_subtracted() -> None:
    """With its seconds and its CPU, however often there is one."""
    report = Report()
    for _ in range(2):
        with report.aside():
            time.sleep(0.02)

    assert report.seconds_aside >= 0.04
    assert 0 <= report.cpu_aside < report.seconds_aside


def test_a_sync_that_is_killed_half_way_leaves_the_rest_to_the_next(sqlite_url: str) -> None:
    """What the first one committed stays, and its -wal is still there when the second one starts."""
    with running(1_600, latency=0.1) as api:
        job = Job(api.url, KEY, sqlite_url, 1_600)
        first = first_run(job)
        assert Path(f"{job.file}-wal").stat().st_size > 0
        assert tasks_in(job) == first.tasks

        second = second_run(job, first.tasks)

    assert 800 <= first.tasks < 1_600
    assert first.tasks + second.tasks == tasks_in(job) == 1_600


def test_memory_includes_children_but_not_twice_what_they_shared_before_their_exec() -> None:
    """A child that waits between fork and exec is left out; one with a program of its own counts."""
    sleeps = "import time; time.sleep(60)"
    forks = "import os, time; os.fork(); time.sleep(60)"
    starts = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {sleeps!r}])"
    counts = {}
    for program in (forks, starts):
        with subprocess.Popen([sys.executable, "-c", program], start_new_session=True) as process:
            time.sleep(1)
            counts[program] = len(list(family(process.pid)))
            os.killpg(process.pid, signal.SIGKILL)

    assert list(counts.values()) == [1, 2]


def test_a_command_that_fails_is_no_measurement(sqlite_url: str) -> None:
    """The error has the end of its stderr."""
    with pytest.raises(FailedError, match="nosuch"):
        run_scalesync(["nosuch"], "http://127.0.0.1:9/v1", sqlite_url)


def test_figures_are_medians_of_the_rounds() -> None:
    """Memory and requests are the most of any round; a rate counts the tasks of each round."""
    rounds = [
        Measurement(seconds, seconds / 2, 10, tasks, 0, 7) for seconds, tasks in ((1, 0), (4, 8), (2, 8))
    ]
    result = Result("sync", "x", "sqlite", 4, rounds=rounds)

    assert (result.seconds, result.cpu, result.rate, result.peak, result.requests) == (2, 1, 4, 10, 7)
