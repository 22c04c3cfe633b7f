"""Everything a sandbox knows: two accounts, what was asked of them, and what may go wrong."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from scalesync.sandbox.account import KINDS, Account, Mode
from scalesync.sandbox.churn import churn
from scalesync.sandbox.faults import FaultPlan
from scalesync.sandbox.filters import Params
from scalesync.sandbox.options import SandboxOptions
from scalesync.sandbox.persistence import StateFile
from scalesync.sandbox.result_files import RESULTS, addressed
from scalesync.sandbox.seed import seed_account
from scalesync.sandbox.side_effects import Effects
from scalesync.sandbox.task_writes import complete_task, recall_task
from scalesync.sandbox.timestamps import Clock, system_clock, to_millis

MODES: tuple[Mode, Mode] = ("live", "test")

BeforeList = Callable[[str, Params], None]
"""Called with `tasks`, `batches` or `projects` and the query."""


class World:
    """The state of a sandbox. Every method may be called from any thread.

    Whoever goes past these methods to an account's own does so under `locked`.
    """

    def __init__(self, options: SandboxOptions, clock: Clock = system_clock) -> None:
        self.options = options
        self.faults = FaultPlan(options.faults, options.seed)
        self.requests: Counter[str] = Counter()
        """How often each route was asked for, faults included: `GET /tasks`, `POST /task/{id}/cancel`."""
        self.results_url = RESULTS
        """Where the files are that responses name, once the sandbox listens."""
        self.before_list: BeforeList | None = None
        """A test's own hook: called before a list is answered, so that changes can land between pages.

        It runs in the place of the answer, so it must not ask the sandbox over HTTP itself."""
        self._clock = clock
        self._lock = threading.RLock()
        self._state = StateFile(options.state) if options.state else None
        self._churn_rng = random.Random(f"{options.seed}:churn")  # noqa: S311 - repeatable changes, not secrets
        self._accounts: dict[str, Account] = {
            mode: Account(mode, options.switches, now=self.now, seed=options.seed) for mode in MODES
        }
        with self.locked():
            restored = [self._restore(account) for account in self._accounts.values()]
            if options.tasks and not any(restored):
                account = self._accounts[options.seed_mode]
                seed_account(account, tasks=options.tasks, seed=options.seed)
                account.save_all()

    @property
    def live(self) -> Account:
        """The account that live keys see."""
        return self._accounts["live"]

    @property
    def test(self) -> Account:
        """The account that test keys see."""
        return self._accounts["test"]

    @property
    def effects(self) -> Effects:
        """What really happened to the live objects."""
        return self.live.effects

    def account(self, mode: Mode) -> Account:
        """Return the account of a mode."""
        return self._accounts[mode]

    def now(self) -> int:
        """Return the API's clock in milliseconds: the one handed in, plus the skew."""
        return to_millis(self._clock()) + round(self.options.switches.clock_skew * 1000)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep everybody else out; what was written inside is saved by the end."""
        with self._lock:
            try:
                yield
            finally:
                if self._state is not None:
                    self._state.commit()

    def churn(self, changes: int) -> int:
        """Make random changes to the live account as its people might; return how many landed."""
        with self.locked():
            return churn(self.live, self._churn_rng, changes)

    def complete(self, task_id: str) -> None:
        """Let annotators finish a live task. Raises RefusalError 404."""
        with self.locked():
            complete_task(self.live, task_id)

    def recall(self, task_id: str) -> None:
        """Send a completed live task back to pending. Raises RefusalError 404."""
        with self.locked():
            recall_task(self.live, task_id)

    def remove(self, kind: str, name: str) -> None:
        """Make a live task, batch or project vanish. Raises KeyError for one that is not there."""
        with self.locked():
            self.live.remove(kind, name)

    def documents(self, kind: str) -> list[bytes]:
        """Return every live task, batch or project as JSON text, as a plain read gives it."""
        with self.locked():
            return [addressed(text, self.results_url) for text in self.live.documents(kind)]

    def answered(self, text: bytes, account: Account) -> bytes:
        """Return what an account answers, with its files where they are; signed if a switch says so."""
        signed = self.options.switches.presigned_urls == "always"
        return addressed(text, self.results_url, account.read_rng if signed else None)

    def arriving(self, kind: str, params: Params) -> None:
        """Let happen what is to happen before a list is answered."""
        if self.before_list is not None:
            self.before_list(kind, params)
        if kind == "tasks" and self.options.churn_per_page:
            self.churn(self.options.churn_per_page)

    def list_pages(self) -> int:
        """Return how many pages of tasks and batches were asked for."""
        return self.requests["GET /tasks"] + self.requests["GET /batches"]

    def close(self) -> None:
        """Let go of the state file."""
        with self._lock:
            if self._state is not None:
                self._state.close()
                self._state = None

    def _restore(self, account: Account) -> bool:
        """Take up what the state file holds of an account; return whether it held anything."""
        if self._state is None:
            return False
        for kind in ("tasks", *KINDS):
            account.load(kind, self._state.objects(account.mode, kind))
        for row in self._state.effects(account.mode):
            account.effects.restore(*row)
        account.journal = self._state.journal(account.mode)
        account.effects.record = account.journal.effect
        return bool(account.tasks or account.projects)
