"""Open pages in Chromium and note what they ask for, write, forbid and ask people."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Page, Playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")

_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
_NOTE_VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`);
});
"""


@dataclass
class OpenedPage:
    """A page in Chromium, and what happened in it, also after it led to other pages."""

    page: "Page"
    requests: list[str] = field(default_factory=list)
    """Everything that was asked for, the page itself first."""
    messages: list[str] = field(default_factory=list)
    """Errors, and what was written to the console, which is also where forbidden things are reported."""
    dialogs: list[str] = field(default_factory=list)
    """What scripts asked people, `alert(1)` for example."""

    def violations(self) -> list[str]:
        """Return what the content security policy has forbidden the present page."""
        found: list[str] = self.page.evaluate("window.violations")
        return found

    def wait_for_charts(self) -> None:
        """Wait until every chart is drawn, or could not be."""
        self.page.wait_for_selector('html[data-charts="done"]', timeout=30_000)

    def close_dialog(self, dialog: "Dialog") -> None:
        """Note what was asked, and answer nothing."""
        self.dialogs.append(dialog.message)
        dialog.dismiss()


class _Running(NamedTuple):
    playwright: "Playwright"
    browser: "Browser"


@cache
def _running() -> _Running:
    """Return the one browser of this process, started by its first use."""
    from playwright.sync_api import sync_playwright

    playwright = sync_playwright().start()
    return _Running(playwright, playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS))


def end_browser() -> None:
    """End the browser of this process, if it was ever started."""
    if _running.cache_info().currsize:
        playwright, browser = _running()
        browser.close()
        playwright.stop()
        _running.cache_clear()


@contextmanager
def opened(address: str, **options: Any) -> Iterator[OpenedPage]:
    """Open an address in Chromium; `options` are those of a new context, such as `java_script_enabled`."""
    context = _running().browser.new_context(**options)
    page = context.new_page()
    shown = OpenedPage(page)
    page.add_init_script(_NOTE_VIOLATIONS)
    page.on("request", lambda request: shown.requests.append(request.url))
    page.on("console", lambda message: shown.messages.append(message.text))
    page.on("pageerror", lambda error: shown.messages.append(str(error)))
    page.on("dialog", shown.close_dialog)
    try:
        page.goto(address)
        yield shown
    finally:
        context.close()
