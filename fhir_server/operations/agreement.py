"""In which facts two descriptions of a person agree, and how sure that makes us that they are one person.

https://hl7.org/fhir/R4/patient-operation-match.html and the grades of
https://hl7.org/fhir/R4/valueset-match-grade.html

Numbers are typed and read by people. So a CCCD makes certain unless name and birth date both speak against it, and the
10 digits of social insurance make certain together with name and birth date; nothing else does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from mappings.identity import same_birth_date, same_name
from mappings.names import fold
from mappings.numbers import bare, parse_bhyt_number
from mappings.systems import BHXH_NUMBER, BHYT_CARD, CCCD, CMND, OWN_BASE, PASSPORT

Person = dict[str, Any]
Grade = Literal["certain", "probable", "possible", "certainly-not"]

MATCH_GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
MATCH_FACT = f"{OWN_BASE}/StructureDefinition/match-fact"
"""The extension on Bundle.entry.search that tells one fact: `fact` (code), `agrees` (boolean), `points` (decimal)."""

CERTAIN_SCORE = Decimal("0.95")
PROBABLE_SCORE = Decimal("0.60")
POSSIBLE_SCORE = Decimal("0.35")
_BELOW_CERTAIN = Decimal("0.94")


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing both descriptions tell. `points` is what it adds to the score, or takes away."""

    code: str
    agrees: bool
    points: Decimal


@dataclass(frozen=True, slots=True)
class Agreement:
    """The facts two descriptions share, and what follows from them. `score` is from 0 to 1."""

    facts: tuple[Fact, ...]
    score: Decimal
    grade: Grade

    @property
    def agreed(self) -> list[str]:
        """The codes of the facts that agree."""
        return [fact.code for fact in self.facts if fact.agrees]

    @property
    def differed(self) -> list[str]:
        """The codes of the facts that differ."""
        return [fact.code for fact in self.facts if not fact.agrees]

    def doubted(self) -> Agreement:
        """The same facts, when something else keeps them from being certain."""
        if self.grade != "certain":
            return self
        return Agreement(self.facts, _BELOW_CERTAIN, "probable")


def numbers(person: Person, system: str) -> set[str]:
    """The numbers of one system a Patient carries, bare; the 10 digits of social insurance are read off cards too."""
    found = {bare(each["value"]) for each in _identifiers(person) if each.get("system") == system}
    if system == BHXH_NUMBER:
        cards = (parse_bhyt_number(each["value"]) for each in _identifiers(person) if each.get("system") == BHYT_CARD)
        found |= {card.bhxh for card in cards if card is not None and card.bhxh}
    return found


def with_full_names(person: Person) -> Person:
    """A copy whose names all carry their text: family and given names in the Vietnamese order where it is missing."""
    names = [
        each if each.get("text") else {**each, "text": " ".join([each.get("family", ""), *each.get("given", ())])}
        for each in person.get("name", ())
    ]
    return {**person, "name": names}


def compare(one: Person, other: Person) -> Agreement:
    """How far two Patients agree. What only one of them tells counts for nothing."""
    one, other = with_full_names(one), with_full_names(other)
    facts = tuple(fact for tell in _TELLERS for fact in tell(one, other))
    agreed = {fact.code for fact in facts if fact.agrees}
    differed = {fact.code for fact in facts if not fact.agrees}
    score = min(max(sum((fact.points for fact in facts), Decimal(0)), Decimal(0)), _BELOW_CERTAIN)
    if _is_certain(agreed, differed):
        return Agreement(facts, max(score, CERTAIN_SCORE), "certain")
    if agreed & _NUMBERS:
        # A number that leads to somebody else is for a person to decide, not for us to leave out.
        score = max(score, POSSIBLE_SCORE)
    if "cccd" in differed:
        score = min(score, PROBABLE_SCORE - Decimal("0.01"))
    return Agreement(facts, score, _grade(score))


def _is_certain(agreed: set[str], differed: set[str]) -> bool:
    if "cccd" in agreed:
        return not {"name", "birth-date"} <= differed
    return {"bhxh-number", "name", "birth-date"} <= agreed and "cccd" not in differed


def _grade(score: Decimal) -> Grade:
    if score >= PROBABLE_SCORE:
        return "probable"
    return "possible" if score >= POSSIBLE_SCORE else "certainly-not"


def _number(code: str, system: str, agrees: str, differs: str) -> Callable[[Person, Person], Iterable[Fact]]:
    def tell(one: Person, other: Person) -> Iterable[Fact]:
        here, there = numbers(one, system), numbers(other, system)
        if here and there:
            yield _fact(code, bool(here & there), agrees, differs)

    return tell


def _name(one: Person, other: Person) -> Iterable[Fact]:
    if _names(one) and _names(other):
        yield _fact("name", same_name(one, other), "0.25", "-0.20")


def _birth_date(one: Person, other: Person) -> Iterable[Fact]:
    here, there = one.get("birthDate", ""), other.get("birthDate", "")
    if here and there:
        whole = min(len(here), len(there)) == len("2026-11-24")
        yield _fact("birth-date", same_birth_date(one, other), "0.25" if whole else "0.10", "-0.30")


def _sex(one: Person, other: Person) -> Iterable[Fact]:
    known = {"male", "female"}
    if one.get("gender") in known and other.get("gender") in known:
        yield _fact("sex", one["gender"] == other["gender"], "0.05", "-0.15")


def _phone(one: Person, other: Person) -> Iterable[Fact]:
    here, there = _phones(one), _phones(other)
    if here and there and here & there:  # people change their numbers: another one says nothing
        yield _fact("phone", True, "0.15", "0")


def _fact(code: str, agrees: bool, plus: str, minus: str) -> Fact:
    return Fact(code, agrees, Decimal(plus if agrees else minus))


def _identifiers(person: Person) -> list[dict[str, Any]]:
    return [each for each in person.get("identifier", ()) if each.get("value")]


def _names(person: Person) -> set[str]:
    return {fold(each["text"]) for each in person.get("name", ()) if each.get("text", "").strip()}


def _phones(person: Person) -> set[str]:
    contacts = person.get("telecom", ())
    return {bare(each["value"]) for each in contacts if each.get("system") == "phone" and each.get("value")}


_NUMBERS = {"cccd", "bhxh-number", "cmnd", "passport"}
_TELLERS: tuple[Callable[[Person, Person], Iterable[Fact]], ...] = (
    _number("cccd", CCCD, "0.80", "-0.50"),
    _number("bhxh-number", BHXH_NUMBER, "0.60", "-0.30"),
    _number("cmnd", CMND, "0.50", "-0.10"),
    _number("passport", PASSPORT, "0.50", "0"),
    _name,
    _birth_date,
    _sex,
    _phone,
)
