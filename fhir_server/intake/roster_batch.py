"""What a batch of roster rows asks to be written: rows gathered into people, people compared with what is stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from fhir_server.access.context import AccessContext
from fhir_server.errors import FhirError, Unavailable
from fhir_server.intake.matching import queue_entries
from fhir_server.intake.people import AlikePeople, known_people, known_resources, resource_of, today_here
from fhir_server.repository import Repository
from fhir_server.resource.exact import same_content
from mappings.identity import Key, Match, Verdict, match
from mappings.merging import merge_coverage, merge_patient
from mappings.person import urn
from mappings.problems import Problem
from mappings.resend import replacement
from mappings.roster import RosterRow

Resource = dict[str, Any]


@dataclass(slots=True)
class Person:
    """One person of a batch: `patient` is what the stored Patient (None: a new one) is to become after all `rows`.

    `coverages` holds what is stored and what is to become of it, by card.
    """

    reference: str
    stored: Resource | None
    patient: Resource
    rows: list[RosterRow] = field(default_factory=list)
    coverages: dict[Key, tuple[Resource | None, Resource]] = field(default_factory=dict)
    corrections: list[Problem] = field(default_factory=list)
    possible: list[tuple[str, Verdict]] = field(default_factory=list)
    """References of known people who may be this new one, which somebody has to decide."""

    @property
    def warnings(self) -> Iterable[Problem]:
        """The remarks on all rows of this person."""
        return [*(warning for row in self.rows for warning in row.warnings), *self.corrections]

    def entries(self) -> list[Resource]:
        """The transaction entries that bring the store up to date; empty when it says all of this already."""
        patient = _entry(self.stored, self.patient, self.reference)
        coverages = [
            _entry(stored, wanted, urn(self.reference, "|".join(card)))
            for card, (stored, wanted) in self.coverages.items()
        ]
        queue = queue_entries(self.reference, self.possible) if self.stored is None else []
        return [entry for entry in (patient, *coverages, *queue) if entry]


def _entry(stored: Resource | None, wanted: Resource, full_url: str) -> Resource | None:
    if stored is None:
        request = {"method": "POST", "url": wanted["resourceType"]}
        return {"fullUrl": full_url, "resource": wanted, "request": request}
    return None if same_content(stored, wanted) else replacement(stored, wanted)


def plan(
    repository: Repository, ctx: AccessContext, rows: list[RosterRow], known: dict[Key, list[Resource]] | None = None
) -> tuple[list[Person], list[tuple[RosterRow, Problem]]]:
    """The people of the rows, each merged with what is stored; and the rows that fit two records equally, with why.

    A row that may be of somebody known becomes a new person in the queue. `known`: whom the numbers of the rows are
    known to lead to; it is changed.
    """
    if known is None:
        known = known_people(repository, ctx, {key for row in rows for key in row.match_keys})
    strangers = [row.patient for row in rows if not any(known.get(key) for key in row.match_keys)]
    alike = AlikePeople(repository, ctx, strangers, known)
    people: dict[int, Person] = {}
    doubts = []
    for row in rows:
        found = match(row.patient, row.match_keys, known, others=alike.of(row.patient))
        if found.doubt and found.several:
            doubts.append((row, found.doubt))
            continue
        if found.patient is None:
            person = _newcomer(row, found, people)
            alike.add(person.patient)
        else:
            patient = found.patient
            person = people.get(id(patient)) or Person(f"Patient/{patient['id']}", dict(patient), patient)
            # Changed in place: later rows of the batch match against the person as this row made them.
            patient.update(merge_patient(patient, row.patient, valid_from=_valid_from(row), today=today_here()))
        people[id(person.patient)] = person
        person.rows.append(row)
        if found.corrected:
            person.corrections.append(found.corrected)
        for key in row.match_keys:
            candidates = known.setdefault(key, [])
            if not any(candidate is person.patient for candidate in candidates):
                candidates.append(person.patient)
    gathered = list(people.values())
    _add_coverages(repository, ctx, gathered)
    return gathered, doubts


def _newcomer(row: RosterRow, found: Match, people: dict[int, Person]) -> Person:
    """A new person, with those who may be the same."""
    if found.doubt is None:
        return Person(row.full_url, None, row.patient)
    # The number that names the row names somebody else as well.
    facts = f"{row.patient['name'][0]['text']}|{row.patient['birthDate']}"
    person = Person(urn(row.full_url, facts), None, row.patient, corrections=[found.doubt])
    for candidate, verdict in found.possible:
        known = people.get(id(candidate))
        person.possible.append((known.reference if known else f"Patient/{candidate['id']}", verdict))
    return person


def write(
    repository: Repository, ctx: AccessContext, changed: list[tuple[Person, list[Resource]]]
) -> Iterator[tuple[Person, FhirError | None]]:
    """Write all in one transaction; where something in it is refused, person by person to find out whose it is."""
    if not changed:
        return
    try:
        entries = [entry for _, entries in changed for entry in entries]
        repository.transaction(ctx, {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    except Unavailable:
        raise
    except FhirError as error:
        if len(changed) == 1:
            yield changed[0][0], error
        else:
            for one in changed:
                yield from write(repository, ctx, [one])
    else:
        yield from ((person, None) for person, _ in changed)


def _valid_from(row: RosterRow) -> str:
    return next((coverage["period"].get("start", "") for coverage in row.coverages if "period" in coverage), "")


def _add_coverages(repository: Repository, ctx: AccessContext, people: list[Person]) -> None:
    cards = {_card(coverage) for person in people for row in person.rows for coverage in row.coverages}
    stored = known_resources(repository, ctx, "Coverage", cards)
    behind = _merged_into(repository, ctx, people) if stored else {}
    for person in people:
        own_references = {person.reference, *behind.get(person.reference, ())}
        for coverage in (coverage for row in person.rows for coverage in row.coverages):
            card = _card(coverage)
            if card not in person.coverages:
                own = (resource_of(found) for found in stored.get(card, ()))
                existing = next((it for it in own if it["beneficiary"].get("reference") in own_references), None)
                # A card of somebody who was merged stays theirs.
                beneficiary = existing["beneficiary"] if existing else {"reference": person.reference}
                incoming = {**coverage, "beneficiary": beneficiary}
                person.coverages[card] = (existing, merge_coverage(existing, incoming) if existing else incoming)
            else:
                existing, wanted = person.coverages[card]
                incoming = {**coverage, "beneficiary": wanted["beneficiary"]}
                person.coverages[card] = (existing, merge_coverage(wanted, incoming))


def _merged_into(repository: Repository, ctx: AccessContext, people: list[Person]) -> dict[str, list[str]]:
    """`reference -> references of those merged into this person`, for the known people of a batch: one look-up."""
    ids = [person.stored["id"] for person in people if person.stored is not None]
    away = repository.merged_away(ctx, repository.merged_into(ctx, ids))
    found: dict[str, list[str]] = {}
    for merged in away:
        into = away[merged]
        while into in away:
            into = away[into]
        found.setdefault(f"Patient/{into}", []).append(f"Patient/{merged}")
    return found


def _card(coverage: Resource) -> Key:
    identifier = coverage["identifier"][0]
    return identifier["system"], identifier["value"]
