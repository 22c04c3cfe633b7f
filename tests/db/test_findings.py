"""The rules of findings find what is wrong, by the view and by the search, and nothing else."""

from collections import Counter, defaultdict
from pathlib import Path
from random import Random
from runpy import run_path
from typing import Any

import pytest
from sqlalchemy import select

from scalesync.db.database import Database
from scalesync.db.export.findings import FindingsQuery
from scalesync.db.export.findings import findings as searched
from scalesync.db.mirror.documents import TASKS
from scalesync.db.mirror.upsert import mark_missing
from scalesync.db.schema.annotations_and_changes import (
    annotations,
    attachments,
    result_files,
    task_files,
    unread_responses,
)
from scalesync.db.schema.findings.query import view
from scalesync.db.schema.findings.rules import RULES
from scalesync.db.schema.mirror import projects, tasks
from scalesync.db.schema.views import VIEWS
from scalesync.models.findings import Finding, FindingRule
from scalesync.models.selection import EVERYTHING, Selection
from tests.support import finding_oracle
from tests.support.commands import NOON, mirror
from tests.support.finding_cases import CASES, FACE, TAXONOMY, box, image

MIGRATIONS = Path(__file__).parents[2] / "migrations" / "versions"
TABLES = (tasks, projects, annotations, attachments, result_files, task_files, unread_responses)


def hold(database: Database, number: int, doc: Any) -> str:
    """Have a mirror hold a task, and return its id."""
    task_id = f"{number:024x}"
    mirror(
        database, "tasks", task_id=task_id, **{name: each for name, each in doc.items() if each is not None}
    )
    return task_id


def by_view(database: Database) -> list[tuple[Any, ...]]:
    """Return the rows of the view, in order."""
    with database.read() as conn:
        return sorted((tuple(row) for row in conn.execute(select(VIEWS["annotation_findings"]))), key=repr)


def by_search(database: Database, *rules: FindingRule, **asked: Any) -> list[tuple[Any, ...]]:
    """Return what a search finds, in its order."""
    query = FindingsQuery(rules or tuple(FindingRule), asked.pop("iou", 0.9), asked.pop("wanted", EVERYTHING))
    with database.read() as conn:
        return [tuple(each) for each in searched(conn, query) if isinstance(each, Finding)]


def by_oracle(database: Database, iou: float = 0.9) -> list[tuple[Any, ...]]:
    """Return what Python finds in the tables, in order."""
    with database.read() as conn:
        rows = {
            str(table.name): [dict(row) for row in conn.execute(select(table)).mappings()] for table in TABLES
        }
    return sorted(finding_oracle.findings(rows, iou), key=repr)


def check(database: Database, iou: float = 0.9) -> list[tuple[Any, ...]]:
    """Return the findings, on which view, search and oracle agree."""
    expected = by_oracle(database, iou)
    if iou == 0.9:
        assert by_view(database) == expected
    assert sorted(by_search(database, iou=iou), key=repr) == expected
    return expected


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule) for rule in FindingRule])
def test_a_rule_finds_ten_that_are_wrong_and_none_of_ten_that_are_right(
    rule: str, database: Database
) -> None:
    """Each in a task of its own, as the API would send it."""
    wrong, right = CASES[rule]
    assert (len(wrong), len(right)) == (10, 10)
    ids = [hold(database, number, doc) for number, doc in enumerate([*wrong, *right], 1)]
    found = check(database)
    of_rule = {row[1] for row in found if row[0] == rule}
    assert [number for number, task_id in enumerate(ids[:10]) if task_id not in of_rule] == []
    assert [number for number, task_id in enumerate(ids[10:]) if task_id in of_rule] == []


def test_all_rules_together(database: Database) -> None:
    """In one mirror, with the overlap asked for; the search is in the order of tasks and annotations."""
    docs = [doc for wrong, right in CASES.values() for doc in (*wrong, *right)]
    for number, doc in enumerate(docs, 1):
        hold(database, number, doc)
    found = check(database)
    assert {row[0] for row in found} == set(FindingRule)
    for iou in (0.05, 0.5, 0.8, 1.0):
        check(database, iou)
    order = [(row[1], -1 if row[2] is None else row[2]) for row in by_search(database)]
    assert order == sorted(order)
    for rule in FindingRule:
        assert sorted(by_search(database, rule), key=repr) == [row for row in found if row[0] == rule]


def test_the_taxonomy_is_the_tasks_own_else_that_of_its_project(database: Database) -> None:
    """What a project says holds for tasks that say nothing."""
    mirror(database, "projects", name="p", type="imageannotation", param_history=[{"version": 0, **TAXONOMY}])
    mirror(
        database,
        "projects",
        name="q",
        type="imageannotation",
        param_history=[{"version": 0, "instruction": "Draw."}],
    )
    bus = box(label="bus", attributes={"flying": "yes"})
    hold(database, 1, image(bus, project="p", params={"attachment": "a"}))
    hold(database, 2, image(bus, project="p", params={"objects_to_annotate": ["bus"]}))
    hold(database, 3, image(bus, project="q"))
    hold(database, 4, image(bus, project="nowhere"))
    hold(database, 5, image(bus, project="p"))
    rules = defaultdict(set)
    for rule, task_id, _, detail in check(database):
        rules[int(task_id, 16)].add((rule, detail))
    both = {("unknown_label", "bus"), ("unknown_attribute", "flying")}
    assert rules == {1: both, 5: both}


def test_the_true_size_of_a_picture_comes_first(database: Database) -> None:
    """By its address without a signature, before what the task says of it."""
    address = "https://pictures.example/1.png"
    known = {"width": 100, "height": 100}
    with database.write() as conn:
        conn.execute(attachments.insert().values(url=address, **known))
        conn.execute(attachments.insert().values(url=f"{address}?page=2", width=900, height=900))
        conn.execute(attachments.insert().values(url="https://pictures.example/2.png", error="gone"))
    wide = {"width": 1_000, "height": 1_000}
    far = box(left=200)
    hold(database, 1, image(far, params={"attachment": address, **wide}))
    hold(database, 2, image(far, params={"attachment": f"{address}?X-Amz-Signature=s&X-Amz-Date=d", **wide}))
    hold(database, 3, image(far, params={"attachment": f"{address}?page=2", **known}))
    hold(database, 4, image(far, params={"attachment": "https://pictures.example/2.png", **known}))
    hold(database, 5, image(far, params={"attachment": 5, **known}))
    found = [int(row[1], 16) for row in check(database) if row[0] == "outside_picture"]
    assert found == [1, 2, 4, 5]


def test_filters_reach_the_search_and_missing_tasks_are_in_neither(database: Database) -> None:
    """A filter chooses tasks, a limit findings; tasks that are missing at the API can be asked for."""
    small = box(width=1)
    ids = [
        hold(database, number, image(small, small, project="p" if number % 2 else "q"))
        for number in range(1, 7)
    ]
    with database.write() as conn:
        mark_missing(conn, TASKS, ids[:1], NOON)
    tiny = [row for row in check(database) if row[0] == "tiny"]
    assert {row[1] for row in tiny} == set(ids[1:])
    of_p = by_search(database, FindingRule.TINY, wanted=Selection(project="p"))
    assert of_p == [
        ("tiny", task_id, ordinal, "1.0 x 30.0") for task_id in (ids[2], ids[4]) for ordinal in (0, 1)
    ]
    limited = by_search(database, FindingRule.TINY, wanted=Selection(limit=3))
    assert limited == [row for row in by_search(database) if row[0] == "tiny"][:3]
    assert len(by_search(database, FindingRule.TINY, wanted=Selection(missing=True))) == 12


def test_each_rule_is_declared_once_and_the_migration_has_it() -> None:
    """The view's text is that of the rules, whose names are those of the command, in the same order."""
    made = run_path(str(MIGRATIONS / "0017_annotation_findings.py"))
    assert made["SQLITE"] == view("sqlite")
    assert made["POSTGRES"] == view("postgresql")
    assert [rule.name for rule in RULES] == list(FindingRule)
    assert list(CASES) == list(FindingRule)


def test_boxes_far_apart_in_a_frame_are_compared_with_their_neighbours(database: Database) -> None:
    """Random boxes, many of them nearly copies of others, in a video with few labels and many frames."""
    rng = Random(5)
    frames: list[list[Any]] = []
    for _ in range(12):
        boxes = [
            box(
                rng.uniform(0, 900),
                rng.uniform(0, 900),
                rng.uniform(5, 300),
                rng.uniform(5, 300),
                label=label,
            )
            for label in rng.choices(("a", "b", None), k=14)
        ]
        copies = [
            {
                name: each * rng.uniform(0.97, 1.03) if isinstance(each, float) else each
                for name, each in rng.choice(boxes).items()
            }
            for _ in range(8)
        ]
        frames.append(rng.sample([*boxes, *copies], k=22))
    frames.append(frames[-1])
    hold(database, 1, {"type": "videoannotation", "response": {"annotations": frames}})
    found = Counter(row[0] for row in check(database))
    assert found["overlap"] > 20
    for iou in (0.02, 0.3, 0.7, 0.95):
        check(database, iou)


ODD: tuple[Any, ...] = (
    1e308,
    -1e308,
    5e-324,
    -1e-200,
    2**70,
    10**400,
    0,
    -0.0,
    3,
    2.5,
    "5",
    "",
    True,
    None,
    [],
    {},
    [1],
    {"x": 1},
)
"""Values where a number, a text or a list is expected."""


def odd_task(rng: Random) -> dict[str, Any]:
    """Return a task in which anything may be anything, though most of it is in its place."""

    def any_of(*usual: Any) -> Any:
        return rng.choice(ODD) if rng.random() < 0.15 else rng.choice(usual)

    def number() -> Any:
        return any_of(0, 1, 2, 3, 10, 50.5, 99, 100)

    def listed() -> Any:
        return any_of(
            ["a", "b"],
            ["a", {"choice": "b", "subchoices": ["c", 5]}],
            {"a": {}, "name": "b"},
            [{"name": "a"}],
        )

    def drawn() -> Any:
        kind = any_of("box", "box", "polygon", "line", "cuboid", "ellipse", "point", "of no kind")
        corners = [
            any_of({"x": number(), "y": number(), "description": rng.choice(list(FACE))})
            for _ in range(rng.randrange(7))
        ]
        place = {name: number() for name in ("left", "top", "width", "height", "x", "y")}
        about = {"label": any_of("a", "b", "c", "name", "box"), "rotation": any_of(0, None, 1)}
        attributes = any_of(None, {"a": any_of("a", "b", ["a", "z", 1]), "q": any_of("x")}, ["a"])
        return any_of({"type": kind, "vertices": any_of(corners), "attributes": attributes, **place, **about})

    params = {
        "width": number(),
        "height": number(),
        "attachment": any_of("https://pictures.example/1.png", "x?sig=1"),
        "geometries": any_of(
            None, {"box": {"objects_to_annotate": listed()}, "line": {}}, [{"objects_to_annotate": listed()}]
        ),
        "labels": any_of(None, listed()),
        "annotation_attributes": any_of(None, {"a": {"choices": listed()}, "b": listed()}, listed()),
    }
    return {
        "type": any_of("imageannotation", "polygonannotation", "cuboidannotation"),
        "status": any_of("completed", "pending"),
        "params": any_of({name: each for name, each in params.items() if rng.random() < 0.7}),
        "metadata": any_of({"width": number(), "height": number()}),
        "response": any_of({"annotations": any_of([drawn() for _ in range(rng.randrange(6))])}),
    }


@pytest.mark.parametrize("seed", range(4))
def test_anything_is_judged_alike(seed: int, database: Database) -> None:
    """Any value in the place of a number, a text or a list gives no error, and one answer."""
    rng = Random(seed)
    for number in range(1, 150):
        hold(database, number, odd_task(rng))
    assert len(check(database)) > 100
