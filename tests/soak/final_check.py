"""The quiet end of a soak: what is left is done, and then looked at."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from scalesync.db.database import Database
from tests.soak.api import Api
from tests.soak.processes import Life, Processes
from tests.soak.submitter import Submitter
from tests.soak.verdict import Check, check_documents, check_effects, check_queue

DISPATCH = ("dispatch", "--json", "--timeout", "4s", "--settle-time", "5s")
TRIES = 30
ANY = frozenset({0, 1, 4, 6, 7})

_COMMANDS = """
SELECT kind, state, outcome, error_code, error, resource, payload ->> 'unique_id' AS unique_id
FROM commands
ORDER BY id
"""


@dataclass
class FinalCheck:
    """A world without faults, people and kills."""

    processes: Processes
    api: Api
    database_url: str
    directory: Path
    submitter: Submitter

    def checks(self) -> Iterator[Check]:
        """Do what is left to do, then yield everything that is to be true."""
        yield self._until_done("sync", ("sync", "--json"))
        yield self._until_done("dispatch", DISPATCH, fine=(0, 7))
        yield self._until_done("sync once more", ("sync", "--json"))
        self.api.say("write", str(self.directory))
        database = Database.open(self.database_url)
        try:
            yield from check_documents(self.directory, database, noticed=False)
            yield self._repair()
            yield from check_documents(self.directory, database, noticed=True)
        finally:
            database.close()
        yield self._proven("verify", ("verify", "--json"))
        yield self._proven("verify --deep", ("verify", "--deep", "--json"))
        commands = self._commands()
        yield from check_effects(self.directory, self.submitter, commands)
        yield from check_queue(commands)

    def _run(self, name: str, arguments: Sequence[str]) -> Life:
        return self.processes.run(name, arguments, ANY)

    def _until_done(self, name: str, arguments: Sequence[str], fine: tuple[int, ...] = (0,)) -> Check:
        """Run it until it ends well, and nothing is open if it is a dispatch."""
        codes = []
        for _ in range(TRIES):
            codes.append(self._run(name, arguments).code)
            if codes[-1] in fine and (arguments is not DISPATCH or not self._open()):
                return Check(f"{name} ends well", f"exit codes {codes}", ok=True)
            time.sleep(2)
        return Check(f"{name} ends well", f"exit codes {codes}", ok=False)

    def _repair(self) -> Check:
        life = self._run("verify --repair", ("verify", "--repair", "--json"))
        told = _told(life)
        return Check(
            "verify --repair heals what was deleted", _summary(life), life.code == 0 and bool(told["proven"])
        )

    def _proven(self, name: str, arguments: Sequence[str]) -> Check:
        life = self._run(name, arguments)
        return Check(f"{name} proves it", _summary(life), life.code == 0 and bool(_told(life)["proven"]))

    def _open(self) -> int:
        return sum(one["state"] in {"queued", "sending", "in_doubt"} for one in self._commands())

    def _commands(self) -> list[dict[str, Any]]:
        with psycopg.connect(self.database_url, row_factory=dict_row) as connection:
            return connection.execute(_COMMANDS).fetchall()


def _told(life: Life) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads(life.out)
    except ValueError:
        return {"proven": False, "drift": [], "requests": None}
    return told


def _summary(life: Life) -> str:
    told = _told(life)
    seconds = life.ended - life.began
    return (
        f"exit {life.code}, {told.get('requests')} requests, "
        f"drift {len(told.get('drift') or ())}, {seconds:.1f} s"
    )
