"""References between the entries of a bundle: find them, and point them at the ids the server gave.

https://hl7.org/fhir/R4/http.html#trules and https://hl7.org/fhir/R4/bundle.html#references
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

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


def relative_of(full_url: str) -> str | None:
    """ "Patient/1" of a RESTful fullUrl such as "http://host/fhir/Patient/1", else None."""
    match = _RESTFUL.search(full_url)
    return match.group(1) if match else None


def point(resource: Resource, targets: Mapping[str, str]) -> Resource:
    """A copy in which every reference, uri and narrative link that is a key of `targets` says its value instead."""
    return _pointed(resource, targets) if targets else resource


def _pointed(value: Any, targets: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            name: _linked(inner, targets) if name == "div" and isinstance(inner, str) else _pointed(inner, targets)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_pointed(inner, targets) for inner in value]
    if isinstance(value, str):
        found = targets.get(value)
        if found is not None:
            return found
        whole, hash_sign, fragment = value.partition("#")
        if hash_sign and whole in targets:
            return f"{targets[whole]}#{fragment}"
    return value


def _linked(div: str, targets: Mapping[str, str]) -> str:
    def link(match: re.Match[str]) -> str:
        attribute, quote, url = match.groups()
        return f"{attribute}{quote}{targets.get(url, url)}{quote}"

    return _LOCAL.sub(link, div)
