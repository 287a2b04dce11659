"""What is already known: finds stored resources by the identifiers they carry, and people by a like name and birth date."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from fhir_server.access.context import AccessContext
from fhir_server.repository import Repository, Stored
from fhir_server.resource import exact
from fhir_server.search.intervals import DEFAULT_ZONE
from fhir_server.search.likeness import TELLING_APART, blocking_keys, is_of_number
from mappings.identity import Key

Resource = dict[str, Any]


def today_here() -> str:
    """The date in Vietnam."""
    return datetime.now(DEFAULT_ZONE).date().isoformat()


def known_people(repository: Repository, ctx: AccessContext, keys: Iterable[Key]) -> dict[Key, list[Resource]]:
    """The live Patients under each (system, value) that any carries; a Patient found twice is the same object.

    One that was merged into another is left out: whoever stands for it carries its numbers.
    """
    parsed: dict[str, Resource] = {}
    people: dict[Key, list[Resource]] = {}
    resources = known_resources(repository, ctx, "Patient", keys)
    ids = {stored.id for found in resources.values() for stored in found}
    away = repository.merged_away(ctx, sorted(ids)) if ids else {}
    for key, found in resources.items():
        here = [stored for stored in found if away.get(stored.id) not in ids]
        for stored in here:
            if stored.id not in parsed:
                parsed[stored.id] = resource_of(stored)
        people[key] = [parsed[stored.id] for stored in here]
    return people


class AlikePeople:
    """The people whom no number leads to, though name and birth date are like those of somebody who comes in.

    One look-up for all of `patients` when it is made: make one for each batch, of the Patients of whom no number made
    certain who they are. `known` is what known_people() gave, so that who is in both is one and the same object. Then,
    one after the other: `match(patient, keys, known, others=alike.of(patient))`, which never makes certain of somebody
    whom only a likeness leads to, and `alike.add(patient)` for who was new, so that the batch meets itself.
    """

    def __init__(
        self,
        repository: Repository,
        ctx: AccessContext,
        patients: Sequence[Resource],
        known: Mapping[Key, Sequence[Resource]],
    ) -> None:
        self._by_key: dict[str, list[Resource]] = {}
        parsed = {each["id"]: each for several in known.values() for each in several if "id" in each}
        keys = {key for patient in patients for key in blocking_keys(patient)}
        alike = repository.alike(ctx, keys) if keys else {}
        found = {stored.id: stored for several in alike.values() for stored in several}
        # Whoever was merged into another is found there, by the numbers of both.
        away = repository.merged_away(ctx, sorted(found)) if found else {}
        for id, stored in found.items():
            if id not in away:
                self.add(parsed.get(id) or resource_of(stored))

    def of(self, patient: Resource) -> list[Resource]:
        """Those who may be this Patient, itself left out."""
        found = {id(each): each for key in blocking_keys(patient) for each in self._by_key.get(key, ())}
        return [each for each in found.values() if each is not patient]

    def add(self, patient: Resource) -> None:
        """Have this Patient be found by those that come after it."""
        for key in blocking_keys(patient):
            self._by_key.setdefault(key, []).append(patient)


def maybe_known(
    repository: Repository, ctx: AccessContext, people: Sequence[tuple[Sequence[Key], Sequence[str]]]
) -> list[bool]:
    """Which of many people, told by (their numbers, their blocking keys), may be one that no number leads to.

    For those whose numbers lead to nobody, batch by batch: those for whom it is so are then to be matched one by one with
    AlikePeople. Two people who have a BHXH number each, or a CCCD each, are told apart by it unless it may be mistyped,
    so of others nothing is read: three look-ups for a hundred people at most. Two of the same batch who may be one are
    both such people.
    """
    systems = [{system for system, _ in keys} for keys, _ in people]
    of_system = [next((each for each in TELLING_APART if each in held), "") for held in systems]
    here: dict[str, list[int]] = {}
    for number, (_, keys) in enumerate(people):
        for key in keys:
            here.setdefault(key, []).append(number)
    found: dict[str, set[str]] = {}
    for system in set(of_system):
        wanted = {key for (_, keys), own in zip(people, of_system, strict=True) if own == system for key in keys}
        found[system] = set(repository.alike(ctx, wanted, each=1, without=system)) if wanted else set()
    maybe = [not found[own].isdisjoint(keys) for (_, keys), own in zip(people, of_system, strict=True)]
    for key, several in here.items():
        for number in several if len(several) > 1 else ():
            own = of_system[number]
            beside = [each for each in several if each != number and (is_of_number(key) or own not in systems[each])]
            for one in (number, *beside) if beside else ():
                maybe[one] = True
    return maybe


def known_resources(
    repository: Repository, ctx: AccessContext, resource_type: str, keys: Iterable[Key]
) -> dict[Key, list[Stored]]:
    """The live resources of a type under each identifier (system, value) that any carries."""
    tokens = {f"{system}|{value}": (system, value) for system, value in keys}
    if not tokens:
        return {}
    found = repository.lookup(ctx, resource_type, "identifier", list(tokens))
    return {tokens[value]: stored for value, stored in found.items() if stored}


def standing_for(repository: Repository, ctx: AccessContext, patient: str) -> str:
    """The id of the Patient that stands for this one: whom it was merged into in the end, or itself."""
    away = repository.merged_away(ctx, [patient])
    while patient in away:
        patient = away[patient]
    return patient


def resource_of(stored: Stored) -> Resource:
    """The resource of a live version, decimals exact."""
    if stored.json is None:
        raise ValueError(f"{stored.type}/{stored.id} is deleted")
    return exact.parse(stored.json)
