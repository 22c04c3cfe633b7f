"""Threads of a process write to an SQLite file in turn."""

import threading
import time

from scalesync.db.sqlite import WriteLock


def test_a_turn_is_one_threads_own() -> None:
    """Nobody else has it before it is given back."""
    turns, seen = WriteLock(10), list[int]()

    def write(number: int) -> None:
        with turns.held(when=True):
            seen.append(number)
            time.sleep(0.001)
            seen.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert seen == [number for number in seen[::2] for _ in range(2)]


def test_who_has_waited_long_enough_goes_on_without_a_turn() -> None:
    """What keeps the turn stops nobody for good, and whoever needs none does not wait for it."""
    turns = WriteLock(0.01)
    with turns.held(when=True), turns.held(when=True), turns.held(when=False):
        pass
    with turns.held(when=True):
        assert not turns._lock.acquire(blocking=False)  # noqa: SLF001 - the turn that was missed was not kept
