"""The README and the pages of the documentation, taken apart: their commands, queries and tables."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "scalesync" / "docs").glob("*.md"))]
TEXT = "\n".join(path.read_text() for path in PAGES)
PROSE = re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)
"""All but the blocks of code."""


@dataclass(frozen=True)
class Block:
    """A fenced block of code."""

    language: str
    code: str
    marker: str
    """The comment right above it, "" if there is none."""


BLOCKS = [
    Block(language, code, marker)
    for marker, language, code in re.findall(r"(?:<!-- (.+?) -->\n)?```(\w+)\n(.*?)```", TEXT, re.DOTALL)
]


def blocks(language: str) -> list[str]:
    """Return the code of every block in a language that has no marker."""
    return [block.code for block in BLOCKS if block.language == language and not block.marker]


def answered() -> list[tuple[str, str]]:
    """Return every query that has its answer below it, with that answer."""
    return re.findall(r"```sql\n([^`]*)```\n\n```text\n([^`]*)```", TEXT)


def marked(marker: str) -> str:
    """Return the code of the one block below a marker."""
    (code,) = [block.code for block in BLOCKS if block.marker == marker]
    return code


def table_rows(heading: str) -> list[list[str]]:
    """Return the cells of the table under a heading that only one page has, without its head."""
    (section,) = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", TEXT, re.DOTALL | re.MULTILINE)
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def spans(text: str) -> list[str]:
    """Return what stands in backticks."""
    return re.findall(r"`([^`]+)`", text)
