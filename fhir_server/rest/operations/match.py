"""Patient/$match: who may be the person that is described, and which facts say so.

https://hl7.org/fhir/R4/patient-operation-match.html
"""

from __future__ import annotations

from typing import Any

from ...errors import BadRequest, Issue
from ...operations.agreement import MATCH_FACT, MATCH_GRADE, Agreement, points
from ...operations.match import Matched
from ...operations.match import match as find_people
from ...resource import exact
from ...resource.validation import validate
from .. import bundles
from ..call import Answer, Call, Service
from .inputs import Inputs

_DEFAULT_COUNT, _MAX_COUNT = 10, 100


def match(service: Service, call: Call) -> Answer:
    """A searchset Bundle, the likeliest first, and an OperationOutcome that explains. Raises BadRequest, Forbidden."""
    inputs = Inputs(call, body="resource")
    person = inputs.resource("resource")
    if person is None or person.get("resourceType") != "Patient":
        raise BadRequest(
            "Send the person to look for as a Patient: as the body, or as the parameter 'resource'.", code="required"
        )
    found = find_people(
        service.repository,
        call.context,
        validate(person),
        count=inputs.number("count", _DEFAULT_COUNT, _MAX_COUNT),
        only_certain=inputs.flag("onlyCertainMatches"),
    )
    issues = [_explained(each) for each in found.people] + found.issues
    if not issues:
        issues = [Issue("Nobody fits the description.", "informational", "information")]
    entries = [_entry(call.base, each) for each in found.people]
    entries.append(b'{"resource":%b,"search":{"mode":"outcome"}}' % bundles.outcome(issues))
    head = b'{"resourceType":"Bundle","type":"searchset","total":%d,"entry":[' % len(found.people)
    return Answer(200, head + b",".join(entries) + b"]}")


def _entry(base: str, matched: Matched) -> bytes:
    stored, agreement = matched.stored, matched.agreement
    search: dict[str, Any] = {
        "extension": [{"url": MATCH_GRADE, "valueCode": agreement.grade}, *_facts(agreement)],
        "mode": "match",
        "score": agreement.score,
    }
    address = f"{base}/{stored.type}/{stored.id}".encode()
    return b'{"fullUrl":"%b","resource":%b,"search":%b}' % (address, stored.json or b"{}", exact.dump(search))


def _facts(agreement: Agreement) -> list[dict[str, Any]]:
    return [
        {
            "url": MATCH_FACT,
            "extension": [
                {"url": "fact", "valueCode": fact.code},
                {"url": "agrees", "valueBoolean": fact.agrees},
                {"url": "points", "valueDecimal": points(fact)},
            ],
        }
        for fact in agreement.facts
    ]


def _explained(matched: Matched) -> Issue:
    """The facts by name, and never their values: an outcome ends up in logs."""
    agreement, stored = matched.agreement, matched.stored
    vi, en = ("; ".join(getattr(fact, language) for fact in agreement.facts) for language in ("vi", "en"))
    text = f"{stored.type}/{stored.id} is {agreement.grade} ({agreement.score}): {en}. ({vi})"
    return Issue(text, "informational", "information")
