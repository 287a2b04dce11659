"""The parts of a query that select resources, and how each is written in a query string.

https://hl7.org/fhir/R4/search.html#modifiers, #chaining, #has, #combining
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache

from .. import r4
from ..errors import BadRequest
from .fold import fold
from .parameters import Parameter, parameters, parent_source
from .sources import Key, Source, compile_expression, split_top

MAX_VALUES = 500  # alternatives in one parameter
MAX_CHAIN = 6

MODIFIERS = {
    "string": frozenset({"exact", "contains", "missing"}),
    "token": frozenset({"not", "missing", "text", "in", "not-in", "above", "below", "of-type"}),
    # and the name of a target type; above and below where records or versions of what is referenced form a hierarchy
    "reference": frozenset({"missing", "identifier", "above", "below"}),
    "uri": frozenset({"missing", "above", "below"}),
    "date": frozenset({"missing"}),
    "number": frozenset({"missing"}),
    "quantity": frozenset({"missing"}),
    "composite": frozenset[str](),
    "special": frozenset[str](),
}
# Modifiers whose matches no index entry tells.
UNINDEXED = ("not", "not-in", "missing", "text")

TYPES = frozenset(r4.RESOURCE_TYPES)


class NotUnderstoodError(Exception):
    """A filter that this server does not know or cannot apply; lenient handling may ignore it."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One parameter of the query; any of `values` may match. `values` keep their escapes."""

    parameter: Parameter
    modifier: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """`subject:Patient.name=x`: what a reference points to fulfils a clause, one for each type it may point to."""

    parameter: Parameter
    inner: Mapping[str, AnyClause]


@dataclass(frozen=True, slots=True)
class Has:
    """`_has:Observation:patient:code=x`: something that refers to the resource fulfils a clause."""

    source: str
    parameter: Parameter
    inner: AnyClause


@dataclass(frozen=True, slots=True)
class Composite:
    """`code-value-quantity=8480-6$gt140`: several values stand together in one element."""

    code: str
    bases: tuple[CompositeBase, ...]
    values: tuple[tuple[str, ...], ...]
    """Alternatives; each has a value for every component."""


@dataclass(frozen=True, slots=True)
class CompositeBase:
    """An element that a composite looks into, and its components there."""

    keys: tuple[Key, ...]
    components: tuple[Parameter, ...]


@dataclass(frozen=True, slots=True)
class Words:
    """`_text` (the narrative) or `_content` (everything): all of these words stand in it."""

    code: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """`_list=42`: the resource is an entry of the List with this id."""

    list_id: str


@dataclass(frozen=True, slots=True)
class Near:
    """`near=21.03|105.85|5|km`: a Location within so many kilometres of a place."""

    latitude: float
    longitude: float
    kilometres: float


@dataclass(frozen=True, slots=True)
class Either:
    """A `_filter` expression: `operator` is and, or, not."""

    operator: str
    parts: tuple[AnyClause, ...]


AnyClause = Clause | Chain | Has | Composite | Words | Listed | Near | Either


def parse_clause(resource_type: str, name: str, value: str, depth: int = 0) -> AnyClause:
    """One filter. Raises BadRequest for a bad value and NotUnderstoodError for what lenient handling may ignore."""
    if depth > MAX_CHAIN:
        raise BadRequest(f"A chained search goes through at most {MAX_CHAIN} references.")
    if name.startswith("_has:"):
        return _parse_has(resource_type, name, value, depth)
    head, dot, rest = name.partition(".")
    if dot:
        return _parse_chain(resource_type, head, rest, value, depth)
    code, _, modifier = name.partition(":")
    if code in ("_text", "_content") and not modifier:
        return _parse_words(code, value)
    if code == "_list" and not modifier:
        return Listed(value)
    known = parameters(resource_type)
    parameter = known.get(code)
    if parameter is None:
        choices = ", ".join(sorted(each for each in known if not each.startswith("_")))
        raise NotUnderstoodError(f"{resource_type} has no search parameter '{code[:60]}'; it has: {choices}.")
    if parameter.type == "composite" and not modifier:
        return _parse_composite(resource_type, parameter, _values(name, value))
    if code == "near" and resource_type == "Location" and not modifier:
        return _parse_near(value)
    if not parameter.searchable:
        raise NotUnderstoodError(f"The search parameter '{code}' (type {parameter.type}) is not supported.")
    _check_modifier(parameter, modifier)
    if modifier == "missing" and value not in ("true", "false"):
        raise BadRequest(f"'{code}:missing' takes true or false, not '{value[:40]}'.")
    return Clause(parameter, modifier, _values(name, value))


def _check_modifier(parameter: Parameter, modifier: str) -> None:
    allowed = MODIFIERS[parameter.type]
    if not modifier or modifier in allowed:
        if parameter.type == "reference" and modifier in ("above", "below") and not has_hierarchy(parameter):
            raise NotUnderstoodError(
                f"What '{parameter.code}' references forms no hierarchy, so ':{modifier}' has no meaning on it."
            )
        return
    if parameter.type != "reference" or modifier not in TYPES:
        choices = ", ".join(f":{each}" for each in sorted(allowed)) or "none"
        raise NotUnderstoodError(
            f"The modifier ':{modifier[:40]}' is not supported on '{parameter.code}' (type {parameter.type}); "
            f"it takes: {choices}."
        )
    if parameter.targets and modifier not in parameter.targets:
        targets = ", ".join(parameter.targets)
        raise BadRequest(f"'{parameter.code}' never references a {modifier}; its targets: {targets}.")


def _values(name: str, value: str) -> tuple[str, ...]:
    values = tuple(each for each in split_escaped(value, ",") if each.strip())
    if not values:
        raise BadRequest(f"The search parameter '{name[:60]}' has no value; leave it out or give it one.")
    if len(values) > MAX_VALUES:
        raise BadRequest(f"'{name[:60]}' has {len(values)} alternatives, and at most {MAX_VALUES} can be searched.")
    return values


def _parse_chain(resource_type: str, head: str, rest: str, value: str, depth: int) -> Chain:
    code, _, target = head.partition(":")
    parameter = _reference_parameter(resource_type, code)
    targets = (target,) if target else reference_targets(parameter)
    if target and target not in TYPES:
        raise BadRequest(f"'{head[:60]}': '{target[:40]}' is no resource type.")
    inner: dict[str, AnyClause] = {}
    reason: NotUnderstoodError | None = None
    for each in targets:
        try:
            inner[each] = parse_clause(each, rest, value, depth + 1)
        except NotUnderstoodError as error:
            reason = error
    if not inner:
        raise reason or NotUnderstoodError(f"'{head[:60]}.{rest[:60]}' leads nowhere.")
    return Chain(parameter, inner)


def _parse_has(resource_type: str, name: str, value: str, depth: int) -> Has:
    source, _, rest = name.removeprefix("_has:").partition(":")
    if source not in TYPES or ":" not in rest:
        raise BadRequest(f"'{name[:60]}': write _has:Type:reference:parameter.")
    code, _, inner = rest.partition(":")
    parameter = _reference_parameter(source, code)
    if resource_type not in reference_targets(parameter):
        raise BadRequest(f"'{name[:60]}': {source}.{code} never references a {resource_type}.")
    return Has(source, parameter, parse_clause(source, inner, value, depth + 1))


def _reference_parameter(resource_type: str, code: str) -> Parameter:
    parameter = parameters(resource_type).get(code)
    if parameter is None or parameter.type != "reference" or not parameter.sources:
        raise NotUnderstoodError(f"{resource_type} has no reference parameter '{code[:60]}'.")
    return parameter


def reference_targets(parameter: Parameter) -> tuple[str, ...]:
    """The types that a reference parameter can point to."""
    bound = {source.target for source in parameter.sources}
    if "" not in bound:
        return tuple(sorted(bound))
    return element_targets(parameter, parameter.sources)


def is_canonical(source: Source) -> bool:
    """Whether a source holds canonical references, which may name a version."""
    return any(route.datatype in ("canonical", "uri") for route in source.routes)


def has_hierarchy(parameter: Parameter) -> bool:
    """Whether something stands above or below what a reference parameter points to."""
    canonical = any(is_canonical(source) for source in parameter.sources)
    return canonical or any(parent_source(target) is not None for target in reference_targets(parameter))


def element_targets(parameter: Parameter, sources: Iterable[Source]) -> tuple[str, ...]:
    """The types that some of its sources may point to by the definitions of parameter and elements."""
    routes = [route for source in sources for route in source.routes]
    allowed = {target for route in routes if route.element for target in route.element.targets}
    named = parameter.targets or r4.RESOURCE_TYPES
    return tuple(target for target in named if target in allowed) if allowed else tuple(named)


def _parse_words(code: str, value: str) -> Words:
    words = tuple(fold(value).split())
    if not words:
        raise BadRequest(f"The search parameter '{code}' has no value; leave it out or give it one.")
    return Words(code, words)


_KILOMETRES = {"km": 1.0, "m": 0.001, "[mi_i]": 1.609344, "mi": 1.609344}


def _parse_near(value: str) -> Near:
    """https://hl7.org/fhir/R4/location.html#positional: latitude|longitude|distance|units."""
    parts = [*value.split("|"), "", ""]
    try:
        latitude, longitude = float(parts[0]), float(parts[1])
        distance = float(parts[2] or 10)
        kilometres = distance * _KILOMETRES[parts[3] or "km"]
    except (ValueError, KeyError, IndexError):
        raise BadRequest("'near' takes latitude|longitude|distance|units, with km, m or mi as units.") from None
    if not (abs(latitude) <= 90 and abs(longitude) <= 180 and kilometres >= 0):
        raise BadRequest("'near' takes a latitude from -90 to 90 and a longitude from -180 to 180.")
    return Near(latitude, longitude, kilometres)


def _parse_composite(resource_type: str, parameter: Parameter, values: tuple[str, ...]) -> Composite:
    bases = composite_bases(resource_type, parameter.code)
    amount = len(bases[0].components)
    several = []
    for value in values:
        parts = tuple(split_escaped(value, "$"))
        if len(parts) != amount or not all(parts):
            raise BadRequest(f"'{parameter.code}={value[:60]}': write {amount} values with a $ between them.")
        several.append(parts)
    return Composite(parameter.code, bases, tuple(several))


@cache
def composite_bases(resource_type: str, code: str) -> tuple[CompositeBase, ...]:
    """The elements a composite parameter looks into. https://hl7.org/fhir/R4/searchparameter.html#composite"""
    definition = r4.search_parameters(resource_type)[code]
    bases = []
    for base in split_top(definition.expressions[resource_type], "|"):
        base = base.strip()
        keys = () if base == resource_type else compile_expression(resource_type, base)[0].routes[0].keys
        components = tuple(
            _component(resource_type, base, url, expression) for url, expression in definition.components
        )
        bases.append(CompositeBase(keys, components))
    return tuple(bases)


def _component(resource_type: str, base: str, url: str, expression: str) -> Parameter:
    """A component as a parameter over the index entries of the parameter of the type that reads the same place."""
    places = [
        f"{resource_type}.{part.removeprefix('%resource.')}" if part.startswith("%resource.") else f"{base}.{part}"
        for part in (each.strip() for each in split_top(expression, "|"))
    ]
    wanted = {source.key for source in compile_expression(resource_type, " | ".join(places))}
    own = parameters(resource_type).values()
    for parameter in sorted(own, key=lambda each: each.url != url):
        sources = tuple(source for source in parameter.sources if source.key in wanted)
        if sources:
            return replace(parameter, sources=sources)
    return next(parameter for parameter in own if parameter.url == url)


def split_escaped(text: str, separator: str) -> list[str]:
    r"""Split at the separator where no backslash stands before it; escapes stay in the parts.

    https://hl7.org/fhir/R4/search.html#escaping
    """
    if separator not in text:
        return [text]
    if "\\" not in text:
        return text.split(separator)
    parts, part, position = [], "", 0
    while position < len(text):
        letter = text[position]
        if letter == "\\" and position + 1 < len(text):
            part += text[position : position + 2]
            position += 2
            continue
        if letter == separator:
            parts.append(part)
            part = ""
        else:
            part += letter
        position += 1
    return [*parts, part]


_ESCAPE = re.compile(r"\\([,|$\\])")


def unescape(text: str) -> str:
    r"""`\,` `\|` `\$` and `\\` as the letter itself."""
    return _ESCAPE.sub(r"\1", text) if "\\" in text else text


def escape(text: str) -> str:
    """The text as a value of its own: what `unescape` gives back."""
    return re.sub(r"([,|$\\])", r"\\\1", text)
