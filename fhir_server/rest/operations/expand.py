"""ValueSet/$expand: the codes of a value set, filtered and page by page.

https://hl7.org/fhir/R4/valueset-operation-expand.html
"""

from __future__ import annotations

import uuid
from typing import Any

from ...errors import BadRequest
from ...records import now
from ...resource.exact import instant
from ...search.fold import fold
from ...terminology.expansion import Member, too_costly
from ...terminology.service import MAX_LISTED
from ..call import Answer, Call, Service
from . import answers, terms
from .inputs import Inputs

Json = dict[str, Any]


def expand(service: Service, call: Call) -> Answer:
    """200 with the ValueSet and its expansion. Raises NotFound, BadRequest, Unprocessable (too costly), Forbidden."""
    inputs = Inputs(call, body="valueSet")
    value_set = terms.definition(service, call, inputs, "valueSet")
    if value_set is None:
        raise BadRequest(
            "Say which value set: 'url', 'valueSet', or the address ValueSet/<id>/$expand.", code="required"
        )
    members = list(service.repository.conformance.terminology.members(value_set).values())
    wanted = _kept(members, inputs)
    offset, count = _number(inputs, "offset"), _number(inputs, "count")
    if count is None and len(wanted) > MAX_LISTED:
        raise too_costly(f"The expansion has {len(wanted)} codes; without 'count' at most {MAX_LISTED} are listed.")
    page = wanted[offset or 0 :][: min(MAX_LISTED, len(wanted) if count is None else count)]
    answer = {key: value for key, value in value_set.items() if key not in ("expansion", "compose", "text")}
    if inputs.flag("includeDefinition") and "compose" in value_set:
        answer["compose"] = value_set["compose"]
    designations = inputs.flag("includeDesignations")
    expansion: Json = {
        "identifier": f"urn:uuid:{uuid.uuid4()}",
        "timestamp": instant(now()),
        "total": len(wanted),
        **({"offset": offset or 0} if offset is not None or count is not None else {}),
    }
    if asked := _parameters(inputs, offset, count):
        expansion["parameter"] = asked
    if page:
        expansion["contains"] = [_contains(each, designations) for each in page]
    return answers.resource({**answer, "expansion": expansion})


def _kept(members: list[Member], inputs: Inputs) -> list[Member]:
    """The members that the filter finds, word by word in code or display without regard to case and marks."""
    if inputs.flag("activeOnly"):
        members = [each for each in members if not each.inactive]
    if inputs.flag("excludeNotForUI"):
        members = [each for each in members if not each.abstract]
    words = fold(inputs.text("filter") or "").split()
    if not words:
        return members
    return [each for each in members if _found(words, each)]


def _found(words: list[str], member: Member) -> bool:
    others = [str(each.get("value", "")) for each in member.designation or ()]
    text = fold(" ".join([member.code, member.display, *others]))
    return all(word in text for word in words)


def _number(inputs: Inputs, name: str) -> int | None:
    text = inputs.text(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit():
        raise BadRequest(f"'{name}' takes a whole number, not '{text[:40]}'.", code="value")
    return int(text[:9])


def _parameters(inputs: Inputs, offset: int | None, count: int | None) -> list[Json]:
    found: list[Json] = []
    if text := inputs.text("filter"):
        found.append({"name": "filter", "valueString": text})
    for name in ("activeOnly", "excludeNotForUI", "includeDesignations"):
        if inputs.text(name) is not None:
            found.append({"name": name, "valueBoolean": inputs.flag(name)})
    for name, number in (("offset", offset), ("count", count)):
        if number is not None:
            found.append({"name": name, "valueInteger": number})
    return found


def _contains(member: Member, designations: bool) -> Json:
    row: Json = {"system": member.system} if member.system else {}
    if member.version:
        row["version"] = member.version
    if member.abstract:
        row["abstract"] = True
    if member.inactive:
        row["inactive"] = True
    row["code"] = member.code
    if member.display:
        row["display"] = member.display
    if designations and member.designation:
        row["designation"] = member.designation
    return row
