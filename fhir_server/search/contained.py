"""Contained resources as records of their own, which `_contained=true` and `both` search.

https://hl7.org/fhir/R4/search.html#contained. Each has a document in a collection of its type that is read by the same
plans as the free-standing ones: the search fields of what is contained, owner and compartments of its container.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .. import r4
from ..errors import BadRequest
from ..resource.exact import Resource, dump
from .clauses import AnyClause, Clause, Composite, Either, Near, Words
from .entries import document_fields
from .parameters import DOCUMENT_FIELDS, parameters, token_key
from .plan import indexes
from .query import Query

Document = dict[str, Any]
Compartment = tuple[str, str]

COMPARTMENTS = ("Device", "Encounter", "Patient", "Practitioner", "RelatedPerson")

BY_CONTAINER = [("c", 1), ("_id", 1)]
BESIDE = {"c": 1, "n": 1}
"""What a search reads of each match to give its container, or its own address."""


def contained_documents(container: Document, resource_type: str, base_url: str) -> dict[str, list[Document]]:
    """`contained type -> documents` of what the document of a record contains.

    Each has `_id` Type/id#local, `c` Type/id of the container, `n` how many of its type the container holds, `p` the
    compartments the container is in, and of the container `v`, `t`, `m`, `o` and `l`; the rest is as in every record.
    """
    address = f"{resource_type}/{container['_id']}"
    shared: Document = {name: container[name] for name in ("v", "t", "m", "o", "l") if name in container}
    found: dict[str, list[Document]] = {}
    for each in container["resource"].get("contained", ()):
        kind = each["resourceType"]
        document = {"_id": f"{address}#{each['id']}", "c": address, **shared, "json": dump(each).decode()}
        document |= {"resource": each} | document_fields(kind, each, base_url)
        found.setdefault(kind, []).append(document)
    if found:
        compartments = _compartments(resource_type, container)
        for several in found.values():
            for document in several:
                document |= {"n": len(several)} | ({"p": compartments} if compartments else {})
    return found


def contained_types(resource: Resource) -> list[str]:
    """The types of what a resource contains, each once."""
    return sorted({each["resourceType"] for each in resource.get("contained", ())})


def _compartments(resource_type: str, container: Document) -> list[str]:
    """`Patient/1`, `Encounter/2`: whose compartments a record is in."""
    found = {f"{resource_type}/{container['_id']}"} if resource_type in COMPARTMENTS else set()
    for name in COMPARTMENTS:
        beginnings = tuple(compartment_keys(resource_type, name))
        found |= {
            f"{name}/{token.rpartition('/')[2]}"
            for token in container["x"]
            if beginnings and token.startswith(beginnings)
        }
    return sorted(found)


def compartment_keys(resource_type: str, name: str) -> Iterator[str]:
    """The beginnings of the index entries that put a record into somebody's compartment."""
    known = parameters(resource_type)
    for code in r4.compartment(name).get(resource_type, ()):
        if code in known and known[code].type == "reference":
            for source in known[code].sources:
                if source.target in ("", name):
                    yield f"{token_key(source, 'reference')}{name}/"


def contained_indexes(resource_type: str) -> list[tuple[list[tuple[str, int]], dict[str, Any]]]:
    """The (keys, options) of the indexes over contained resources of a type: they have no last update of their own."""
    own = [each for each in indexes(resource_type) if each[0][0][0] != "t"]
    in_compartment = {"partialFilterExpression": {"p": {"$exists": True}}}
    return [*own, (BY_CONTAINER, {}), ([("p", 1), ("_id", 1)], in_compartment)]


def refuse_uncontainable(query: Query, asked: Iterable[AnyClause] | None = None) -> None:
    """Raises BadRequest for what cannot be asked of contained resources, whatever handling the client prefers."""
    for clause in [*query.clauses, *query.others] if asked is None else asked:
        if isinstance(clause, Either):
            refuse_uncontainable(query, clause.parts)
        elif isinstance(clause, Clause) and clause.parameter.code in DOCUMENT_FIELDS:
            raise _refusal(query, f"'{clause.parameter.code}'")
        elif not isinstance(clause, Clause | Composite | Near | Words):
            raise _refusal(query, "a chained parameter, _has or _list")
    if query.includes or query.revincludes:
        raise _refusal(query, "_include or _revinclude")
    for code, _ in query.sort:
        if code in DOCUMENT_FIELDS:
            raise _refusal(query, f"_sort={code}")


def _refusal(query: Query, what: str) -> BadRequest:
    return BadRequest(
        f"_contained={query.contained} cannot be combined with {what}; leave one of the two out.", code="not-supported"
    )
