"""Clause -> MongoDB filter on the stored document (x tokens, r intervals, resource: the native copy).

Every condition that an index can serve is an equality or a range on `x` or on one interval field; what is left is
checked on the native copy of the resources that remain. https://hl7.org/fhir/R4/search.html#ptypes
"""

from __future__ import annotations

import re
from typing import Any

from .. import r4
from ..errors import BadRequest
from .clauses import Clause, Composite, CompositeBase, element_targets, is_canonical, split_escaped, unescape
from .entries import MAX_STRING, local_reference
from .filters import LAST, NOTHING, Filter, Reading, Terminology, any_of
from .fold import fold
from .parameters import DOCUMENT_FIELDS, parent_source, token_key
from .range_conditions import document_field_condition, is_range, range_condition
from .sources import Route, Source

_NAME_PARTS = ("text", "family", "given", "prefix", "suffix")


_ADDRESS_PARTS = ("text", "line", "city", "district", "state", "postalCode", "country")


def conditions(clauses: list[Clause], reading: Reading) -> list[Filter]:
    """One filter for each clause, except that clauses on the same dates or amounts are read as one interval.

    Raises BadRequest for a value that is none of its type.
    """
    ranges: dict[str, list[Clause]] = {}
    filters = []
    for clause in clauses:
        if is_range(clause):
            ranges.setdefault(clause.parameter.code, []).append(clause)
        else:
            filters.append(_condition(clause, reading))
    for several in ranges.values():
        sources = several[0].parameter.sources
        if len(sources) == 1:
            filters.append(range_condition(several, sources[0], reading))
        else:
            filters += [
                any_of([range_condition([clause], source, reading) for source in sources]) for clause in several
            ]
    return filters


def _condition(clause: Clause, reading: Reading) -> Filter:
    modifier, kind = clause.modifier, clause.parameter.type
    if modifier == "missing":
        return _missing(clause)
    if clause.parameter.code in DOCUMENT_FIELDS:
        return document_field_condition(clause, reading.now)
    if modifier == "text":
        return {}  # no index entry tells; the texts are read
    if kind == "string":
        sources = clause.parameter.sources
        return any_of([_string(clause, source, value) for value in clause.values for source in sources])
    if kind == "uri" and modifier in ("above", "below"):
        return any_of([_uri(clause, unescape(value)) for value in clause.values])
    if kind == "token" and modifier in ("in", "not-in", "above", "below"):
        found = any_of([_coded(clause, unescape(value), reading.terminology) for value in clause.values])
        return {"$nor": [found]} if modifier == "not-in" else found
    if kind == "token" and modifier == "of-type":
        return any_of([_of_type(clause, value) for value in clause.values])
    if kind == "reference" and modifier == "identifier":
        return any_of([_logical(clause, value) for value in clause.values])
    if kind == "reference" and modifier in ("above", "below"):
        return any_of([_hierarchical(clause, value, reading) for value in clause.values])
    if kind == "reference":
        named = [_reference(clause, value, reading.base_url) for value in clause.values]
        found = _tokens([*named, (_merged([token for tokens, _ in named for token in tokens], reading), [])])
    else:
        found = _tokens([_token(clause, value) for value in clause.values])
    return {"$nor": [found]} if modifier == "not" else found


def _merged(tokens: list[str], reading: Reading) -> list[str]:
    """The tokens of Patients that were merged into those whom `tokens` name: their records were never rewritten."""
    named: dict[str, list[str]] = {}
    for token in tokens:
        key, bar, id = token.partition("|Patient/")
        if bar:
            named.setdefault(id, []).append(key + bar)
    behind = {id: reading.merged([id]) for id in named}
    return [key + each for id, keys in named.items() for key in keys for each in behind[id]]


def composite_filters(composite: Composite, base: CompositeBase, reading: Reading) -> list[list[Filter]]:
    """For each alternative of a composite what its components ask, each on its own."""
    return [
        [
            each
            for parameter, value in zip(base.components, values, strict=True)
            for each in conditions([Clause(parameter, "", (value,))], reading)
        ]
        for values in composite.values
    ]


def _tokens(alternatives: list[tuple[list[str], list[Filter]]]) -> Filter:
    """Bare tokens become one $in, which an index serves in order; the others stand beside them."""
    tokens = [token for bare, _ in alternatives for token in bare]
    filters = [each for _, others in alternatives for each in others]
    if tokens:
        filters.insert(0, {"x": tokens[0] if len(tokens) == 1 else {"$in": list(dict.fromkeys(tokens))}})
    return any_of(filters) if filters else NOTHING


def _token(clause: Clause, value: str) -> tuple[list[str], list[Filter]]:
    parts = [unescape(part) for part in split_escaped(value, "|")]
    if clause.parameter.type == "uri":
        text = unescape(value)
        exact = [token_key(source, "uri") + text for source in clause.parameter.sources]
        return exact, [_versioned(source, text) for source in clause.parameter.sources if "|" in text]
    if len(parts) > 2:
        raise BadRequest(f"'{clause.parameter.code}={value[:60]}': a token is code, system|code, system| or |code.")
    if len(parts) == 1:
        return [token_key(source, "token") + parts[0] for source in clause.parameter.sources], []
    system, code = parts
    bare: list[str] = []
    filters: list[Filter] = []
    for source in clause.parameter.sources:
        key = token_key(source, "token")
        if not code:
            bare.append(f"{key[:-1]}@|{system}")
        else:
            pairs = [found for route in source.routes if (found := _pair(route, system, code)) is not None]
            if any(not pair for pair in pairs):
                bare.append(key + code)
            elif pairs:
                filters.append({"$and": [{"x": key + code}, any_of(pairs)]})
    return bare, filters


def _versioned(source: Source, text: str) -> Filter:
    """`url=http://x|1.0` of a definition asks for its version too: https://hl7.org/fhir/R4/references.html#canonical"""
    url, _, version = text.rpartition("|")
    return {"$and": [{"x": token_key(source, "uri") + url}, {"x": f"version|{version}"}]}


def _pair(route: Route, system: str, code: str) -> Filter | None:
    """What must hold beside the token so that code and system stand together; {} nothing, None: it never can."""
    wanted: Any = system if system else {"$exists": False}
    if route.datatype == "CodeableConcept":
        return native(route, {"coding": {"$elemMatch": {"code": code, "system": wanted}}})
    if route.datatype == "Coding":
        return native(route, {"code": code, "system": wanted})
    if route.datatype in ("Identifier", "ContactPoint"):
        return native(route, {"value": code, "system": wanted})
    if not system:
        return {}
    if route.datatype == "code" and route.element is not None and route.element.binding:
        return {} if r4.code_system_of(route.element.binding) == system else None
    return None


def _of_type(clause: Clause, value: str) -> Filter:
    """`identifier:of-type=system|code|value`: the identifier has the value and a type with this coding."""
    parts = [unescape(part) for part in split_escaped(value, "|")]
    if len(parts) != 3 or not parts[1] or not parts[2]:
        raise BadRequest(f"'{clause.parameter.code}:of-type' takes system|code|value.")
    system, code, wanted = parts
    coding = {"code": code} | ({"system": system} if system else {})
    found = [
        {
            "$and": [
                {"x": token_key(source, "token") + wanted},
                native(route, {"value": wanted, "type.coding": {"$elemMatch": coding}}),
            ]
        }
        for source in clause.parameter.sources
        for route in source.routes
        if route.datatype == "Identifier"
    ]
    if not found:
        raise BadRequest(f"'{clause.parameter.code}' is no identifier; ':of-type' asks for the type of one.")
    return any_of(found)


def _coded(clause: Clause, value: str, terminology: Terminology | None) -> Filter:
    """:in and :not-in a value set, :above and :below a code: the codes are known before the search."""
    if terminology is None:
        raise BadRequest(f"':{clause.modifier}' needs a terminology service.", code="not-supported")
    if clause.modifier in ("in", "not-in"):
        codes = terminology.codes_in(value)
    else:
        system, bar, code = value.partition("|")
        if not bar or not system or not code:
            raise BadRequest(f"'{clause.parameter.code}:{clause.modifier}' takes system|code.")
        if terminology.system(system) is None:
            raise BadRequest(
                f"The code system '{system[:80]}' is not held here, so it is not known what ':{clause.modifier}' means.",
                code="not-supported",
            )
        related = terminology.below if clause.modifier == "below" else terminology.above
        codes = [(system, each) for each in related(system, code)]
    by_system: dict[str, list[str]] = {}
    for system, code in codes:
        by_system.setdefault(system, []).append(code)
    found = []
    for source in clause.parameter.sources:
        key = token_key(source, "token")
        for system, several in by_system.items():
            pairs = [each for route in source.routes if (each := _any_pair(route, system, several)) is not None]
            tokens: Filter = {"x": {"$in": [key + code for code in several]}}
            if pairs:
                found.append(tokens if any(not pair for pair in pairs) else {"$and": [tokens, any_of(pairs)]})
    return any_of(found) if found else NOTHING


def _any_pair(route: Route, system: str, codes: list[str]) -> Filter | None:
    """Like `_pair`, for any of several codes of one system."""
    among = {"$in": codes}
    if route.datatype == "CodeableConcept":
        return native(route, {"coding": {"$elemMatch": {"code": among, "system": system}}})
    if route.datatype == "Coding":
        return native(route, {"code": among, "system": system})
    return _pair(route, system, codes[0]) if route.datatype == "code" else None


def _uri(clause: Clause, value: str) -> Filter:
    """:below is the address and what its path leads to, :above the address and what leads to it."""
    found: list[Filter] = []
    parents = [value]
    while clause.modifier == "above" and "/" in parents[-1].partition("://")[2]:
        parents.append(parents[-1].rpartition("/")[0])
    for source in clause.parameter.sources:
        key = token_key(source, "uri")
        found.append({"x": {"$in": [key + each for each in parents]}})
        if clause.modifier == "below":
            found.append(starting_with(key + value.rstrip("/") + "/"))
    return any_of(found)


def native(route: Route, wanted: Filter) -> Filter:
    """`wanted` (property -> condition) of one and the same item at the end of a route, on the native copy."""
    keys = route.keys
    last_list = max((number for number, key in enumerate(keys) if key.many), default=-1)
    outer = ".".join(["resource", *(key.name for key in keys[: last_list + 1])])
    inner = "".join(key.name + "." for key in keys[last_list + 1 :])
    if last_list < 0:
        return {f"{outer}.{inner}{name}": each for name, each in wanted.items()}
    return {outer: {"$elemMatch": {inner + name: each for name, each in wanted.items()}}}


def _reference(clause: Clause, value: str, base_url: str) -> tuple[list[str], list[Filter]]:
    text = local_reference(unescape(value), base_url)
    tokens: list[str] = []
    for source in clause.parameter.sources:
        key = token_key(source, "reference")
        kind, slash, _ = text.partition("/")
        if ":" in text:
            if not source.target or f"/{source.target}/" in text:
                tokens.append(key + text)
        elif slash:
            if kind not in r4.RESOURCE_TYPES:
                raise BadRequest(f"'{clause.parameter.code}={value[:60]}': '{kind[:40]}' is no resource type.")
            if (not source.target or kind == source.target) and clause.modifier in ("", kind):
                tokens.append(key + text)
        else:
            tokens += [f"{key}{target}/{text}" for target in _targets(clause, source)]
    return tokens, []


def _hierarchical(clause: Clause, value: str, reading: Reading) -> Filter:
    """:below is what is referenced and everything it has below it, :above everything above it.

    https://hl7.org/fhir/R4/search.html#recursive; of a canonical reference the versions form the hierarchy.
    """
    if reading.hierarchies is None:
        raise BadRequest(f"':{clause.modifier}' on references is not supported here.", code="not-supported")
    text = local_reference(unescape(value), reading.base_url)
    found: list[Filter] = []
    tokens: dict[str, None] = {}
    for source in clause.parameter.sources:
        key = token_key(source, "reference")
        if is_canonical(source):
            found += _versions(clause, source, text)
        kind, slash, _ = text.partition("/")
        elsewhere = ":" in text
        if slash and not elsewhere and kind not in r4.RESOURCE_TYPES:
            raise BadRequest(f"'{clause.parameter.code}={value[:60]}': '{kind[:40]}' is no resource type.")
        for target in [source.target] if source.target else element_targets(clause.parameter, (source,)):
            named = f"/{target}/" in text if elsewhere else not slash or kind == target
            if named and parent_source(target) is not None:
                start = text if slash or elsewhere else f"{target}/{text}"
                several = reading.hierarchies.related(target, start, clause.modifier)
                tokens |= dict.fromkeys(key + each for each in several)
    if tokens:
        found.insert(0, {"x": {"$in": list(tokens)}})
    return any_of(found) if found else NOTHING


def _versions(clause: Clause, source: Source, text: str) -> list[Filter]:
    """Version 1.2 is below version 1 and above 1.2.3; without a version every version is below and none above."""
    url, bar, version = text.partition("|")
    key = token_key(source, "reference") + url
    if not bar:
        return [{"x": key}] if clause.modifier == "below" else []
    if clause.modifier == "below":
        return [{"x": f"{key}|{version}"}, starting_with(f"{key}|{version}.")]
    parts = version.split(".")
    above = [f"{key}|{'.'.join(parts[:number])}" for number in range(len(parts), 0, -1)]
    bare = any_of([_exactly(route, url) for route in source.routes])
    return [{"x": {"$in": above}}, {"$and": [{"x": key}, bare]}]


def _logical(clause: Clause, value: str) -> Filter:
    """`subject:identifier=system|value`: the reference itself carries the identifier."""
    system, bar, wanted = unescape(value).partition("|")
    if not bar:
        system, wanted = "", unescape(value)
    found: list[Filter] = []
    for source in clause.parameter.sources:
        token: Filter = {"x": f"{source.key}.identifier|{wanted}"}
        if not bar:
            found.append(token)
            continue
        held: Any = system or {"$exists": False}
        pairs = [native(route, {"identifier.value": wanted, "identifier.system": held}) for route in source.routes]
        found.append({"$and": [token, any_of(pairs)]})
    return any_of(found)


def _targets(clause: Clause, source: Source) -> tuple[str, ...]:
    """The types that a bare logical id may belong to."""
    if clause.modifier:
        return (clause.modifier,)
    if source.target:
        return (source.target,)
    return element_targets(clause.parameter, (source,))


def folded_prefix(clause: Clause, source: Source, value: str) -> str:
    """The beginning of every token that matches a string value."""
    text = fold(unescape(value))
    if len(text) > MAX_STRING:
        raise BadRequest(f"'{clause.parameter.code}': at most {MAX_STRING} letters can be searched for.")
    return token_key(source, "string") + text


def starting_with(prefix: str) -> Filter:
    """Tokens that start with `prefix`; $elemMatch, since on an array two bare bounds may be met by two items."""
    return {"x": {"$elemMatch": {"$gte": prefix, "$lt": prefix + LAST}}}


def _string(clause: Clause, source: Source, value: str) -> Filter:
    prefix = folded_prefix(clause, source, value)
    if clause.modifier == "contains":
        key = token_key(source, "string")
        return {"x": {"$regex": f"^{re.escape(key)}.*{re.escape(prefix[len(key) :])}"}}
    if clause.modifier == "ends":  # of _filter
        key = token_key(source, "string")
        return {"x": {"$regex": f"^{re.escape(key)}.*{re.escape(prefix[len(key) :])}$"}}
    if clause.modifier == "whole":  # of _filter: all of the text, without regard to case and diacritics
        return {"x": prefix}
    if clause.modifier == "exact":
        return {"$and": [starting_with(prefix), any_of([_exactly(route, unescape(value)) for route in source.routes])]}
    return starting_with(prefix)


def exactly(clause: Clause) -> Filter:
    """What :exact asks beside the beginning of a token: the text as it was written."""
    sources = clause.parameter.sources
    routes = [route for source in sources for route in source.routes]
    return any_of([_exactly(route, unescape(value)) for value in clause.values for route in routes])


def _exactly(route: Route, value: str) -> Filter:
    parts = {"HumanName": _NAME_PARTS, "Address": _ADDRESS_PARTS}.get(route.datatype)
    path = ".".join(["resource", *(key.name for key in route.keys)])
    if parts is None:
        return {path: value}
    return {"$or": [{f"{path}.{part}": value} for part in parts]}


def _missing(clause: Clause) -> Filter:
    if clause.parameter.code in DOCUMENT_FIELDS:
        return NOTHING if clause.values[0] == "true" else {}
    present = [each for source in clause.parameter.sources for each in _present(clause, source)]
    return {"$nor": present} if clause.values[0] == "true" else any_of(present)


def _present(clause: Clause, source: Source) -> list[Filter]:
    """https://hl7.org/fhir/R4/search.html#missing: an element counts as present when it has a value."""
    if not all(route.plain for route in source.routes) or not source.routes:
        return [starting_with(token_key(source, clause.parameter.type))]
    return [{".".join(["resource", *(key.name for key in route.keys)]): {"$exists": True}} for route in source.routes]
