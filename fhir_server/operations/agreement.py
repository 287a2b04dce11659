"""How sure it is that two descriptions are of one person: the verdict of mappings/identity.py as a grade and a score.

https://hl7.org/fhir/R4/patient-operation-match.html and the grades of
https://hl7.org/fhir/R4/valueset-match-grade.html

What the imports join without asking is certain here, what they put into the queue is probable or possible by its score,
and what they take for somebody else is certainly not meant.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

from mappings import systems
from mappings.identity import Reason, judge

Person = dict[str, Any]
Grade = Literal["certain", "probable", "possible", "certainly-not"]

MATCH_GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
MATCH_FACT = systems.MATCH_FACT
"""The extension on Bundle.entry.search that tells one fact: `fact` (code), `agrees` (boolean), `points` (decimal)."""

CERTAIN_SCORE = Decimal("0.95")
PROBABLE_SCORE = Decimal("0.60")
POSSIBLE_SCORE = Decimal("0.35")
_ONE_HUNDREDTH = Decimal("0.01")

# The reasons of mappings/identity.py and what each adds to the score when it speaks for, or takes away.
_POINTS: dict[tuple[str, bool], Decimal] = {
    (code, agrees): Decimal(points)
    for code, agrees, points in (
        ("cccd", True, "0.80"),
        ("cccd", False, "-0.50"),
        ("bhxh-number", True, "0.60"),
        ("bhxh-number", False, "-0.30"),
        ("number", True, "0.50"),
        ("number-alike", True, "0.20"),
        ("name", True, "0.25"),
        ("name-alike", True, "0.15"),
        ("name", False, "-0.20"),
        ("birth-date", True, "0.25"),
        ("birth-year", True, "0.10"),
        ("birth-date-alike", True, "0.10"),
        ("birth-date", False, "-0.30"),
        ("sex", True, "0.05"),
        ("sex", False, "-0.15"),
        ("phone", True, "0.15"),
    )
}


@dataclass(frozen=True, slots=True)
class Agreement:
    """The facts two descriptions share, and what follows from them. `score` is from 0 to 1."""

    facts: tuple[Reason, ...]
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
        return replace(self, score=CERTAIN_SCORE - _ONE_HUNDREDTH, grade="probable")


def points(fact: Reason) -> Decimal:
    """What a fact adds to the score, or takes away."""
    return _POINTS[fact.code, fact.agrees]


def with_full_names(person: Person) -> Person:
    """A copy whose names all carry their text: family and given names in the Vietnamese order where it is missing."""
    names = [
        each if each.get("text") else {**each, "text": " ".join([each.get("family", ""), *each.get("given", ())])}
        for each in person.get("name", ())
    ]
    return {**person, "name": names}


def compare(one: Person, other: Person) -> Agreement:
    """How far two Patients agree. What only one of them tells counts for nothing."""
    verdict = judge(with_full_names(one), with_full_names(other))
    score = max(sum((points(fact) for fact in verdict.reasons), Decimal(0)), Decimal(0))
    if verdict.grade == "certain":
        return Agreement(verdict.reasons, min(max(score, CERTAIN_SCORE), Decimal(1)), "certain")
    if verdict.grade == "none":
        return Agreement(verdict.reasons, min(score, POSSIBLE_SCORE - _ONE_HUNDREDTH), "certainly-not")
    differing = {("cccd", False), ("bhxh-number", False)} & {(fact.code, fact.agrees) for fact in verdict.reasons}
    most = PROBABLE_SCORE if differing else CERTAIN_SCORE
    score = min(max(score, POSSIBLE_SCORE), most - _ONE_HUNDREDTH)
    return Agreement(verdict.reasons, score, "probable" if score >= PROBABLE_SCORE else "possible")
