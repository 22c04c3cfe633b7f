"""A line broken by hand is noticed: the tests named for it fail, and for no other reason than that line.

The suite breaks a few; `SCALESYNC_MUTATIONS=all` breaks all of them.
"""

import os

import pytest

from tests.mutations.mutated_copy import ROOT, MutatedCopy, Variant
from tests.mutations.variants import VARIANTS

ALL = os.environ.get("SCALESYNC_MUTATIONS") == "all"
CHOSEN = (
    "the watermark moves although a window failed",
    "equal times do not refresh",
    "an older copy overwrites",
    "what comes back stays missing",
    "the token is saved in a transaction before its page's rows",
    "bounds are not widened",
    "the fence is not checked",
    "rows are not counted against the total",
)
TRIED = VARIANTS if ALL else [variant for variant in VARIANTS if variant.name in CHOSEN]


@pytest.fixture(scope="session")
def mutated_copy(tmp_path_factory: pytest.TempPathFactory) -> MutatedCopy:
    """Return a copy of the project to break lines in."""
    return MutatedCopy.at(tmp_path_factory.mktemp("copy") / "project")


@pytest.mark.parametrize("variant", TRIED, ids=lambda variant: variant.name)
def test_a_broken_line_is_noticed(mutated_copy: MutatedCopy, variant: Variant) -> None:
    """Each test named for it fails, by an assertion or an error in its own course, in the broken copy."""
    with mutated_copy.broken(variant):
        code, became, printed = mutated_copy.run(variant.tests)

    failed = {node for node, outcome in became.items() if outcome == "failed"}
    missed = [test for test in variant.tests if not any(node.startswith(test) for node in failed)]
    assert (code, missed, set(became.values()) - {"failed", "passed"}) == (1, [], set()), printed


def test_nothing_is_noticed_where_nothing_is_broken(mutated_copy: MutatedCopy) -> None:
    """In the copy as it is the same tests pass, so that it is the broken line that they fail for."""
    tests = sorted({test for variant in TRIED for test in variant.tests})
    code, became, printed = mutated_copy.run(tests)

    assert (code, set(became.values())) == (0, {"passed"}), printed
    assert [test for test in tests if not any(node.startswith(test) for node in became)] == []


def test_every_variant_fits_the_code_as_it_is() -> None:
    """Its line is there, it is another one when broken, and no two variants break it alike."""
    for variant in VARIANTS:
        text = (ROOT / "scalesync" / variant.file).read_text()
        assert variant.applied(text) != text
    assert len({variant.name for variant in VARIANTS}) == len(VARIANTS)
    assert {variant.name for variant in VARIANTS} >= set(CHOSEN)
