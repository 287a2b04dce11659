"""fhirclient, SMART's Python client (https://pypi.org/project/fhirclient/), against a running server."""

from __future__ import annotations

from typing import Any

from fhirclient.client import FHIRClient
from fhirclient.models.bundle import Bundle
from fhirclient.models.humanname import HumanName
from fhirclient.models.patient import Patient

from tests.clients.steps import BASE, PEOPLE, SYSTEM, equal, person, step

client = FHIRClient(settings={"app_id": "clients", "api_base": BASE})
ids: list[str] = []


def capabilities() -> None:
    # It parses the whole CapabilityStatement with its own classes, and strictly.
    client.prepare()
    equal(client.ready, True)
    equal(client.server.capabilityStatement.fhirVersion, "4.0.1")


def create() -> None:
    for number in range(PEOPLE):
        made: Any = Patient(person("fhirclient", number)).create(client.server)
        equal(made["meta"]["versionId"], "1")
        ids.append(made["id"])


def read() -> None:
    patient = Patient.read(ids[0], client.server)
    equal((patient.name[0].family, patient.birthDate.isostring), ("Nguyễn", "1990-02-28"))


def vread() -> None:
    equal(Patient.read_from(f"Patient/{ids[0]}/_history/1", client.server).meta.versionId, "1")


def update() -> None:
    patient = Patient.read(ids[0], client.server)
    patient.name.append(HumanName({"use": "nickname", "text": "Tí"}))
    patient.gender = "male"
    answer: Any = patient.update(client.server)
    equal((answer["meta"]["versionId"], answer["name"][1]["text"]), ("2", "Tí"))


def search() -> None:
    found = Patient.where({"identifier": f"{SYSTEM}|fhirclient-007"}).perform_resources(client.server)
    equal([each.id for each in found], [ids[7]])
    found = Patient.where({"given": "fhirclient", "gender": "male"}).perform_resources(client.server)
    equal([each.id for each in found], [ids[0]])


def paging() -> None:
    pages = list(Patient.where({"given": "fhirclient", "_count": "10"}).perform_iter(client.server))
    equal([len(page.entry) for page in pages], [10, 10, 5])
    equal(sorted(entry.resource.id for page in pages for entry in page.entry), sorted(ids))


def history() -> None:
    bundle = Bundle.read_from(f"Patient/{ids[0]}/_history", client.server)
    equal([entry.resource.meta.versionId for entry in bundle.entry], ["2", "1"])


def transaction() -> None:
    entries = [
        {"resource": person("fhirclient-bundle", number), "request": {"method": "POST", "url": "Patient"}}
        for number in range(2)
    ]
    bundle = Bundle({"resourceType": "Bundle", "type": "transaction", "entry": entries})
    answer: Any = bundle.create(client.server)
    equal([entry["response"]["status"][:3] for entry in answer["entry"]], ["201", "201"])


def delete() -> None:
    Patient.read(ids[0], client.server).delete()
    equal(_status(ids[0]), 410)


def _status(logical_id: str) -> int:
    try:
        Patient.read(logical_id, client.server)
    except Exception as error:  # the client raises requests' HTTPError, or its own
        response: Any = getattr(error, "response", None)
        return int(response.status_code)
    return 200


for action in (capabilities, create, read, vread, update, search, paging, history, transaction, delete):
    step(action.__name__, action)
