"""The house rules, held by machines: types, lint, format, direction of imports, sizes."""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON_FILES = sorted((ROOT / "scalesync").rglob("*.py"))
COMMON_ALIASES = {("pyarrow", "pa"), ("sqlalchemy", "sa")}
LEAVES = {
    "clock.py",
    "export/counts.py",
    "lease_owner.py",
    "models/attachments.py",
    "models/changes.py",
    "models/columns.py",
    "sandbox/errors.py",
}
"""Types and values that import nothing of the package but errors and times."""


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "mypy"],
        ["-m", "ruff", "check"],
        ["-m", "ruff", "format", "--check"],
        ["-c", "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"],
    ],
    ids=["mypy --strict", "ruff check", "ruff format", "import-linter"],
)
def test_the_checker_finds_nothing(command: list[str]) -> None:
    """Each checker runs over the whole project, as pyproject.toml configures it, and exits 0."""
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", PYTHON_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_and_no_function_is_longer_than_the_house_allows(path: Path) -> None:
    """Files have at most 300 lines, functions at most 40 lines of code below their docstring."""
    text = path.read_text()
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    lengths = {node.name: (node.end_lineno or 0) - node.body[0].lineno + 1 for node in functions}

    assert text.count("\n") <= 300
    assert not {name: length for name, length in lengths.items() if length > 40}


def test_no_class_name_is_used_twice() -> None:
    """A class is known by its name, wherever it lies."""
    names = [
        node.name
        for path in PYTHON_FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    ]

    assert [name for name, count in Counter(names).items() if count > 1] == []


def test_nothing_is_imported_under_another_name() -> None:
    """But for libraries that everybody calls so: names that clash are named better instead."""
    renamed = {
        f"{path.relative_to(ROOT)}: {alias.name} as {alias.asname}"
        for path in PYTHON_FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if alias.asname is not None and (alias.name, alias.asname) not in COMMON_ALIASES
    }

    assert renamed == set()


def test_a_file_of_few_lines_is_a_type_that_stands_alone() -> None:
    """Anything else below 50 lines belongs to a noun that has a file already."""
    short = {
        str(path.relative_to(ROOT / "scalesync"))
        for path in PYTHON_FILES
        if path.name not in {"__init__.py", "__main__.py"} and path.read_text().count("\n") < 50
    }

    assert short <= LEAVES


def test_the_hard_places_have_comments() -> None:
    """Three comment lines in a hundred lines of code, over the whole package."""
    comments = code = 0
    for path in PYTHON_FILES:
        text = path.read_text()
        strings = {
            number
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            for number in range(node.lineno, (node.end_lineno or 0) + 1)
        }
        for number, line in enumerate(text.splitlines(), 1):
            comments += line.lstrip().startswith("#")
            code += bool(line.strip()) and not line.lstrip().startswith("#") and number not in strings

    assert comments / code >= 0.03
