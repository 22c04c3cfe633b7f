"""In a browser, the page of a task has one shape for each row of `annotations`, whatever its type."""

from collections import defaultdict
from typing import Any

from scalesync.mirror import Mirror
from scalesync.sandbox.validation import TASK_TYPES
from tests.support.chromium import needs_chromium, opened
from tests.support.shown_account import served

pytestmark = needs_chromium

_COUNT = """shapes => shapes.map(each => [each.dataset.task, Number(each.dataset.ordinal)])"""
_COUNT_ALL = """async (addresses) => {
  const found = {};
  const left = Object.entries(addresses);
  const read = async () => {
    for (let next = left.pop(); next; next = left.pop()) {
      const answer = await fetch(next[1]);
      if (answer.status !== 200) throw new Error(`${next[1]}: ${answer.status}`);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      found[next[0]] = [...page.querySelectorAll(".shape[data-task][data-ordinal]")]
        .map((each) => [each.dataset.task, Number(each.dataset.ordinal)]);
    }
  };
  await Promise.all([read(), read(), read()]);
  return found;
}"""
SHAPES = ".shape[data-task][data-ordinal]"


def numbers_by_type(url: str) -> dict[str, dict[str, list[list[Any]]]]:
    """Return what the tables say: task and number of each annotation by task, by type."""
    found: dict[str, dict[str, list[list[Any]]]] = defaultdict(dict)
    mirror = Mirror(url)
    for row in mirror.sql("SELECT task_id, type FROM tasks"):
        found[row["type"]][row["task_id"]] = []
    for row in mirror.sql(
        "SELECT t.type, a.task_id, a.ordinal FROM annotations a JOIN tasks t ON t.task_id = a.task_id"
        " ORDER BY a.task_id, a.ordinal"
    ):
        found[row["type"]][row["task_id"]].append([row["task_id"], row["ordinal"]])
    return found


def test_every_row_of_every_type_is_one_shape(sqlite_account: str) -> None:
    """Of 30 tasks of each type and those of all documented forms; each number once."""
    tasks = numbers_by_type(sqlite_account)
    assert {len(of_type) >= 30 for name, of_type in tasks.items() if name in TASK_TYPES} == {True}
    check_shapes(sqlite_account, {task: rows for of_type in tasks.values() for task, rows in of_type.items()})


def test_postgres_has_the_same_shapes(postgres_account: str) -> None:
    """Of some tasks of each type, those with the most annotations."""
    wanted: dict[str, list[list[Any]]] = {}
    for tasks in numbers_by_type(postgres_account).values():
        wanted |= {task: tasks[task] for task in sorted(tasks, key=lambda each: len(tasks[each]))[-3:]}
    check_shapes(postgres_account, wanted)


def check_shapes(url: str, wanted: dict[str, list[list[Any]]]) -> None:
    """Have a browser read the pages of these tasks, and find the shapes that they should have."""
    with served(url) as server, opened(f"{server.url}queue") as shown:
        found = shown.page.evaluate(_COUNT_ALL, {task: f"/task/{task}" for task in wanted})
    assert {task: sorted(shapes) for task, shapes in found.items()} == wanted


def test_scripts_take_no_shape_away(sqlite_account: str) -> None:
    """Of the task of each type with the most annotations, once its page is there as a whole."""
    with served(sqlite_account) as server, opened(f"{server.url}queue") as shown:
        for tasks in numbers_by_type(sqlite_account).values():
            task = max(tasks, key=lambda each: len(tasks[each]))
            shown.page.goto(f"{server.url}task/{task}", wait_until="domcontentloaded")
            found = shown.page.locator(SHAPES).evaluate_all(_COUNT)
            assert sorted(found) == tasks[task]
            assert shown.page.locator(".scripted .side li.item").count() == len(tasks[task])
