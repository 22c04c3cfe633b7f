"""Ask the pages as a browser does, and read their HTML as browsers read it."""

from collections.abc import Iterable, Iterator
from typing import Any
from xml.etree.ElementTree import Element

import html5lib
from starlette.testclient import TestClient

from scalesync.mirror import Mirror
from scalesync.web.app import make_app
from scalesync.web.overview_cache import cache_of
from scalesync.web.safety import Access

XHTML = "{http://www.w3.org/1999/xhtml}"


class Browser:
    """The pages over one mirror, without a server."""

    def __init__(self, url: str, access: Access | None = None) -> None:
        """Open the mirror at the URL of its database."""
        self.mirror = Mirror(url).keeping_open()
        app = make_app(self.mirror, access or Access())
        self.client = TestClient(app, base_url="http://127.0.0.1", follow_redirects=False)

    def page(self, address: str, status: int = 200) -> Element:
        """Return the HTML at an address, which must be without an error of form."""
        answer = self.client.get(address)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
        parser = html5lib.HTMLParser(strict=False)
        document: Element = parser.parse(answer.text)
        assert parser.errors == []
        return document

    def json(self, address: str, status: int = 200) -> Any:
        """Return the JSON at an address."""
        answer = self.client.get(address)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
        return answer.json()

    def csv(self, address: str) -> str:
        """Return the CSV at an address."""
        answer = self.client.get(address)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
        return answer.text

    def close(self) -> None:
        """Close the mirror."""
        self.client.close()
        cache_of(self.mirror).wait(60)
        self.mirror.close()


def words(element: Element) -> str:
    """Return the text of an element with single blanks."""
    return " ".join("".join(element.itertext()).split())


def tagged(element: Element, tag: str) -> Iterator[Element]:
    """Yield the elements of HTML with this tag."""
    return element.iter(f"{XHTML}{tag}")


def links(element: Element, rel: str | None = None) -> list[str]:
    """Return the addresses that an element links to."""
    return [each.get("href", "") for each in tagged(element, "a") if rel is None or each.get("rel") == rel]


def of_class(element: Element, name: str) -> list[Element]:
    """Return the elements of a class, those of SVG included."""
    return [each for each in element.iter() if name in (each.get("class") or "").split()]


def rows(element: Element) -> list[list[str]]:
    """Return the cells of every row below a table's head."""
    bodies: Iterable[Element] = tagged(element, "tbody")
    return [[words(cell) for cell in tagged(row, "td")] for body in bodies for row in tagged(body, "tr")]
