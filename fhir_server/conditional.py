"""What a write is conditional on: the version it expects, the one resource its criteria name.

https://hl7.org/fhir/R4/http.html#concurrency, #ccreate and #cond-update
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from urllib.parse import parse_qsl

from .errors import BadRequest, PreconditionFailed
from .records import Document, new_id, now
from .resource.exact import Resource, parse, same_content


def later_than(previous: Document) -> datetime:
    """Now, and later than the version before: versions of a resource never share or turn round their moments."""
    earlier: datetime = previous["t"]
    return max(now(), earlier + timedelta(milliseconds=1))


def check_version(type: str, id: str, current: Document | None, if_match: int | None) -> None:
    """https://hl7.org/fhir/R4/http.html#concurrency. Raises PreconditionFailed."""
    if if_match is None or (current is not None and current["v"] == if_match):
        return
    stands = "it does not exist" if current is None else f"its current version is {current['v']}"
    raise PreconditionFailed(
        f"If-Match asks for version {if_match} of {type}/{id}, but {stands}. Read it again and merge your change."
    )


def check_absent(type: str, id: str, current: Document | None) -> None:
    """If-None-Match: * on a write. Raises PreconditionFailed when the resource is there."""
    if current is not None:
        raise PreconditionFailed(f"If-None-Match: * asks that {type}/{id} does not exist, and it does.")


def unchanged(current: Document, resource: Resource) -> bool:
    """Whether a write would only repeat what is stored."""
    return same_content(parse(current["json"]), resource)


def one_match(type: str, criteria: str, found: list[Document]) -> Document | None:
    """The match of a condition, None for none. Raises PreconditionFailed when there are several."""
    if len(found) > 1:
        raise PreconditionFailed(
            f"Several resources of type {type} match the condition; make it name exactly one.", code="multiple-matches"
        )
    return found[0] if found else None


def target_id(type: str, resource: Resource, match: Document | None) -> str:
    """The id a conditional update writes to. Raises BadRequest when the body names another one."""
    id = resource.get("id")
    if match is None:
        return id or new_id()
    if id is not None and id != match["_id"]:
        raise BadRequest("The id in the body is not that of the resource that matches.", expression=[f"{type}.id"])
    return str(match["_id"])


def claim_key(type: str, criteria: str) -> str:
    """What identical conditional writes collide on; a hash, since criteria hold card numbers."""
    return claim_key_of(type, parse_qsl(criteria.lstrip("?"), keep_blank_values=True))


def claim_key_of(type: str, pairs: Iterable[tuple[str, str]]) -> str:
    """The same for criteria that are taken apart already: (name, value) without percent-encoding."""
    return hashlib.sha256(f"{type}?{sorted(pairs)}".encode()).hexdigest()
