"""Cross-origin requests: which web pages of other origins may call the server, and which headers they may see.

https://hl7.org/fhir/R4/security.html#cors
"""

from __future__ import annotations

from collections.abc import Sequence

ALLOWED_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
# X-Medplum comes with every request of @medplum/core, and X-Requested-With with those of many older clients.
ALLOWED_HEADERS = (
    "Accept, Authorization, Content-Encoding, Content-Type, If-Match, If-Modified-Since, If-None-Exist, "
    "If-None-Match, Prefer, X-Break-Glass-Reason, X-Medplum, X-Purpose-Of-Use, X-Request-Id, X-Requested-With, "
    "X-Security-Context"
)
EXPOSED_HEADERS = (
    "Content-Disposition, Content-Location, ETag, Last-Modified, Location, RateLimit, RateLimit-Policy, Retry-After, "
    "WWW-Authenticate, X-Request-Id, X-Security-Context"
)

_ONE_DAY = "86400"

Headers = list[tuple[str, str]]


def headers(origin: str | None, allowed: Sequence[str]) -> Headers:
    """The headers of an answer to a page of `origin`; none when it is not allowed or it is no such request."""
    if not origin or not ("*" in allowed or origin in allowed):
        return []
    return [
        ("Access-Control-Allow-Origin", "*" if "*" in allowed else origin),
        ("Access-Control-Expose-Headers", EXPOSED_HEADERS),
    ]


def preflight_headers(origin: str | None, allowed: Sequence[str]) -> Headers:
    """The headers of the answer to an OPTIONS request that asks beforehand."""
    granted = headers(origin, allowed)
    if granted:
        granted += [
            ("Access-Control-Allow-Methods", ALLOWED_METHODS),
            ("Access-Control-Allow-Headers", ALLOWED_HEADERS),
            ("Access-Control-Max-Age", _ONE_DAY),
        ]
    return granted
