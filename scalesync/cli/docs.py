"""`scalesync docs`: the documentation, which is installed with the program."""

from pathlib import Path

import click

import scalesync
from scalesync.cli.output import print_data, print_line

FOLDER = Path(scalesync.__file__).parent / "docs"
TOPICS = tuple(sorted(path.stem for path in FOLDER.glob("*.md")))


@click.command()
@click.argument("topic", type=click.Choice(TOPICS), metavar="[TOPIC]", required=False)
def docs(topic: str | None) -> None:
    """Print a page of the documentation, or list the pages.

    TOPIC is the name of a page; without it each is listed with its title.
    """
    if topic is not None:
        print_data(lines_of(topic))
        return
    for each in TOPICS:
        title = next(iter(lines_of(each))).decode().removeprefix("# ")
        print_line(f"{each:<{max(map(len, TOPICS))}}  {title}")


def lines_of(topic: str) -> list[bytes]:
    """Return the lines of a page, without their ends."""
    return (FOLDER / f"{topic}.md").read_bytes().splitlines()


COMMANDS = (docs,)
