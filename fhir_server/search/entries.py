"""Resource -> index entries: the tokens, intervals and sort keys that search reads instead of the resource.

The routes of all parameters of a type are merged into one tree, so that a resource is walked once, along what it
holds. https://hl7.org/fhir/R4/search.html#ptypes
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

from ..resource.exact import Resource
from .fold import fold, last_word_first
from .intervals import DATE_WIDTHS, FOREVER, NUMBER_WIDTHS, Interval, date_interval, envelope, period_interval
from .likeness import likeness_entries
from .parameters import DOCUMENT_FIELDS, Parameter, depending, main_sort, newest_of, parameters, range_field, token_key
from .sources import First, Key, Route, Source, Step, Where

MAX_STRING = 200  # letters of a string that are indexed; a longer search string is refused
MAX_WORDS = 12  # words of a string at which a match may begin

UNDATED = -2 * FOREVER  # the sort key of a record without a date: before all others

_VERSION = re.compile(r"/_history/[^/]+$")
_CHUNKS = re.compile(r"\s*[,;|]\s*|\s+-\s+")


@dataclass(slots=True)
class Entries:
    """What is stored beside a resource so that it is found."""

    tokens: dict[str, None] = field(default_factory=dict)
    """`code|8867-4`, `code@|http://loinc.org`, `subject|Patient/1`, `name~nguyen thi`: in the order they were met."""
    ranges: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Range field -> entries with `low`, `high` and, for quantities, `code`, `system`, `unit`."""


Emit = Callable[[Any, Entries, str], None]
"""(value, where the entries go, base URL of this server)"""


@dataclass(slots=True)
class _Node:
    children: dict[str, _Node] = field(default_factory=dict)
    filtered: list[tuple[Step, _Node]] = field(default_factory=list)
    emits: list[Emit] = field(default_factory=list)
    is_leaf: bool = False


@cache
def _tree(resource_type: str) -> _Node:
    root = _Node()
    done: set[tuple[str, Route]] = set()
    for parameter in parameters(resource_type).values():
        for source in parameter.sources:
            for route in source.routes:
                kind = token_key(source, parameter.type) + parameter.type
                emit = _emit_for(parameter, source, route)
                if emit is None or (kind, route) in done:
                    continue
                done.add((kind, route))
                _node_at(root, route.steps).emits.append(emit)
    _find_leaves(root)
    return root


def _find_leaves(node: _Node) -> None:
    inner = [*node.children.values(), *(each for _, each in node.filtered)]
    node.is_leaf = not inner
    for each in inner:
        _find_leaves(each)


def _node_at(node: _Node, steps: tuple[Step, ...]) -> _Node:
    for step in steps:
        if isinstance(step, Key):
            node = node.children.setdefault(step.name, _Node())
            continue
        found = next((inner for known, inner in node.filtered if known == step), None)
        if found is None:
            found = _Node()
            node.filtered.append((step, found))
        node = found
    return node


def extract(resource_type: str, resource: Resource, base_url: str = "") -> Entries:
    """The index entries of a resource. Values that the definitions forbid are passed over, never raised on."""
    entries = Entries()
    _visit(_tree(resource_type), resource, entries, base_url)
    if resource_type == "Patient":
        entries.tokens[f"deceased|{str(_deceased(resource)).lower()}"] = None
    return entries


def _visit(node: _Node, value: Any, entries: Entries, base_url: str) -> None:
    for emit in node.emits:
        emit(value, entries, base_url)
    if node.children and isinstance(value, dict):
        children = node.children
        for name, inner in value.items():
            child = children.get(name)
            if child is not None:
                if child.is_leaf and not isinstance(inner, list):  # most are: no call more than is needed
                    for emit in child.emits:
                        emit(inner, entries, base_url)
                elif isinstance(inner, list):
                    _visit_items(child, inner, entries, base_url)
                else:
                    _visit(child, inner, entries, base_url)
    for step, child in node.filtered:
        if isinstance(step, Where) and _holds(step, value):
            _visit(child, value, entries, base_url)


def _visit_items(node: _Node, items: list[Any], entries: Entries, base_url: str) -> None:
    for item in items:
        if item is not None:
            _visit(node, item, entries, base_url)
    for step, child in node.filtered:
        if isinstance(step, First) and items:
            _visit(child, items[0], entries, base_url)


def _holds(step: Where, value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    if step.name == "extension":
        return any(extension.get("url") == step.value for extension in value.get("extension", ()))
    return bool(value.get(step.name) == step.value)


def _deceased(resource: Resource) -> bool:
    """Patient.deceased.exists() and Patient.deceased != false: a parameter that is computed, not read."""
    return "deceasedDateTime" in resource or resource.get("deceasedBoolean") is True


def _emit_for(parameter: Parameter, source: Source, route: Route) -> Emit | None:
    if parameter.type in ("token", "uri"):
        return _token_emit(token_key(source, parameter.type), route.datatype)
    if parameter.type == "reference":
        return _reference_emit(token_key(source, parameter.type), route.datatype)
    if parameter.type == "string":
        return _string_emit(token_key(source, parameter.type), route.datatype)
    make = _INTERVALS.get((parameter.type, route.datatype))
    return None if make is None else _range_emit(range_field(source)[2:], make)


def _token_emit(key: str, datatype: str) -> Emit | None:
    system_key = key[:-1] + "@|"

    def coding(value: Any, entries: Entries, base_url: str) -> None:
        code, system = value.get("code"), value.get("system")
        if code is not None:
            entries.tokens[key + code] = None
        if system is not None:
            entries.tokens[system_key + system] = None

    def concept(value: Any, entries: Entries, base_url: str) -> None:
        for each in value.get("coding", ()):
            coding(each, entries, base_url)

    def identifier(value: Any, entries: Entries, base_url: str) -> None:
        number, system = value.get("value"), value.get("system")
        if number is not None:
            entries.tokens[key + number] = None
        if system is not None:
            entries.tokens[system_key + system] = None

    def contact(value: Any, entries: Entries, base_url: str) -> None:
        if value.get("value") is not None:
            entries.tokens[key + value["value"]] = None

    def simple(value: Any, entries: Entries, base_url: str) -> None:
        entries.tokens[key + (str(value).lower() if isinstance(value, bool) else str(value))] = None

    def canonical(value: Any, entries: Entries, base_url: str) -> None:
        entries.tokens[key + value] = None
        entries.tokens[key + value.partition("|")[0]] = None

    if datatype in ("code", "id", "string", "boolean", "uri", "url", "oid", "uuid", "integer", "positiveInt"):
        return simple
    complex_emits: dict[str, Emit] = {
        "Coding": coding,
        "CodeableConcept": concept,
        "Identifier": identifier,
        "ContactPoint": contact,
        "canonical": canonical,
    }
    return complex_emits.get(datatype)


def _reference_emit(key: str, datatype: str) -> Emit | None:
    identifier_key = key[:-1] + ".identifier|"

    def reference(value: Any, entries: Entries, base_url: str) -> None:
        identifier = value.get("identifier")
        if identifier and "value" in identifier:
            entries.tokens[identifier_key + identifier["value"]] = None
        text = value.get("reference")
        if text and not text.startswith("#"):
            entries.tokens[key + local_reference(text, base_url)] = None

    def canonical(value: Any, entries: Entries, base_url: str) -> None:
        entries.tokens[key + value] = None
        entries.tokens[key + value.partition("|")[0]] = None

    def resource(value: Any, entries: Entries, base_url: str) -> None:
        if value.get("id"):
            entries.tokens[f"{key}{value['resourceType']}/{value['id']}"] = None

    return {"Reference": reference, "canonical": canonical, "uri": canonical, "Resource": resource}.get(datatype)


def local_reference(text: str, base_url: str) -> str:
    """A reference as it is indexed: relative if it points to this server, without its version."""
    if base_url and text.startswith(base_url + "/"):
        text = text[len(base_url) + 1 :]
    return _VERSION.sub("", text) if "/_history/" in text else text


def _string_emit(key: str, datatype: str) -> Emit | None:
    def text(value: Any, entries: Entries, base_url: str) -> None:
        for beginning in word_beginnings(value):
            entries.tokens[key + beginning] = None

    def name(value: Any, entries: Entries, base_url: str) -> None:
        parts = [value.get("family"), *value.get("given", ()), *value.get("prefix", ()), *value.get("suffix", ())]
        text_and_parts(word_beginnings, value.get("text"), parts, entries)

    def address(value: Any, entries: Entries, base_url: str) -> None:
        parts = [value.get(part) for part in ("city", "district", "state", "postalCode", "country")]
        text_and_parts(chunk_beginnings, value.get("text"), [*value.get("line", ()), *parts], entries)

    def text_and_parts(
        split: Callable[[str], tuple[str, ...]], text: str | None, parts: list[str | None], entries: Entries
    ) -> None:
        """Each part is found as well, with an entry of its own only where the text does not say it already."""
        beginnings = list(split(text or ""))
        for part in parts:
            for beginning in split(part or ""):
                if not any(known.startswith(beginning) for known in beginnings):
                    beginnings.append(beginning)
        for beginning in beginnings:
            entries.tokens[key + beginning] = None

    if datatype in ("string", "markdown"):
        return text
    return {"HumanName": name, "Address": address}.get(datatype)


@lru_cache(maxsize=20_000)  # names and places come again and again
def word_beginnings(text: str) -> tuple[str, ...]:
    """A string, folded, from each of its words on: a search for 'anh dao' finds 'nguyen thi anh dao'."""
    words = fold(text).split(" ")
    found = [" ".join(words[start:])[:MAX_STRING] for start in range(min(len(words), MAX_WORDS))]
    return tuple(each for each in found if each)


@lru_cache(maxsize=20_000)
def chunk_beginnings(text: str) -> tuple[str, ...]:
    """An address, folded, from each of its comma-separated parts on."""
    folded = fold(text)
    starts = [0, *(match.end() for match in _CHUNKS.finditer(folded))]
    found = [folded[start : start + MAX_STRING] for start in starts[:MAX_WORDS]]
    return tuple(each for each in found if each)


def _range_emit(name: str, make: Callable[[Any], Iterator[dict[str, Any]]]) -> Emit:
    def emit(value: Any, entries: Entries, base_url: str) -> None:
        try:
            found = list(make(value))
        except (ValueError, OverflowError):  # not a calendar date: validation says so, search passes over it
            return
        if found:
            entries.ranges.setdefault(name, []).extend(found)

    return emit


def _date(value: Any) -> Iterator[dict[str, Any]]:
    interval = date_interval(value)
    yield {"low": interval.low, "high": interval.high}


def _period(value: Any) -> Iterator[dict[str, Any]]:
    interval = period_interval(value)
    if interval:
        yield {"low": interval.low, "high": interval.high}


def _timing(value: Any) -> Iterator[dict[str, Any]]:
    """https://hl7.org/fhir/R4/search.html#date: a Timing is searched by the span of its events and bounds."""
    intervals = [date_interval(event) for event in value.get("event", ())]
    bounds = period_interval(value.get("repeat", {}).get("boundsPeriod") or {})
    intervals += [bounds] if bounds else []
    if intervals:
        outer = envelope(intervals)
        yield {"low": outer.low, "high": outer.high}


def _number(value: Any) -> Iterator[dict[str, Any]]:
    yield {"low": float(value), "high": float(value)}


def _quantity(value: Any) -> Iterator[dict[str, Any]]:
    if value.get("value") is not None:
        amount = float(value["value"])
        entry = {"low": amount, "high": amount}
        yield entry | {part: value[part] for part in ("code", "system", "unit") if part in value}


def _money(value: Any) -> Iterator[dict[str, Any]]:
    if value.get("value") is not None:
        amount = float(value["value"])
        yield {"low": amount, "high": amount, "code": value.get("currency"), "system": "urn:iso:std:iso:4217"}


def _range(value: Any) -> Iterator[dict[str, Any]]:
    low, high = value.get("low", {}), value.get("high", {})
    if "value" in low or "value" in high:
        unit = {part: (high or low)[part] for part in ("code", "system", "unit") if part in (high or low)}
        yield {"low": float(low.get("value", "-inf")), "high": float(high.get("value", "inf"))} | unit


_INTERVALS: dict[tuple[str, str], Callable[[Any], Iterator[dict[str, Any]]]] = {
    **{("date", datatype): _date for datatype in ("date", "dateTime", "instant", "string")},  # a string may be a date
    ("date", "Period"): _period,
    ("date", "Timing"): _timing,
    **{("number", datatype): _number for datatype in ("decimal", "integer", "positiveInt", "unsignedInt")},
    ("number", "Range"): _range,
    **{("quantity", datatype): _quantity for datatype in ("Quantity", "Age", "Duration", "Count", "Distance")},
    ("quantity", "Money"): _money,
    ("quantity", "Range"): _range,
}


def document_fields(resource_type: str, resource: Resource, base_url: str = "") -> dict[str, Any]:
    """The search fields of a stored document: x tokens, k tokens kept in date order, r intervals, s sort key."""
    entries = extract(resource_type, resource, base_url)
    tokens = sorted(
        [*entries.tokens, *likeness_entries(resource_type, resource)]
    )  # so that the first one in a range is the least
    fields: dict[str, Any] = {"x": tokens}
    newest = newest_of(resource_type)
    if newest:
        fields["k"] = [token for token in tokens if token.startswith(newest)]
    if entries.ranges:
        many = _many_fields(resource_type)
        fields["r"] = {name: _range_document(found, name in many) for name, found in entries.ranges.items()}
    order = main_sort(resource_type)
    if order is not None:
        # Never absent: MongoDB 6.0 loses its place when it merges scans of an index that holds nulls.
        fields["s"] = _sort_key(order, resource, entries)
    return fields


@cache
def _many_fields(resource_type: str) -> frozenset[str]:
    """Range fields of which one resource may have several intervals."""
    return frozenset(
        range_field(source)[2:]
        for parameter in parameters(resource_type).values()
        if parameter.code not in DOCUMENT_FIELDS
        for source in parameter.sources
        if source.many
    )


def _range_document(found: list[dict[str, Any]], many: bool) -> dict[str, Any]:
    """What stands in a range field: the one interval, or the span of several with `all` of them beside it."""
    first = Interval(found[0]["low"], found[0]["high"])
    outer = first if len(found) == 1 else envelope(Interval(each["low"], each["high"]) for each in found)
    stored: dict[str, Any] = {"low": outer.low, "high": outer.high, "all": found} if many else dict(found[0])
    stored["width"] = outer.width(DATE_WIDTHS if isinstance(outer.low, int) else NUMBER_WIDTHS)
    return stored


def _sort_key(order: Parameter, resource: Resource, entries: Entries) -> Any:
    if order.type == "date":
        found = entries.ranges.get(range_field(order.sources[0])[2:])
        return min((each["low"] for each in found or ()), default=UNDATED)
    name = resource.get("name")
    first = name[0] if isinstance(name, list) and name else name
    if isinstance(first, dict):
        text = first.get("text") or " ".join([first.get("family", ""), *first.get("given", ())])
        return last_word_first(text)
    return fold(first)[:MAX_STRING] if isinstance(first, str) else ""


depending += [_tree.cache_clear, _many_fields.cache_clear]
