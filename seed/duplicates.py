"""Invents accounts of people as they reach a register: most once, some again with the mistakes that duplicates have.

Each account says whose it is, so that matching can be measured: python -m bench.identity.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from mappings.names import human_name
from mappings.numbers import parse_bhyt_number
from mappings.person import bhyt_identifiers, identifier
from seed.people import Invented, changed_card, people

DIRTY_SHARE = 0.30  # of all accounts: another account of somebody who has one already
TWIN_SHARE, NEWBORN_SHARE, NAMESAKE_SHARE, SON_SHARE = 0.01, 0.01, 0.005, 0.005


@dataclass(frozen=True, slots=True)
class Account:
    """A Patient as one source tells of `person` (a serial number); `kind` is what is odd about it, "" for nothing."""

    person: int
    kind: str
    patient: dict[str, Any]


def accounts(count: int, seed: int = 1) -> Iterator[Account]:
    """`count` accounts, 30% of them dirty duplicates of earlier ones; the same for the same seed."""
    random = Random(seed)
    first: list[Invented] = []
    population = people(count, seed)
    number = 800_000_00  # serials beyond those of the households
    for _ in range(count):
        if first and random.random() < DIRTY_SHARE:
            person = random.choice(first)
            kind = random.choice(sorted(_SPOILED))
            yield Account(person.serial, kind, _SPOILED[kind](person, random))
            continue
        person, kind = next(population), ""
        if first:
            number += 1
            person, kind = _relative(person, first[-1], number, random)
        first.append(person)
        patient = _patient(person)
        if kind == "newborn":
            # The name and, until it has a card of its own, the number of the mother.
            patient = _patient(replace(person, name=first[-2].name), card=first[-2].card, cccd="")
        yield Account(person.serial, kind, patient)


def _relative(person: Invented, other: Invented, number: int, random: Random) -> tuple[Invented, str]:
    """Now and then somebody who is easily taken for the one before."""
    choice = random.random()
    if choice < TWIN_SHARE:
        return replace(
            other, serial=other.serial + 1_000_000 + number % 7, name=_one_letter(other.name, random)
        ), "twin"
    if choice < TWIN_SHARE + NEWBORN_SHARE and other.sex == "female" and 18 <= other.age <= 45:
        return replace(person, serial=number, born=datetime.date(2026, 10, 1 + number % 28), has_cccd=False), "newborn"
    if choice < TWIN_SHARE + NEWBORN_SHARE + NAMESAKE_SHARE:
        return replace(person, name=other.name, born=other.born, sex=other.sex), "namesake"
    if choice < TWIN_SHARE + NEWBORN_SHARE + NAMESAKE_SHARE + SON_SHARE and other.age >= 45:
        born = replace(person, born=other.born.replace(year=other.born.year + 25, day=min(other.born.day, 28)))
        return replace(born, name=other.name, sex=other.sex, phone=other.phone), "son"
    return person, ""


def _patient(
    person: Invented, *, name: str = "", born: str = "", card: str | None = None, cccd: str | None = None
) -> dict[str, Any]:
    number = parse_bhyt_number(person.card if card is None else card)
    identifiers = bhyt_identifiers(number, {}) if number else []
    cccd = (person.cccd if person.has_cccd else "") if cccd is None else cccd
    if cccd:
        identifiers.append(identifier("cccd", cccd))
    made: dict[str, Any] = {"resourceType": "Patient", "identifier": identifiers}
    made["name"] = [human_name(name or person.name)]
    made["gender"] = person.sex
    made["birthDate"] = born or person.born.isoformat()
    if person.phone:
        made["telecom"] = [{"system": "phone", "value": person.phone}]
    return made


def _one_letter(name: str, random: Random) -> str:
    at = random.randrange(len(name.rpartition(" ")[0]) + 1, len(name))
    return name[:at] + random.choice("aeghnu") + name[at + 1 :]


def _other_digit(number: str, random: Random) -> str:
    at = random.randrange(len(number) - 4, len(number))
    return number[:at] + str((int(number[at]) + random.randint(1, 9)) % 10) + number[at + 1 :]


def _swapped_day(person: Invented) -> str:
    born = person.born
    if born.day <= 12:
        return born.replace(month=born.day, day=born.month).isoformat()
    # There is nothing to swap: one digit of the day is wrong, and such a day there is.
    return born.replace(day=born.day - (1 if born.day % 10 else 10)).isoformat()


def _words(name: str, random: Random) -> str:
    family, *rest = name.split(" ")
    return " ".join([*rest, family]) if len(rest) < 2 or random.random() < 0.5 else f"{family} {rest[-1]}"


# What is wrong with a duplicate -> how it is told then.
_SPOILED: dict[str, Callable[[Invented, Random], dict[str, Any]]] = {
    "again": lambda person, random: _patient(person),
    "capitals": lambda person, random: _patient(person, name=person.name.upper()),
    "changed card": lambda person, random: _patient(changed_card(person)),
    "no card": lambda person, random: _patient(person, card=""),
    "no CCCD": lambda person, random: _patient(person, cccd=""),
    "no number": lambda person, random: _patient(person, card="", cccd=""),
    "typo in the name": lambda person, random: _patient(person, name=_one_letter(person.name, random)),
    "typo in the name, no CCCD": lambda person, random: _patient(
        person, name=_one_letter(person.name, random), cccd=""
    ),
    "words of the name": lambda person, random: _patient(person, name=_words(person.name, random), cccd=""),
    "year of birth": lambda person, random: _patient(person, born=f"{person.born.year}"),
    "day and month swapped": lambda person, random: _patient(person, born=_swapped_day(person), cccd=""),
    "mistyped CCCD": lambda person, random: _patient(person, cccd=_other_digit(person.cccd, random), card=""),
    "mistyped card": lambda person, random: _patient(person, card=_other_digit(person.card, random), cccd=""),
}
