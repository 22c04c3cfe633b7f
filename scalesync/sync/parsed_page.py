"""Pages with their documents parsed, into rows or into the parameters of the statements that insert them."""

from dataclasses import dataclass

from scalesync.db.mirror.documents import TASKS, to_row
from scalesync.errors import InconsistentPageError
from scalesync.models.api import Page
from scalesync.parsing.row_parser import Row, RowHead
from scalesync.parsing.task_inserts import TaskInserts
from scalesync.sync.parser_client import ParserProcess
from scalesync.sync.streams import Stream
from scalesync.timestamps import format_instant

SHOWN_BYTES = 80
"""Bytes of an object that are shown in an error if it has no key."""


@dataclass(frozen=True, slots=True)
class ParsedPage:
    """A page with its documents parsed: as rows, or as inserts if the mirror is not expected to have them."""

    page: Page
    content: tuple[Row, ...] | TaskInserts
    left_out: tuple[str, ...] = ()
    """Objects that no table can hold, each with the reason."""

    @property
    def heads(self) -> tuple[RowHead, ...]:
        """What decides whether it is accepted, for each document."""
        return self.content.heads if isinstance(self.content, TaskInserts) else self.content

    @property
    def rows(self) -> tuple[Row, ...]:
        """Its documents as rows; if there are inserts, they are parsed again."""
        if isinstance(self.content, TaskInserts):
            return tuple(to_row(TASKS, doc) for doc in self.page.docs)
        return self.content

    @property
    def key_digests(self) -> bytes:
        """The digests of its keys, one after the other."""
        return b"".join([row.key_digest for row in self.heads])


def parse_page(
    stream: Stream, page: Page, parser: ParserProcess | None = None, *, unseen: bool = False
) -> ParsedPage:
    """Return the page with its documents parsed; tasks are parsed by `parser` if it is ready.

    `unseen` tasks, which the mirror is not expected to have, become inserts. Objects that no table can hold
    are left out, one by one. Raises InconsistentPageError if that is all of them: such a page does not answer
    the request.
    """
    if parser and stream.mapping is TASKS and page.docs:
        found = (
            parser.inserts(page.docs, format_instant(page.served_at)) if unseen else parser.parse(page.docs)
        )
        if found:
            return ParsedPage(page, found)
    parsed: list[Row] = []
    left_out: list[str] = []
    for doc in page.docs:
        try:
            parsed.append(to_row(stream.mapping, doc))
        except InconsistentPageError as error:
            left_out.append(
                f"{error.message} It begins with {bytes(doc)[:SHOWN_BYTES].decode(errors='replace')}"
            )
            if len(left_out) == len(page.docs):
                raise
    return ParsedPage(page, tuple(parsed), tuple(left_out))
