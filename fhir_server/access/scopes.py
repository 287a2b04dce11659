"""SMART scopes: what a token allows, read from its text.

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl, quote

from ..r4 import RESOURCE_TYPES
from ..search.parameters import parameters

LETTERS = "cruds"
LEVELS = ("patient", "user", "system")
LAUNCH_PATIENT, OFFLINE = "launch/patient", "offline_access"
MAX_TEXT = 4_000

_SCOPE = re.compile(r"(patient|user|system)/(\*|[A-Za-z]{1,64})\.([a-z*]{1,5})(?:\?(.+))?", re.ASCII | re.DOTALL)
# What the scopes of version 1 mean: https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#scopes-for-requesting-fhir-resources
_VERSION_1 = {"read": "rs", "write": "cud", "*": "cruds"}
_TYPES = frozenset(RESOURCE_TYPES)


@dataclass(frozen=True, slots=True)
class Scope:
    """`system/Observation.rs?category=laboratory`: level "system", "patient" or "user"; type or "*"; letters of cruds;
    (name, value) pairs that narrow it."""

    level: str
    type: str
    interactions: frozenset[str]
    query: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        letters = "".join(letter for letter in LETTERS if letter in self.interactions)
        query = "&".join(f"{quote(name, safe=':')}={quote(value, safe=':/|,.')}" for name, value in self.query)
        return f"{self.level}/{self.type}.{letters}" + (f"?{query}" if query else "")

    def covers(self, other: Scope) -> bool:
        """Whether whatever `other` allows is allowed by this one too."""
        return (
            self.level == other.level
            and self.type in ("*", other.type)
            and self.interactions >= other.interactions
            and set(self.query) <= set(other.query)
        )

    def and_only(self, other: Scope) -> Scope | None:
        """What both allow; None when that is nothing."""
        shared = self.interactions & other.interactions
        if self.level != other.level or not shared or not ("*" in (self.type, other.type) or self.type == other.type):
            return None
        type_ = other.type if self.type == "*" else self.type
        both = Scope(self.level, type_, shared, tuple(dict.fromkeys(self.query + other.query)))
        return both if _narrows(type_, both.query) else None


def parse(text: str) -> Scope | None:
    """The scope a text names, in version 2 or 1; None for any text that names none this server knows."""
    found = _SCOPE.fullmatch(text)
    if found is None:
        return None
    level, type_, suffix, query = found.groups()
    letters = _VERSION_1.get(suffix, suffix)
    pairs: tuple[tuple[str, str], ...] = ()
    if query is not None:
        if suffix in _VERSION_1:
            return None
        pairs = _pairs(query)
        if not pairs or not _narrows(type_, pairs):
            return None
    # The letters stand in the order of cruds, each at most once.
    if letters != "".join(each for each in LETTERS if each in letters) or not (type_ == "*" or type_ in _TYPES):
        return None
    return Scope(level, type_, frozenset(letters), pairs)


@lru_cache(maxsize=1024)
def parse_all(text: str) -> tuple[Scope, ...]:
    """The scopes for resources among the words of a text; the others (launch/patient...) grant nothing at the door."""
    return tuple(scope for scope in map(parse, text.split()) if scope is not None)


def grant(asked: str, allowed: Iterable[str], level: str) -> str:
    """The part of what is asked for that a client may have at a level, as text; "" when that is nothing.

    A scope that is granted whole is repeated as it was asked for (in version 1 too); one that goes too far is narrowed.
    Words such as launch/patient are granted when they are among the allowed ones.
    """
    permitted = [word for text in allowed for word in text.split()]
    limits = [scope for scope in map(parse, permitted) if scope is not None and scope.level == level]
    granted: dict[str, Scope | None] = {}
    for word in asked[:MAX_TEXT].split():
        scope = parse(word)
        if scope is None:
            if word in permitted and word in (LAUNCH_PATIENT, OFFLINE):
                granted[word] = None
            continue
        for part in _maximal([both for limit in limits if (both := scope.and_only(limit)) is not None]):
            granted[word if part == scope else str(part)] = part
    return " ".join(granted)


def is_resource_scope(text: str) -> bool:
    """Whether any word of a text is a scope for resources."""
    return any(parse(word) is not None for word in text.split())


def _maximal(parts: list[Scope]) -> list[Scope]:
    """Without those that another one covers."""
    unique = list(dict.fromkeys(parts))
    return [each for each in unique if not any(other != each and other.covers(each) for other in unique)]


def _pairs(query: str) -> tuple[tuple[str, str], ...]:
    try:
        return tuple(dict.fromkeys(parse_qsl(query, keep_blank_values=True, strict_parsing=True, max_num_fields=10)))
    except ValueError:
        return ()


def _narrows(type_: str, pairs: tuple[tuple[str, str], ...]) -> bool:
    """Whether every pair is a search parameter of the type itself: a filter nobody can apply must not be granted."""
    known = parameters("Patient" if type_ == "*" else type_) if type_ == "*" or type_ in _TYPES else {}
    names = [name.partition(":")[0] for name, _ in pairs]
    return all(
        name in known and value and (type_ != "*" or name.startswith("_"))
        for name, (_, value) in zip(names, pairs, strict=True)
    )
