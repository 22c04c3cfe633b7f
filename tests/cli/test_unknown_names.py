"""A name that nothing here has is said on stderr, with the nearest one known; nothing else changes."""

import json
from pathlib import Path

import pytest

from tests.support.cli_process import Scalesync, execute


def warned(what: str, name: str, meant: str | None) -> str:
    """Return the line that is said."""
    return (
        f"Warning: no {what} {name!r} is known here" + (f": did you mean {meant!r}?" if meant else "") + "\n"
    )


@pytest.fixture
def queued(empty_mirror: Scalesync) -> Scalesync:
    """Return a mirror without tasks, and a queue with a project and a batch."""
    empty_mirror("project", "create", "Night scenes", "--type", "imageannotation", "--params", "{}")
    empty_mirror("batch", "create", "night 1", "--project", "Night scenes")
    return empty_mirror


ORDERS: list[tuple[tuple[str, ...], str]] = [
    (
        ("batch", "create", "x", "--project", "Nigth scenes"),
        warned("project", "Nigth scenes", "Night scenes"),
    ),
    (
        ("batch", "create", "x", "--project", "night scenes"),
        warned("project", "night scenes", "Night scenes"),
    ),
    (("batch", "create", "x", "--project", "Other"), warned("project", "Other", None)),
    (("batch", "create", "x", "--project", "Night scenes"), ""),
    (("batch", "finalize", "nigth 1"), warned("batch", "nigth 1", "night 1")),
    (("batch", "finalize", "night 1"), ""),
    (
        ("project", "update", "Night scene", "--params", "{}"),
        warned("project", "Night scene", "Night scenes"),
    ),
    (
        ("project", "create", "x", "--type", "imageanotation", "--params", "{}"),
        warned("type", "imageanotation", "imageannotation"),
    ),
    (("project", "create", "x", "--type", "quite new", "--params", "{}"), ""),
    (
        ("task", "create", "imageannotations", "a=1", "--batch", "night 2", "project=Night  scenes"),
        warned("batch", "night 2", "night 1")
        + warned("project", "Night  scenes", "Night scenes")
        + warned("type", "imageannotations", "imageannotation"),
    ),
    (("task", "create", "imageannotation", "a=1", "--batch", "night 1"), ""),
]


@pytest.mark.parametrize(("arguments", "said"), ORDERS, ids=[" ".join(order) for order, _ in ORDERS])
def test_a_typo_is_queued_and_said(queued: Scalesync, arguments: tuple[str, ...], said: str) -> None:
    """It may be made elsewhere. The same again says the same; --quiet says nothing."""
    done = queued(*arguments)
    again, quiet = queued(*arguments, "--json"), queued("--quiet", *arguments)

    assert (done.code, done.out, done.err) == (0, "1 command queued: 3\n", said)
    assert (again.code, again.err) == (0, said)
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")


def test_every_line_of_a_file_is_looked_at(queued: Scalesync, tmp_path: Path) -> None:
    """Each name is said once, and no more than five of them one by one."""
    lines = [{"n": number, "batch": f"nigth {number % 7}"} for number in range(20)]
    file = tmp_path / "lines.jsonl"
    file.write_text("\n".join(map(json.dumps, [*lines, {"batch": "night 1"}])))
    done = queued("task", "create", "imageannotation", "--from", str(file))

    assert (done.code, done.out) == (0, "21 commands queued: 3-23\n")
    said = done.err.splitlines(keepends=True)
    assert said[:5] == [warned("batch", f"nigth {number}", "night 1") for number in range(5)]
    assert said[5:] == ["Warning: 2 more are not known here either\n"]


def test_where_nothing_is_known_nothing_is_unknown(empty_mirror: Scalesync) -> None:
    """A queue that begins offline is no reason to warn of each of its names."""
    done = empty_mirror("task", "create", "imageannotation", "a=1", "--project", "P", "--batch", "B")

    assert (done.code, done.err) == (0, "")


def test_what_was_discarded_is_not_known(queued: Scalesync) -> None:
    """A project that will never be made is none."""
    queued("queue", "discard", "1")

    assert queued("batch", "create", "x", "--project", "Night scenes").err == ""
    queued("project", "create", "Rain", "--type", "imageannotation", "--params", "{}")
    said = queued("batch", "create", "y", "--project", "Night scenes").err
    assert said == warned("project", "Night scenes", None)


LISTS: list[tuple[tuple[str, ...], str]] = [
    (("task", "list", "--project", "Street scene"), warned("project", "Street scene", "Street scenes")),
    (("task", "list", "--status", "complete", "--queued"), warned("status", "complete", "completed")),
    (
        ("task", "list", "--type", "imageanotation", "--json"),
        warned("type", "imageanotation", "imageannotation"),
    ),
    (("task", "list", "--customer-review-status", "acepted"), warned("review", "acepted", "accepted")),
    (("task", "list", "--project", "Street scenes", "--limit", "1"), ""),
    (("batch", "list", "--status", "stagin"), warned("batch status", "stagin", "staging")),
    (
        ("batch", "list", "--project", "Recipts 100% done?"),
        warned("project", "Recipts 100% done?", "Receipts 100% done?"),
    ),
    (("project", "list", "--type", "lidaranotation"), warned("type", "lidaranotation", "lidarannotation")),
    (
        ("export", "annotations", "--project", "Street-scenes"),
        warned("project", "Street-scenes", "Street scenes"),
    ),
    (("export", "tasks", "--status", "pendin"), warned("status", "pendin", "pending")),
    (("queue", "list", "--batch", "no such batch"), warned("batch", "no such batch", None)),
]


@pytest.mark.parametrize(("arguments", "said"), LISTS, ids=[" ".join(order) for order, _ in LISTS])
def test_a_typo_in_a_filter_is_said(mirror: Scalesync, arguments: tuple[str, ...], said: str) -> None:
    """The list is as empty as before, and ends with 0."""
    done, quiet = mirror(*arguments), mirror("--quiet", *arguments)

    assert (done.code, done.err.startswith(said) if said else done.err) == (0, True if said else "")
    assert (quiet.code, quiet.out, quiet.err) == (0, done.out, "")


def test_a_batch_that_was_only_queued_for_can_be_listed(queued: Scalesync) -> None:
    """The queue has something of it, whatever it is."""
    queued("task", "create", "imageannotation", "a=1", "--batch", "elsewhere")

    assert queued("queue", "list", "--batch", "elsewhere").err == ""


def test_a_name_that_only_a_refusal_could_say_is_said(mirror: Scalesync) -> None:
    """What is shown or canceled by a wrong name is refused as before, with the nearest name above that."""
    (name,) = execute(mirror.mirror, "SELECT name FROM batches ORDER BY name LIMIT 1")[0]
    for arguments in (("batch", "show", f"{name}x"), ("task", "cancel", "--batch", f"{name}x")):
        done = mirror(*arguments)
        assert (done.code > 0, done.out) == (True, "")
        assert done.err.startswith(f"Warning: no batch {f'{name}x'!r} is known here: did you mean ")
