"""Who may read the pages, and what every answer carries."""

import socket
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
import requests
from sqlalchemy import insert

from scalesync.db.database import Database
from scalesync.db.schema.annotations_and_changes import attachments
from scalesync.errors import ConfigurationError
from scalesync.mirror import Mirror
from scalesync.web.safety import HEADERS, Access
from scalesync.web.server import PagesServer
from tests.support.commands import NOON
from tests.support.pages import Browser

TOKEN = "t" * 32


@pytest.fixture
def locked(sqlite_url: str) -> Iterator[Browser]:
    """Return a browser over pages that need a token."""
    made = Browser(sqlite_url, Access("127.0.0.1", TOKEN, "scalesync_8400"))
    yield made
    made.close()


@pytest.mark.parametrize(
    "address", ["/", "/tasks", "/tasks.json", "/tasks.csv", "/none", "/static/style.css", "/sql?q=x", "/file"]
)
def test_every_answer_carries_the_headers(browser: Browser, address: str) -> None:
    """Also errors and files; nothing from elsewhere runs, and no page is framed."""
    answer = browser.client.get(address)
    assert {name: answer.headers[name] for name in HEADERS} == dict(HEADERS)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("name", ["nope.css", "", "../safety.py", "style.css%00", "vendor"])
def test_a_file_that_is_not_there_is_not_found(browser: Browser, name: str) -> None:
    """Also one outside of the folder."""
    assert browser.client.get(f"/static/{name}").status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_pages_are_only_read(browser: Browser, method: str) -> None:
    """Any other method is refused, on every page."""
    for address in ("/", "/tasks", "/sql?q=SELECT+1", "/static/style.css"):
        assert browser.client.request(method, address).status_code == 405


def test_a_head_has_the_headers_of_its_page(browser: Browser) -> None:
    """And no body."""
    answer = browser.client.head("/tasks")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "localhost.evil:80"])
def test_a_name_that_was_rebound_is_refused(browser: Browser, host: str) -> None:
    """Only this machine's own names are answered."""
    assert browser.client.get("/tasks", headers={"host": host}).status_code == 400
    assert browser.client.get("/tasks", headers={"host": "localhost:8400"}).status_code == 200


def test_pages_of_other_sites_may_link_here_and_no_more(browser: Browser) -> None:
    """What they ask for in the background is refused."""
    background = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    assert browser.client.get("/sql?q=SELECT+1", headers=background).status_code == 403
    link = background | {"sec-fetch-mode": "navigate"}
    assert browser.client.get("/sql?q=SELECT+1", headers=link).status_code == 200


def test_a_token_is_shown_once_and_becomes_a_cookie(locked: Browser) -> None:
    """It leaves the address at once, and scripts and other sites do not get it."""
    assert locked.client.get("/tasks").status_code == 401
    assert locked.client.get("/static/style.css").status_code == 401
    answer = locked.client.get(f"/tasks?status=pending&token={TOKEN}&limit=3")
    assert (answer.status_code, answer.headers["location"]) == (303, "/tasks?status=pending&limit=3")
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith("scalesync_8400=")
    assert {"httponly", "samesite=strict", "path=/"} <= {part.strip() for part in cookie.split(";")}
    locked.client.cookies.set("scalesync_8400", TOKEN)
    assert locked.client.get("/tasks").status_code == 200


@pytest.mark.parametrize("wrong", ["", "x", TOKEN[:-1], TOKEN + "t", "ä" * 32, "%FF", "%00"])
def test_a_wrong_token_opens_nothing(locked: Browser, wrong: str) -> None:
    """Neither in the address nor in the cookie; a redirect leads to no other host."""
    assert locked.client.get(f"/tasks?token={wrong}").status_code == 401
    cookie = f"scalesync_8400={wrong}".encode()
    assert locked.client.get("/tasks", headers={b"cookie": cookie}).status_code == 401
    answer = locked.client.get(f"http://127.0.0.1//evil.example/x?token={TOKEN}")
    assert answer.headers["location"] == "/evil.example/x"


def test_kept_files_are_those_of_attachments_only(
    database: Database, browser: Browser, tmp_path: Path
) -> None:
    """A path that the database names is handed out only if it is the file of its own address."""
    url = "https://example.com/a.png"
    name = sha256(url.encode()).hexdigest()[:40]
    kept, secret = tmp_path / f"{name}.png", tmp_path / "secret.png"
    for path in (kept, secret):
        path.write_bytes(b"\x89PNG")
    stored = {
        url: (kept, "image/png"),
        "https://example.com/b.png": (secret, "image/png"),
        "https://example.com/c.png": (tmp_path / "none", "image/png"),
    }
    with database.write() as conn:
        for address, (path, kind) in stored.items():
            row = {"url": address, "path": str(path), "bytes": 4, "content_type": kind, "checked_at": NOON}
            conn.execute(insert(attachments), row)

    answer = browser.client.get("/file", params={"url": f"{url}?X-Amz-Signature=1"})
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (
        200,
        b"\x89PNG",
        "image/png",
    )
    assert "sandbox" in answer.headers["content-security-policy"]
    for address in ("https://example.com/b.png", "https://example.com/c.png", str(secret), "", "x"):
        assert browser.client.get("/file", params={"url": address}).status_code == 404


def test_a_taken_port_is_one_sentence(sqlite_url: str) -> None:
    """And so is a host that is not this machine's."""
    mirror = Mirror(sqlite_url)
    with (
        PagesServer(mirror, "127.0.0.1", 0, None) as server,
        pytest.raises(ConfigurationError, match=f"cannot be at port {server.port}"),
    ):
        PagesServer(mirror, "127.0.0.1", server.port, None)
    with pytest.raises(ConfigurationError, match="cannot be at"):
        PagesServer(mirror, "203.0.113.7", 0, None)
    with pytest.raises(ConfigurationError, match="cannot be at"):
        PagesServer(mirror, "no such host", 0, None)


def test_pages_are_served_over_http_until_they_are_stopped(database_url: str) -> None:
    """To many at once; then the port is free again, with connections open or not."""
    with PagesServer(Mirror(database_url), "127.0.0.1", 0, None) as server, requests.Session() as session:
        found: list[int] = []

        def ask() -> None:
            found.append(requests.get(f"{server.url}tasks", timeout=20).status_code)

        threads = [threading.Thread(target=ask) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert session.get(f"{server.url}tasks.json", timeout=20).json()["tasks"] == []
        assert found == [200] * 20
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", server.port))
