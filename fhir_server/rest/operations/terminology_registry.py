"""The rows of $validate and of the terminology operations in the table of operations.

https://hl7.org/fhir/R4/terminology-service.html
"""

from __future__ import annotations

from .expand import expand
from .lookup import lookup, subsumes
from .operation import Operation
from .translate import translate_code
from .validate import validate
from .validate_code import validate_code_in_system, validate_code_in_value_set

_R4 = "http://hl7.org/fhir/OperationDefinition"

_CODED = ("code", "system", "display", "coding", "codeableConcept")
_PAGED = ("filter", "offset", "count")
_SHAPED = ("activeOnly", "excludeNotForUI", "includeDesignations", "includeDefinition")

TERMINOLOGY_OPERATIONS = (
    Operation(
        "validate",
        ("type", "instance", "system"),
        (),
        f"{_R4}/Resource-validate",
        validate,
        takes=("resource", "mode", "profile"),
        body="resource",
    ),
    Operation(
        "expand",
        ("type", "instance"),
        ("ValueSet",),
        f"{_R4}/ValueSet-expand",
        expand,
        takes=("url", "valueSet", "valueSetVersion", *_PAGED, *_SHAPED),
        body="valueSet",
    ),
    Operation(
        "validate-code",
        ("type", "instance"),
        ("ValueSet",),
        f"{_R4}/ValueSet-validate-code",
        validate_code_in_value_set,
        takes=("url", "valueSet", "valueSetVersion", *_CODED),
    ),
    Operation(
        "validate-code",
        ("type", "instance"),
        ("CodeSystem",),
        f"{_R4}/CodeSystem-validate-code",
        validate_code_in_system,
        takes=("url", "codeSystem", "version", *(each for each in _CODED if each != "system")),
    ),
    Operation(
        "lookup",
        ("type",),
        ("CodeSystem",),
        f"{_R4}/CodeSystem-lookup",
        lookup,
        takes=("code", "system", "version", "coding", "property"),
    ),
    Operation(
        "subsumes",
        ("type", "instance"),
        ("CodeSystem",),
        f"{_R4}/CodeSystem-subsumes",
        subsumes,
        takes=("codeA", "codeB", "system", "version", "codingA", "codingB"),
    ),
    Operation(
        "translate",
        ("type", "instance"),
        ("ConceptMap",),
        f"{_R4}/ConceptMap-translate",
        translate_code,
        takes=(
            *("url", "conceptMap", "conceptMapVersion", "code", "system", "coding", "codeableConcept"),
            *("source", "target", "targetsystem", "reverse"),
        ),
    ),
)
