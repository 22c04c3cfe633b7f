"""Annotators at work while the sandbox runs."""

import random
import threading

from scalesync.sandbox.churn import annotate
from scalesync.sandbox.state import World


class Annotator:
    """Completes pending live tasks on a thread of its own, and recalls or fixes a few."""

    def __init__(self, world: World, rate: float) -> None:
        self._world = world
        self._rate = rate
        self._rng = random.Random(f"{world.options.seed}:annotator")  # noqa: S311 - repeatable changes, not secrets
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to work, `rate` tasks per second; a rate of 0 does nothing."""
        if self._rate > 0:
            self._thread = threading.Thread(target=self._work, name="annotator", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Put the pen down; on return nothing changes any more."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while not self._stopping.wait(1 / self._rate):
            with self._world.locked():
                annotate(self._world.live, self._rng)
