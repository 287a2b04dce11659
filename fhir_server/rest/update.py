"""update and conditional update: a new version of a resource, or the first one under the client's id.

https://hl7.org/fhir/R4/http.html#update and https://hl7.org/fhir/R4/http.html#cond-update
"""

from __future__ import annotations

from ..errors import BadRequest
from . import preconditions, query, written
from .call import Answer, Call, Service


def update(service: Service, call: Call) -> Answer:
    """201 when this made the resource, else 200. Raises PreconditionFailed when If-Match names another version."""
    resource = written.body_of(call)
    if "id" not in resource:
        raise BadRequest(
            "The resource must carry the id of its address: set the element 'id' to the id in the URL.",
            expression=(f"{call.type}.id",),
        )
    result = service.repository.update(
        call.context,
        call.type,
        call.id,
        resource,
        if_match=preconditions.version_to_match(call.if_match),
        only_new=_only_new(call),
    )
    return written.answer(call, result)


def update_conditional(service: Service, call: Call) -> Answer:
    """Update the one resource that matches the query, or create it. Raises PreconditionFailed for several matches."""
    if not call.query:
        raise BadRequest(
            f"Name the resource to update: PUT {call.type}/<id>, or PUT {call.type}?<search criteria>.", code="required"
        )
    result = service.repository.update_conditional(
        call.context,
        call.type,
        written.body_of(call),
        query.encode(call.query),
        if_match=preconditions.version_to_match(call.if_match),
        only_new=_only_new(call),
    )
    return written.answer(call, result)


def _only_new(call: Call) -> bool:
    """Whether the update may create and not replace (If-None-Match: *). Raises BadRequest for any other value."""
    if call.if_none_match not in (None, "*"):
        raise BadRequest(
            "If-None-Match of an update can be * alone, which creates and replaces nothing; "
            "use If-Match to replace one version.",
            code="value",
        )
    return call.if_none_match == "*"
