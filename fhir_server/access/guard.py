"""What a caller may do: the scopes of its token, the operations it may ask for, the types that belong to nobody.

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html. Everything is denied unless it is granted.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import BadRequest, Forbidden
from ..r4 import RESOURCE_TYPES
from ..search.clauses import AnyClause, Chain, Clause, Either, Has, Listed, Words
from ..search.query import Query, parse_query
from .context import EMERGENCY, AccessContext
from .scopes import Scope

LETTERS = {"c": "create", "r": "read", "u": "update", "d": "delete", "s": "search"}

# What a server is described with: it holds nobody's data and is open to whoever is logged in.
DEFINITIONS = frozenset(
    {
        *("CapabilityStatement", "CodeSystem", "CompartmentDefinition", "ConceptMap", "ImplementationGuide"),
        *("NamingSystem", "OperationDefinition", "Questionnaire", "SearchParameter", "StructureDefinition"),
        *("StructureMap", "TerminologyCapabilities", "ValueSet"),
    }
)
# Who treats and where, and with what: a narrowed caller reads these, and no other record without an owner.
DIRECTORY = frozenset(
    {
        *("ActivityDefinition", "DeviceDefinition", "Endpoint", "HealthcareService", "Location", "Medication"),
        *("MedicationKnowledge", "Organization", "OrganizationAffiliation", "PlanDefinition", "Practitioner"),
        *("PractitionerRole", "Substance"),
    }
)

AUDIT = "AuditEvent"
SELF = ""
"""Stands for the type that an operation is asked of; "*" for all types."""

# Operation -> (type, letter) of each scope it needs. One that has no row here is open to unlimited callers only.
OPERATIONS: dict[str, tuple[tuple[str, str], ...]] = {
    **dict.fromkeys(
        ("versions", "lookup", "expand", "validate-code", "subsumes", "translate", "closure", "validate"), ()
    ),
    "everything": ((SELF, "r"),),
    "summary": (("Patient", "r"),),
    "document": (("Composition", "r"),),
    "qd831": ((SELF, "r"),),
    "match": (("Patient", "s"),),
    "merge": (("Patient", "r"), ("Patient", "u")),
    "unmerge": (("Patient", "r"), ("Patient", "u")),
    "lastn": (("Observation", "s"),),
    "stats": (("Observation", "s"),),
    "meta": ((SELF, "r"),),
    "meta-add": ((SELF, "r"), (SELF, "u")),
    "meta-delete": ((SELF, "r"), (SELF, "u")),
    "import": (("*", "c"), ("*", "u")),
    "export": (),  # the types it is of are checked where it begins
    "reindex": (("*", "u"), ("SearchParameter", "u")),
}
# What speaks of all records together is not for somebody who may see some.
_OF_ALL = frozenset({"merge", "unmerge", "export", "import", "reindex"})


def glass_is_broken(ctx: AccessContext) -> bool:
    """Whether the caller has said that this is an emergency, and why: what it opens is told apart in the audit trail."""
    return ctx.purpose == EMERGENCY and bool(ctx.reason.strip())


def watches(ctx: AccessContext) -> bool:
    """Whether the caller is one of those who look into the audit trail, of which no patient hides anything from them."""
    return ctx.patient is None and ctx.scopes is not None and any(scope.type == AUDIT for scope in ctx.scopes)


def granting(ctx: AccessContext, letter: str, type: str) -> list[Scope] | None:
    """The scopes that allow an interaction (a letter of cruds) with a type; None where no token limits the caller.

    A scope of level `patient` grants nothing to a caller that is bound to no patient. Who has seen whose record is for
    those whose scope names it: `*` is every other type, and a patient's app may tell its own patient.
    """
    if ctx.scopes is None or (type in DEFINITIONS and letter in "rs"):
        return None
    return [
        scope
        for scope in ctx.scopes
        if letter in scope.interactions
        and (scope.type == type or (scope.type == "*" and (type != AUDIT or ctx.patient is not None)))
        and (scope.level != "patient" or ctx.patient is not None)
    ]


def may(ctx: AccessContext, letter: str, type: str) -> bool:
    """Whether some scope allows the interaction with the type, perhaps for a part of its records only."""
    scopes = granting(ctx, letter, type)
    return scopes is None or bool(scopes)


def unlimited(ctx: AccessContext, letter: str, type: str) -> bool:
    """Whether the caller may do this with every record of a type. Raises Forbidden without a scope for the type."""
    if ctx.patient is not None or ctx.narrowed or ctx.facility or ctx.labels is not None:
        return False
    return ctx.scopes is None or not scope_queries(ctx, letter, type)


def require(ctx: AccessContext, letter: str, type: str) -> None:
    """Raises Forbidden, naming the scope that is missing."""
    if not may(ctx, letter, type):
        level = "patient" if ctx.patient is not None else "system"
        scope = f"{level}/{type or '*'}.{letter}"
        told = f"This needs the scope {scope} ({LETTERS[letter]}), which the access token does not hold."
        raise Forbidden(told, scope=scope)


def require_operation(ctx: AccessContext, name: str, type: str) -> None:
    """Raises Forbidden for an operation that the caller's scopes, or its being bound to a patient, do not allow."""
    if ctx.scopes is None and ctx.patient is None and not ctx.narrowed:
        return
    needed = OPERATIONS.get(name)
    if needed is None or (name in _OF_ALL and (ctx.patient is not None or ctx.narrowed)):
        raise Forbidden(f"${name} is not open to this caller.")
    for kind, letter in needed:
        require(ctx, letter, kind or type or "*")


def scope_queries(ctx: AccessContext, letter: str, type: str) -> list[Query]:
    """The searches one of which a record of the type must match; [] where the type is granted whole.

    A scope whose query is no plain search parameter of the type grants nothing. Raises Forbidden without any grant.
    """
    require(ctx, letter, type)
    scopes = granting(ctx, letter, type)
    if scopes is None or any(not scope.query for scope in scopes):
        return []
    found = [query for scope in scopes if (query := _query(type, scope)) is not None]
    if not found:
        raise Forbidden(f"No scope of this access token that is about {type} has a query that this server understands.")
    return found


def _query(type: str, scope: Scope) -> Query | None:
    if type not in RESOURCE_TYPES:
        return None
    try:
        query = parse_query(type, scope.query)
    except BadRequest:
        return None
    return query if len(query.clauses) == len(scope.query) else None


def require_searchable(ctx: AccessContext, query: Query) -> None:
    """Raises Forbidden for a query that looks into types the caller may not search: its answers would tell of them.

    A caller bound to a patient searches by the parameters of the record alone: no _filter, _list, _text or _content.
    """
    require_names(ctx, [name for name, _ in query.applied])
    if ctx.scopes is None and ctx.patient is None:
        return
    _require_all(ctx, query.others)
    for include in query.revincludes:
        require(ctx, "s", include.source)
    for include in query.includes:
        if include.target:
            require(ctx, "s", include.target)


def require_names(ctx: AccessContext, names: Iterable[str]) -> None:
    """Raises Forbidden for parameters that are not open to a caller bound to a patient, whether understood or not."""
    if ctx.patient is not None:
        for name in names:
            if name.rpartition(":")[2].rpartition(".")[2] in _NOT_FOR_PATIENTS or name in _NOT_FOR_PATIENTS:
                raise Forbidden(f"The search parameter {name[:40]} is not open to this caller.")


_NOT_FOR_PATIENTS = frozenset({"_filter", "_query", "_list", "_text", "_content"})


def _require_all(ctx: AccessContext, clauses: Iterable[AnyClause]) -> None:
    for clause in clauses:
        match clause:
            case Chain():
                open = [type for type in clause.inner if may(ctx, "s", type)]
                if not open:
                    require(ctx, "s", next(iter(clause.inner)))
                _require_all(ctx, [clause.inner[type] for type in open])
            case Has():
                require(ctx, "s", clause.source)
                _require_all(ctx, [clause.inner])
            case Listed():
                require(ctx, "s", "List")
            case Either():
                _require_all(ctx, clause.parts)
            case Clause() | Words() | _:
                pass
