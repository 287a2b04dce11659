"""delete and conditional delete: the resource is gone for readers, its history stays.

https://hl7.org/fhir/R4/http.html#delete
"""

from __future__ import annotations

from ..errors import BadRequest, Issue, PreconditionFailed
from ..repository import WriteResult
from . import bundles, preconditions, written
from .call import Answer, Call, Service

# https://hl7.org/fhir/R4/search.html#2.21.1.4: they shape the result and select nothing.
_RESULT_PARAMETERS = frozenset(
    (
        "_contained",
        "_containedType",
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
    """Delete the one resource that matches the query. Raises PreconditionFailed for several matches."""
    criteria = [pair for pair in call.query if pair[0].partition(":")[0] not in _RESULT_PARAMETERS]
    page = service.repository.search(call.context, call.type, [*criteria, ("_count", "2")])
    # What was really searched decides: criteria that were ignored would leave every resource of the type to match.
    if all(name.partition(":")[0] in _RESULT_PARAMETERS for name, _ in page.applied):
        raise BadRequest(
            f"Name the resource to delete: DELETE {call.type}/<id>, or DELETE {call.type}?<search criteria>.",
            code="required",
        )
    found = [stored for mode, stored in page.entries if mode == "match"]
    if len(found) > 1:
        raise PreconditionFailed(
            f"Several {call.type} resources match these criteria and one can be deleted: make them more specific.",
            code="multiple-matches",
        )
    if not found:
        return _answer(call, None)
    # The version found is the one deleted: one that was changed meanwhile may match no longer, and is refused (412).
    stored = found[0]
    return _answer(call, service.repository.delete(call.context, call.type, stored.id, if_match=stored.version))


def _answer(call: Call, result: WriteResult | None) -> Answer:
    stored = result.stored if result else None
    if call.prefer.returns != "OperationOutcome":
        return Answer(204, stored=stored)
    if stored:
        return Answer(200, written.outcome(stored, "deleted"))
    return Answer(200, bundles.outcome([Issue("There was nothing to delete.", "informational", "information")]))
