"""ETag and the conditional headers: If-Match, If-None-Match, If-Modified-Since.

https://hl7.org/fhir/R4/http.html#concurrency and https://hl7.org/fhir/R4/http.html#cread
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from ..errors import BadRequest
from ..repository import Stored
from .call import Call

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def etag(version: int) -> str:
    """The weak ETag of a version: `W/"3"`."""
    return f'W/"{version}"'


def http_date(moment: datetime) -> str:
    """`moment` (UTC) as an HTTP date, to the second. Half the time of email.utils, and every read needs one."""
    return (
        f"{_DAYS[moment.weekday()]}, {moment.day:02d} {_MONTHS[moment.month - 1]} {moment.year:04d} "
        f"{moment.hour:02d}:{moment.minute:02d}:{moment.second:02d} GMT"
    )


def parse_http_date(header: str | None) -> datetime | None:
    """The moment of an If-Modified-Since header; None when it is absent or no date (RFC 9110: then it is ignored)."""
    if not header:
        return None
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def version_to_match(if_match: str | None) -> int | None:
    """The version an If-Match header names, None without the header. Raises BadRequest when it names no version."""
    if if_match is None:
        return None
    version = _bare(if_match)
    # isdecimal alone would let other scripts' digits pass, which no ETag of ours has.
    if not (version.isascii() and version.isdecimal() and len(version) < 16):
        raise BadRequest(
            'If-Match must name one version, as the ETag of a read gives it: If-Match: W/"3".', code="value"
        )
    return int(version)


def is_unchanged(call: Call, stored: Stored) -> bool:
    """Whether the client of a read already holds this version (304). If-None-Match wins over If-Modified-Since."""
    if call.if_none_match is not None:
        held = [_bare(tag) for tag in call.if_none_match.split(",")]
        return "*" in held or str(stored.version) in held
    if call.if_modified_since is not None:
        # Last-Modified has no fractions, so neither has what the client sends back.
        return stored.updated.replace(microsecond=0) <= call.if_modified_since
    return False


def _bare(tag: str) -> str:
    """`W/"3"`, `"3"` and `3` all name version 3: clients write all of them."""
    return tag.strip().removeprefix("W/").strip('"')
