"""Find the people who may be the one that is described: a few searches on indexes, then fact by fact.

https://hl7.org/fhir/R4/patient-operation-match.html

Nobody is found by reading all people: candidates carry one of the numbers, or the name with the birth date or the like
of both, or the name with the telephone number.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from mappings.identity import numbers
from mappings.numbers import bare, parse_bhyt_number
from mappings.systems import BHXH_NUMBER, BHYT_CARD, CCCD

from ..access.context import AccessContext
from ..errors import BadRequest, Forbidden, Issue
from ..repository import Repository, Stored
from ..resource import exact
from ..search.clauses import escape
from ..search.fold import fold
from ..search.likeness import blocking_keys
from ..search.query import Pair
from .agreement import Agreement, Person, compare, with_full_names

MAX_CANDIDATES = 100  # people that one way of looking may bring
MAX_NUMBERS = 20  # numbers, names and telephone numbers of the description that are looked up
_ENOUGH_LETTERS = 4  # of a name: 'an' alone is the name of everybody


@dataclass(frozen=True, slots=True)
class Matched:
    """One person who may be meant."""

    stored: Stored
    agreement: Agreement


@dataclass(slots=True)
class Matches:
    """Who may be meant, the likeliest first, and what the reader should know about the search."""

    people: list[Matched] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)


def match(
    repository: Repository, ctx: AccessContext, person: Person, *, count: int, only_certain: bool = False
) -> Matches:
    """At most `count` people. Raises Forbidden for a caller bound to a patient, BadRequest for nothing to look for."""
    if ctx.patient is not None:
        raise Forbidden("Looking for other people's records is not open to this caller.")
    made = Matches()
    candidates = _candidates(repository, ctx, with_full_names(person), made.issues)
    compared = [Matched(stored, compare(person, exact.parse(stored.json or b"{}"))) for stored in candidates]
    found = _one_at_most_certain(compared, made.issues)
    kept = [each for each in found if each.agreement.grade != "certainly-not"]
    if len(kept) < len(found):
        text = f"{len(found) - len(kept)} more were looked at and left out: too little agrees."
        made.issues.append(_told(text, "informational"))
    if only_certain:
        kept = [each for each in kept if each.agreement.grade == "certain"]
    kept.sort(key=lambda each: (-each.agreement.score, each.stored.id))
    if len(kept) > count:
        made.issues.append(_told(f"{len(kept)} people may be meant; the {count} likeliest are given.", "incomplete"))
    made.people = kept[:count]
    return made


def _one_at_most_certain(compared: list[Matched], issues: list[Issue]) -> list[Matched]:
    """Numbers that lead to two people leave neither of them certain: somebody has to decide."""
    certain = [each for each in compared if each.agreement.grade == "certain"]
    if len(certain) < 2:
        return compared
    text = f"The facts fit {len(certain)} records equally surely: no match is certain, somebody has to decide."
    issues.append(Issue(text, "multiple-matches", "warning"))
    return [replace(each, agreement=each.agreement.doubted()) for each in compared]


def _candidates(repository: Repository, ctx: AccessContext, person: Person, issues: list[Issue]) -> list[Stored]:
    found: dict[str, Stored] = {}
    ways = _ways(person)
    values = _numbers(person)
    if not ways and not values:
        raise BadRequest(
            "There is nothing to look for: give an identifier with its system, or the name, best with the birth date.",
            code="required",
            expression=["Patient"],
        )
    for several in repository.lookup(ctx, "Patient", "identifier", values).values() if values else ():
        found |= {stored.id: stored for stored in several[:MAX_CANDIDATES]}
    for pairs in ways:
        page = repository.search(ctx, "Patient", [*pairs, ("_count", str(MAX_CANDIDATES)), ("_total", "none")])
        found |= {stored.id: stored for _, stored in page.entries}
        if page.next is not None:
            text = f"More than {MAX_CANDIDATES} people share {_spoken(pairs)}; give more facts to tell them apart."
            issues.append(_told(text, "incomplete"))
    for several in repository.alike(ctx, blocking_keys(person)[:MAX_NUMBERS], each=MAX_CANDIDATES).values():
        found |= {stored.id: stored for stored in several}
    # Whoever was merged into another one is meant by that other one, who carries the numbers of both.
    away = repository.merged_away(ctx, sorted(found)) if found else {}
    return [stored for id, stored in found.items() if away.get(id) not in found]


def _numbers(person: Person) -> list[str]:
    """`system|value` of the numbers to look up; a card is looked up by its 10 digits as well, which outlive it."""
    wanted: dict[str, None] = {}
    for each in person.get("identifier", ()):
        system, value = each.get("system"), each.get("value")
        if not system or not value:
            continue
        wanted[f"{system}|{value}"] = None
        if system in (BHYT_CARD, CCCD, BHXH_NUMBER):
            wanted[f"{system}|{bare(value)}"] = None
        number = parse_bhyt_number(value) if system == BHYT_CARD else None
        if number is not None and number.kind == "cccd":  # a CCCD that stands where the card number is asked for
            wanted[f"{CCCD}|{number.value}"] = None
    for value in sorted(value for system, value in numbers(person) if system == BHXH_NUMBER):
        wanted[f"{BHXH_NUMBER}|{value}"] = None
    return list(wanted)[:MAX_NUMBERS]


def _ways(person: Person) -> list[list[Pair]]:
    """The searches by what is no number, each on an index."""
    names = sorted({fold(each["text"]) for each in person.get("name", ()) if each.get("text")})
    names = [escape(name) for name in names if len(name) >= _ENOUGH_LETTERS][:MAX_NUMBERS]
    if not names:
        return []
    name = ("name", ",".join(names))
    born = person.get("birthDate")
    contacts: list[dict[str, Any]] = person.get("telecom", [])
    phones = [escape(each["value"]) for each in contacts if each.get("system") == "phone" and each.get("value")]
    ways: list[list[Pair]] = []
    if born:
        # Of many people only the year of birth is known, so the precision of each date is tried.
        dates = dict.fromkeys(born[:length] for length in (4, 7, 10))
        ways += [[name, ("birthdate", date)] for date in dates]
    if phones:
        ways.append([name, ("phone", ",".join(phones[:MAX_NUMBERS]))])
    return ways or [[name]]


def _spoken(pairs: list[Pair]) -> str:
    words = {"name": "this name", "birthdate": "this birth date or year", "phone": "this telephone number"}
    return " and ".join(words[name] for name, _ in pairs)


def _told(text: str, code: str) -> Issue:
    return Issue(text, code, "information")
