"""_pretty=true: JSON indented for people, every token left as it is.

https://hl7.org/fhir/R4/http.html#parameters
"""

from __future__ import annotations

import re

# Strings first, so that brackets inside them are not seen. The tokens of valid JSON, which is all that comes here.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


def indent(json: bytes) -> bytes:
    """The same JSON text with line breaks and two spaces a level. Numbers keep their digits: nothing is parsed."""
    parts: list[bytes] = []
    level = 0
    previous = b""
    for match in _TOKEN.finditer(json):
        token = match.group()
        if token in (b"}", b"]"):
            level -= 1
            if previous not in (b"{", b"["):
                parts.append(b"\n" + b"  " * level)
        elif previous in (b"{", b"["):
            parts.append(b"\n" + b"  " * level)
        if token in (b"{", b"["):
            level += 1
        parts.append(token)
        if token == b",":
            parts.append(b"\n" + b"  " * level)
        elif token == b":":
            parts.append(b" ")
        previous = token
    return b"".join(parts)
