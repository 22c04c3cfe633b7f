"""Bad days on request: which faults strike, how often and where."""

import random
import re
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase


class FaultKind(StrEnum):
    """What a fault does to a request."""

    STATUS = "status"
    """Answers this HTTP status without doing anything; 520 to 530 with HTML, as Cloudflare does."""
    RESET = "reset"
    """Resets the connection without an answer and without doing anything."""
    TRUNCATE = "truncate"
    """Does what is asked, but sends half of the body it announced and closes."""
    HTML = "html"
    """Answers 200 with a page of HTML without doing anything."""
    HANG = "hang"
    """Does nothing and does not answer until the client goes, or after `seconds` (60) drops it."""
    TRICKLE = "trickle"
    """Does what is asked and sends the body one byte every `seconds` (0.05)."""
    APPLIED_THEN_DROPPED = "applied-then-dropped"
    """Applies a write, then resets the connection in the place of the answer."""
    APPLIED_THEN_500 = "applied-then-500"
    """Applies a write, then answers 500 (documented as a known trap of creates)."""
    APPLIED_LATE = "applied-late"
    """Answers a write with 504 at once and applies it after `seconds` (1)."""
    LATENCY = "latency"
    """Holds every request back for `seconds`."""


LONGEST = 86_400.0
"""Seconds that a fault may be asked to last: a day."""

WRITES_ONLY = frozenset({FaultKind.APPLIED_THEN_DROPPED, FaultKind.APPLIED_THEN_500, FaultKind.APPLIED_LATE})

_SECONDS = {FaultKind.HANG: 60.0, FaultKind.TRICKLE: 0.05, FaultKind.APPLIED_LATE: 1.0}


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of bad day."""

    kind: FaultKind
    chance: float
    """From 0 to 1, drawn for each request."""
    status: int = 0
    retry_after: float = 1
    """Seconds that a 429 asks to wait, if it says so at all."""
    seconds: float = 0.0
    times: int | None = None
    """How often it strikes at most; None: as often as drawn."""
    method: str = ""
    path: str = ""
    """A pattern as of a shell on the path behind /v1, such as `/task/*/cancel`."""
    text: str = ""
    """The fault as it was asked for."""

    def concerns(self, method: str, path: str) -> bool:
        """Whether a request is one that this fault may strike."""
        if self.kind in WRITES_ONLY and method == "GET":
            return False
        return (not self.method or self.method == method) and (not self.path or fnmatchcase(path, self.path))


def parse_fault(text: str) -> Fault:
    """Return the fault of `KIND[:CHANCE%][:NAME=VALUE]...[@[METHOD] [PATH]]`. Raises ValueError.

    KIND is a status or one of `FaultKind`; without a chance it strikes 2 % of the requests, and
    `latency:40ms` all of them. Names are `times`, `seconds` and, for 429, `retry-after`.
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
    if match := re.fullmatch(r"([\d.]+)%", part, re.ASCII):
        return replace(fault, chance=_number(match[1], text) / 100)
    if match := re.fullmatch(r"([\d.]+)ms", part, re.ASCII):
        return replace(fault, seconds=_number(match[1], text) / 1000)
    if match := re.fullmatch(r"(times|seconds|retry-after)=([\d.]+)", part, re.ASCII):
        value = _number(match[2], text)
        if match[1] == "times":
            if not value.is_integer():
                raise ValueError(f'fault "{text}" strikes a whole number of times')
            return replace(fault, times=int(value))
        return replace(fault, seconds=value) if match[1] == "seconds" else replace(fault, retry_after=value)
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


def _number(digits: str, text: str) -> float:
    try:
        return float(digits)
    except ValueError as error:
        raise _unreadable(text) from error


def _unreadable(text: str) -> ValueError:
    kinds = ", ".join(kind for kind in FaultKind if kind is not FaultKind.STATUS)
    return ValueError(f'fault "{text}" is not KIND:CHANCE% with KIND a status or one of {kinds}')


class FaultPlan:
    """Draws, in the order of the requests, which fault strikes each; repeatable for a seed."""

    def __init__(self, faults: Iterable[str], seed: int) -> None:
        self._lock = threading.Lock()
        self._rng = random.Random(f"{seed}:faults")  # noqa: S311 - repeatable faults, not secrets
        self.struck: Counter[str] = Counter()
        """How often each fault struck, by the text it was asked for."""
        self._faults: tuple[Fault, ...] = ()
        self.replace(faults)

    def replace(self, faults: Iterable[str]) -> None:
        """From now on let these faults strike and no others. Raises ValueError for an unreadable one."""
        parsed = tuple(parse_fault(text) for text in faults)
        with self._lock:
            self._faults = parsed
            self._left = [fault.times for fault in parsed]

    def draw(self, method: str, path: str) -> tuple[Fault, ...]:
        """Return what strikes a request: any latencies and at most one other fault."""
        with self._lock:
            latencies: list[Fault] = []
            others: list[Fault] = []
            for number, fault in enumerate(self._faults):
                if not fault.concerns(method, path) or self._rng.random() >= fault.chance:
                    continue
                if self._left[number] == 0 or (others and fault.kind is not FaultKind.LATENCY):
                    continue
                self._use(number)
                (latencies if fault.kind is FaultKind.LATENCY else others).append(fault)
            return (*latencies, *others)

    def _use(self, number: int) -> None:
        left = self._left[number]
        if left is not None:
            self._left[number] = left - 1
        self.struck[self._faults[number].text] += 1
