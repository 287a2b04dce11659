"""The definitions of FHIR R4 (4.0.1) as data, and the code that reads them: https://hl7.org/fhir/R4/

The tables in data/ are built from the official package by `python -m fhir_server.r4.build PACKAGE`.
"""

from fhir_server.r4.codes import (
    DefinedSystem,
    code_system_of,
    defined_system,
    required_codes,
    required_value_sets,
    value_set_content,
)
from fhir_server.r4.compartments import compartment
from fhir_server.r4.invariants import Invariant, invariants
from fhir_server.r4.parameters import SearchParameter, search_parameter_by_url, search_parameters
from fhir_server.r4.schema import json_schema
from fhir_server.r4.structures import (
    FHIR_VERSION,
    PATHS,
    PRIMITIVES,
    RESOURCE_TYPES,
    Element,
    Property,
    base_type,
    elements,
    has_sibling,
    properties,
)

__all__ = [
    "FHIR_VERSION",
    "PATHS",
    "PRIMITIVES",
    "RESOURCE_TYPES",
    "DefinedSystem",
    "Element",
    "Invariant",
    "Property",
    "SearchParameter",
    "base_type",
    "code_system_of",
    "compartment",
    "defined_system",
    "elements",
    "has_sibling",
    "invariants",
    "json_schema",
    "properties",
    "required_codes",
    "required_value_sets",
    "search_parameter_by_url",
    "search_parameters",
    "value_set_content",
]
