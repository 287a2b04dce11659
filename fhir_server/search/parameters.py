"""The search parameters of a type as they are indexed: https://hl7.org/fhir/R4/searchparameter-registry.html"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Any

from .. import r4
from .sources import Source, UnsupportedExpressionError, compile_expression, split_top

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
    ready: bool = True
    """False while the records that are there already are being indexed for it."""

    @property
    def searchable(self) -> bool:
        """Whether this server indexes it."""
        return self.ready and (bool(self.sources) or self.code in DOCUMENT_FIELDS)


def token_key(source: Source, parameter_type: str) -> str:
    """What the index entries of a source begin with; words of strings are kept apart from codes."""
    return source.key + ("~" if parameter_type == "string" else "|")


def range_field(source: Source) -> str:
    """The field of the stored document that holds the intervals of a source."""
    return "r." + source.key.replace(".", "_")


@cache
def parameters(resource_type: str) -> Mapping[str, Parameter]:
    """`code -> Parameter` of a resource type, added ones included. KeyError if there is no such type."""
    return MappingProxyType({**_added.get(resource_type, {}), **standard_parameters(resource_type)})


@cache
def standard_parameters(resource_type: str) -> Mapping[str, Parameter]:
    """Those of R4."""
    return MappingProxyType(
        {code: _parameter(resource_type, found) for code, found in r4.search_parameters(resource_type).items()}
    )


_added: Mapping[str, Mapping[str, Parameter]] = {}
depending: list[Callable[[], None]] = []
"""What forgets what it made of the parameters when they change."""


def install(added: Mapping[str, Mapping[str, Parameter]]) -> None:
    """Let a server's own search parameters (type -> code -> Parameter) join those of R4 in this process."""
    global _added
    _added = added
    for forget in (parameters.cache_clear, *depending):
        forget()


def added_parameter(definition: Mapping[str, Any], ready: bool) -> dict[str, Parameter]:
    """`type -> Parameter` of a SearchParameter resource. Raises UnsupportedExpressionError with the reason.

    https://hl7.org/fhir/R4/searchparameter.html
    """
    code, kind = definition["code"], definition["type"]
    if kind not in (*RANGE_TYPES, *TOKEN_TYPES, "string"):
        raise UnsupportedExpressionError(f"a parameter of type {kind} cannot be added")
    made = {}
    for base in definition["base"]:
        if base not in r4.RESOURCE_TYPES:
            raise UnsupportedExpressionError(f"'{base}' is no concrete resource type")
        if code in standard_parameters(base):
            raise UnsupportedExpressionError(f"{base} has a parameter '{code}' of R4")
        parts = [part.strip() for part in split_top(definition.get("expression", ""), "|")]
        own = [part for part in parts if part.lstrip("(").startswith(f"{base}.")]
        try:
            sources = _indexed(compile_expression(base, " | ".join(own)), INDEXED_TYPES[kind]) if own else ()
        except KeyError as error:
            raise UnsupportedExpressionError(f"{base} has no element {error}") from error
        if not sources:
            raise UnsupportedExpressionError(f"its expression reads nothing of {base} that can be indexed")
        made[base] = Parameter(code, kind, definition["url"], sources, tuple(definition.get("target", ())), ready)
    return made


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


_PARENTS = ("partof", "part-of", "parent")


@cache
def parent_source(resource_type: str) -> Source | None:
    """Where a record of the type names the one it is part of, when such records form a hierarchy of this type alone.

    https://hl7.org/fhir/R4/search.html#recursive
    """
    known = standard_parameters(resource_type)
    for code in _PARENTS:
        source = known[code].sources[0] if code in known and len(known[code].sources) == 1 else None
        element = source.routes[0].element if source is not None else None
        if element is not None and element.targets == (resource_type,):
            return source
    return None


@cache
def main_sort(resource_type: str) -> Parameter | None:
    """The parameter whose order is kept in the field `s` of every record of a type: its date, or its name."""
    known = standard_parameters(resource_type)
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
    known = standard_parameters(resource_type)
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
