"""FHIRPath Patch: a Parameters resource with the operations add, insert, delete, replace and move.

https://hl7.org/fhir/R4/fhirpatch.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from .. import r4
from ..errors import BadRequest, FhirError, Issue, TooLarge, Unprocessable
from ..resource.exact import Resource
from .places import Place, children, places, properties_of

MAX_OPERATIONS = 1_000


@dataclass(frozen=True, slots=True)
class _Operation:
    type: str
    path: str
    name: str | None
    value: dict[str, Any] | None
    """The parameter that holds the value: value[x], or parts that describe an element without a type of its own."""
    numbers: dict[str, int]


def read(parameters: Resource) -> Callable[[Resource], Resource]:
    """The patch in a Parameters resource. Raises BadRequest, naming the operation that is wrong."""
    raw = parameters.get("parameter", [])  # without any it changes nothing
    if not isinstance(raw, list):
        raise BadRequest("The operations of a FHIRPath Patch are a list of parameters.", code="structure")
    if len(raw) > MAX_OPERATIONS:
        raise TooLarge(f"A FHIRPath Patch may hold at most {MAX_OPERATIONS} operations.")
    operations = []
    for number, each in enumerate(raw):
        with _naming(number):
            operations.append(_operation(each))

    def patch(resource: Resource) -> Resource:
        changed = deepcopy(resource)
        for number, operation in enumerate(operations):
            with _naming(number):
                _OPERATIONS[operation.type](changed, operation)
        return changed

    return patch


@contextmanager
def _naming(number: int) -> Iterator[None]:
    """Say which operation of the patch a refusal is about."""
    try:
        yield
    except FhirError as error:
        error.issues = [
            Issue(each.diagnostics, each.code, each.severity, (f"Parameters.parameter[{number}]",))
            for each in error.issues
        ]
        raise


def _operation(raw: Any) -> _Operation:
    parts = raw.get("part") if isinstance(raw, dict) and raw.get("name") == "operation" else None
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise BadRequest("The parameters of a FHIRPath Patch are operations, made of parts.", code="required")
    found = {str(part.get("name")): part for part in parts}
    type, path = _text(found, "type") or "", _text(found, "path")
    if type not in _OPERATIONS:
        raise BadRequest(f"The type of an operation is one of {', '.join(_OPERATIONS)}.")
    if path is None:
        raise BadRequest(f"The operation {type} needs a path.", code="required")
    numbers = {}
    for each in _NUMBERS.get(type, ()):
        number = found.get(each, {}).get("valueInteger")
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise BadRequest(f"The operation {type} needs '{each}', a whole number from 0 on.", code="required")
        numbers[each] = number
    if type in ("add", "insert", "replace") and "value" not in found:
        raise BadRequest(f"The operation {type} needs a value.", code="required")
    name = _text(found, "name")
    if type == "add" and name is None:
        raise BadRequest("The operation add needs the name of the element to add.", code="required")
    return _Operation(type, path, name, found.get("value"), numbers)


_NUMBERS = {"insert": ("index",), "move": ("source", "destination")}


def _text(parts: dict[str, Any], name: str) -> str | None:
    part = parts.get(name, {})
    for key in ("valueString", "valueCode"):
        if isinstance(part.get(key), str):
            return str(part[key])
    return None


# ---- the operations ----------------------------------------------------------------------------------------------


def _add(resource: Resource, operation: _Operation) -> None:
    place = _only(places(resource, operation.path), operation)
    name = operation.name or ""
    inside = properties_of(place.definition, name)
    json_name, value, sibling = _value(operation.value or {}, inside)
    owner = place.value
    is_list = r4.properties(place.definition)[json_name].element.is_list
    if is_list:
        held = owner.setdefault(json_name, [])
        held.append(value)
        _align(owner, json_name, len(held) - 1, sibling)
        return
    if children(place, name):
        raise Unprocessable(f"There is a {name} already at {operation.path[:80]}: replace it.")
    owner[json_name] = value
    if sibling is not None:
        owner[f"_{json_name}"] = sibling


def _insert(resource: Resource, operation: _Operation) -> None:
    owner, name, path = _list(places(resource, operation.path), operation)
    index = operation.numbers["index"]
    if index > len(owner[name]):
        raise Unprocessable(f"The list at {operation.path[:80]} has {len(owner[name])} entries; the index is larger.")
    _, value, sibling = _value(operation.value or {}, {name: path})
    owner[name].insert(index, value)
    siblings = owner.get(f"_{name}")
    if isinstance(siblings, list) and index <= len(siblings):
        siblings.insert(index, sibling)
    else:
        _align(owner, name, index, sibling)


def _delete(resource: Resource, operation: _Operation) -> None:
    found = places(resource, operation.path)
    if not found:
        return  # https://hl7.org/fhir/R4/fhirpatch.html: nothing to delete is no error
    place = _only(found, operation)
    _refuse_root(place)
    siblings = place.owner.get(f"_{place.name}")
    if place.index < 0:
        del place.owner[place.name]
        place.owner.pop(f"_{place.name}", None)
    else:
        del place.owner[place.name][place.index]
        if isinstance(siblings, list) and place.index < len(siblings):
            del siblings[place.index]
    _clear(resource)


def _clear(value: Any) -> bool:
    """Takes out what a delete has left without content, and all above that had nothing else; whether any is left."""
    if isinstance(value, dict):
        for name in [name for name, inner in value.items() if isinstance(inner, dict | list) and not _clear(inner)]:
            del value[name]
    elif isinstance(value, list):
        # The gaps in a list of primitives stay: they keep its entries beside their extensions.
        value[:] = [each for each in value if not isinstance(each, dict | list) or _clear(each)]
    return bool(value)


def _replace(resource: Resource, operation: _Operation) -> None:
    place = _only(places(resource, operation.path), operation)
    _refuse_root(place)
    if place.index >= 0:
        _, value, sibling = _value(operation.value or {}, {place.name: place.path})
        place.owner[place.name][place.index] = value
        _align(place.owner, place.name, place.index, sibling)
        return
    json_name, value, sibling = _value(operation.value or {}, _choices(place))
    del place.owner[place.name]
    place.owner.pop(f"_{place.name}", None)
    place.owner[json_name] = value
    if sibling is not None:
        place.owner[f"_{json_name}"] = sibling


def _move(resource: Resource, operation: _Operation) -> None:
    owner, name, _ = _list(places(resource, operation.path), operation)
    source, destination = operation.numbers["source"], operation.numbers["destination"]
    amount = len(owner[name])
    if source >= amount or destination >= amount:
        raise Unprocessable(
            f"The list at {operation.path[:80]} has {amount} entries; source and destination are among them."
        )
    owner[name].insert(destination, owner[name].pop(source))
    siblings = owner.get(f"_{name}")
    if isinstance(siblings, list):
        siblings += [None] * (amount - len(siblings))
        siblings.insert(destination, siblings.pop(source))


_OPERATIONS: dict[str, Callable[[Resource, _Operation], None]] = {
    "add": _add,
    "insert": _insert,
    "delete": _delete,
    "replace": _replace,
    "move": _move,
}


# ---- what they share ----------------------------------------------------------------------------------------------


def _only(found: list[Place], operation: _Operation) -> Place:
    if len(found) != 1:
        amount = "nothing" if not found else f"{len(found)} elements"
        raise Unprocessable(f"{operation.type} needs a path to one element; {operation.path[:80]} leads to {amount}.")
    return found[0]


def _refuse_root(place: Place) -> None:
    if not place.name:
        raise Unprocessable("The path is the whole resource; update or delete it instead.")


def _list(found: list[Place], operation: _Operation) -> tuple[dict[str, Any], str, str]:
    """The owner, the property and the definition of the one list that holds all the places."""
    lists = {(id(place.owner), place.name) for place in found if place.index >= 0}
    if len(lists) != 1 or any(place.index < 0 for place in found):
        raise Unprocessable(
            f"{operation.type} needs a path to one list; {operation.path[:80]} leads to none or several."
        )
    return found[0].owner, found[0].name, found[0].path


def _choices(place: Place) -> dict[str, str]:
    """What a replaced element may become: of a choice another type as well."""
    return properties_of(place.within, r4.properties(place.within)[place.name].element.name)


def _align(owner: dict[str, Any], name: str, index: int, sibling: Any) -> None:
    """Set what stands beside one entry of a list of primitives; the list beside is made when it is needed."""
    siblings = owner.get(f"_{name}")
    if sibling is None and not isinstance(siblings, list):
        return
    if not isinstance(siblings, list):
        siblings = owner[f"_{name}"] = []
    siblings += [None] * (index + 1 - len(siblings))
    siblings[index] = sibling


def _value(parameter: dict[str, Any], inside: dict[str, str]) -> tuple[str, Any, Any]:
    """(JSON property, value, what stands beside it) that a value parameter means for one of the properties.

    https://hl7.org/fhir/R4/fhirpatch.html: an element without a type of its own is written as parts, each a child.
    """
    if "part" in parameter:
        json_name, path = next(iter(inside.items()))
        return json_name, _built(parameter["part"], path), None
    for key, value in parameter.items():
        if key.startswith("value"):
            sibling = parameter.get(f"_{key}")
            return _named(key.removeprefix("value"), inside), value, sibling
    if isinstance(parameter.get("resource"), dict):
        return next(iter(inside)), parameter["resource"], None
    raise BadRequest("The value of the operation is empty: give it a value[x] or parts.", code="required")


def _named(type: str, inside: dict[str, str]) -> str:
    """The property for a value of a type: the one of the choice, or the only one there is."""
    if len(inside) == 1:
        return next(iter(inside))
    wanted = [name for name in inside if name.endswith(type)]
    if not wanted:
        raise BadRequest(f"The element cannot be a {type[:40]}; it can be one of {', '.join(sorted(inside.values()))}.")
    return min(wanted, key=len)


def _built(parts: Any, path: str) -> dict[str, Any]:
    """An element made of its children, each given as a part."""
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise BadRequest("The parts of a value are its children, each with a name.")
    made: dict[str, Any] = {}
    for part in parts:
        json_name, value, sibling = _value(part, properties_of(path, str(part.get("name"))))
        if r4.properties(path)[json_name].element.is_list:
            held = made.setdefault(json_name, [])
            held.append(value)
            _align(made, json_name, len(held) - 1, sibling)
            continue
        made[json_name] = value
        if sibling is not None:
            made[f"_{json_name}"] = sibling
    return made
