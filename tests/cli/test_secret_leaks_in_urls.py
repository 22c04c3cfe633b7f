"""A password in a mistaken address of a database, an API or a proxy is in nothing that anybody sees."""

from itertools import product
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from scalesync.db.url import parse
from scalesync.errors import ConfigurationError
from scalesync.settings import database_url
from tests.support.cli_in_process import in_process
from tests.support.cli_process import Scalesync, scalesync_in

SECRET = "CANARY7f3a"
ODD = [
    sign.join(("pa", SECRET))
    for sign in (
        "@",
        "/",
        "#",
        "?",
        ":",
        "%",
        "&",
        "=",
        " ",
        "+",
        "\\",
        "[",
        "]",
        ",",
        ";",
        "@@",
        "/@",
        "?@",
        "#@",
        ":@",
    )
]
"""Passwords of which nothing is escaped."""
PLACES = (
    "postgresql://app:{}@127.0.0.1:9/d",
    "postgres://app:{}@127.0.0.1:9",
    "postgresql+psycopg://:{}@127.0.0.1:9/d?sslmode=disable",
    "postgresql:/app:{}@127.0.0.1:9/d",
    "postgresql:app:{}@127.0.0.1:9/d",
    "postgresql:///app:{}@127.0.0.1:9/d",
    "postgresql//app:{}@127.0.0.1:9/d",
    "//app:{}@127.0.0.1:9/d",
    "app:{}@127.0.0.1/d",
    "app:{}@127.0.0.1",
    "postgresql:\\\\app:{}@127.0.0.1\\d",
    " postgresql://app:{}@127.0.0.1:9/d",
    "postgresql://app:{}@127.0.0.1:9/d\n",
    "'postgresql://app:{}@127.0.0.1:9/d'",
    "POSTGRESQL://app:{}@127.0.0.1:9/d",
    "postgresqll://app:{}@127.0.0.1:9/d",
    "http://app:{}@127.0.0.1:9/d",
    "jdbc:postgresql://127.0.0.1:9/d?user=app&password={}",
    "jdbc:postgresql://app:{}@127.0.0.1:9/d",
    "postgresql+asyncpg://app:{}@127.0.0.1:9/d",
    "mysql://app:{}@127.0.0.1:9/d",
    "sqlite://app:{}@127.0.0.1:9/d",
    "sqlite:///app:{}@127.0.0.1:9/d",
    "sqlite:app:{}@127.0.0.1:9/d",
    "postgresql://ap/p:{}@127.0.0.1:9/d",
    "postgresql://app@127.0.0.1:{}/d",
    "postgresql://app:{}@[::1]:9/d",
    "postgresql://app:{}@::1/d",
    "postgresql://app:{}@[::1/d",
    "postgresql://app:{}@127.0.0.1:9,127.0.0.2:9/d",
    "postgresql://app:{}@a,b/d",
    "postgresql://app:{}@127.0.0.1:99999/d",
    "postgresql://app:{}@127.0.0.1:nine/d",
    "postgresql://app:{}@host name/d",
    "postgresql://127.0.0.1:9/d?user=app&password={}",
    "postgresql://127.0.0.1:9/d?password={}&password=other",
    "postgresql://app@127.0.0.1:9/d?Password={}",
    "postgresql://app@127.0.0.1:9/d?pwd={}",
    "postgresql://app@127.0.0.1:9/d?sslpassword={}&pgbouncer=true",
    "postgresql://app@127.0.0.1:9/d;password={}",
    "postgresql://app@127.0.0.1:9/d?{}",
    "postgresql://127.0.0.1:9/d?user=app:{}@127.0.0.1",
    "postgresql://127.0.0.1:9/d?dbname=postgresql://app:{}@127.0.0.1/d",
    "postgresql://app%3A{}%40127.0.0.1/d",
    "host=127.0.0.1 port=9 user=app password={} dbname=d",
    "password={}",
    "PGPASSWORD={} psql",
    "user=app;password={};host=127.0.0.1",
)


@pytest.fixture
def patient(tmp_path: Path) -> Scalesync:
    """Return what runs commands with a key, in an empty directory, and gives up soon."""
    keyed = in_process(scalesync_in(tmp_path))
    return keyed.having(
        SCALE_API_KEY="live_1", SCALESYNC_PATIENCE="0", SCALESYNC_API_URL="http://127.0.0.1:9/v1"
    )


@pytest.mark.parametrize("place", PLACES)
def test_a_mistaken_database_url_is_not_repeated(place: str, patient: Scalesync) -> None:
    """Whatever is wrong with it: it is in no message, and no file is made of it."""
    done = patient.having(SCALESYNC_DB=place.format(f"pa@{SECRET}"))("-vv", "init")
    assert done.code in {2, 5}
    assert SECRET not in done.out + done.err
    assert "Traceback" not in done.err
    assert list(patient.directory.rglob("*")) == []


def test_no_password_is_taken_for_another_part_of_an_address() -> None:
    """Every odd sign in every place: refused without a word of it, or taken for the password that it is."""
    taken = 0
    for place, password in product(PLACES, ODD):
        words, address = attempt(place.format(password))
        assert SECRET not in words
        if address is not None:
            taken += 1
            kept = [address.password, address.query.get("password"), address.query.get("sslpassword")]
            assert [one for one in kept if SECRET in str(one)], place
            assert SECRET not in str(address.set(password=None, query={})), place
    assert taken > 100


def attempt(text: str) -> tuple[str, URL | None]:
    """Return what is said of an address that is refused, or else what it is taken for."""
    try:
        return "", parse(database_url(text))
    except ConfigurationError as error:
        return f"{error.message} {error.advice} {error.__cause__}", None


@pytest.mark.parametrize(
    "url",
    [
        "https://app:{}@127.0.0.1:9/v1",
        "https:/app:{}@127.0.0.1:9/v1",
        "app:{}@127.0.0.1/v1",
        "https://app:{}/v1",
        "https://app%3A{}%40127.0.0.1/v1",
        "https://127.0.0.1:9/v1?key={}",
        "https://127.0.0.1:9/v1#{}",
        "https://[{}",
        "ftp://127.0.0.1/{}",
        "{}",
        "https:{}",
        "https://127.0.0.1:{}/v1",
    ],
)
def test_a_mistaken_address_of_the_api_is_not_repeated(url: str, patient: Scalesync) -> None:
    """Neither where it is refused nor where nobody answers; `init` keeps nothing of it."""
    given = patient.having(SCALESYNC_API_URL=url.format(SECRET))
    texts = [f"{done.out}{done.err}" for done in map(given, ("init", "check"))]
    assert not [text for text in texts if SECRET.lower() in text.lower() or "Traceback" in text]
    for path in patient.directory.rglob("*"):
        assert SECRET.encode() not in path.read_bytes()


@pytest.mark.parametrize(
    "proxy",
    [
        "http://app:{}@127.0.0.1:9",
        "http://app:pa@{}@127.0.0.1:9",
        "http://app:pa/{}@127.0.0.1:9",
        "http://app:pa#{}@127.0.0.1:9",
        "http://app:pa?{}@127.0.0.1:9",
        "http://app:{}@[::1",
        "http://app:{}@127.0.0.1:nine",
        "http://app:{}",
        "http:/app:{}@127.0.0.1:9",
        "app:{}@127.0.0.1:9",
        "odd://app:{}@127.0.0.1:9",
        "socks5://app:{}@127.0.0.1:9",
        "http://",
        "http://app:{} @127.0.0.1:9",
    ],
)
def test_the_password_of_a_proxy_is_not_shown(proxy: str, patient: Scalesync) -> None:
    """Nor its mistaken address, in whatever way the libraries fail over it."""
    given = patient.having(
        SCALESYNC_API_URL="https://localhost:9/v1",
        HTTPS_PROXY=proxy.format(SECRET),
        https_proxy=proxy.format(SECRET),
        NO_PROXY="",
        no_proxy="",
    )
    assert given("init").code == 0
    for step in ("check", "sync"):
        done = given("-vv", step)
        text = f"{done.out}{done.err}"
        assert (done.code, SECRET in text, "Traceback" in text) in {(4, False, False), (2, False, False)}, (
            text
        )
