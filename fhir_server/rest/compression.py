"""Answers gzipped for clients that take it.

https://hl7.org/fhir/R4/http.html#general
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from functools import lru_cache

SMALLEST = 1024
"""Shorter bodies go out as they are: gzip would save less than a network packet."""

# 1 of 9: searchsets shrink to about a fifth with it; higher levels cost several times the processor for a few percent.
_LEVEL = 1


_TEXTUAL = ("text/", "application/fhir+", "application/json", "application/xml")


def compress(body: bytes, accept_encoding: str | None, content_type: str) -> bytes | None:
    """`body` gzipped, or None when it is short or no text, or the client does not take gzip."""
    if accept_encoding and len(body) > SMALLEST and content_type.startswith(_TEXTUAL) and takes_gzip(accept_encoding):
        return gzip.compress(body, _LEVEL, mtime=0)
    return None


def stream(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces of a body as one gzip member."""
    compressing = zlib.compressobj(_LEVEL, wbits=16 + zlib.MAX_WBITS)
    for piece in pieces:
        yield compressing.compress(piece)
    yield compressing.flush()


@lru_cache(maxsize=64)
def takes_gzip(accept_encoding: str) -> bool:
    """Whether an Accept-Encoding header allows gzip."""
    taken = {}
    for part in accept_encoding.lower().split(","):
        coding, _, parameter = part.partition(";")
        quality = parameter.replace(" ", "")
        taken[coding.strip()] = quality not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return taken.get("gzip", taken.get("*", False))
