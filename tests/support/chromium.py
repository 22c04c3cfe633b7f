"""A real browser, where one is installed: pages are opened in it, and what it asks for is noted."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
_NOTE_VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`);
});
"""


@dataclass
class OpenedPage:
    """A page in Chromium, and what happened in it."""

    page: "Page"
    requests: list[str] = field(default_factory=list)
    """Everything that was asked for, the page itself first."""
    messages: list[str] = field(default_factory=list)
    """Errors, and what was written to the console."""

    def violations(self) -> list[str]:
        """Return what the content security policy has forbidden."""
        found: list[str] = self.page.evaluate("window.violations")
        return found

    def wait_for_charts(self) -> None:
        """Wait until every chart is drawn, or could not be."""
        self.page.wait_for_selector('html[data-charts="done"]', timeout=30_000)


@contextmanager
def opened(address: str, **options: Any) -> Iterator[OpenedPage]:
    """Open an address in Chromium; `options` are those of a new context, such as `java_script_enabled`."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        context = browser.new_context(**options)
        page = context.new_page()
        shown = OpenedPage(page)
        page.add_init_script(_NOTE_VIOLATIONS)
        page.on("request", lambda request: shown.requests.append(request.url))
        page.on("console", lambda message: shown.messages.append(message.text))
        page.on("pageerror", lambda error: shown.messages.append(str(error)))
        page.goto(address)
        yield shown
        browser.close()
