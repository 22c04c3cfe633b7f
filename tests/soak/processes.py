"""The scalesync processes of a soak: kept running, watched, killed and frozen."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

FREEZE_EACH = 4
"""One bad thing in so many is a freeze of longer than a lease, the others are kills."""
FROZEN = 13.0
"""Seconds."""
TERMINATED = (0, 130)
"""How what is asked to stop may end."""


@dataclass
class Life:
    """One process, from its start to its end."""

    name: str
    process: "subprocess.Popen[str]"
    began: float
    """In seconds of the soak; so is `ended`."""
    ended: float = 0.0
    peak: int = 0
    """KiB of memory that it held at most (VmHWM), as often as that was looked at."""
    killed: bool = False
    told_to_stop: bool = False
    code: int = 0
    out: str = ""
    err: str = ""


@dataclass(frozen=True)
class Role:
    """A command that is run again and again."""

    name: str
    arguments: Callable[[float], Sequence[str]]
    """Returns the arguments of the next run, from the seconds that the soak has lasted."""
    fine: frozenset[int]
    """Exit codes that are no defect on such days."""
    pause: float = 1.0
    """Seconds from one run to the next."""


@dataclass
class Processes:
    """Every process of the soak, alive or dead."""

    environment: Mapping[str, str]
    seed: int
    began: float = field(default_factory=time.monotonic)
    stopping: threading.Event = field(default_factory=threading.Event)
    lives: list[Life] = field(default_factory=list)
    """Those that ended."""
    alive: list[Life] = field(default_factory=list)
    kills: int = 0
    freezes: int = 0
    defects: list[str] = field(default_factory=list)
    """Ends that no process should have."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def now(self) -> float:
        """Seconds of the soak."""
        return time.monotonic() - self.began

    def run(self, name: str, arguments: Sequence[str], fine: frozenset[int]) -> Life:
        """Run scalesync to its end, whatever that is, and note an end that is not fine."""
        command = [sys.executable, "-W", "error", "-m", "scalesync", *arguments]
        process = subprocess.Popen(
            command,
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        life = Life(name, process, self.now)
        with self._lock:
            self.alive.append(life)
        try:
            life.out, life.err = process.communicate()
        finally:
            with self._lock:
                self.alive.remove(life)
            life.code, life.ended = process.returncode, self.now
        self.lives.append(life)
        self._judge(life, fine)
        return life

    def _judge(self, life: Life, fine: frozenset[int]) -> None:
        allowed = fine | set(TERMINATED) if life.told_to_stop else fine
        broken = "Traceback" in life.err
        if life.killed and life.code == -signal.SIGKILL and not broken:
            return
        if broken or life.code not in allowed:
            told = f"{life.name} after {life.began:.0f} s ended with {life.code}: {life.err[-900:].strip()}"
            self.defects.append(told)
            sys.stderr.write(f"DEFECT {told}\n")

    def living(self) -> list[Life]:
        """Return those that run now."""
        with self._lock:
            return list(self.alive)

    @contextmanager
    def keeping(self, roles: Sequence[Role]) -> Iterator[None]:
        """Run every role again and again while the block lasts; then let each end what it holds."""
        threads = [threading.Thread(target=self._keep, args=(role,), name=role.name) for role in roles]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stopping.set()
            self._stop_all()
            for thread in threads:
                thread.join()

    def _keep(self, role: Role) -> None:
        while not self.stopping.is_set():
            self.run(role.name, role.arguments(self.now), role.fine)
            self.stopping.wait(role.pause)

    def _stop_all(self) -> None:
        for life in self.living():
            life.told_to_stop = True
            life.process.terminate()
        deadline = time.monotonic() + 90
        while self.living() and time.monotonic() < deadline:
            time.sleep(0.2)
        for life in self.living():
            self.defects.append(f"{life.name} did not end within 90 s of being told to")
            life.process.kill()

    def disturb(self, seconds: float, every: float) -> None:
        """Kill a random process every so often, and freeze one now and then, for so long."""
        chance = random.Random(f"{self.seed}:kills")
        for number in count(1):
            if self.stopping.wait(min(every, max(0.0, seconds - self.now))) or self.now >= seconds:
                return
            victims = self.living()
            if not victims:
                continue
            victim = chance.choice(victims)
            if number % FREEZE_EACH == 0:
                self._freeze(victim)
            else:
                self.kills += 1
                victim.killed = True
                victim.process.kill()

    def _freeze(self, victim: Life) -> None:
        self.freezes += 1
        victim.process.send_signal(signal.SIGSTOP)
        self.stopping.wait(FROZEN)
        victim.process.send_signal(signal.SIGCONT)
