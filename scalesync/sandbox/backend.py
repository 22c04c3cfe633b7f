"""Hold the state of a sandbox: its live and test accounts, request counts and planned faults."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from scalesync.sandbox.account import KINDS, AppliedWrites, Mode, SandboxAccount
from scalesync.sandbox.churn import churn
from scalesync.sandbox.faults import FaultPlan
from scalesync.sandbox.filters import Params
from scalesync.sandbox.media import MEDIA, insert_media_urls
from scalesync.sandbox.options import SandboxOptions
from scalesync.sandbox.persistence import PUT_COUNT, StateFile
from scalesync.sandbox.result_files import RESULTS, insert_result_urls
from scalesync.sandbox.seed import seed_account
from scalesync.sandbox.task_writes import complete_task, fix_task, recall_task
from scalesync.sandbox.timestamps import Clock, system_clock, to_millis

MODES: tuple[Mode, Mode] = ("live", "test")

BeforeList = Callable[[str, Params], None]
"""Takes `tasks`, `batches` or `projects`, and the query of the list."""


class Backend:
    """Everything behind the HTTP interface of a sandbox. Each method may be called from any thread.

    The methods of its accounts may not: call those under `locked`.
    """

    def __init__(self, options: SandboxOptions, clock: Clock = system_clock) -> None:
        self.options = options
        self.faults = FaultPlan(options.faults, options.seed)
        self.requests: Counter[str] = Counter()
        """How often each route, such as `POST /task/{id}/cancel`, was requested, with or without a fault."""
        self.results_url = RESULTS
        """The address of the result files, set once the sandbox listens."""
        self.media_url = MEDIA
        """The address of the attachments, likewise."""
        self.before_list: BeforeList | None = None
        """A test's hook, called before each list is answered, so that changes land between pages.

        The server waits for it, so that it must not send a request to the sandbox."""
        self._clock = clock
        # Reentrant, so that methods that lock can be called within a `locked` block.
        self._lock = threading.RLock()
        self._state_file = StateFile(options.state) if options.state else None
        self._churn_rng = random.Random(f"{options.seed}:churn")  # noqa: S311 - repeatable changes, not secrets
        self.live, self.test = (
            SandboxAccount(mode, options.switches, now=self.now, seed=options.seed) for mode in MODES
        )
        with self.locked():
            # Every account is restored, and gets its writer, before any of them may be seeded and saved.
            restored = [self._restore(account) for account in (self.live, self.test)]
            if options.tasks and not any(restored):
                account = self.account(options.seed_mode)
                seed_account(account, tasks=options.tasks, seed=options.seed)

    @property
    def applied(self) -> AppliedWrites:
        """How often each write was applied to each live object."""
        return self.live.applied

    def account(self, mode: str) -> SandboxAccount:
        """Return the account of a mode, live or test."""
        return self.live if mode == "live" else self.test

    def now(self) -> int:
        """Return the API's time in milliseconds since 1970: the clock's, plus the skew."""
        return to_millis(self._clock()) + round(self.options.switches.clock_skew * 1000)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the backend, and commit what was written inside even if an exception ends the block."""
        with self._lock:
            try:
                yield
            finally:
                # A request's objects and counts are in one transaction, committed before its response is
                # sent: what a client was told outlives a kill of the server.
                if self._state_file is not None:
                    self._state_file.commit()

    def churn(self, changes: int) -> int:
        """Make random changes to the live account, and return how many found something to change."""
        with self.locked():
            return churn(self.live, self._churn_rng, changes)

    def complete(self, task_id: str) -> None:
        """Complete a live task as annotators do; raises HttpError 404 for an unknown one."""
        with self.locked():
            complete_task(self.live, task_id)

    def recall(self, task_id: str) -> None:
        """Set a completed live task back to pending; raises HttpError 404 for an unknown one."""
        with self.locked():
            recall_task(self.live, task_id)

    def fix(self, task_id: str) -> None:
        """Correct a live task's response as a reviewer does; raises HttpError 404 for an unknown one."""
        with self.locked():
            fix_task(self.live, task_id)

    def remove(self, kind: str, name: str) -> None:
        """Delete a live task, batch or project without a trace; raises KeyError for an unknown one."""
        with self.locked():
            self.live.remove(kind, name)

    def documents(self, kind: str) -> list[bytes]:
        """Return every live task, batch or project as JSON text, in the order of its list."""
        with self.locked():
            results = (insert_result_urls(text, self.results_url) for text in self.live.documents(kind))
            return [insert_media_urls(text, self.media_url) for text in results]

    def prepare_list(self, kind: str, params: Params) -> None:
        """Call the hook and make the changes that come before each list."""
        if self.before_list is not None:
            self.before_list(kind, params)
        if kind == "tasks" and self.options.churn_per_page:
            self.churn(self.options.churn_per_page)

    def list_pages(self) -> int:
        """Return how many pages of tasks and batches were requested."""
        return self.requests["GET /tasks"] + self.requests["GET /batches"]

    def close(self) -> None:
        """Close the state file; nothing is saved from then on."""
        with self._lock:
            if self._state_file is not None:
                self._state_file.close()
                self._state_file = None

    def _restore(self, account: SandboxAccount) -> bool:
        """Load an account from the state file, and return whether the file held anything of it."""
        if self._state_file is None:
            return False
        for kind in ("tasks", *KINDS):
            account.load(kind, self._state_file.objects(account.mode, kind))
        for row in self._state_file.applied(account.mode):
            account.applied.restore(*row)
        write = account.write = self._state_file.write
        account.applied.on_count = lambda *row: write(PUT_COUNT, (account.mode, *row))
        return bool(account.tasks or account.projects)
