"""Splits: where a task belongs depends on its id and the shares, and on nothing else."""

from collections import Counter

import pytest

from scalesync.errors import ConfigurationError
from scalesync.export.splits import Splits, parse_splits

IDS = [f"{n:024x}" for n in range(20_000)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.8,0.1,0.1", Splits(0.8, 0.1, 0.1)),
        ("8, 2", Splits(8, 2, 0)),
        ("1", Splits(1, 0, 0)),
        ("train=80,val=10,test=10", Splits(80, 10, 10)),
        (" test = 1 , train = 3 ", Splits(3, 0, 1)),
        ("0,0,1e3", Splits(0, 0, 1000)),
    ],
)
def test_shares_are_read_in_both_forms(text: str, expected: Splits) -> None:
    """In order, or by name in any order; what is not named has no share."""
    assert parse_splits(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", ",", "x", "0.8;0.2", "-1,2", "nan", "inf", "1e400", "0", "0,0,0", "1,2,3,4", "train=1,train=2",
        "dev=1", "train", "train=", "=1", "train=1,2", "1,val=2", "train=0", "1,,1", "0x10", "train=1,x=1",
    ],
)  # fmt: skip
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    """In one sentence."""
    with pytest.raises(ConfigurationError) as refused:
        parse_splits(text)
    assert refused.value.advice == "Write for example 0.8,0.1,0.1 or train=80,val=10,test=10."


def test_tasks_are_divided_by_the_shares() -> None:
    """Within a percent of many, and none is in a split without a share."""
    counted = Counter(Splits(80, 15, 5).of(each) for each in IDS)
    for name, share in (("train", 0.8), ("val", 0.15), ("test", 0.05)):
        assert abs(counted[name] / len(IDS) - share) < 0.01
    assert {Splits(0, 0, 1).of(each) for each in IDS} == {"test"}
    assert {Splits(1, 0, 1e-9).of(each) for each in IDS} == {"train"}


def test_a_task_stays_where_it_is() -> None:
    """From one version to the next, too: these are written down. Shares need not add up to 1."""
    found = [Splits().of(f"{n:024x}") for n in range(12)]
    assert found == [Splits(80, 10, 10).of(f"{n:024x}") for n in range(12)]
    assert " ".join(found) == "train train val train train train train train test train train train"
