"""Removes signatures from URLs, so that a link to the same file is the same at every read."""

import re
from hashlib import blake2b

_SIGNATURE_PREFIXES = ("x-amz-", "x-goog-")
"""Beginnings of all parameters of a signature: S3 version 4 and Google."""
_SIGNATURE_PARAMETERS = {
    "signature": frozenset(
        {"signature", "expires", "awsaccesskeyid", "googleaccessid", "key-pair-id", "policy"}
    ),
    "sig": frozenset(
        {"sig", "se", "sp", "sv", "sr", "st", "spr", "sip", "srt", "ss", "si", "ses", "sdd"}
        | {"saoid", "suoid", "scid", "skoid", "sktid", "skt", "ske", "sks", "skv"}
    ),
}
"""Parameters beside a signature, by its name: S3 version 2 and CloudFront; Azure. Alone they are ordinary."""
_SIGNED = re.compile(
    r"""(?:[?&]|\\u0026)(?:x-(?:amz|goog)-[^=&"\s\\]*|signature|sig)(?:=|\\u003d)""", re.IGNORECASE
)
_URL = re.compile(r"""https?:(?:\\?/){2}(?:[^"\\\s]|\\/|\\u0026|\\u003d)*""", re.IGNORECASE)
_USER = re.compile(r"(?<=:)//[^/?]*@")
_ESCAPED = (("\\u0026", "&"), ("\\u003d", "="), ("\\u003D", "="))
"""Escapes of characters of a URL that some JSON encoders write."""


def unsigned_url(url: str) -> str:
    """Return the URL without signature parameters, user and fragment. Never raises.

    Every other parameter stays unchanged and in its place.
    """
    place, mark, query = _USER.sub("//", url.partition("#")[0], count=1).partition("?")
    if not mark:
        return place
    parameters = query.split("&")
    names = [parameter.partition("=")[0].lower() for parameter in parameters]
    dropped = frozenset[str]().union(
        *(beside for sign, beside in _SIGNATURE_PARAMETERS.items() if sign in names)
    )
    kept = [
        parameter
        for name, parameter in zip(names, parameters, strict=True)
        if name not in dropped and not name.startswith(_SIGNATURE_PREFIXES)
    ]
    return f"{place}?{'&'.join(kept)}" if kept else place


def is_signed(response: str | bytes) -> bool:
    """Return whether any URL in a JSON text has a signature."""
    text = response if isinstance(response, str) else _text(response)
    return "?" in text and _SIGNED.search(text) is not None


def without_signatures(text: str) -> str:
    """Return a JSON text with the signatures of its URLs removed."""
    return _URL.sub(_unsigned_match, text)


def unsigned_digest(response: str | bytes) -> str:
    """Return a digest of 32 hex digits of a JSON text, signatures of its URLs ignored."""
    if is_signed(response):
        response = without_signatures(_text(response))
    given = response.encode(errors="surrogatepass") if isinstance(response, str) else response
    return blake2b(given, digest_size=16).hexdigest()


def _unsigned_match(match: re.Match[str]) -> str:
    url = match.group()
    for escape, character in _ESCAPED:
        url = url.replace(escape, character)
    unsigned = unsigned_url(url)
    # A URL without a signature stays as it was written, escapes included.
    return match.group() if unsigned == url else unsigned


def _text(response: str | bytes) -> str:
    return response if isinstance(response, str) else response.decode(errors="replace")
