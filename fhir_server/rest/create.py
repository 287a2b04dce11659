"""create and conditional create: a new resource under an id of the server's.

https://hl7.org/fhir/R4/http.html#create and https://hl7.org/fhir/R4/http.html#ccreate
"""

from __future__ import annotations

from . import written
from .call import Answer, Call, Service


def create(service: Service, call: Call) -> Answer:
    """201, or 200 with the one resource that matches If-None-Exist. An id in the body is ignored."""
    result = service.repository.create(
        call.context, call.type, written.body_of(call), if_none_exist=call.if_none_exist or None
    )
    return written.answer(call, result)
