"""Whom the words, number or QR text in one field may mean, and a person in the few facts that tell people apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from fhir_server.citizen.cards import holder_of
from fhir_server.citizen.person import mask, person_of
from fhir_server.desk.paging import behind, cursor_of
from fhir_server.errors import Gone, NotFound
from fhir_server.resource import exact
from fhir_server.search.clauses import escape
from mappings import systems
from mappings.card_qr import read_qr
from mappings.dates import parse_date
from mappings.numbers import bare, parse_bhyt_number

if TYPE_CHECKING:
    from fhir_server.access.context import AccessContext
    from fhir_server.repository import Repository

FOUND = 30
"""People shown on a page."""

# system -> the word for it: `desk.number.<word>` of the catalogue
NUMBERS = {
    systems.BHYT_CARD: "bhyt",
    systems.BHXH_NUMBER: "bhxh",
    systems.CCCD: "cccd",
    systems.CMND: "cmnd",
    systems.PASSPORT: "passport",
}
_LONGEST, _WORDS = 200, 6
_CARD_LINK = re.compile(r"https?://[^\s/#]{1,200}/q#([A-Za-z0-9_-]{22})", re.ASCII)
_NUMBER = re.compile(r"[A-Za-z]{0,2}[\d .\-]{8,24}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Shown:
    """A person as lists show them; the numbers are masked but for their end."""

    id: str
    name: str
    birth: str | None
    gender: str | None
    numbers: tuple[tuple[str, str], ...]
    home: str
    active: bool


def shown(patient: dict[str, Any]) -> Shown:
    """What is shown of a Patient resource."""
    person = person_of(patient)
    homes = patient.get("address") or [{}]
    return Shown(
        id=patient.get("id", ""),
        name=person.name,
        birth=person.birth,
        gender=person.gender,
        numbers=tuple(
            (NUMBERS.get(each.get("system", ""), "other"), mask(each["value"]))
            for each in patient.get("identifier", ())
            if each.get("value")
        ),
        home=homes[0].get("text") or ", ".join([*homes[0].get("line", []), homes[0].get("city", "")]).strip(", "),
        active=patient.get("active") is not False,
    )


class Found(NamedTuple):
    """A page of people, and what the next one is asked with ("" when there is none)."""

    people: list[Shown]
    next: str = ""


def find(repository: Repository, ctx: AccessContext, asked: str, born: str = "", place: str = "") -> Found:
    """At most FOUND people. `born` narrows a name by a birth date or year, `place` is Found.next of the page before.

    What is asked for is a name, a number, or the text of a QR code: of a CCCD or BHYT card, or of our own card.
    Raises UnreadableInput.
    """
    asked = asked[: 10 * _LONGEST]
    link = _CARD_LINK.fullmatch(asked.strip())
    holder = holder_of(repository, link[1] if link else asked)
    if holder or link:
        return _holding(repository, ctx, holder)
    numbers = _numbers(asked)
    if numbers:
        found = repository.lookup(ctx, "Patient", "identifier", numbers)
        people = {stored.id: stored for several in found.values() for stored in several}
        return Found([shown(exact.parse(stored.json or b"{}")) for stored in people.values()][:FOUND])
    words = [escape(word) for word in asked[:_LONGEST].split()[:_WORDS]]
    return _named(repository, ctx, words, born, place) if words else Found([])


def _named(repository: Repository, ctx: AccessContext, words: list[str], born: str, place: str) -> Found:
    date = parse_date(born)
    when = [("birthdate", date.value)] if date is not None else []
    way, _, cursor = place.partition(":")
    # A name that is typed from its beginning is one range of the index; words from its middle are looked for one by one.
    ways = {"whole": [("name", " ".join(words))], "words": [("name", word) for word in words]}
    for name in [way] if way in ways else ways:
        query = [*ways[name], *when, ("_count", str(FOUND)), ("_total", "none")]
        page = repository.search(ctx, "Patient", behind(query, cursor))
        if page.entries:
            following = cursor_of(page)
            people = [shown(exact.parse(stored.json or b"{}")) for _, stored in page.entries]
            return Found(people, f"{name}:{following}" if following else "")
    return Found([])


def _holding(repository: Repository, ctx: AccessContext, holder: str) -> Found:
    if not holder:
        return Found([])
    try:
        return Found([shown(exact.parse(repository.read(ctx, "Patient", holder).json or b"{}"))])
    except (NotFound, Gone):
        return Found([])


def _numbers(asked: str) -> list[str]:
    """`system|value` of what is asked for when it is a number or the text of a QR code."""
    if "|" in asked:
        identifiers = read_qr(asked).patient.get("identifier", ())
        return [f"{each['system']}|{each['value']}" for each in identifiers]
    if not _NUMBER.fullmatch(asked):
        return []
    value = bare(asked).upper()
    card = parse_bhyt_number(value)
    also = [f"{systems.BHXH_NUMBER}|{card.bhxh}"] if card is not None and card.bhxh else []
    return [f"{system}|{value}" for system in NUMBERS] + also
