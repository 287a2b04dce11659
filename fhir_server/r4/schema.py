"""A JSON schema of R4 made from the element definitions: https://hl7.org/fhir/R4/json.html

Stricter than the published fhir.schema.json: cardinalities, reference targets, required bindings and calendar dates are
in it. One definition per type and backbone path; an instance is validated inside an object that names its type,
`{"Patient": {...}}`. Resources inside a resource (contained, Bundle.entry.resource) are only required to be objects that
name a type: whoever validates takes them out and validates each as its own instance.

Left to code, because JSON schema says it badly or slowly: at most one type of a choice, lists of primitives aligned with
the lists of their extensions, integers written as 1.0.
"""

from __future__ import annotations

from typing import Any, Final

from fhir_server.r4.codes import code_system_of, required_codes, required_value_sets
from fhir_server.r4.structures import PATHS, PRIMITIVES, RESOURCE_TYPES, Element, has_sibling, properties

Schema = dict[str, Any]

_YEAR = "(?:[0-9](?:[0-9](?:[0-9][1-9]|[1-9]0)|[1-9]00)|[1-9]000)"
_LEAP_YEAR = "(?:[0-9][0-9](?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_MONTH = "(?:0[1-9]|1[0-2])"
_DAY = (
    f"(?:{_YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    f"|{_LEAP_YEAR}-02-29)"
)
_TIME = "(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\\.[0-9]+)?"
_ZONE = "(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
# The published expressions are of XML Schema, where only these four characters are white space; control characters
# cannot be written in XML at all and are taken for white space too.
_WHITE = "\\x00-\\x20\\ufffe\\uffff"
_SOLID = f"[^{_WHITE}]"
_BLANK = "[ \\t\\r\\n]"
_PRINTABLE = "[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\ufffe\\uffff]"
_TEXT = f"^{_PRINTABLE}*[^\\s\\x00-\\x1f\\ufffe\\uffff]{_PRINTABLE}*$"
_BASE64 = f"(?:[A-Za-z0-9+/]{_BLANK}*)"
_ID = "[A-Za-z0-9\\-.]{1,64}"
_TYPE = "(?:" + "|".join(RESOURCE_TYPES) + ")"
_VERSION = f"(?:/_history/{_ID})?"

MAX_STRING: Final = 1024 * 1024
"""https://hl7.org/fhir/R4/datatypes.html#string: no string is longer."""

# Where the published regular expression is not what the page says: it lets 30 February pass as a date, refuses a
# non-breaking space in a string and accepts a control character, and cannot tell where base64 padding belongs.
_PRIMITIVE_SCHEMAS: Final[dict[str, Schema]] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "unsignedInt": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
    "positiveInt": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
    "decimal": {"type": "number"},
    "string": {"type": "string", "pattern": _TEXT, "maxLength": MAX_STRING},
    "markdown": {"type": "string", "pattern": _TEXT, "maxLength": MAX_STRING},
    "xhtml": {"type": "string", "pattern": _TEXT},
    "date": {"type": "string", "pattern": f"^(?:{_YEAR}(?:-{_MONTH})?|{_DAY})$"},
    "dateTime": {"type": "string", "pattern": f"^(?:{_YEAR}(?:-{_MONTH})?|{_DAY}(?:T{_TIME}{_ZONE})?)$"},
    "instant": {"type": "string", "pattern": f"^{_DAY}T{_TIME}{_ZONE}$"},
    "base64Binary": {
        "type": "string",
        "minLength": 1,
        "pattern": f"^{_BLANK}*(?:{_BASE64}{{4}})*(?:{_BASE64}{{2}}={_BLANK}*={_BLANK}*|{_BASE64}{{3}}={_BLANK}*)?$",
    },
}

# A reference is a fragment, a URL, or relative: then it must be to a type that exists.
# https://hl7.org/fhir/R4/references.html#literal
_LITERAL: Final[Schema] = {
    "type": "string",
    "pattern": f"^(?:#{_SOLID}*|[a-zA-Z][a-zA-Z0-9+.-]*:{_SOLID}+|{_TYPE}(?:/{_ID}{_VERSION}|\\?{_SOLID}+))$",
}
_NAMES_A_TYPE: Final[Schema] = {"pattern": f"^(?:[a-z]+:\\S*/)?{_TYPE}(?:/{_ID}{_VERSION}|\\?\\S*)$"}

_NESTED_RESOURCE: Final[Schema] = {
    "type": "object",
    "required": ["resourceType"],
    "properties": {"resourceType": {"enum": list(RESOURCE_TYPES)}},
}


def json_schema() -> Schema:
    """The JSON schema (draft 2020-12) of `{resource type: resource}` for all 146 types."""
    definitions: dict[str, Schema] = {"Resource": _NESTED_RESOURCE, "reference": _LITERAL, "typed": _NAMES_A_TYPE}
    for name, pattern in PRIMITIVES.items():
        definitions[name] = _PRIMITIVE_SCHEMAS.get(name) or _published(pattern)
    for value_set in required_value_sets():
        if (codes := required_codes(value_set)) is not None:
            definitions[_codes_name(value_set)] = {"enum": sorted(codes)}
    for path in PATHS:
        if path not in ("Resource", "DomainResource", "BackboneElement"):
            definitions[path] = _object(path, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "properties": {name: _ref(name) for name in RESOURCE_TYPES},
        "additionalProperties": False,
        "$defs": definitions,
    }


def _published(pattern: str) -> Schema:
    for published, meant in (("[^\\s]", _SOLID), ("\\S", _SOLID), ("\\s", _BLANK)):
        pattern = pattern.replace(published, meant)
    return {"type": "string", "minLength": 1, "pattern": f"^(?:{pattern})$"}


def _ref(definition: str) -> Schema:
    return {"$ref": f"#/$defs/{definition}"}


def _codes_name(value_set: str) -> str:
    return "code." + value_set.rsplit("/", 1)[1]


def _object(path: str, definitions: dict[str, Schema]) -> Schema:
    """The schema of one type or backbone; adds the definitions only it needs to `definitions`."""
    written: dict[str, Schema] = {}
    required: list[str] = []
    if path in RESOURCE_TYPES:
        written["resourceType"] = {"const": path}
        required.append("resourceType")
    ways: dict[str, list[str]] = {}
    for name, (element, type_name) in properties(path).items():
        if element.max == 0:
            continue
        item = _value(element, type_name, definitions)
        written[name] = _listed(item, nullable=type_name in PRIMITIVES) if element.is_list else item
        names = ways.setdefault(element.name, []) if element.min else []
        names.append(name)
        if has_sibling(path, name):
            sibling = _ref("Element")
            written["_" + name] = _listed(sibling, nullable=True) if element.is_list else sibling
            names.append("_" + name)
    required += [names[0] for names in ways.values() if len(names) == 1]
    alternatives = [{"anyOf": [{"required": [name]} for name in names]} for names in ways.values() if len(names) > 1]
    schema: Schema = {"type": "object", "properties": written, "additionalProperties": False}
    if required:
        schema["required"] = required
    else:
        schema["minProperties"] = 1
    if alternatives:
        schema |= alternatives[0] if len(alternatives) == 1 else {"allOf": alternatives}
    return schema


def _listed(item: Schema, *, nullable: bool) -> Schema:
    """A list; null stands in a list of primitives for a value that is missing beside its extension."""
    return {"type": "array", "minItems": 1, "items": {"if": {"type": "null"}, "else": item} if nullable else item}


def _value(element: Element, type_name: str, definitions: dict[str, Schema]) -> Schema:
    """The schema of one value of an element, taken as `type_name`."""
    bound = element.binding and required_codes(element.binding) is not None
    if bound and type_name == "code":
        return _ref(_codes_name(str(element.binding)))
    if bound and type_name == "CodeableConcept":
        name = "CodeableConcept." + _codes_name(str(element.binding))
        definitions[name] = _bound_concept(str(element.binding))
        return _ref(name)
    if type_name == "Reference":
        name = "Reference:" + ",".join(element.targets) if element.targets else "Reference"
        if name not in definitions:
            definitions[name] = _reference(element.targets)
        return _ref(name)
    return _ref(type_name)


def _bound_concept(value_set: str) -> Schema:
    """A CodeableConcept one of whose codings must be from the value set; text alone will not do."""
    schema = _object("CodeableConcept", {})
    coding: Schema = {"required": ["code"], "properties": {"code": _ref(_codes_name(value_set))}}
    if system := code_system_of(value_set):
        coding["properties"]["system"] = {"const": system}
        coding["required"].append("system")
    schema["properties"]["coding"]["contains"] = coding
    schema["anyOf"] = [{"required": ["coding"]}, {"required": ["extension"]}]
    return schema


def _reference(targets: tuple[str, ...]) -> Schema:
    """A Reference to one of the target types, when it says which type it points to."""
    schema = _object("Reference", {})
    schema["properties"]["reference"] = _ref("reference")
    if targets:
        names = "|".join(targets)
        literal = {"pattern": f"^(?:[a-z]+:\\S*/)?(?:{names})(?:/{_ID}{_VERSION}|\\?\\S*)$"}
        schema["properties"]["reference"] = {"allOf": [_ref("reference"), {"if": _ref("typed"), "then": literal}]}
        schema["properties"]["type"] = {"enum": list(targets)}
    return schema
