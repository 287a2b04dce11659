"""The entries of a transaction bundle: what each asks for, and what can be refused before the database is asked.

https://hl7.org/fhir/R4/http.html#transaction and https://hl7.org/fhir/R4/bundle.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from . import patch, r4
from .access import guard
from .access.context import AccessContext
from .admission import NOTHING_CHANGED
from .errors import BadRequest, FhirError, Forbidden, Issue, TooLarge
from .patch import Patch
from .records import EntryResult
from .resource.exact import Resource
from .store.records import Document

if TYPE_CHECKING:
    from .repository import Repository

MAX_ENTRIES = 10_000
METHODS = ("DELETE", "POST", "PUT", "PATCH", "GET", "HEAD")
READS = ("GET", "HEAD")
CHANGES = ("PUT", "PATCH", "DELETE")
LETTERS = {"POST": "c", "PUT": "u", "PATCH": "u", "DELETE": "d"}
_TYPES = frozenset(r4.RESOURCE_TYPES)


@dataclass(slots=True)
class Entry:
    """One entry of the bundle, as asked and as it turns out."""

    number: int
    method: str
    type: str
    id: str
    criteria: str
    full_url: str
    resource: Resource | None
    if_match: int | None
    query: list[tuple[str, str]]
    version: str | None = None
    """Of a read: the version it names, "" for a whole history, None for the current version or a search."""
    operation: bool = False
    """Whether it asks for an operation that only reads: it is a read then, whatever its method."""
    only_new: bool = False
    change: Patch | None = None
    # Set anew on every try of the transaction:
    target: str = ""
    current: Document | None = None
    several: list[Document] = field(default_factory=list)
    """The matches of a conditional delete."""
    twin: Entry | None = None
    """The entry before this one that creates what this one would create under the same condition."""
    result: EntryResult | None = None

    def start_again(self) -> None:
        """Forget what an earlier try has found."""
        self.target, self.current, self.several, self.twin, self.result = self.id, None, [], None, None


def read_entries(bundle: Resource, bases: Sequence[str]) -> list[Entry]:
    """The entries; `bases` are the addresses of this service that a url may start with. Raises BadRequest, TooLarge."""
    raw = bundle.get("entry", [])
    if not isinstance(raw, list):
        raise BadRequest("Bundle.entry must be a list.", expression=["Bundle.entry"])
    if len(raw) > MAX_ENTRIES:
        raise TooLarge(f"A transaction takes at most {MAX_ENTRIES} entries; this one has {len(raw)}. Split it.")
    entries = []
    for number, each in enumerate(raw):
        with naming(number):
            entries.append(_entry(number, each, bases))
    return entries


@contextmanager
def naming(number: int) -> Iterator[None]:
    """Put the failing entry in front of the expressions of what is raised."""
    where = f"Bundle.entry[{number}]"

    def inside(expression: str) -> str:
        return f"{where}.resource.{expression.partition('.')[2]}".rstrip(".")

    try:
        yield
    except FhirError as error:
        error.issues = [
            Issue(
                issue.diagnostics,
                issue.code,
                issue.severity,
                tuple(inside(each) for each in issue.expression) or (where,),
            )
            for issue in error.issues
        ]
        raise


def relative_url(url: str, bases: Sequence[str]) -> str:
    """The url below the base of the service: an absolute one of this service is taken too."""
    for base in bases:
        if url.startswith(base) and url[len(base) : len(base) + 1] in ("/", "?", ""):
            return url[len(base) :].lstrip("/")
    return url.lstrip("/")


def _entry(number: int, raw: Any, bases: Sequence[str]) -> Entry:
    request = raw.get("request") if isinstance(raw, dict) else None
    if not isinstance(request, dict) or not isinstance(request.get("url"), str):
        raise BadRequest("The entry needs a request with a method and a url.", code="required")
    method = request.get("method")
    if method not in METHODS:
        raise BadRequest(f"The method '{str(method)[:20]}' is not supported here; use {', '.join(METHODS)}.")
    path, _, criteria = relative_url(request["url"], bases).partition("?")
    if method in ("GET", "HEAD", "POST") and path.rpartition("/")[2].startswith("$"):
        return Entry(number, "GET", "", "", "", "", None, None, [], operation=True)
    type, id, version = _address(method, path)
    resource, full_url = raw.get("resource"), raw.get("fullUrl")
    if method in ("POST", "PUT", "PATCH") and not isinstance(resource, dict):
        raise BadRequest(f"{method} needs a resource.", code="required")
    if full_url is not None and not isinstance(full_url, str):
        raise BadRequest("The fullUrl of the entry is not a text.")
    if_none_match, if_none_exist = request.get("ifNoneMatch"), request.get("ifNoneExist")
    if method == "PUT" and if_none_match not in (None, "*"):
        raise BadRequest("ifNoneMatch of a PUT can be * alone: create, and replace nothing.")
    if if_none_exist is not None and not isinstance(if_none_exist, str):
        raise BadRequest("ifNoneExist holds search criteria, as name=value.")
    return Entry(
        number=number,
        method=method,
        type=type,
        id=id,
        criteria=(if_none_exist or "") if method == "POST" else criteria,
        full_url=full_url or "",
        resource=resource,
        if_match=_version(request.get("ifMatch")),
        query=parse_qsl(criteria, keep_blank_values=True),
        version=version,
        only_new=method == "PUT" and if_none_match == "*",
    )


def _address(method: str, path: str) -> tuple[str, str, str | None]:
    """(type, id, version) that a path names. Raises BadRequest for one that means nothing to the method."""
    segments = [unquote(segment) for segment in path.strip("/").split("/")]
    version = None
    if method in READS:
        if len(segments) == 4 and segments[2] == "_history":
            version = segments[3]
            segments = segments[:2]
        elif segments[-1] == "_history" and len(segments) <= 3:
            version = ""
            segments = segments[:-1]
    if not segments and version == "":
        return "", "", version
    if segments[0] not in _TYPES or len(segments) > 2 or (len(segments) == 2 and segments[1][:1] in ("_", "$")):
        raise BadRequest(f"The url '{path[:80]}' is not Type or Type/id of a FHIR R4 resource.")
    return segments[0], segments[1] if len(segments) == 2 else "", version


def _version(if_match: Any) -> int | None:
    if if_match is None:
        return None
    text = str(if_match).strip().removeprefix("W/").strip('"')
    if not text.isascii() or not text.isdigit():
        raise BadRequest('ifMatch takes a version such as W/"3".')
    return int(text[:9])


def check(repository: Repository, ctx: AccessContext, entry: Entry) -> None:
    """What can be refused without looking at the database. Raises BadRequest, Forbidden."""
    if ctx.patient is not None and (entry.method == "DELETE" or (entry.method in CHANGES and not entry.id)):
        raise Forbidden(NOTHING_CHANGED)
    if letter := LETTERS.get(entry.method):
        guard.require(ctx, letter, entry.type)
    if entry.method == "POST" and entry.id:
        raise BadRequest("POST takes the type alone as its url; use PUT for an id of your choice.")
    if entry.method in CHANGES and not entry.id and not entry.criteria:
        raise BadRequest(f"{entry.method} needs Type/id or Type?criteria as its url.")
    if entry.method == "PATCH":
        entry.change = patch.from_resource(entry.resource)
    elif entry.resource is not None and entry.method in ("POST", "PUT"):
        entry.resource = repository.writing.checked(ctx, entry.type, entry.resource, entry.id or None)


def refuse_doubles(entries: list[Entry]) -> None:
    """https://hl7.org/fhir/R4/http.html#trules: a resource may be written once, a fullUrl may stand once."""
    seen: dict[str, int] = {}
    for entry in entries:
        if entry.method in READS:
            continue
        named = {f"{entry.type}/{entry.id}" if entry.id else "", entry.full_url} - {""}
        for name in named:
            if name in seen:
                raise double(seen[name], entry)
            seen[name] = entry.number


def double(first: int, entry: Entry) -> BadRequest:
    """The refusal of two entries that write one resource."""
    return BadRequest(
        f"The entries {first} and {entry.number} are about the same resource; a transaction may write it once.",
        code="duplicate",
        expression=[f"Bundle.entry[{entry.number}]"],
    )
