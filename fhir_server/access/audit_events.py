"""From what was noted of a request to its AuditEvents.

https://hl7.org/fhir/R4/auditevent.html, in the manner of https://profiles.ihe.net/ITI/BALP/: one event for each patient
whose record was touched, so that the patient may read it and reads of nobody else, and one without a patient for what
names nobody or could name several.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from .. import r4
from ..resource.exact import instant
from .audit_record import SEEN, Record, Touched
from .context import EMERGENCY

Json = dict[str, Any]

ENTITIES = 100
"""Resources that one event names; a request that touched more makes several."""

OWN = "http://hososuckhoe.example.vn/fhir"
ACTORS = f"{OWN}/sid/audit-actor"
OPERATIONS = f"{OWN}/CodeSystem/audit-operation"
DICOM = "http://dicom.nema.org/resources/ontology/DCM"
_TERMS = "http://terminology.hl7.org/CodeSystem"
_REST = {"system": f"{_TERMS}/audit-event-type", "code": "rest", "display": "RESTful Operation"}


def _dicom(code: str, display: str) -> Json:
    return {"system": DICOM, "code": code, "display": display}


_AUTHENTICATION = _dicom("110114", "User Authentication")
_ALERT = _dicom("110113", "Security Alert")
_READS = ("read", "vread", "history-instance", "history-type", "history-system")
_REST_ACTIONS = {
    **dict.fromkeys(_READS, "R"),
    **dict.fromkeys(("search-type", "search-system", "operation", "batch", "transaction"), "E"),
    "create": "C",
    "update": "U",
    "patch": "U",
    "delete": "D",
}
_BROKEN_GLASS = _dicom("110127", "Emergency Override Started")
BROKEN_GLASS = f"{_BROKEN_GLASS['system']}|{_BROKEN_GLASS['code']}"
"""The subtype of whatever was done with the glass broken, as a search asks for it."""
# kind -> (type, subtype, action)
KINDS: dict[str, tuple[Json, Json, str]] = {
    **{
        code: (_REST, {"system": "http://hl7.org/fhir/restful-interaction", "code": code}, action)
        for code, action in _REST_ACTIONS.items()
    },
    "login": (_AUTHENTICATION, _dicom("110122", "Login"), "E"),
    "logout": (_AUTHENTICATION, _dicom("110123", "Logout"), "E"),
    "card": (_AUTHENTICATION, {"system": OPERATIONS, "code": "card"}, "E"),
    "pin": (_AUTHENTICATION, {"system": OPERATIONS, "code": "pin"}, "E"),
    "credential": (_ALERT, _dicom("110137", "User security Attributes Changed"), "U"),
    "export": (_dicom("110106", "Export"), {"system": OPERATIONS, "code": "export"}, "R"),
    "import": (_dicom("110107", "Import"), {"system": OPERATIONS, "code": "import"}, "C"),
    "submission": (_dicom("110107", "Import"), {"system": OPERATIONS, "code": "submission"}, "C"),
    "page": (_REST, {"system": OPERATIONS, "code": "page"}, "R"),
    "denied": (_ALERT, _dicom("110132", "Use of Restricted Function"), "E"),
    "emergency": (_ALERT, _BROKEN_GLASS, "E"),
}


def _role(code: str) -> Json:
    return {"system": f"{_TERMS}/object-role", "code": code}


_PATIENT, _RESOURCE, _JOB, _QUERY = _role("1"), _role("4"), _role("20"), _role("24")
_RESOURCE_TYPES = "http://hl7.org/fhir/resource-types"
_SYSTEM_OBJECT = {"system": f"{_TERMS}/audit-entity-type", "code": "2"}
# Parameters whose values name no person; where a search has others, its query may be about somebody else as well.
_NAMELESS = {"category", "class", "clinical-status", "code", "date", "onset-date", "period", "status", "type"}
_NAMELESS |= {"_count", "_cursor", "_elements", "_format", "_include", "_lastUpdated", "_sort", "_summary", "_total"}
_WHOSE = {"patient", "subject", "beneficiary"}


def events_of(record: Record, site: str) -> Iterator[Json]:
    """The AuditEvents of a request, entries of a batch after the batch itself. `site` names this server."""
    yield from _events(record, site)
    for each in record.parts:
        yield from _events(each, site)


def _events(record: Record, site: str) -> Iterator[Json]:
    owned: dict[str, list[Touched]] = {}
    for each in record.touched:
        owned.setdefault(each.owner, []).append(each)
    ownerless = owned.pop("", [])
    common = _common(record, site)
    query = [_query(record.query)] if record.query else []
    if len(owned) == 1 and (not query or _names_only(record.query, next(iter(owned)))):
        owner, touched = owned.popitem()
        yield from _split(common, [_patient(owner), *query], [*touched, *ownerless])
        return
    if query or ownerless or not owned:
        asked = [] if ownerless or owned or not record.address else _asked(record.address)
        yield from _split(common, [*query, *asked], ownerless)
    for owner, touched in owned.items():
        yield from _split(common, [_patient(owner)], touched)


def _split(common: Json, first: list[Json], touched: list[Touched]) -> Iterator[Json]:
    """One event, or several where it would name too many resources."""
    request = common["entity"]
    for begin in range(0, max(len(touched), 1), ENTITIES):
        entities = [*first, *map(_entity, touched[begin : begin + ENTITIES]), *request]
        event = {name: value for name, value in common.items() if name != "entity"}
        yield event | ({"entity": entities} if entities else {})


def _common(record: Record, site: str) -> Json:
    kind = record.kind or _kind_of(record)
    type, subtype, action = KINDS[kind]
    subtypes = [subtype] + ([{"system": OPERATIONS, "code": record.name}] if record.name else [])
    if record.purpose == EMERGENCY and subtype is not _BROKEN_GLASS:
        subtypes.append(_BROKEN_GLASS)
    event: Json = {
        "resourceType": "AuditEvent",
        "type": type,
        "subtype": subtypes,
        "action": action,
        "recorded": instant(datetime.fromtimestamp(record.at / 1000, UTC)),
        "outcome": "0" if record.status < 400 else "4" if record.status < 500 else "8",
    }
    if record.status >= 400:
        event["outcomeDesc"] = f"{record.status} {record.why}".rstrip()
    if record.purpose:
        purpose: Json = {"coding": [{"system": f"{_TERMS}/v3-ActReason", "code": record.purpose}]}
        event["purposeOfEvent"] = [purpose | ({"text": record.reason} if record.reason else {})]
    event["agent"] = _agents(record)
    event["source"] = {
        "observer": {"display": site},
        "type": [{"code": "4", "system": f"{_TERMS}/security-source-type"}],
    }
    event["entity"] = [
        *([_job(record.details)] if record.details else []),
        *([_request(record.request)] if record.request else []),
    ]
    return event


def _kind_of(record: Record) -> str:
    """The kind of what nobody named: a page that showed or took something, or a refusal."""
    return "page" if record.touched else "denied"


def _agents(record: Record) -> list[Json]:
    """Who asked, from where, and the facility this was done for."""
    actor = record.actor or "unknown"
    agent: Json = {
        "type": {"coding": [_dicom("110153", "Source Role ID")]},
        "who": _named(actor),
        "altId": actor,
        "requestor": True,
    }
    if record.origin:
        agent["network"] = {"address": record.origin, "type": "2"}
    facility = f"facility:{record.facility}"
    if not record.facility or facility == actor:
        return [agent]
    return [agent, {"who": _named(facility), "altId": facility, "requestor": False}]


def _named(actor: str) -> Json:
    return {"identifier": {"system": ACTORS, "value": actor}}


def _patient(owner: str) -> Json:
    return {"what": {"reference": f"Patient/{owner}"}, "role": _PATIENT}


def _entity(touched: Touched) -> Json:
    return {
        "what": {"reference": f"{touched.type}/{touched.id}/_history/{touched.version}"},
        "role": _RESOURCE,
        "lifecycle": {"system": f"{_TERMS}/dicom-audit-lifecycle", "code": touched.lifecycle or SEEN},
    }


def _asked(address: str) -> list[Json]:
    """What was asked for and not found or not given: the resource or its type; of any other address, nothing."""
    type, _, id = address.partition("/")
    if type not in r4.RESOURCE_TYPES:
        return []
    what = {"what": {"reference": f"{type}/{id}"}} if id else {}
    return [{**what, "type": {"system": _RESOURCE_TYPES, "code": type}, "role": _RESOURCE}]


def _query(query: str) -> Json:
    return {"role": _QUERY, "query": base64.b64encode(query.encode()).decode()}


def _request(number: str) -> Json:
    kind = {"system": "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "code": "XrequestId"}
    return {"what": {"identifier": {"value": number}}, "type": kind}


def _job(details: Mapping[str, str]) -> Json:
    told = [{"type": name, "valueString": value} for name, value in details.items()]
    return {"type": _SYSTEM_OBJECT, "role": _JOB, "detail": told}


def _names_only(query: str, owner: str) -> bool:
    """Whether a query surely names nobody but one patient."""
    for name, value in parse_qsl(query.partition("?")[2], keep_blank_values=True):
        bare = name.partition(":")[0]
        if bare not in _NAMELESS and not (bare in _WHOSE and value in (owner, f"Patient/{owner}")):
            return False
    return True
