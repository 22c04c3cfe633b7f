"""The house rules of the command line."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import scalesync.cli
from scalesync.cli.main import cli

HEAVY = ("sqlalchemy", "alembic", "requests", "starlette", "uvicorn", "rich")
FILES = sorted(Path(scalesync.cli.__file__).parent.glob("*.py"))


def commands(group: click.Group = cli, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command with the words that call it."""
    yield path, group
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        else:
            yield (*path, name), command


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_command_is_parse_one_call_print(path: Path) -> None:
    """No function that click calls has more than 15 lines below its docstring."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and any("command" in ast.dump(d) for d in node.decorator_list):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            assert (body[-1].end_lineno or 0) - body[0].lineno + 1 <= 15, node.name


def test_help_loads_nothing_heavy() -> None:
    """Neither database nor HTTP libraries, so that help comes at once."""
    program = (
        "import sys\n"
        "from scalesync.cli.main import cli\n"
        "cli(['sync', '--help'], standalone_mode=False)\n"
        f"print([name for name in {HEAVY} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("path", "command"),
    list(commands()),
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_every_command_and_option_explains_itself(path: tuple[str, ...], command: click.Command) -> None:
    """Each has a help text, short enough for the list of commands, and a variable named as it is."""
    context = click.Context(command, info_name=" ".join(path))
    options = [param for param in command.params if isinstance(param, click.Option) and not param.hidden]

    assert command.help
    assert not path or not command.get_short_help_str(60).endswith("...")
    assert [option.name for option in options if not option.help] == []
    for option in options:
        named = max(option.opts, key=len).removeprefix("--").replace("-", "_")
        assert (named, True) == (option.name, named in command.get_help(context).replace("-", "_"))
