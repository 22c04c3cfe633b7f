"""Fork processes from an interpreter that has imported everything, so that each starts at once."""

import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class ForkServer:
    """An interpreter that forks processes on request; both sides speak in lines."""

    process: "subprocess.Popen[str]"

    def send(self, line: str = "") -> None:
        """Send a line to its stdin."""
        assert self.process.stdin is not None
        print(line, file=self.process.stdin, flush=True)

    def receive(self) -> str:
        """Wait for a line from its stdout and return it; empty after its end."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")


@contextmanager
def fork_server(serve: Callable[[], None], *arguments: str) -> Iterator[ForkServer]:
    """Run `serve`, a function of a module, in a new interpreter with these arguments in `sys.argv[1:]`.

    Its stdin is closed at the end of the block, and it must then end with 0.
    """
    code = f"from {serve.__module__} import {serve.__name__}; {serve.__name__}()"
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield ForkServer(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=10) == 0


def fork(work: Callable[[], object]) -> int:
    """Do `work` in a new process, which then ends with 0, or with 1 if it raised; return its process id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        work()
        code = 0
    except BaseException:  # noqa: BLE001 - as the interpreter would end
        traceback.print_exc()
    finally:
        # Not sys.exit: the child must neither run the parent's exit handlers nor read on from its stdin.
        os._exit(code)


def exit_code(child: int) -> int:
    """Wait for the end of a process and return its exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def say(words: str) -> None:
    """Write to stdout past its buffer, which a fork would copy and a kill would lose."""
    os.write(1, words.encode())
