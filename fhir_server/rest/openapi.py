"""The OpenAPI document of the FHIR service, made from the tables of interactions, operations and search parameters.

https://spec.openapis.org/oas/v3.1.0 and https://hl7.org/fhir/R4/http.html. The addresses of all types are written once
with `{type}`; the four types at the heart have their own addresses for search, with their parameters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from flask import Blueprint, Response, request

from .. import __version__
from ..config import Config
from ..r4 import FHIR_VERSION, RESOURCE_TYPES
from ..repository import COMPARTMENTS
from ..search.parameters import depending
from . import cors
from .address import PREFIX
from .call import WRITES, Interaction
from .capabilities import FORMATS, PATCH_FORMATS, searchable
from .operations.operation import Operation
from .operations.registry import OPERATIONS

HEART = ("Patient", "Observation", "AllergyIntolerance", "Encounter")
"""The types whose search parameters are written out."""

Node = dict[str, Any]

# Components by other names than the place in an address that they describe.
_CALLED = {"written": "type"}
_PLACE = re.compile(r"<(\w+)>")
_MEANINGS = {
    "read": "The current version of a resource",
    "vread": "One version of a resource, current or past",
    "update": "A new version of a resource, or the first one under the client's id",
    "patch": "Change parts of a resource",
    "delete": "Delete a resource; its history stays",
    "history-instance": "The versions of a resource, newest first",
    "create": "A new resource under an id of the server's",
    "search-type": "The resources of a type that match",
    "search-system": "The resources of all types that match",
    "search-compartment": "The resources in somebody's compartment that match",
    "history-type": "The versions of all resources of a type, newest first",
    "history-system": "The versions of all resources, newest first",
    "batch": "Carry out the entries of a Bundle, each on its own (batch) or all or none (transaction)",
    "capabilities": "What this server can do",
}
_SUCCESS = {"create": ("201", "200"), "update": ("200", "201"), "delete": ("204", "200")}
_CONTROLS = {
    "_count": "Entries on a page; 0 asks for the total alone.",
    "_sort": "Search parameters to order by, with - before those that descend.",
    "_include": "References to follow from the matches: Type:parameter.",
    "_revinclude": "References to follow to the matches: Type:parameter.",
    "_total": "none, estimate or accurate.",
    "_contained": "false, true or both: whether resources inside others are searched.",
    "_containedType": "container or contained: what is given of a contained match.",
}


def create_blueprint(
    interactions: Sequence[Interaction], config: Config, append_only: frozenset[str] = frozenset()
) -> Blueprint:
    """The document at /openapi.json and beside the FHIR service. It tells nothing of any record, so anybody gets it."""
    blueprint = Blueprint("openapi", __name__)

    @blueprint.get("/openapi.json")
    @blueprint.get(f"{PREFIX}/openapi.json")
    def show() -> Response:
        response = Response(
            _written(tuple(interactions), append_only, config.base_url or PREFIX), mimetype="application/json"
        )
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers.extend(cors.headers(request.headers.get("Origin"), config.cors_origins))
        return response

    return blueprint


@cache
def _written(interactions: tuple[Interaction, ...], append_only: frozenset[str], url: str) -> bytes:
    return json.dumps(document(interactions, url, append_only), ensure_ascii=False, separators=(",", ":")).encode()


depending.append(_written.cache_clear)  # a server's own search parameters come and go


def document(interactions: Sequence[Interaction], url: str, append_only: frozenset[str] = frozenset()) -> Node:
    """The OpenAPI document of the service at `url`. `append_only`: types that nobody may write."""
    paths: dict[str, Node] = {}
    for address, method, operation in _all_operations(interactions):
        paths.setdefault(address, {})[method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Electronic health records of a population",
            "summary": f"A FHIR R4 ({FHIR_VERSION}) service",
            "version": __version__,
        },
        "servers": [{"url": url}],
        "externalDocs": {"description": "FHIR R4", "url": "https://hl7.org/fhir/R4/http.html"},
        "tags": [{"name": name} for name in ("instance", "type", "system", "operation")],
        "paths": dict(sorted(paths.items())),
        "components": _components(append_only),
    }


def _all_operations(interactions: Sequence[Interaction]) -> Iterator[tuple[str, str, Node]]:
    """(path, method, what OpenAPI calls an operation) of every row of the tables."""
    for row in interactions:
        if "<operation>" in row.path:
            continue
        yield _address(row.path), row.method, _interaction(row)
        if row.path in ("<type>", "<type>/_search"):
            # Where a type has an address of its own, OpenAPI looks there alone: all its methods stand there.
            for name in HEART:
                yield _address(row.path.replace("<type>", name)), row.method, _interaction(row, name)
    for operation in OPERATIONS:
        for level in operation.levels:
            for name in operation.types or ("",):
                path = {"system": "", "type": "<type>/", "instance": "<type>/<id>/"}[level]
                address = _address((path.replace("<type>", name) if name else path) + f"${operation.name}")
                for method in ("POST",) if operation.affects_state else ("GET", "POST"):
                    yield address, method, _named(operation, method, level, name, address)
        if operation.of_versions:
            address = _address(f"<type>/<id>/_history/<version>/${operation.name}")
            yield address, "GET", _named(operation, "GET", "instance", "", address)


def _address(path: str) -> str:
    return "/" + _PLACE.sub(r"{\1}", path)


def _interaction(row: Interaction, name: str = "") -> Node:
    code = row.codes[0] if row.codes else "search-compartment"
    meaning = _MEANINGS.get(code, code)
    if row.conditional:
        meaning += ", the one that matches the search criteria in the address"
    address = row.path.replace("<type>", name) if name else row.path
    found: Node = {
        "operationId": _identifier(row.method, address),
        "summary": meaning,
        "tags": [row.level],
        "parameters": _places(address.replace("<type>", "<written>") if WRITES.intersection(row.codes) else address),
        "responses": _responses(_SUCCESS.get(code, ("200",)), _shape(code)),
    }
    if row.method == "GET" and code.startswith("search"):
        found["parameters"] += [_reference("parameters", each.strip("_")) for each in _CONTROLS]
        found["parameters"] += _search_parameters(name) if name else []
    if row.body == "form":
        found["requestBody"] = {
            "content": {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}},
        }
    elif row.body is not None:
        found["requestBody"] = _body("Bundle" if code == "batch" else "Resource", code)
    return found


def _named(operation: Operation, method: str, level: str, name: str, address: str) -> Node:
    found: Node = {
        "operationId": _identifier(method, address),
        "summary": f"${operation.name}",
        "tags": ["operation"],
        "externalDocs": {"url": operation.definition},
        "parameters": _places(address.replace("{", "<").replace("}", ">")),
        "responses": _responses(("200",), "Resource"),
    }
    if method == "POST":
        found["requestBody"] = {**_body("Resource", ""), "required": False}
    else:
        found["parameters"] += [_query(each, "", array=False) for each in operation.takes or ()]
    return found


def _shape(code: str) -> str:
    return "Bundle" if code == "batch" or code.startswith(("search", "history")) else "Resource"


def _identifier(method: str, address: str) -> str:
    words = re.findall(r"[A-Za-z]+", address)
    return "-".join([method.lower(), *words])


def _places(path: str) -> list[Node]:
    return [_reference("parameters", place) for place in _PLACE.findall(path)]


def _search_parameters(name: str) -> list[Node]:
    return [_query(code, f"Search parameter of type {each.type}.") for code, each in sorted(searchable(name).items())]


def _query(name: str, description: str, *, array: bool = True) -> Node:
    text: Node = {"type": "string"}
    schema: Node = {"type": "array", "items": text} if array else text
    found: Node = {"name": name, "in": "query", "schema": schema}
    return {**found, "description": description} if description else found


def _body(shape: str, code: str) -> Node:
    if code == "patch":
        # A list of operations, an object to merge or a Parameters resource: nothing that all of them share.
        return {"required": True, "content": {each: {"schema": {}} for each in PATCH_FORMATS}}
    return {"required": True, "content": {each: {"schema": _reference("schemas", shape)} for each in _media_types()}}


def _responses(statuses: Sequence[str], shape: str) -> Node:
    content = {each: {"schema": _reference("schemas", shape)} for each in _media_types()}
    answers: Node = {}
    for status in statuses:
        answers[status] = {"description": _DESCRIPTIONS[status]}
        if status != "204":
            answers[status]["content"] = content
    return {**answers, "default": _reference("responses", "Refused")}


_DESCRIPTIONS = {"200": "Done.", "201": "Made: Location tells where.", "204": "Done, and nothing to show."}


def _media_types() -> tuple[str, ...]:
    return tuple(each for each in FORMATS if "/" in each)


def _reference(kind: str, name: str) -> Node:
    return {"$ref": f"#/components/{kind}/{name}"}


def _components(append_only: frozenset[str]) -> Node:
    logical_id: Node = {"type": "string", "pattern": r"^[A-Za-z0-9.\-]{1,64}$"}
    places: dict[str, Node] = {
        "type": {"type": "string", "enum": list(RESOURCE_TYPES)},
        "written": {"type": "string", "enum": [each for each in RESOURCE_TYPES if each not in append_only]},
        "id": logical_id,
        "version": {"type": "string"},
        "compartment": {"type": "string", "enum": list(COMPARTMENTS)},
    }
    resource: Node = {
        "type": "object",
        "description": "A FHIR R4 resource; its elements are those of http://hl7.org/fhir/R4/<resourceType>.html.",
        "required": ["resourceType"],
        "properties": {"resourceType": {"type": "string"}, "id": logical_id, "meta": {"type": "object"}},
    }
    return {
        "parameters": {
            **{
                name: {"name": _CALLED.get(name, name), "in": "path", "required": True, "schema": schema}
                for name, schema in places.items()
            },
            **{name.strip("_"): _query(name, meaning) for name, meaning in _CONTROLS.items()},
        },
        "schemas": {
            "Resource": resource,
            "Bundle": _constant(resource, "Bundle"),
            "OperationOutcome": _constant(resource, "OperationOutcome"),
        },
        "responses": {
            "Refused": {
                "description": "An OperationOutcome says what is wrong and what to do.",
                "content": {each: {"schema": _reference("schemas", "OperationOutcome")} for each in _media_types()},
            }
        },
    }


def _constant(resource: Node, name: str) -> Node:
    return {**resource, "properties": {**resource["properties"], "resourceType": {"const": name}}}
