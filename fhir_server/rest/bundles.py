"""Bundles written around stored JSON texts: no resource is parsed on the way out.

https://hl7.org/fhir/R4/bundle.html, https://hl7.org/fhir/R4/http.html#search, https://hl7.org/fhir/R4/http.html#history
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from http import HTTPStatus

from ..errors import Issue, operation_outcome
from ..repository import HistoryPage, SearchPage, Stored
from ..resource import exact
from ..resource.summary import Subset
from . import preconditions, query, subset
from .call import Pairs

_STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


def status_line(status: int) -> str:
    """`201 Created`: what Bundle.entry.response.status holds."""
    return _STATUS_LINES[status]


def searchset(page: SearchPage, base: str, path: str, form: Pairs) -> bytes:
    """The Bundle of one page of a search at `path`; its self link tells what was really searched.

    `form` may ask for part of each resource. Raises BadRequest when it asks for what there is not.
    """
    asked = subset.of_bundle(form, "" if _gives_containers(page) else path)
    address = f"{base}/{path}"
    links = [("self", page.applied), ("next", page.next), ("previous", page.previous)]
    entries = [
        b'{"fullUrl":"%b","resource":%b,"search":{"mode":"%b"}}'
        % (
            f"{base}/{stored.address}".encode(),
            _shown(stored.json, mode, asked) if asked else stored.json,
            mode.encode(),
        )
        for mode, stored in page.entries
        if stored.json is not None
    ]
    if page.issues:
        entries.append(b'{"resource":%b,"search":{"mode":"outcome"}}' % outcome(page.issues))
    return _bundle("searchset", page.total, _links(links, address, form), entries)


def _gives_containers(page: SearchPage) -> bool:
    """Whether the matches may be of other types than the one that is searched."""
    applied = dict(page.applied)
    return applied.get("_contained", "false") != "false" and applied.get("_containedType") != "contained"


def history(page: HistoryPage, base: str, path: str, asked: Pairs, form: Pairs) -> bytes:
    """The Bundle of one page of a history at `path`, newest first, deletions as entries without a resource."""
    links = _links([("self", asked), ("next", page.next)], f"{base}/{path}", form)
    part = subset.of_bundle(form, path)
    return _bundle("history", page.total, links, [_version_entry(stored, base, part) for stored in page.entries])


def responses(kind: str, entries: Iterable[bytes]) -> bytes:
    """The Bundle that answers a batch or transaction: `kind` is batch-response or transaction-response."""
    return _bundle(kind, None, b"", list(entries))


def response_entry(
    base: str,
    status: int,
    *,
    stored: Stored | None = None,
    resource: bytes = b"",
    located: bool = False,
    outcome: bytes = b"",
) -> bytes:
    """One entry of a batch or transaction response."""
    parts = [b'"status":"%b"' % status_line(status).encode()]
    full_url = b""
    if stored is not None:
        if located:
            parts.append(b'"location":"%b"' % f"{stored.type}/{stored.id}/_history/{stored.version}".encode())
        parts.append(_version_facts(stored))
        if stored.json is not None:
            full_url = b'"fullUrl":"%b",' % f"{base}/{stored.type}/{stored.id}".encode()
    if outcome:
        parts.append(b'"outcome":%b' % outcome)
    shown = b'"resource":%b,' % resource if resource else b""
    return b'{%b%b"response":{%b}}' % (full_url, shown, b",".join(parts))


def outcome(issues: Iterable[Issue]) -> bytes:
    """An OperationOutcome as JSON."""
    return exact.dump(operation_outcome(issues))


def _shown(text: bytes, mode: str, asked: Subset) -> bytes:
    return subset.shown(text, asked) if mode == "match" else subset.shown_beside(text, asked)


def _version_entry(stored: Stored, base: str, asked: Subset | None) -> bytes:
    of_type = stored.method == "POST"
    url = stored.type if of_type else f"{stored.type}/{stored.id}"
    created = stored.json is not None and stored.version == 1
    status = 204 if stored.json is None else 201 if created else 200
    return b'{"fullUrl":"%b",%b"request":{"method":"%b","url":"%b"},"response":{"status":"%b",%b}}' % (
        f"{base}/{stored.type}/{stored.id}".encode(),
        b"" if stored.json is None else b'"resource":%b,' % subset.shown(stored.json, asked),
        stored.method.encode(),
        url.encode(),
        status_line(status).encode(),
        _version_facts(stored),
    )


def _version_facts(stored: Stored) -> bytes:
    tag = preconditions.etag(stored.version).replace('"', '\\"')
    return f'"etag":"{tag}","lastModified":"{exact.instant(stored.updated)}"'.encode()


def _links(relations: Sequence[tuple[str, Pairs | None]], address: str, form: Pairs) -> bytes:
    """Bundle.link; what `query.encode` gives needs no JSON escapes."""
    links = []
    for relation, pairs in relations:
        if pairs is not None:
            parameters = query.encode([*pairs, *form])
            url = f"{address}?{parameters}" if parameters else address
            links.append(f'{{"relation":"{relation}","url":"{url}"}}')
    return f'"link":[{",".join(links)}],'.encode()


def _bundle(kind: str, total: int | None, links: bytes, entries: list[bytes]) -> bytes:
    start = f'{{"resourceType":"Bundle","type":"{kind}",'
    if total is not None:
        start += f'"total":{total},'
    # FHIR JSON has no empty arrays: a Bundle without entries has no `entry`.
    head = start.encode() + links
    return b'%b"entry":[%b]}' % (head, b",".join(entries)) if entries else head.removesuffix(b",") + b"}"
