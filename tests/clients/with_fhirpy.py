"""fhirpy (https://pypi.org/project/fhirpy/) against a running server."""

from __future__ import annotations

from typing import Any

from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import MultipleResourcesFound, ResourceNotFound

from tests.clients.steps import BASE, PEOPLE, SYSTEM, equal, person, step

client = SyncFHIRClient(BASE)
people = client.resources("Patient").search(given="fhirpy")
made: dict[str, Any] = {}


def _patient(number: int, **elements: str) -> Any:
    return client.resource("Patient", **{**person("fhirpy", number), **elements})


def capabilities() -> None:
    equal(client.execute("metadata", method="get")["fhirVersion"], "4.0.1")


def create() -> None:
    for number in range(PEOPLE):
        patient = _patient(number)
        patient.save()
        equal(patient["meta"]["versionId"], "1")
        made[patient["id"]] = patient


def read() -> None:
    first = next(iter(made))
    found = client.reference("Patient", first).to_resource()
    equal(found.serialize(), made[first].serialize())
    # The version it holds, as a bare number in If-None-Match: the server answers 304 and the client keeps what it has.
    equal(found.refresh().serialize(), made[first].serialize())


def vread() -> None:
    first = next(iter(made))
    equal(client.execute(f"Patient/{first}/_history/1", method="get")["meta"]["versionId"], "1")


def update() -> None:
    patient = made[next(iter(made))]
    patient["gender"] = "male"
    patient.save()
    equal((patient["gender"], patient["meta"]["versionId"]), ("male", "2"))


def patch() -> None:
    patient = made[next(iter(made))]
    patient.patch(birthDate="1991-03-01")
    equal((patient["birthDate"], patient["gender"], patient["meta"]["versionId"]), ("1991-03-01", "male", "3"))
    patient["active"] = False
    patient.save(fields=["active"])
    equal((patient["active"], patient["meta"]["versionId"]), (False, "4"))


def search() -> None:
    equal(people.count(), PEOPLE)
    equal(people.search(gender="male").get()["id"], next(iter(made)))
    equal(people.search(birthdate__gt="1991-01-01").count(), 1)
    newest = people.sort("-birthdate").first()
    assert newest is not None
    equal(newest["birthDate"], "1991-03-01")


def paging() -> None:
    equal(sorted(each["id"] for each in people.limit(10)), sorted(made))


def history() -> None:
    first = next(iter(made))
    bundle = client.execute(f"Patient/{first}/_history", method="get")
    equal([entry["resource"]["meta"]["versionId"] for entry in bundle["entry"]], ["4", "3", "2", "1"])


def conditional() -> None:
    known = client.resources("Patient").search(identifier=f"{SYSTEM}|fhirpy-001")
    patient, created = known.get_or_create(_patient(1))
    equal((patient["id"] in made, created), (True, False))
    changed, created = known.update(_patient(1, gender="other"))
    equal((changed["id"], changed["gender"], created), (patient["id"], "other", False))
    equal(known.patch(gender="unknown")["gender"], "unknown")
    try:
        people.update(_patient(1))
    except MultipleResourcesFound:
        return
    raise AssertionError("an update of 25 matches was taken")


def transaction() -> None:
    entries = [
        {"resource": person("bundle-fhirpy", number), "request": {"method": "POST", "url": "Patient"}}
        for number in range(2)
    ]
    bundle = client.resource("Bundle", type="transaction", entry=entries)
    bundle.save()
    equal(client.resources("Patient").search(given="bundle-fhirpy").count(), 2)


def delete() -> None:
    first = next(iter(made))
    made[first].delete()
    try:
        client.reference("Patient", first).to_resource()
    except ResourceNotFound:
        equal(people.count(), PEOPLE - 1)
        client.resources("Patient").search(identifier=f"{SYSTEM}|fhirpy-002").delete()
        equal(people.count(), PEOPLE - 2)
        return
    raise AssertionError("a deleted patient was read")


for action in (
    *(capabilities, create, read, vread, update, patch, search, paging, history),
    *(conditional, transaction, delete),
):
    step(action.__name__, action)
