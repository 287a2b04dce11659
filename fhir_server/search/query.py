"""Query string -> Query: typed, checked against the search parameters of the type.

https://hl7.org/fhir/R4/search.html. A filter that is not understood is an error unless the client asked for lenient
handling: a filter that is dropped in silence gives a wrong list of patients.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from .. import r4
from ..errors import BadRequest, Issue
from .parameters import Parameter, parameters

MAX_VALUES = 500  # alternatives in one parameter
MAX_PARAMETERS = 100
DEFAULT_COUNT = 50
MAX_COUNT = 1000

MODIFIERS = {
    "string": frozenset({"exact", "contains", "missing"}),
    "token": frozenset({"not", "missing"}),
    "reference": frozenset({"missing"}),  # and the name of a target type
    "uri": frozenset({"missing"}),
    "date": frozenset({"missing"}),
    "number": frozenset({"missing"}),
    "quantity": frozenset({"missing"}),
}

# Parameters with an underscore that select resources: they are never passed over in silence.
_FILTERS = frozenset({"_text", "_content", "_list", "_has", "_filter", "_query", "_type"})
# Read by the HTTP layer, not by search.
_PRESENTATION = frozenset({"_format", "_pretty"})

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Clause:
    """One parameter of the query; any of `values` may match. `values` keep their escapes."""

    parameter: Parameter
    modifier: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Include:
    """`source:code[:target]` of _include or _revinclude."""

    source: str
    parameter: Parameter
    target: str


@dataclass(slots=True)
class Query:
    """A search as it will be carried out."""

    resource_type: str
    clauses: list[Clause] = field(default_factory=list)
    sort: list[tuple[str, bool]] = field(default_factory=list)
    """(parameter code, descending)"""
    count: int = DEFAULT_COUNT
    total: str = ""
    cursor: str = ""
    includes: list[Include] = field(default_factory=list)
    revincludes: list[Include] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    applied: list[Pair] = field(default_factory=list)
    """The pairs that were understood, for the self link."""


def parse_query(
    resource_type: str,
    pairs: Iterable[Pair],
    *,
    lenient: bool = False,
    default_count: int = DEFAULT_COUNT,
    max_count: int = MAX_COUNT,
) -> Query:
    """The query in the decoded name-value pairs. Raises BadRequest, naming the parameter."""
    query = Query(resource_type, count=default_count)
    several = list(pairs)
    if len(several) > MAX_PARAMETERS:
        raise BadRequest(f"A search takes at most {MAX_PARAMETERS} parameters; this one has {len(several)}.")
    for name, value in several:
        if name in _PRESENTATION:
            continue
        try:
            if name == "_include" or name == "_revinclude":
                _add_include(query, name, value)
            elif name in _CONTROLS:
                _CONTROLS[name](query, value, max_count)
            elif name.startswith("_") and name.partition(":")[0] not in (*_FILTERS, *_known(query)):
                query.issues.append(_warning(f"The parameter '{name[:40]}' is not supported and was ignored."))
                continue
            else:
                query.clauses.append(parse_clause(resource_type, name, value))
        except _NotUnderstood as error:
            if not lenient:
                raise BadRequest(
                    f"{error} To have such parameters ignored, send the header 'Prefer: handling=lenient'.",
                    code="not-supported",
                ) from None
            query.issues.append(_warning(f"{error} It was ignored: the result is not filtered by it."))
            continue
        query.applied.append((name, value))
    return query


class _NotUnderstood(Exception):
    """A parameter that this server does not know or cannot apply."""


def _known(query: Query) -> Iterable[str]:
    return parameters(query.resource_type)


def _warning(text: str) -> Issue:
    return Issue(text, "not-supported", "warning")


def parse_clause(resource_type: str, name: str, value: str) -> Clause:
    """One filter. Raises BadRequest for a bad value and _NotUnderstood for what lenient handling may ignore."""
    code, _, modifier = name.partition(":")
    known = parameters(resource_type)
    if "." in code or code == "_has":
        raise _NotUnderstood(f"Chained search ('{name[:60]}') is not supported.")
    parameter = known.get(code)
    if parameter is None:
        choices = ", ".join(sorted(each for each in known if not each.startswith("_")))
        raise _NotUnderstood(f"{resource_type} has no search parameter '{code[:60]}'; it has: {choices}.")
    if not parameter.searchable:
        raise _NotUnderstood(f"The search parameter '{code}' (type {parameter.type}) is not supported.")
    if modifier and modifier not in MODIFIERS[parameter.type]:
        if parameter.type != "reference" or modifier not in r4.RESOURCE_TYPES:
            allowed = ", ".join(f":{each}" for each in sorted(MODIFIERS[parameter.type]))
            raise _NotUnderstood(
                f"The modifier ':{modifier[:40]}' is not supported on '{code}' (type {parameter.type}); "
                f"it takes: {allowed}."
            )
        if parameter.targets and modifier not in parameter.targets:
            raise BadRequest(f"'{code}' never references a {modifier}; its targets: {', '.join(parameter.targets)}.")
    if modifier == "missing" and value not in ("true", "false"):
        raise BadRequest(f"'{code}:missing' takes true or false, not '{value[:40]}'.")
    values = tuple(each for each in split_escaped(value, ",") if each.strip())
    if not values:
        raise BadRequest(f"The search parameter '{name[:60]}' has no value; leave it out or give it one.")
    if len(values) > MAX_VALUES:
        raise BadRequest(
            f"'{code}' has {len(values)} alternatives; at most {MAX_VALUES} are allowed.", code="too-costly"
        )
    return Clause(parameter, modifier, values)


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


def _add_include(query: Query, name: str, value: str) -> None:
    source, _, rest = value.partition(":")
    code, _, target = rest.partition(":")
    if source not in r4.RESOURCE_TYPES:
        raise BadRequest(f"{name}={value[:60]}: '{source[:40]}' is no resource type; write Type:parameter.")
    if name == "_include" and source != query.resource_type:
        raise BadRequest(f"_include={value[:60]}: the type must be {query.resource_type}, the type that is searched.")
    parameter = parameters(source).get(code)
    if parameter is None or parameter.type != "reference" or not parameter.sources:
        raise _NotUnderstood(f"{name}={value[:60]}: {source} has no reference parameter '{code[:40]}'.")
    if target and target not in r4.RESOURCE_TYPES:
        raise BadRequest(f"{name}={value[:60]}: '{target[:40]}' is no resource type.")
    include = Include(source, parameter, target)
    (query.includes if name == "_include" else query.revincludes).append(include)


def _set_count(query: Query, value: str, max_count: int) -> None:
    if not value.isascii() or not value.isdigit():
        raise BadRequest(f"_count takes a number from 0 to {max_count}, not '{value[:40]}'.")
    query.count = min(int(value[:9]), max_count)


def _set_sort(query: Query, value: str, max_count: int) -> None:
    known = parameters(query.resource_type)
    for each in value.split(","):
        code = each.removeprefix("-")
        parameter = known.get(code)
        if parameter is None or not parameter.searchable:
            raise _NotUnderstood(f"_sort={each[:40]}: {query.resource_type} has no search parameter '{code[:40]}'.")
        query.sort.append((code, each.startswith("-")))
    if len(query.sort) > 5:
        raise BadRequest("_sort takes at most 5 parameters.")


def _set_total(query: Query, value: str, max_count: int) -> None:
    if value not in ("none", "estimate", "accurate"):
        raise BadRequest(f"_total takes none, estimate or accurate, not '{value[:40]}'.")
    query.total = value


def _set_summary(query: Query, value: str, max_count: int) -> None:
    if value == "count":
        query.count = 0
    elif value != "false":
        query.issues.append(_warning(f"_summary={value[:40]} is not supported: the whole resources are returned."))


def _set_cursor(query: Query, value: str, max_count: int) -> None:
    query.cursor = value


_CONTROLS = {
    "_count": _set_count,
    "_sort": _set_sort,
    "_total": _set_total,
    "_summary": _set_summary,
    "_cursor": _set_cursor,
}
