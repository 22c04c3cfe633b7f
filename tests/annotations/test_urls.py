"""The same file at every read: addresses without their signatures."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalesync.annotations.urls import is_signed, unsigned_digest, unsigned_url

PLACE = "https://bucket.s3.amazonaws.com/a%2Fb.json"
SIGNED = {
    "S3, version 4": "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=A%2F1&X-Amz-Date=2"
    "&X-Amz-Expires=43200&X-Amz-Security-Token=T&X-Amz-SignedHeaders=host&X-Amz-Signature={}",
    "S3, version 2": "AWSAccessKeyId=A&Signature={}%3D&Expires=15",
    "CloudFront": "Expires=15&Signature={}~-_&Key-Pair-Id=K",
    "CloudFront with a policy": "Policy=ey&Signature={}&Key-Pair-Id=K",
    "Google": "X-Goog-Algorithm=G&X-Goog-Date=2&X-Goog-Signature={}",
    "Google, older": "GoogleAccessId=a@b&Expires=15&Signature={}",
    "Azure": "sv=2020-08-04&st=1&se=2&sr=b&sp=r&sip=1&spr=https&skoid=1&sig={}",
}


@pytest.mark.parametrize("query", SIGNED.values(), ids=SIGNED)
def test_a_signature_does_not_last(query: str) -> None:
    """An address without its signature is the same at every read, other parameters stay in their order."""
    query = query.format("5f")

    assert unsigned_url(f"{PLACE}?{query}") == PLACE
    assert unsigned_url(f"{PLACE}?b=2&{query}&a=1&a=%20#top") == f"{PLACE}?b=2&a=1&a=%20"


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        (PLACE, PLACE),
        (f"{PLACE}#top", PLACE),
        (f"{PLACE}?", None),
        (f"{PLACE}?versionId=5&expires=never&sp=x&sr=y&Policy=z", None),
        (f"{PLACE}?flag&=&a", None),
        ("http://[", None),
        ("", None),
    ],
)
def test_what_is_no_signature_stays(url: str, kept: str | None) -> None:
    """Words that signatures use too are ordinary parameters where there is no signature."""
    assert unsigned_url(url) == (url if kept is None else kept)


@pytest.mark.parametrize("query", SIGNED.values(), ids=SIGNED)
@pytest.mark.parametrize("mark", ["&", "\\u0026"])
def test_digests_look_past_signatures(query: str, mark: str) -> None:
    """Two reads that differ in signatures only have one digest, the one of a read without any."""

    def text(signature: str, label: str = "sky") -> str:
        url = f"{PLACE}?v=1&{query.format(signature)}" if signature else f"{PLACE}?v=1"
        written = json.dumps({"labeled": {label: [url, f"see {url} there"]}})
        return written.replace("&", mark)

    one, other, changed, unsigned = text("5f"), text("a0"), text("5f", "road"), text("")

    assert unsigned_digest(one) == unsigned_digest(other) == unsigned_digest(unsigned)
    assert unsigned_digest(one) != unsigned_digest(changed)
    assert is_signed(one)
    assert not is_signed(unsigned)
    assert unsigned_digest(one.encode()) == unsigned_digest(one)


@pytest.mark.parametrize("place", [r"https:\/\/a.example\/b", "HTTP://A.EXAMPLE/B"])
def test_digests_know_addresses_however_they_are_written(place: str) -> None:
    """Some write `/` as an escape in JSON, or capitals; a signature is found there all the same."""
    one, other = (f'["{place}?X-Amz-Signature={n}"]' for n in (1, 2))

    assert unsigned_digest(one) == unsigned_digest(other) == unsigned_digest(f'["{place}"]')


@pytest.mark.parametrize("user", ["u@", "u:p@", "u:p@q@"])
def test_a_user_in_an_address_is_not_kept(user: str) -> None:
    """What may be a password stays where it came from; a sign in a path is none."""
    assert unsigned_url(f"https://{user}a.example/b@c?d=e@f") == "https://a.example/b@c?d=e@f"


@given(st.text(), st.text())
def test_digests_tell_texts_apart(one: str, other: str) -> None:
    """Texts have one digest exactly if they are one, as text and as bytes."""
    a, b = json.dumps(one), json.dumps(other)

    assert (unsigned_digest(a) == unsigned_digest(b)) == (a == b)
    assert unsigned_digest(a) == unsigned_digest(a.encode())
    assert len(unsigned_digest(a)) == 32


@given(st.text(st.sampled_from('ahttps:/?&=#%sigx-amz-Signature\\"\ud800 ')))
def test_no_text_is_too_odd(text: str) -> None:
    """Whatever an address holds, it is made lasting once and for all, and nothing is raised."""
    assert unsigned_url(unsigned_url(text)) == unsigned_url(text)
    assert is_signed(text) in {True, False}
    assert len(unsigned_digest(text)) == 32
