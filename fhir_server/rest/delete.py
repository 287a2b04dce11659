"""delete and conditional delete: the resource is gone for readers, its history stays.

https://hl7.org/fhir/R4/http.html#delete
"""

from __future__ import annotations

from ..errors import BadRequest, Issue
from ..repository import MAX_DELETED, WriteResult
from . import bundles, preconditions, query, written
from .call import Answer, Call, Service

# https://hl7.org/fhir/R4/search.html#2.21.1.4: they shape the result and select nothing.
_RESULT_PARAMETERS = frozenset(
    (
        "_count",
        "_cursor",
        "_elements",
        "_include",
        "_revinclude",
        "_sort",
        "_summary",
        "_total",
    )
)


def delete(service: Service, call: Call) -> Answer:
    """204, also when there is nothing (any more) to delete."""
    if_match = preconditions.version_to_match(call.if_match)
    return _answer(call, service.repository.delete(call.context, call.type, call.id, if_match=if_match))


def delete_conditional(service: Service, call: Call) -> Answer:
    """Delete every resource that matches the query, in one transaction.

    With more than MAX_DELETED matches, or than _count allows, none is deleted. Raises PreconditionFailed.
    """
    criteria = [pair for pair in call.query if pair[0].partition(":")[0] not in _RESULT_PARAMETERS]
    if not criteria:
        raise BadRequest(
            f"Name the resource to delete: DELETE {call.type}/<id>, or DELETE {call.type}?<search criteria>.",
            code="required",
        )
    results = service.repository.delete_conditional(
        call.context,
        call.type,
        query.encode(criteria),
        bound=_bound(call),
        if_match=preconditions.version_to_match(call.if_match),
    )
    if len(results) > 1:
        if call.prefer.returns != "OperationOutcome":
            return Answer(204)
        text = f"{len(results)} {call.type} resources were deleted."
        return Answer(200, bundles.outcome([Issue(text, "informational", "information")]))
    return _answer(call, results[0] if results else None)


def _bound(call: Call) -> int:
    """How many matches may be deleted: _count, where the client gives it."""
    for name, value in call.query:
        if name == "_count":
            if not value.isascii() or not value.isdigit() or not int(value[:9]):
                raise BadRequest(f"_count of a delete is the number of matches it may delete, 1 to {MAX_DELETED}.")
            return min(int(value[:9]), MAX_DELETED)
    return MAX_DELETED


def _answer(call: Call, result: WriteResult | None) -> Answer:
    stored = result.stored if result else None
    if call.prefer.returns != "OperationOutcome":
        return Answer(204, stored=stored)
    if stored:
        return Answer(200, written.outcome(stored, "deleted"))
    return Answer(200, bundles.outcome([Issue("There was nothing to delete.", "informational", "information")]))
