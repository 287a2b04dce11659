"""From an address with a $ to the operation it means, and the checks that every operation begins with.

https://hl7.org/fhir/R4/operations.html#executing
"""

from __future__ import annotations

from ... import r4
from ...access import guard
from ...errors import BadRequest, MethodNotAllowed, NotFound
from .. import subset
from ..call import Answer, Call, Service
from .inputs import Inputs
from .operation import Level, Operation
from .registry import OPERATIONS

_TYPES = frozenset(r4.RESOURCE_TYPES)


def perform_get(service: Service, call: Call) -> Answer:
    """An operation asked for by GET. Raises NotFound, MethodNotAllowed when it changes something, BadRequest."""
    operation = _operation(call)
    if operation.affects_state:
        raise MethodNotAllowed(f"${operation.name} changes records: ask for it by POST.", allow="POST")
    return operation.perform(service, call)


def perform_post(service: Service, call: Call) -> Answer:
    """An operation asked for by POST, with a Parameters resource or none. Raises NotFound, BadRequest."""
    return _operation(call).perform(service, call)


def _operation(call: Call) -> Operation:
    level: Level = "instance" if call.id else "type" if call.type else "system"
    if call.type and call.type not in _TYPES:
        raise NotFound(f"'{call.type[:40]}' is not a FHIR R4 resource type.", code="not-supported")
    here = [each for each in OPERATIONS if each.is_at(level, call.type) and (each.of_versions or not call.version)]
    operation = next((each for each in here if each.name == call.operation), None)
    if operation is None:
        one = f"a version of a {call.type}" if call.version else f"one {call.type}"
        where = {"system": "the whole system", "type": call.type, "instance": one}[level]
        names = ", ".join(f"${each.name}" for each in here)
        raise NotFound(
            f"There is no operation '${call.operation[:40]}' on {where}; there are: {names}.", code="not-supported"
        )
    guard.require_operation(call.context, operation.name, call.type)
    _check_names(call, operation)
    if call.prefer.lenient and "_elements" not in (operation.takes or ()):
        call.form = subset.understood(call.form, "")
    return operation


def _check_names(call: Call, operation: Operation) -> None:
    """A parameter that is passed over in silence gives a wrong answer: all that are not known are named."""
    inputs = Inputs(call, body=operation.body)
    if operation.takes is None:
        return
    unknown = [name for name in inputs.names if name not in operation.takes]
    if unknown and not call.prefer.lenient:
        known = ", ".join(operation.takes) or "none"
        raise BadRequest(
            f"${operation.name} has no parameter '{unknown[0][:40]}'; it has: {known}. "
            "To have such parameters ignored, send the header 'Prefer: handling=lenient'.",
            code="not-supported",
        )
