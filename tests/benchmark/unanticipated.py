"""Change responses at random into forms that no reader anticipates."""

import random
from collections.abc import Iterator
from typing import Any

from scalesync.sandbox.json_codec import Doc

_SYLLABLES = (
    "ba",
    "do",
    "fen",
    "gri",
    "ko",
    "lum",
    "mi",
    "nar",
    "pel",
    "qua",
    "ro",
    "sti",
    "tu",
    "vex",
    "zö",
)
_NAMES = 40
"""Unknown names in an account: systems that write responses repeat theirs."""


class Unanticipated:
    """A random source of changes to responses; all of an account share its unknown names."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(f"{seed}:unanticipated")
        self._names = ["_".join(self._rng.sample(_SYLLABLES, 2)) for _ in range(_NAMES)]

    def change(self, response: Doc) -> None:
        """Add fields of unknown names to a response, at one or two levels, and often change known values."""
        rng = self._rng
        objects = list(_objects(response))[1:]
        top = not objects or rng.random() < 0.5
        if top:
            for _ in range(rng.randint(1, 2)):
                response[rng.choice(self._names)] = self._value(2)
        if objects and (not top or rng.random() < 0.5):
            name = rng.choice(self._names)
            for each in objects if rng.random() < 0.5 else rng.sample(objects, 1):
                each[name] = self._value(1)
        if objects and rng.random() < 0.3:
            self._nest(rng.choice(objects))
        if rng.random() < 0.3:
            _replace_numbers(response)
        if objects and rng.random() < 0.3:
            chosen = rng.choice(objects)
            chosen[rng.choice(list(chosen))] = None

    def _nest(self, given: Doc) -> None:
        """Move a value of an object one level deeper."""
        moved = self._rng.choice(list(given))
        given[moved] = {self._rng.choice(self._names): given[moved]}

    def _value(self, depth: int) -> Any:
        rng = self._rng
        plain = (rng.randint(-5, 900), rng.random() * 100, rng.choice(self._names), None, rng.random() < 0.5)
        if depth and rng.random() < 0.5:
            if rng.random() < 0.3:
                return [self._value(depth - 1) for _ in range(rng.randint(0, 3))]
            return {rng.choice(self._names): self._value(depth - 1) for _ in range(rng.randint(1, 3))}
        return rng.choice(plain)


def _objects(value: object) -> Iterator[Doc]:
    """Yield all objects in a value that have a field, outer ones first."""
    if isinstance(value, dict) and value:
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _objects(inner)


def _replace_numbers(value: Any) -> None:
    """Make all floats in a value whole numbers."""
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        if isinstance(inner, float):
            value[key] = int(inner)
        elif isinstance(inner, dict | list):
            _replace_numbers(inner)
