"""The search parameters of a type as they are indexed: https://hl7.org/fhir/R4/searchparameter-registry.html"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType

from .. import r4
from .sources import Source, UnsupportedExpressionError, compile_expression

RANGE_TYPES = ("date", "number", "quantity")
TOKEN_TYPES = ("token", "reference", "uri")

# The datatypes that each kind of parameter can index; what else an expression reaches holds nothing to search by.
INDEXED_TYPES = {
    "token": frozenset(
        {"code", "id", "string", "boolean", "uri", "url", "oid", "uuid", "canonical", "integer", "positiveInt"}
        | {"Coding", "CodeableConcept", "Identifier", "ContactPoint"}
    ),
    "uri": frozenset({"uri", "url", "canonical", "oid", "uuid"}),
    "reference": frozenset({"Reference", "canonical", "uri", "Resource"}),
    "string": frozenset({"string", "markdown", "HumanName", "Address"}),
    "date": frozenset({"date", "dateTime", "instant", "Period", "Timing", "string"}),
    "number": frozenset({"decimal", "integer", "positiveInt", "unsignedInt", "Range"}),
    "quantity": frozenset({"Quantity", "Age", "Duration", "Count", "Distance", "Money", "Range"}),
}

# Read from fields of the stored document, not from index entries of the resource.
DOCUMENT_FIELDS = {"_id": "_id", "_lastUpdated": "t"}

# Expressions that ask more than where a value stands, and the source that stands for their result.
COMPUTED = {"http://hl7.org/fhir/SearchParameter/Patient-deceased": Source("deceased", ())}

# What a type's records are listed by when it has no `date`: the moment they were written down, or the name.
_MAIN_SORT = ("date", "recorded-date", "authoredon", "authored", "created", "name")
_NEWEST_OF = ("patient", "subject", "code", "category")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A search parameter of one resource type and the sources it reads."""

    code: str
    type: str
    url: str
    sources: tuple[Source, ...]
    targets: tuple[str, ...]

    @property
    def searchable(self) -> bool:
        """Whether this server indexes it."""
        return bool(self.sources) or self.code in DOCUMENT_FIELDS


def token_key(source: Source, parameter_type: str) -> str:
    """What the index entries of a source begin with; words of strings are kept apart from codes."""
    return source.key + ("~" if parameter_type == "string" else "|")


def range_field(source: Source) -> str:
    """The field of the stored document that holds the intervals of a source."""
    return "r." + source.key.replace(".", "_")


@cache
def parameters(resource_type: str) -> Mapping[str, Parameter]:
    """`code -> Parameter` of a resource type. KeyError if there is no such type."""
    return MappingProxyType(
        {code: _parameter(resource_type, found) for code, found in r4.search_parameters(resource_type).items()}
    )


def _parameter(resource_type: str, found: r4.SearchParameter) -> Parameter:
    expression = found.expressions.get(resource_type, "")
    sources: tuple[Source, ...] = ()
    if found.url in COMPUTED:
        sources = (COMPUTED[found.url],)
    elif expression and found.type in (*RANGE_TYPES, *TOKEN_TYPES, "string") and found.code not in DOCUMENT_FIELDS:
        try:
            sources = _indexed(compile_expression(resource_type, expression), INDEXED_TYPES[found.type])
        except UnsupportedExpressionError as error:
            raise RuntimeError(f"{found.url} cannot be indexed: {error}") from error
    return Parameter(found.code, found.type, found.url, sources, found.target)


def _indexed(sources: tuple[Source, ...], datatypes: frozenset[str]) -> tuple[Source, ...]:
    kept = [
        replace(source, routes=tuple(route for route in source.routes if route.datatype in datatypes))
        for source in sources
    ]
    return tuple(source for source in kept if source.routes)


@cache
def main_sort(resource_type: str) -> Parameter | None:
    """The parameter whose order is kept in the field `s` of every record of a type: its date, or its name."""
    known = parameters(resource_type)
    for code in _MAIN_SORT:
        found = known.get(code)
        if found and len(found.sources) == 1 and found.type in ("date", "string"):
            return found
    return None


@cache
def newest_of(resource_type: str) -> tuple[str, ...]:
    """Beginnings of the index entries that are also kept in date order (newest observations of a patient, of a code).

    Empty for types without a date.
    """
    order = main_sort(resource_type)
    if order is None or order.type != "date":
        return ()
    known = parameters(resource_type)
    return tuple(
        sorted(
            {
                token_key(source, known[code].type)
                for code in _NEWEST_OF
                if code in known
                for source in known[code].sources
            }
        )
    )
