"""Divide the pictures of a dataset into train, val and test, the same way at every export."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate

from scalesync.errors import ConfigurationError

NAMES = ("train", "val", "test")
"""The splits that trainers look for, in the order in which shares are written."""

_MAX_SHARE = 1e9
_ADVICE = "Write for example 0.8,0.1,0.1 or train=80,val=10,test=10."


@dataclass(frozen=True, slots=True)
class Splits:
    """The shares of train, val and test, which need not add up to 1."""

    train: float = 0.8
    val: float = 0.1
    test: float = 0.1

    def used(self) -> tuple[str, ...]:
        """Return the names of the splits that have a share."""
        return tuple(name for name in NAMES if getattr(self, name))

    def of(self, task_id: str) -> str:
        """Return the split of a task, which depends on its id and the shares only."""
        # A hash of the id alone: more tasks, fewer or others move none from one split to another.
        digest = blake2b(task_id.encode(errors="surrogatepass"), digest_size=8).digest()
        names = self.used()
        ends = [*accumulate(float(getattr(self, name)) for name in names)]
        place = int.from_bytes(digest, "big") / 2**64 * ends[-1]
        return next((name for name, end in zip(names, ends, strict=True) if place < end), names[-1])


def parse_splits(text: str) -> Splits:
    """Return the splits that a text such as `0.8,0.1,0.1` or `train=80,val=20` describes.

    Raises ConfigurationError for a text of another form, and if no split has a share.
    """
    given = dict(_shares(text))
    splits = Splits(**{name: given.get(name, 0.0) for name in NAMES})
    if not splits.used():
        raise ConfigurationError(f"No split of {text!r} has a share.", advice=_ADVICE)
    return splits


def _shares(text: str) -> Iterator[tuple[str, float]]:
    parts = [part.strip() for part in text.split(",")]
    named = [part.partition("=") if "=" in part else None for part in parts]
    names = [NAMES[number] if pair is None else pair[0].strip() for number, pair in enumerate(named[:3])]
    is_of_one_form = None not in named or not any(named)
    if len(parts) > len(NAMES) or not is_of_one_form or len({*names} & {*NAMES}) < len(parts):
        raise ConfigurationError(f"{text!r} is no division into train, val and test.", advice=_ADVICE)
    for name, part, pair in zip(names, parts, named, strict=True):
        yield name, _share(part if pair is None else pair[2])


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    # Not a number fails every comparison.
    if not 0 <= share <= _MAX_SHARE:
        raise ConfigurationError(f"{text!r} is no share from 0 to 1,000,000,000.", advice=_ADVICE)
    return share
