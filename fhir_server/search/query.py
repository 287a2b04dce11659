"""Query string -> Query: typed, checked against the search parameters of the type.

https://hl7.org/fhir/R4/search.html. A filter that is not understood is an error unless the client asked for lenient
handling: a filter that is dropped in silence gives a wrong list of patients.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ..errors import BadRequest, Issue
from .clauses import TYPES, AnyClause, Clause, NotUnderstoodError, parse_clause, reference_targets
from .filter_expression import parse_filter
from .parameters import Parameter, parameters

MAX_PARAMETERS = 100
DEFAULT_COUNT = 50
MAX_COUNT = 1000

# Parameters with an underscore that select resources: they are never passed over in silence.
_FILTERS = frozenset({"_text", "_content", "_list", "_has", "_filter", "_query", "_type"})
_INCLUDES = frozenset(
    {f"{name}{modifier}" for name in ("_include", "_revinclude") for modifier in ("", ":iterate", ":recurse")}
)
# Read by the HTTP layer, not by search.
_PRESENTATION = frozenset({"_format", "_pretty", "_elements"})

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Include:
    """`source:code[:target]` of _include or _revinclude; `iterate`: follow what was included as well."""

    source: str
    parameter: Parameter
    target: str
    iterate: bool = False


@dataclass(slots=True)
class Query:
    """A search as it will be carried out."""

    resource_type: str
    clauses: list[Clause] = field(default_factory=list)
    others: list[AnyClause] = field(default_factory=list)
    """The filters that are more than one comparison: chains, composites, words..."""
    sort: list[tuple[str, bool]] = field(default_factory=list)
    """(parameter code, descending)"""
    count: int = DEFAULT_COUNT
    total: str = ""
    contained: str = "false"
    """What is searched: free-standing resources (false), contained ones (true) or both."""
    contained_type: str = "container"
    """What is given of a contained match: its container, or the contained resource."""
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
        if "\0" in value:
            raise BadRequest(
                f"The value of '{name[:60]}' has a NUL in it, which no text of FHIR can have.", code="value"
            )
        try:
            if name in _INCLUDES:
                _add_include(query, name, value)
            elif name in _CONTROLS:
                _CONTROLS[name](query, value, max_count)
            elif name.startswith("_") and name.partition(":")[0] not in (*_FILTERS, *_known(query)):
                query.issues.append(_warning(f"The parameter '{name[:40]}' is not supported and was ignored."))
                continue
            else:
                _add_clause(query, name, value)
        except NotUnderstoodError as error:
            if not lenient:
                raise BadRequest(
                    f"{error} To have such parameters ignored, send the header 'Prefer: handling=lenient'.",
                    code="not-supported",
                ) from None
            query.issues.append(_warning(f"{error} It was ignored: the result is not filtered by it."))
            continue
        query.applied.append((name, value))
    return query


def _add_clause(query: Query, name: str, value: str) -> None:
    if name == "_filter":
        clause = parse_filter(query.resource_type, value)
    else:
        clause = parse_clause(query.resource_type, name, value)
    if isinstance(clause, Clause):
        query.clauses.append(clause)
    else:
        query.others.append(clause)


def _known(query: Query) -> Iterable[str]:
    return parameters(query.resource_type)


def _warning(text: str) -> Issue:
    return Issue(text, "not-supported", "warning")


def _add_include(query: Query, name: str, value: str) -> None:
    kind, _, modifier = name.partition(":")
    source, _, rest = value.partition(":")
    code, _, target = rest.partition(":")
    iterate = modifier in ("iterate", "recurse")
    if value == "*":
        source, code = query.resource_type, "*"
    if source not in TYPES:
        raise BadRequest(f"{name}={value[:60]}: '{source[:40]}' is no resource type; write Type:parameter.")
    if kind == "_include" and source != query.resource_type and not iterate:
        raise BadRequest(f"_include={value[:60]}: the type must be {query.resource_type}, the type that is searched.")
    if target and target not in TYPES:
        raise BadRequest(f"{name}={value[:60]}: '{target[:40]}' is no resource type.")
    known = parameters(source)
    wanted = list(known.values()) if code == "*" else [known[code]] if code in known else []
    found = [parameter for parameter in wanted if parameter.type == "reference" and parameter.sources]
    if kind == "_revinclude":
        found = [each for each in found if code != "*" or query.resource_type in reference_targets(each)]
    if not found:
        raise NotUnderstoodError(f"{name}={value[:60]}: {source} has no reference parameter '{code[:40]}'.")
    several = query.includes if kind == "_include" else query.revincludes
    several += [Include(source, parameter, target, iterate) for parameter in found]


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
            raise NotUnderstoodError(f"_sort={each[:40]}: {query.resource_type} has no search parameter '{code[:40]}'.")
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
    elif value not in ("true", "text", "data", "false"):
        raise BadRequest(f"_summary takes true, text, data, count or false, not '{value[:40]}'.")


def _set_contained(query: Query, value: str, max_count: int) -> None:
    if value not in ("false", "true", "both"):
        raise BadRequest(f"_contained takes false, true or both, not '{value[:40]}'.")
    query.contained = value


def _set_contained_type(query: Query, value: str, max_count: int) -> None:
    if value not in ("container", "contained"):
        raise BadRequest(f"_containedType takes container or contained, not '{value[:40]}'.")
    query.contained_type = value


def _set_cursor(query: Query, value: str, max_count: int) -> None:
    query.cursor = value


_CONTROLS = {
    "_count": _set_count,
    "_sort": _set_sort,
    "_total": _set_total,
    "_summary": _set_summary,
    "_contained": _set_contained,
    "_containedType": _set_contained_type,
    "_cursor": _set_cursor,
}
