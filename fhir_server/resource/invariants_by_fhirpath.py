"""The invariants of R4 as $validate evaluates them: their FHIRPath, by a library.

https://hl7.org/fhir/R4/conformance-rules.html#constraints. Those that run on every write as plain Python
(fhir_server.resource.invariants) have been judged by then and are left out. What the library cannot evaluate is
reported by name, never passed in silence.
"""

from __future__ import annotations

from collections.abc import Collection
from time import monotonic
from typing import Any

from fhir_server.errors import Issue
from fhir_server.r4 import Invariant, invariants
from fhir_server.resource.fhirpath import NotEvaluated, holds, own_copy
from fhir_server.resource.invariants import ON_WRITE
from fhir_server.resource.places import Place, places

SECONDS = 20.0
"""How long one resource may take: a bundle of 4 MB does not keep a worker for minutes."""


def invariant_issues(
    resource: dict[str, Any], *, leave_out: Collection[str] = ON_WRITE, seconds: float = SECONDS
) -> list[Issue]:
    """The invariants a valid resource breaks, as errors or warnings; those not evaluated, as information."""
    until = monotonic() + seconds
    issues: list[Issue] = []
    unknown: dict[str, tuple[list[str], str]] = {}
    for place in places(own_copy(resource)):
        for invariant in _applicable(place):
            if invariant.key in leave_out:
                continue
            if monotonic() > until:
                text = f"The invariants from {place.expression} on were not evaluated: the resource is too large."
                return [*issues, *_not_evaluated(unknown), Issue(text, "incomplete", "warning", (place.expression,))]
            try:
                kept = holds(invariant.expression, place.value, place.path, place.resource, place.root)
            except NotEvaluated as error:
                unknown.setdefault(invariant.key, ([], str(error)))[0].append(place.expression)
                continue
            if not kept:
                text = f"{invariant.key}: {invariant.human}"
                issues.append(Issue(text, "invariant", invariant.severity, (place.expression,)))
    return issues + _not_evaluated(unknown)


def _applicable(place: Place) -> list[Invariant]:
    known = invariants()
    found = list(known.get(place.element, ())) if place.element else []
    for context in place.types():
        if context != place.element:
            found += known.get(context, ())
    return found


def _not_evaluated(unknown: dict[str, tuple[list[str], str]]) -> list[Issue]:
    return [
        Issue(f"The invariant {key} was not evaluated: {why}.", "not-supported", "information", (expressions[0],))
        for key, (expressions, why) in unknown.items()
    ]
