"""Addresses without their signatures: the same file at every read."""

import re
from hashlib import blake2b

_ALWAYS = ("x-amz-", "x-goog-")
"""How every parameter of a signature begins, of S3 since its version 4 and of Google."""
_BESIDE = {
    "signature": frozenset(
        {"signature", "expires", "awsaccesskeyid", "googleaccessid", "key-pair-id", "policy"}
    ),
    "sig": frozenset(
        {"sig", "se", "sp", "sv", "sr", "st", "spr", "sip", "srt", "ss", "si", "ses", "sdd"}
        | {"saoid", "suoid", "scid", "skoid", "sktid", "skt", "ske", "sks", "skv"}
    ),
}
"""What a signature brings along: of S3 version 2 and CloudFront, of Azure. Alone, they are ordinary words."""
_SIGNED = re.compile(
    r"""(?:[?&]|\\u0026)(?:x-(?:amz|goog)-[^=&"\s\\]*|signature|sig)(?:=|\\u003d)""", re.IGNORECASE
)
_URL = re.compile(r"""https?:(?:\\?/){2}(?:[^"\\\s]|\\/|\\u0026|\\u003d)*""", re.IGNORECASE)
_USER = re.compile(r"(?<=:)//[^/?]*@")
_ESCAPED = (("\\u0026", "&"), ("\\u003d", "="), ("\\u003D", "="))
"""How some write the marks of an address in JSON."""


def unsigned_url(url: str) -> str:
    """Return the address without a signature in its query, without a user and without its fragment.

    Every other parameter stays, in its place and as it is written. Never raises.
    """
    place, mark, query = _USER.sub("//", url.partition("#")[0], count=1).partition("?")
    if not mark:
        return place
    parameters = query.split("&")
    names = [parameter.partition("=")[0].lower() for parameter in parameters]
    dropped = frozenset[str]().union(*(beside for sign, beside in _BESIDE.items() if sign in names))
    kept = [
        parameter
        for name, parameter in zip(names, parameters, strict=True)
        if name not in dropped and not name.startswith(_ALWAYS)
    ]
    return f"{place}?{'&'.join(kept)}" if kept else place


def is_signed(response: str | bytes) -> bool:
    """Return whether any address in this JSON text carries a signature."""
    text = _text(response)
    return "?" in text and _SIGNED.search(text) is not None


def without_signatures(text: str) -> str:
    """Return a JSON text with the addresses in it without their signatures."""
    return _URL.sub(_unsigned_match, text)


def unsigned_digest(response: str | bytes) -> str:
    """Return 32 hex digits that differ where the JSON text does, signatures in its addresses left out."""
    if is_signed(response):
        response = without_signatures(_text(response))
    given = response.encode(errors="surrogatepass") if isinstance(response, str) else response
    return blake2b(given, digest_size=16).hexdigest()


def _unsigned_match(match: re.Match[str]) -> str:
    url = match.group()
    for escape, mark in _ESCAPED:
        url = url.replace(escape, mark)
    kept = unsigned_url(url)
    return match.group() if kept == url else kept


def _text(response: str | bytes) -> str:
    return response if isinstance(response, str) else response.decode(errors="replace")
