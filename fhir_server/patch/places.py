"""Where the path of a FHIRPath Patch leads in a resource: not the values, the places that hold them.

https://hl7.org/fhir/R4/fhirpatch.html allows FHIRPath's simple paths with indexers, where(), first(), last(), ofType()
and extension(). The path is walked here, since an interpreter gives values without their places; only the criterion of
a where() goes to the interpreter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .. import r4
from ..errors import BadRequest
from ..resource.exact import Resource
from ..resource.fhirpath import NotEvaluated, holds

MAX_LENGTH = 1_000
_STEP = re.compile(r"`?([A-Za-z_][A-Za-z0-9_]*)`?")
_INDEX = re.compile(r"\[\s*(\d{1,6})\s*\]")
_TEXT = re.compile(r"'([^'\\]*)'")
# They walk without an end in sight, or leave the resource.
_REFUSED_IN_CRITERIA = re.compile(r"\b(repeat|descendants|resolve|memberOf|aggregate|trace)\s*\(")


@dataclass(frozen=True, slots=True)
class Place:
    """A value in a resource: the JSON property `name` of `owner`, or with an index one entry of the list there."""

    owner: dict[str, Any]
    name: str
    index: int
    path: str
    """Where the definition of the value is: "HumanName", "Patient.contact", "string"."""
    within: str
    """Where the definition of its owner is."""

    @property
    def value(self) -> Any:
        held = self.owner[self.name]
        return held[self.index] if self.index >= 0 else held

    @property
    def definition(self) -> str:
        """Like `path`, with the type of a resource inside the resource."""
        return str(self.value.get("resourceType")) if self.path == "Resource" else self.path


def places(resource: Resource, expression: str) -> list[Place]:
    """The places a path leads to, none when nothing is there. Raises BadRequest for a path that is not understood."""
    if len(expression) > MAX_LENGTH:
        raise BadRequest(f"The path of a patch may have at most {MAX_LENGTH} characters.")
    root = Place({"": resource}, "", -1, resource["resourceType"], "")
    found = [root]
    for number, (name, arguments) in enumerate(_steps(expression)):
        if arguments is None:
            if number == 0 and name in (root.path, "Resource", "DomainResource"):
                continue
            found = [each for place in found for each in children(place, name)]
        elif name == "[]":
            found = found[int(arguments) : int(arguments) + 1]
        else:
            found = _called(found, name, arguments, resource)
    return found


def _steps(expression: str) -> Iterator[tuple[str, str | None]]:
    """(name, None) of an element, ("[]", number) of an indexer, (function, arguments) of a call."""
    text, at = expression.strip(), 0
    while True:
        step = _STEP.match(text, at)
        if step is None:
            raise _not_understood(expression, at)
        at = step.end()
        if text[at : at + 1] == "(":
            end = _closing(text, at)
            yield step.group(1), text[at + 1 : end - 1].strip()
            at = end
        else:
            yield step.group(1), None
        while index := _INDEX.match(text, at):
            yield "[]", index.group(1)
            at = index.end()
        if at == len(text):
            return
        if text[at] != ".":
            raise _not_understood(expression, at)
        at += 1


def _closing(text: str, opening: int) -> int:
    """The position behind the bracket that closes the one at `opening`; brackets in strings do not count."""
    depth, quoted, at = 0, False, opening
    while at < len(text):
        letter = text[at]
        if quoted:
            at += letter == "\\"
            quoted = letter != "'"
        elif letter == "'":
            quoted = True
        elif letter in "()":
            depth += 1 if letter == "(" else -1
            if depth == 0:
                return at + 1
        at += 1
    raise _not_understood(text, opening)


def _not_understood(expression: str, at: int) -> BadRequest:
    return BadRequest(
        f"The path '{expression[:80]}' of the patch is not understood at character {at + 1}: "
        "write elements, [n], where(), first(), last(), ofType() and extension()."
    )


def children(place: Place, name: str) -> list[Place]:
    """The places of an element inside a value. Raises BadRequest when its type has no such element."""
    found, value = [], place.value
    path = place.definition
    for json_name, path_inside in properties_of(path, name).items():
        held = value.get(json_name) if isinstance(value, dict) else None
        if isinstance(held, list):
            found += [
                Place(value, json_name, index, path_inside, path) for index, each in enumerate(held) if each is not None
            ]
        elif held is not None:
            found.append(Place(value, json_name, -1, path_inside, path))
    return found


def properties_of(path: str, name: str) -> dict[str, str]:
    """`JSON property -> where its value is defined` of an element: several for a choice."""
    if path not in r4.PATHS:
        raise BadRequest(f"'{path}' has no elements for a patch to change; replace the whole value.")
    known = r4.properties(path)
    found = {each: row.type for each, row in known.items() if name in (each, row.element.name)}
    if not found:
        raise BadRequest(f"{path} has no element '{name[:40]}'.")
    return found


def _called(found: list[Place], name: str, arguments: str, resource: Resource) -> list[Place]:
    if name in ("first", "last", "single") and not arguments:
        if name == "single" and len(found) > 1:
            raise BadRequest("The path of the patch leads to several elements where single() allows one.")
        return found[-1:] if name == "last" else found[:1]
    if name in ("ofType", "as") and arguments:
        wanted = arguments.rpartition(".")[2].strip("`")
        return [place for place in found if place.definition == wanted]
    if name == "extension" and (url := _TEXT.fullmatch(arguments)):
        inside = [each for place in found for each in children(place, "extension")]
        return [place for place in inside if place.value.get("url") == url.group(1)]
    if name == "where" and arguments:
        return [place for place in found if _fulfils(place, arguments, resource)]
    raise BadRequest(
        f"The path of the patch may call where(), first(), last(), single(), ofType() and extension('url'), "
        f"not {name[:40]}({arguments[:40]})."
    )


def _fulfils(place: Place, criterion: str, resource: Resource) -> bool:
    if _REFUSED_IN_CRITERIA.search(criterion):
        raise BadRequest("The where() of a patch may compare what is in the element, and not search further.")
    try:
        return holds(criterion, place.value, place.definition, resource, resource)
    except NotEvaluated:
        raise BadRequest(f"The criterion where({criterion[:80]}) of the patch cannot be evaluated.") from None
