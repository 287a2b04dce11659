"""Compile the FHIRPath of a search parameter to the places in a resource that it reads.

The R4 expressions use paths, `as`/`ofType`, `where(...)`, `extension(...)` and one index; each becomes a route of JSON
property names. https://hl7.org/fhir/R4/searchparameter.html#expression
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from .. import r4

_FUNCTION = re.compile(r"(\w+)\((.*)\)", re.DOTALL)
_CONDITION = re.compile(r"(\w+)\s*=\s*'([^']*)'")
_EXTENSION = re.compile(r"(?:hasExtension|extension)\('([^']*)'\)")


@dataclass(frozen=True, slots=True)
class Key:
    """Go into the JSON property `name`; `many` says that it is a list."""

    name: str
    many: bool = False


@dataclass(frozen=True, slots=True)
class Where:
    """Keep the items whose property `name` is `value`; with `extension`, those that carry that extension."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class First:
    """Keep the first item of a list."""


Step = Key | Where | First


@dataclass(frozen=True, slots=True)
class Route:
    """Steps from the resource to values of one datatype."""

    steps: tuple[Step, ...]
    datatype: str
    label: str
    element: r4.Element | None = None
    """The definition of the last element on the way: its binding and its reference targets."""

    @property
    def keys(self) -> tuple[Key, ...]:
        """The properties on the way, without the conditions."""
        return tuple(step for step in self.steps if isinstance(step, Key))

    @property
    def many(self) -> bool:
        """Whether one resource can have several values here."""
        return any(key.many for key in self.keys)

    @property
    def plain(self) -> bool:
        """Whether the way is without conditions, so that a MongoDB path says the same."""
        return len(self.keys) == len(self.steps)


@dataclass(frozen=True, slots=True)
class Source:
    """The places that are indexed together under one `key` because every search reads them together."""

    key: str
    routes: tuple[Route, ...]
    target: str = ""
    """Only references to this type count: `subject.where(resolve() is Patient)`."""

    @property
    def many(self) -> bool:
        """Whether one resource can have several values here."""
        return any(route.many for route in self.routes)


class UnsupportedExpressionError(ValueError):
    """An expression outside the part of FHIRPath that R4's search parameters use."""


def compile_expression(resource_type: str, expression: str) -> tuple[Source, ...]:
    """The sources of an expression: one per part of its union. Raises UnsupportedExpressionError."""
    return tuple(_compile_part(resource_type, part.strip()) for part in split_top(expression, "|"))


def split_top(text: str, separator: str) -> list[str]:
    """Split at separators that stand outside brackets and quotes."""
    parts, depth, quoted, start = [], 0, False, 0
    for position, letter in enumerate(text):
        if letter == "'":
            quoted = not quoted
        elif quoted:
            continue
        elif letter in "([":
            depth += 1
        elif letter in ")]":
            depth -= 1
        elif letter == separator and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    return [*parts, text[start:]]


def _compile_part(resource_type: str, part: str) -> Source:
    target = ""
    routes = [Route((), resource_type, "")]
    for operation, argument in _operations(part):
        if operation == "child":
            if argument in (resource_type, "Resource", "DomainResource") and not routes[0].steps:
                continue
            routes = [made for route in routes for made in _child(route, argument)]
        elif operation == "as":
            # R4 writes DateTime for dateTime in one composite.
            routes = [_typed(route) for route in routes if route.datatype.lower() == argument.lower()]
        elif operation == "where" and argument.startswith("resolve() is "):
            target = argument.removeprefix("resolve() is ").strip()
        elif operation == "where":
            routes = [_where(route, argument) for route in routes]
        elif operation == "extension":
            routes = [made for route in routes for made in _extension(route, argument)]
        elif operation == "first":
            routes = [replace(route, steps=(*route.steps, First())) for route in routes]
        else:
            raise UnsupportedExpressionError(f"{resource_type}: {part}")
    if not routes:
        raise UnsupportedExpressionError(f"{resource_type}: {part} reads nothing")
    return Source(routes[0].label, tuple(routes), target)


def _operations(part: str) -> Iterator[tuple[str, str]]:
    """(operation, argument) one by one: ("child", "value"), ("as", "Quantity"), ("where", "system='phone'")..."""
    for segment in split_top(part.strip(), "."):
        segment = segment.strip()
        if segment.startswith("(") and segment.endswith(")"):
            path, _, datatype = segment[1:-1].partition(" as ")
            yield from _operations(path)
            if datatype:
                yield "as", datatype.strip()
        elif segment.endswith("[0]"):
            yield "child", segment[:-3]
            yield "first", ""
        elif match := _FUNCTION.fullmatch(segment):
            name, argument = match.groups()
            if name in ("as", "ofType"):
                yield "as", argument.strip()
            elif name == "extension":
                yield "extension", argument.strip().strip("'")
            else:
                yield name, argument.strip()
        else:
            yield "child", segment


def _child(route: Route, name: str) -> Iterator[Route]:
    element = r4.elements(route.datatype)[name]
    label = f"{route.label}.{name}" if route.label else name
    for json_name, datatype in element.json_names().items():
        nested = f"{route.datatype}.{name}"
        inner = nested if not element.choice and nested in r4.PATHS else datatype
        yield Route((*route.steps, Key(json_name, element.is_list)), inner, label, element)


def _typed(route: Route) -> Route:
    """The route after `as`: named by the JSON property of the type, valueQuantity and not value."""
    last = route.steps[-1]
    assert isinstance(last, Key)
    head = route.label.rpartition(".")[0]
    return replace(route, label=f"{head}.{last.name}" if head else last.name)


def _where(route: Route, condition: str) -> Route:
    if match := _CONDITION.fullmatch(condition):
        name, value = match.groups()
    elif match := _EXTENSION.fullmatch(condition):
        name, value = "extension", match.group(1)
    else:
        raise UnsupportedExpressionError(f"where({condition})")
    return replace(route, steps=(*route.steps, Where(name, value)), label=f"{route.label}[{_short(value)}]")


def _extension(route: Route, url: str) -> Iterator[Route]:
    """`extension('url')` as a search parameter means the value of that extension."""
    label = f"{route.label}.extension[{_short(url)}]".lstrip(".")
    for json_name, datatype in r4.elements("Extension")["value"].json_names().items():
        steps = (*route.steps, Key("extension", many=True), Where("url", url), Key(json_name))
        yield Route(steps, datatype, label)


def _short(value: str) -> str:
    return value.rpartition("/")[2].replace(".", "-").replace("$", "-")
