"""$validate over HTTP: every level and mode, and what is said of invariants and profiles."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

Json = dict[str, Any]
BASE = "http://hososuckhoe.example.vn/fhir/StructureDefinition"
NAMED = f"{BASE}/named"
NARRATIVE = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'}
PATIENT = {"resourceType": "Patient", "text": NARRATIVE, "name": [{"text": "Nguyễn Thị Mẫu"}]}
OK: list[tuple[str, str, str, list[str]]] = [("information", "informational", "All OK", [])]

Ask = Callable[..., list[tuple[str, str, str, list[str]]]]


@pytest.fixture
def ask(send) -> Ask:
    """(severity, code, diagnostics, expression) of each issue; the status is 200 whatever is said."""

    def ask(address: str, body: Any = None, method: str = "POST") -> list[tuple[str, str, str, list[str]]]:
        response = send(method, f"/fhir/{address}", body)
        assert response.status_code == 200, response.text
        outcome = json.loads(response.data)
        assert outcome["resourceType"] == "OperationOutcome"
        return [
            (each["severity"], each["code"], each["diagnostics"], each.get("expression", []))
            for each in outcome["issue"]
        ]

    return ask


@pytest.fixture
def named(put) -> Json:
    """A profile the server holds: a person has a birth date."""
    element = {"id": "Patient.birthDate", "path": "Patient.birthDate", "min": 1}
    return put(
        "StructureDefinition/named",
        url=NAMED,
        name="Named",
        status="active",
        kind="resource",
        abstract=False,
        type="Patient",
        baseDefinition="http://hl7.org/fhir/StructureDefinition/Patient",
        derivation="constraint",
        differential={"element": [element]},
    )


def parameters(**values: Any) -> Json:
    rows = []
    for name, value in values.items():
        kind = "resource" if isinstance(value, dict) else {"mode": "valueCode", "profile": "valueUri"}[name]
        rows.append({"name": name, kind: value})
    return {"resourceType": "Parameters", "parameter": rows}


def test_a_good_resource_is_all_ok_bare_and_in_parameters_at_type_and_system_level(ask: Ask) -> None:
    assert ask("Patient/$validate", PATIENT) == OK
    assert ask("Patient/$validate", parameters(resource=PATIENT)) == OK
    assert ask("Patient/$validate", parameters(resource=PATIENT, mode="create")) == OK
    assert ask("$validate", PATIENT) == OK


def test_errors_are_listed_and_nothing_is_stored(ask: Ask, get) -> None:
    [issue] = ask("Patient/$validate", PATIENT | {"gender": "nam"})
    assert (issue[0], issue[1], issue[3]) == ("error", "code-invalid", ["Patient.gender"])
    assert get("Patient")["total"] == 0


def test_a_warning_of_r4_is_a_warning(ask: Ask) -> None:
    without = {key: value for key, value in PATIENT.items() if key != "text"}
    assert ask("Patient/$validate", without) == [
        ("warning", "invariant", "dom-6: A resource should have narrative for robust management", ["Patient"])
    ]


def test_an_invariant_that_only_fhirpath_tells_is_evaluated(ask: Ask) -> None:
    appointment = {
        "resourceType": "Appointment",
        "text": NARRATIVE,
        "status": "booked",
        "participant": [{"actor": {"display": "x"}, "status": "accepted"}],
    }
    [issue] = ask("Appointment/$validate", appointment)
    assert (issue[0], issue[2].split(":")[0], issue[3]) == ("error", "app-3", ["Appointment"])


def test_a_stored_resource_is_checked_by_get(ask: Ask, put) -> None:
    put("Patient/a", text=NARRATIVE)
    assert ask("Patient/a/$validate", method="GET") == OK


def test_update_and_delete_are_checked_at_the_address_of_the_resource(ask: Ask, put, send) -> None:
    put("Patient/a", text=NARRATIVE)
    assert ask("Patient/a/$validate?mode=delete", method="GET") == OK
    assert ask("Patient/b/$validate?mode=delete", method="GET") == [
        ("error", "not-found", "There is no Patient with the id 'b'.", [])
    ]
    assert ask("Patient/a/$validate?mode=update", PATIENT | {"id": "a"}) == OK
    assert ask("Patient/a/$validate?mode=update", PATIENT | {"id": "b"}) == [
        ("error", "value", "The id in the body must be the one in the address, 'a'.", ["Patient.id"])
    ]
    assert ask("Patient/$validate?mode=update", PATIENT) == [
        ("error", "required", "An update needs the id of the resource.", ["Patient.id"])
    ]
    assert send("GET", "/fhir/Patient/a").status_code == 200


def test_the_resource_is_of_the_type_of_the_address(ask: Ask) -> None:
    assert ask("Observation/$validate", PATIENT) == [
        ("error", "structure", "The address is for Observation, and the resource is a Patient.", ["resourceType"])
    ]


def test_a_profile_that_is_asked_for_is_checked(ask: Ask, named: Json) -> None:
    broken = ("error", "required", f"{NAMED}: 'birthDate' must be there.", ["Patient.birthDate"])
    assert ask("Patient/$validate", parameters(resource=PATIENT, profile=NAMED)) == [broken]
    assert ask("Patient/$validate", parameters(resource=PATIENT, mode="profile", profile=NAMED)) == [broken]
    assert ask(f"Patient/$validate?profile={NAMED}", PATIENT | {"birthDate": "2000"}) == OK


def test_the_profiles_a_resource_names_are_checked(ask: Ask, named: Json) -> None:
    assert ask("Patient/$validate", PATIENT | {"meta": {"profile": [NAMED]}}) == [
        ("error", "required", f"{NAMED}: 'birthDate' must be there.", ["Patient.birthDate"])
    ]


def test_an_unknown_profile_is_a_warning_when_named_and_an_error_when_asked_for(ask: Ask) -> None:
    text = f"The profile {NAMED} is not on this server: it was not checked. Create its StructureDefinition first."
    assert ask("Patient/$validate", PATIENT | {"meta": {"profile": [NAMED]}}) == [
        ("warning", "not-found", text, ["Patient.meta.profile"])
    ]
    assert ask("Patient/$validate", parameters(resource=PATIENT, profile=NAMED)) == [("error", "not-found", text, [])]


@pytest.mark.parametrize(
    ("address", "body", "diagnostics"),
    [
        ("Patient/$validate?mode=erase", PATIENT, "'mode' takes create, update, delete, profile, not 'erase'."),
        ("Patient/$validate?mode=profile", PATIENT, "The mode 'profile' needs the parameter 'profile'."),
        ("Patient/$validate", parameters(mode="create"),
         "Send the resource that is to be checked, or ask at the address of a stored one."),
    ],
)  # fmt: skip
def test_a_question_that_cannot_be_understood_is_400(send, issue, address: str, body: Json, diagnostics: str) -> None:
    response = send("POST", f"/fhir/{address}", body)
    assert response.status_code == 400
    assert issue(response)["diagnostics"] == diagnostics
