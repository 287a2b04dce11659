"""The fixed data set of a measurement, loaded through the server's own write path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fhir_server.access.context import AccessContext
from fhir_server.repository import Repository
from fhir_server.store.records import Store
from seed.generate import observations, patients

PATIENTS, OBSERVATIONS = 2000, 10_000
FREQUENT, EACH = 100, 60  # patients who have more than a page of observations
BATCH = 500
SEED = 20_261_124


@dataclass(frozen=True)
class Population:
    """What requests are made of."""

    patients: list[dict[str, Any]]
    """As stored, with ids."""
    frequent: list[str]
    """Ids of patients with more than 50 observations."""
    observations: list[dict[str, Any]]
    """As to be created, without ids."""


def load(store: Store) -> Population:
    """Fill an empty database."""
    repository = Repository(store)
    people = [_stored(person, number) for number, person in enumerate(patients(PATIENTS, SEED))]
    _put(repository, people)
    references = [f"Patient/{person['id']}" for person in people]
    few = list(observations(references[FREQUENT:], OBSERVATIONS - FREQUENT * EACH, SEED))
    many = [each for ref in references[:FREQUENT] for each in observations([ref], EACH, SEED + len(ref))]
    measured = [_stored(each, number) for number, each in enumerate(few + many)]
    _put(repository, measured)
    fresh = list(observations(references, 500, SEED + 1))
    return Population(people, [person["id"] for person in people[:FREQUENT]], fresh)


def _stored(resource: dict[str, Any], number: int) -> dict[str, Any]:
    return {**resource, "id": f"{resource['resourceType'].lower()}-{number}"}


def _put(repository: Repository, resources: list[dict[str, Any]]) -> None:
    for start in range(0, len(resources), BATCH):
        entries = [
            {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
            for each in resources[start : start + BATCH]
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        repository.transaction(AccessContext.unrestricted("bench"), bundle)
