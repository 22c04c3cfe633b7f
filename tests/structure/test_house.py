"""The house rules, held by machines: types, lint, format, direction of imports, sizes."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON_FILES = sorted((ROOT / "scalesync").rglob("*.py"))


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
