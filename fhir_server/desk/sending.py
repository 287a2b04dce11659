"""A Bundle that an integrator tries or sends: what becomes of each entry, and what is left to send again.

https://hl7.org/fhir/R4/http.html#transaction. A transaction is taken whole or not at all; the entries of a batch each
stand alone. Trying validates each entry, and carries a transaction out as a whole before it is taken back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fhir_server.errors import BadRequest, FhirError, Issue
from fhir_server.rehearsing import rehearse
from fhir_server.resource import exact, xml_reading

if TYPE_CHECKING:
    from fhir_server.access.context import AccessContext
    from fhir_server.repository import Repository

Resource = dict[str, Any]
MAX_ENTRIES = 1_000
_PLACE = re.compile(r"Bundle\.entry\[(\d+)\]")


@dataclass(slots=True)
class Fate:
    """What becomes of one entry: its number from 0, what was asked, and "tried", "stored", "undone" or "refused"."""

    number: int
    asked: str
    state: str
    address: str = ""
    issues: list[Issue] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Sent:
    """All entries, and a Bundle of those that failed to be mended and sent again ("" for none)."""

    fates: list[Fate]
    again: str

    @property
    def failed(self) -> int:
        """How many entries are refused."""
        return sum(each.state == "refused" for each in self.fates)


def read_bundle(content: bytes) -> Resource:
    """The Bundle in JSON or XML, with every entry an object. Raises BadRequest and the errors of reading."""
    text = content.removeprefix(b"\xef\xbb\xbf").strip()
    bundle = xml_reading.parse(text) if text.startswith(b"<") else exact.parse(text)
    entries = bundle.get("entry") if isinstance(bundle, dict) else None
    if bundle.get("resourceType") != "Bundle" or bundle.get("type") not in ("transaction", "batch"):
        raise BadRequest("Send a Bundle of type transaction or batch.", expression=["Bundle.type"])
    if not isinstance(entries, list) or not entries or not all(isinstance(each, dict) for each in entries):
        raise BadRequest("The Bundle needs entries, each an object.", expression=["Bundle.entry"])
    if len(entries) > MAX_ENTRIES:
        raise BadRequest(f"This page takes at most {MAX_ENTRIES} entries; send larger Bundles to the FHIR service.")
    return bundle


def attempt(repository: Repository, ctx: AccessContext, bundle: Resource) -> Sent:
    """What sending would do; nothing is stored."""
    fates = [_alone(repository, ctx, number, entry) for number, entry in enumerate(bundle["entry"])]
    if bundle["type"] == "transaction" and not any(each.issues for each in fates):
        try:
            rehearse(repository, ctx, bundle)
        except FhirError as error:
            _blame(fates, error)
    return Sent(fates, _again(bundle, fates))


def send(repository: Repository, ctx: AccessContext, bundle: Resource) -> Sent:
    """Store what can be stored."""
    whole = bundle["type"] == "transaction"
    fates = [Fate(number, _asked(entry), "undone") for number, entry in enumerate(bundle["entry"])]
    for part in [fates] if whole else [[fate] for fate in fates]:
        entries = [bundle["entry"][fate.number] for fate in part]
        try:
            results = repository.transaction(ctx, {"resourceType": "Bundle", "type": "transaction", "entry": entries})
        except FhirError as error:
            _blame(part, error)
            continue
        for fate, result in zip(part, results, strict=True):
            fate.state, fate.address = "stored", result.stored.address if result.stored else ""
    return Sent(fates, _again(bundle, fates))


def _alone(repository: Repository, ctx: AccessContext, number: int, entry: Resource) -> Fate:
    """What is wrong with the resource of an entry by itself."""
    fate = Fate(number, _asked(entry), "tried")
    resource = entry.get("resource")
    if isinstance(resource, dict) and _method(entry) in ("POST", "PUT"):
        try:
            repository.checked(ctx, str(resource.get("resourceType", "")), resource)
        except FhirError as error:
            fate.state, fate.issues = "refused", error.issues
    return fate


def _blame(part: list[Fate], error: FhirError) -> None:
    """Put an error to the entry it names, or to all."""
    for issue in error.issues:
        named = [int(found[1]) for each in issue.expression if (found := _PLACE.match(each))]
        guilty = [part[number] for number in named if number < len(part)] or part
        for fate in guilty:
            fate.state = "refused"
            fate.issues.append(issue)
    for fate in part:
        if fate.state != "refused":
            fate.state = "undone"


def _again(bundle: Resource, fates: list[Fate]) -> str:
    """What to send again: of a batch the refused entries, of a transaction all of it."""
    if not any(fate.state == "refused" for fate in fates):
        return ""
    left = fates if bundle["type"] == "transaction" else [fate for fate in fates if fate.state == "refused"]
    entries = [bundle["entry"][fate.number] for fate in left]
    return exact.dump({"resourceType": "Bundle", "type": bundle["type"], "entry": entries}).decode("utf-8")


def _method(entry: Resource) -> str:
    request = entry.get("request")
    return str(request.get("method", "")) if isinstance(request, dict) else ""


def _asked(entry: Resource) -> str:
    """Method and type: not the whole url, which may hold search criteria."""
    request = entry.get("request")
    url = str(request.get("url", "")) if isinstance(request, dict) else ""
    return f"{_method(entry)[:10]} {url.partition('?')[0][:80]}".strip()
