"""What operations answer with: a resource as it is, or a Parameters resource around the results.

https://hl7.org/fhir/R4/operations.html#response
"""

from __future__ import annotations

from typing import Any

from ...resource import exact
from ..call import Answer


def resource(made: dict[str, Any]) -> Answer:
    """An operation with one result called `return` that is a resource answers with just this resource."""
    return Answer(200, exact.dump(made))


def parameters(results: list[dict[str, Any]]) -> Answer:
    """200 with the results, each a parameter with its `name` and `value[x]`, `resource` or `part`."""
    made: dict[str, Any] = {"resourceType": "Parameters"}
    if results:  # FHIR JSON has no empty arrays
        made["parameter"] = results
    return Answer(200, exact.dump(made))
