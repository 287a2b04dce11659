"""create and conditional create: a new resource under an id of the server's.

https://hl7.org/fhir/R4/http.html#create and https://hl7.org/fhir/R4/http.html#ccreate
"""

from __future__ import annotations

from . import query, written
from .call import Answer, Call, Pairs, Service

# Search parameters of every type; other names with an underscore are no criteria (@medplum/core sends _filename).
_OF_EVERY_TYPE = frozenset({"_id", "_lastUpdated", "_profile", "_security", "_source", "_tag", "_has"})


def create(service: Service, call: Call) -> Answer:
    """201, or 200 with the one resource that matches If-None-Exist. An id in the body is ignored.

    Criteria in the address mean the same: fhirpy sends them so, and passing them over would make the resource twice.
    """
    criteria = call.if_none_exist or query.encode(_criteria(call.query)) or None
    result = service.repository.create(call.context, call.type, written.body_of(call), if_none_exist=criteria)
    return written.answer(call, result)


def _criteria(pairs: Pairs) -> Pairs:
    return [pair for pair in pairs if not pair[0].startswith("_") or pair[0].partition(":")[0] in _OF_EVERY_TYPE]
