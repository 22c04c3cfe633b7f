"""Read faults from text, and draw which of them to inject into a request."""

import random
import re
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from math import inf


class FaultKind(StrEnum):
    """What a fault does to a request."""

    STATUS = "status"
    """Answers this HTTP status without doing anything; 520 to 530 with HTML, as Cloudflare does."""
    RESET = "reset"
    """Resets the connection without an answer and without doing anything."""
    TRUNCATE = "truncate"
    """Does what is asked, but sends half of the announced body and closes the connection."""
    HTML = "html"
    """Answers 200 with a page of HTML without doing anything."""
    HANG = "hang"
    """Does nothing and closes the connection without an answer after `seconds` (60)."""
    TRICKLE = "trickle"
    """Does what is asked and sends the body one byte every `seconds` (0.05)."""
    APPLIED_THEN_DROPPED = "applied-then-dropped"
    """Applies a write, then resets the connection instead of an answer."""
    APPLIED_THEN_500 = "applied-then-500"
    """Applies a write, then answers 500 (documented as a known trap of creates)."""
    APPLIED_LATE = "applied-late"
    """Answers a write with 504 at once and applies it after `seconds` (1)."""
    LATENCY = "latency"
    """Delays a request by `seconds`."""


LONGEST = 86_400.0
"""The most seconds that a fault may last: a day."""

WRITES_ONLY = frozenset({FaultKind.APPLIED_THEN_DROPPED, FaultKind.APPLIED_THEN_500, FaultKind.APPLIED_LATE})

_NUMBER = r"(\d+\.?\d*|\.\d+)"

_SECONDS = {FaultKind.HANG: 60.0, FaultKind.TRICKLE: 0.05, FaultKind.APPLIED_LATE: 1.0}


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of fault, how often it is injected, and into which requests."""

    kind: FaultKind
    chance: float
    """From 0 to 1, drawn for each request."""
    status: int = 0
    retry_after: float = 1
    """Seconds in the Retry-After header of a 429."""
    seconds: float = 0.0
    times: int | None = None
    """How often it is injected at most; None: as often as drawn."""
    method: str = ""
    path: str = ""
    """A shell pattern for the path below /v1, such as `/task/*/cancel`; empty for every path."""
    text: str = ""
    """The fault as it was written."""

    def matches(self, method: str, path: str) -> bool:
        """Return whether this fault may be injected into a request; `path` is below /v1."""
        # A read applies nothing: the fault would be counted without its effect.
        if self.kind in WRITES_ONLY and method == "GET":
            return False
        return (not self.method or self.method == method) and (not self.path or fnmatchcase(path, self.path))


def parse_fault(text: str) -> Fault:
    """Parse `KIND[:CHANCE%][:NAME=VALUE]...[@[METHOD] [PATH]]`; raises ValueError for anything else.

    KIND is a status or one of `FaultKind`. Without a chance the fault is injected into 2 % of the
    requests, `latency` into all of them. Names are `times`, `seconds` and, for 429, `retry-after`.
    Examples: `500:2%`, `429:1%:retry-after=2`, `reset`, `hang:100%:seconds=5:times=1@POST /task/*`.
    """
    what, _, where = text.strip().partition("@")
    kind, *parts = (part.strip() for part in what.split(":"))
    fault = _kind_of(kind, text)
    for part in parts:
        fault = _with_part(fault, part, text)
    if fault.kind is FaultKind.LATENCY and not fault.seconds:
        raise _unreadable(text)
    if fault.chance > 1:
        raise ValueError(f'fault "{text}" cannot strike more than 100% of the requests')
    if max(fault.seconds, fault.retry_after) > LONGEST:
        raise ValueError(f'fault "{text}" lasts longer than a day')
    return _with_place(fault, where.split(), text)


def _kind_of(kind: str, text: str) -> Fault:
    if re.fullmatch(r"[2-5]\d\d", kind, re.ASCII):
        return Fault(FaultKind.STATUS, 0.02, status=int(kind), text=text)
    if kind == FaultKind.STATUS or kind not in set(FaultKind):
        raise _unreadable(text)
    found = FaultKind(kind)
    chance = 1.0 if found is FaultKind.LATENCY else 0.02
    return Fault(found, chance, seconds=_SECONDS.get(found, 0.0), text=text)


def _with_part(fault: Fault, part: str, text: str) -> Fault:
    if match := re.fullmatch(rf"{_NUMBER}%", part, re.ASCII):
        return replace(fault, chance=float(match[1]) / 100)
    if match := re.fullmatch(rf"{_NUMBER}ms", part, re.ASCII):
        return replace(fault, seconds=float(match[1]) / 1000)
    if match := re.fullmatch(rf"seconds={_NUMBER}", part, re.ASCII):
        return replace(fault, seconds=float(match[1]))
    if match := re.fullmatch(rf"retry-after={_NUMBER}", part, re.ASCII):
        return replace(fault, retry_after=float(match[1]))
    if match := re.fullmatch(rf"times={_NUMBER}", part, re.ASCII):
        if not float(match[1]).is_integer():
            raise ValueError(f'fault "{text}" strikes a whole number of times')
        return replace(fault, times=int(float(match[1])))
    raise _unreadable(text)


def _with_place(fault: Fault, words: list[str], text: str) -> Fault:
    for word in words:
        if word.startswith("/"):
            fault = replace(fault, path=word)
        elif word in {"GET", "POST", "PUT", "DELETE"}:
            fault = replace(fault, method=word)
        else:
            raise _unreadable(text)
    return fault


def _unreadable(text: str) -> ValueError:
    kinds = ", ".join(kind for kind in FaultKind if kind is not FaultKind.STATUS)
    return ValueError(f'fault "{text}" is not KIND:CHANCE% with KIND a status or one of {kinds}')


class FaultPlan:
    """Draws the faults to inject into each request, the same for the same seed and order of requests."""

    def __init__(self, faults: Iterable[str], seed: int) -> None:
        self._lock = threading.Lock()
        self._rng = random.Random(f"{seed}:faults")  # noqa: S311 - repeatable faults, not secrets
        self.injected: Counter[str] = Counter()
        """How often each fault was injected, by its text."""
        self._faults: tuple[Fault, ...] = ()
        self.replace(faults)

    def replace(self, faults: Iterable[str]) -> None:
        """Inject only these faults from now on; raises ValueError for one that cannot be parsed."""
        # Parsed before anything changes: a list with an error leaves the present faults in force.
        parsed = tuple(parse_fault(text) for text in faults)
        with self._lock:
            self._faults = parsed
            self._left = [inf if fault.times is None else fault.times for fault in parsed]

    def draw(self, method: str, path: str) -> tuple[Fault, ...]:
        """Return the faults to inject into a request: any latencies, then at most one other fault."""
        with self._lock:
            latencies: list[Fault] = []
            others: list[Fault] = []
            for number, fault in enumerate(self._faults):
                # A chance is drawn for every fault that matches, even for one that is used up: so the
                # faults of later requests depend on the seed and not on what was injected before.
                if not fault.matches(method, path) or self._rng.random() >= fault.chance:
                    continue
                if self._left[number] == 0 or (others and fault.kind is not FaultKind.LATENCY):
                    continue
                self._left[number] -= 1
                self.injected[fault.text] += 1
                (latencies if fault.kind is FaultKind.LATENCY else others).append(fault)
            return (*latencies, *others)
