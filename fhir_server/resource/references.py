"""References between the entries of a bundle: find them, and point them at the ids the server gave.

https://hl7.org/fhir/R4/http.html#trules and https://hl7.org/fhir/R4/bundle.html#references
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from .. import r4
from .exact import Resource

_LOCAL = re.compile(r"""((?:href|src)\s*=\s*)(["'])([^"']+)\2""")
_CONDITIONAL = re.compile(r"([A-Za-z]+)\?(.+)")
_RESTFUL = re.compile(r"(?:^|/)([A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64})$")


def conditional_references(resource: Resource) -> list[tuple[str, str]]:
    """(expression, reference) of every Reference.reference of the form Type?criteria."""
    if not _has_conditional(resource):
        return []
    return list(_conditional_references(resource, str(resource.get("resourceType"))))


def _has_conditional(resource: Resource) -> bool:
    """The same in short: nearly every resource has none, and needs no path to it."""
    pending: list[Any] = [resource]
    while pending:
        value = pending.pop()
        if type(value) is dict:
            reference = value.get("reference")
            if type(reference) is str and "?" in reference:
                return True
            pending += [inner for inner in value.values() if type(inner) is dict or type(inner) is list]
        elif type(value) is list:
            pending += value
    return False


def _conditional_references(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            where = f"{path}.{name}"
            if name == "reference" and isinstance(inner, str):
                if _CONDITIONAL.fullmatch(inner):
                    yield where, inner
            elif isinstance(inner, dict | list):
                yield from _conditional_references(inner, where)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _conditional_references(inner, f"{path}[{number}]")


def split_conditional(reference: str) -> tuple[str, str]:
    """("Patient", "identifier=a|b") of "Patient?identifier=a|b"."""
    kind, _, criteria = reference.partition("?")
    return kind, criteria


class Targets:
    """What references to the entries of a bundle become: https://hl7.org/fhir/R4/bundle.html#references

    `add` the fullUrls; `found` holds what conditional references name. A relative reference is read from the base of
    the fullUrl of the entry it stands in, and from this service where that is none.
    """

    def __init__(self, bases: Sequence[str]) -> None:
        self._bases = bases
        self._absolute: dict[str, str] = {}
        self._relative: dict[str, dict[str, str]] = {}
        self.found: dict[str, str] = {}

    def add(self, full_url: str, target: str) -> None:
        """References to `full_url` become `target` ("Patient/1")."""
        self._absolute[full_url] = target
        base, relative = _split(full_url)
        if relative and relative != target:
            self._relative.setdefault("" if base in self._bases else base, {})[relative] = target

    def seen_from(self, full_url: str) -> tuple[Mapping[str, str], ...]:
        """Where to look for what a reference in the entry with this fullUrl means; empty ones left out."""
        base, _ = _split(full_url)
        relative = self._relative.get("" if base in self._bases else base, {})
        return tuple(each for each in (self._absolute, relative, self.found) if each)


def _split(full_url: str) -> tuple[str, str]:
    """("http://host/fhir", "Patient/1"); ("", "") for a fullUrl that is not RESTful, such as urn:uuid:..."""
    match = _RESTFUL.search(full_url)
    return (full_url[: match.start()], match.group(1)) if match else ("", "")


def point(resource: Resource, targets: Sequence[Mapping[str, str]]) -> Resource:
    """A copy in which references, uris and narrative links that are a key of one of `targets` say its value instead."""
    if not targets:
        return resource
    pointed: Resource = _pointed(resource, "", targets)
    return pointed


def _pointed(value: Any, name: str, targets: Sequence[Mapping[str, str]]) -> Any:
    if type(value) is dict:
        return {
            key: _pointed(inner, key, targets) if type(inner) is not str or key in _names() or key == "div" else inner
            for key, inner in value.items()
        }
    if type(value) is list:
        return [_pointed(inner, name, targets) for inner in value]
    if type(value) is not str or name not in _names():
        return _linked(value, targets) if name == "div" and type(value) is str else value
    return _target(value, targets)


def _target(reference: str, targets: Sequence[Mapping[str, str]]) -> str:
    for each in targets:
        if reference in each:
            return each[reference]
    whole, hash_sign, fragment = reference.partition("#")
    if hash_sign and whole:
        return f"{_target(whole, targets)}#{fragment}"
    return reference


@cache
def _names() -> frozenset[str]:
    """The JSON properties that hold a reference or a uri; all others are text, whatever they say."""
    uris = {"uri", "url", "canonical", "uuid", "oid"}
    names = {"reference"}
    for path in r4.PATHS:
        names.update(name for name, row in r4.properties(path).items() if row.type in uris)
    return frozenset(names)


def _linked(div: str, targets: Sequence[Mapping[str, str]]) -> str:
    def link(match: re.Match[str]) -> str:
        attribute, quote, url = match.groups()
        return f"{attribute}{quote}{_target(url, targets)}{quote}"

    return _LOCAL.sub(link, div)
