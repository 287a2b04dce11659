"""A write keeps the profiles it names, where the server holds them."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.access.context import AccessContext
from fhir_server.definitions import SECONDS, Definitions
from fhir_server.errors import BadRequest, FhirError, Unprocessable
from fhir_server.records import Stored, now
from fhir_server.repository import Repository

Json = dict[str, Any]
OPEN = AccessContext.unrestricted("test")
URL = "http://hososuckhoe.example.vn/fhir/StructureDefinition/named"
BLOOD = "http://hososuckhoe.example.vn/fhir/CodeSystem/blood-group"
VALUE_SET = "http://hososuckhoe.example.vn/fhir/ValueSet/abo"


def profile(kind: str, *elements: Json, version: str = "1") -> Json:
    return {
        "resourceType": "StructureDefinition",
        "url": URL,
        "version": version,
        "name": "Named",
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": kind,
        "baseDefinition": f"http://hl7.org/fhir/StructureDefinition/{kind}",
        "derivation": "constraint",
        "differential": {"element": list(elements)},
    }


def asks(path: str, **more: Any) -> Json:
    return {"id": path, "path": path, **more}


def patient(*profiles: str, **more: Any) -> Json:
    return {"resourceType": "Patient", **({"meta": {"profile": list(profiles)}} if profiles else {}), **more}


def refusal(repository: Repository, resource: Json) -> FhirError:
    with pytest.raises(FhirError) as refused:
        repository.create(OPEN, resource["resourceType"], resource)
    return refused.value


def test_a_profile_that_is_held_is_enforced_as_422_with_the_element(repository: Repository) -> None:
    repository.create(OPEN, "Patient", patient(URL))  # not held yet: nothing is asked
    repository.create(OPEN, "StructureDefinition", profile("Patient", asks("Patient.birthDate", min=1)))
    refused = refusal(repository, patient(URL))
    assert isinstance(refused, Unprocessable)
    assert [(each.diagnostics, each.expression) for each in refused.issues] == [
        (f"{URL}: 'birthDate' must be there.", ("Patient.birthDate",))
    ]
    assert repository.create(OPEN, "Patient", patient(URL, birthDate="2000")).outcome == "created"
    assert repository.create(OPEN, "Patient", patient()).outcome == "created"
    assert repository.create(OPEN, "Patient", patient("http://a.vn/unknown")).outcome == "created"


def test_a_changed_profile_counts_at_once_and_a_version_may_be_named(repository: Repository) -> None:
    repository.update(OPEN, "StructureDefinition", "n", profile("Patient", asks("Patient.birthDate", min=1)))
    refusal(repository, patient(URL))
    repository.update(OPEN, "StructureDefinition", "n", profile("Patient", asks("Patient.gender", min=1), version="2"))
    assert [each.expression for each in refusal(repository, patient(URL)).issues] == [("Patient.gender",)]
    assert [each.expression for each in refusal(repository, patient(f"{URL}|2")).issues] == [("Patient.gender",)]
    assert repository.create(OPEN, "Patient", patient(f"{URL}|1")).outcome == "created"


def test_bindings_are_checked_with_stored_value_sets_and_packaged_code_systems(repository: Repository) -> None:
    include = {"system": BLOOD, "concept": [{"code": "A"}, {"code": "B"}]}
    value_set = {"resourceType": "ValueSet", "url": VALUE_SET, "status": "active", "compose": {"include": [include]}}
    repository.create(OPEN, "ValueSet", value_set)
    binding = {"strength": "required", "valueSet": VALUE_SET}
    repository.create(
        OPEN, "StructureDefinition", profile("Observation", asks("Observation.value[x]", binding=binding))
    )
    observation: Json = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    observation["meta"] = {"profile": [URL]}
    group = {"coding": [{"system": BLOOD, "code": "A"}]}
    assert repository.create(OPEN, "Observation", observation | {"valueCodeableConcept": group}).outcome == "created"
    group = {"coding": [{"system": BLOOD, "code": "AB"}]}
    refused = refusal(repository, observation | {"valueCodeableConcept": group})
    assert [(each.code, each.expression) for each in refused.issues] == [("code-invalid", ("Observation.value",))]


def test_an_entry_of_a_transaction_is_refused_with_its_place(repository: Repository) -> None:
    repository.create(OPEN, "StructureDefinition", profile("Patient", asks("Patient.birthDate", min=1)))
    entries = [
        {"resource": patient(), "request": {"method": "POST", "url": "Patient"}},
        {"resource": patient(URL), "request": {"method": "POST", "url": "Patient"}},
    ]
    with pytest.raises(Unprocessable) as refused:
        repository.transaction(OPEN, {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert refused.value.issues[0].expression == ("Bundle.entry[1].resource.birthDate",)
    assert repository.search(OPEN, "Patient", [("_total", "accurate")]).total == 0


def test_only_a_warning_lets_the_write_pass(repository: Repository) -> None:
    rule = {"key": "vn-1", "severity": "warning", "human": "x", "expression": "name.exists()"}
    repository.create(OPEN, "StructureDefinition", profile("Patient", asks("Patient", constraint=[rule])))
    assert repository.create(OPEN, "Patient", patient(URL)).outcome == "created"


def test_more_profiles_than_can_be_checked_are_refused(repository: Repository) -> None:
    refused = refusal(repository, patient(*[f"http://a.vn/{number}" for number in range(21)]))
    assert isinstance(refused, BadRequest)
    assert refused.issues[0].expression == ("Patient.meta.profile",)


def test_a_definition_is_looked_for_once_in_five_seconds_and_always_after_one_was_written() -> None:
    moment, asked = 100.0, []
    text = b'{"resourceType":"StructureDefinition","url":"' + URL.encode() + b'"}'

    def newest(resource_type: str, url: str) -> list[Stored]:
        asked.append((resource_type, url))
        return [Stored(resource_type, "n", 1, now(), text, "POST")]

    definitions = Definitions(newest, clock=lambda: moment)
    first = definitions.find("StructureDefinition", URL)
    assert definitions.find("StructureDefinition", URL) is first
    assert asked == [("StructureDefinition", URL)]
    moment += SECONDS + 0.1
    assert definitions.find("StructureDefinition", URL) is first, "the same version is the same object"
    assert len(asked) == 2
    definitions.written()
    definitions.find("StructureDefinition", URL)
    definitions.find("StructureDefinition", URL)
    assert len(asked) == 4
    assert definitions.find("Patient", URL) is None
    assert definitions.find("StructureDefinition", URL + "x" * 2048) is None, "nothing has so long a name"
    assert len(asked) == 4


def test_the_packaged_code_systems_are_found_without_being_stored(repository: Repository) -> None:
    found = repository.conformance.definitions.find("CodeSystem", BLOOD)
    assert found is not None
    assert found["title"] == "Nhóm máu ABO và Rh"


def test_search_by_value_set_and_by_subsumption_goes_through_the_terminology(repository: Repository) -> None:
    system = "http://a.vn/kinds"
    concept = [{"code": "a", "concept": [{"code": "b"}]}, {"code": "c"}]
    repository.create(OPEN, "CodeSystem", {
        "resourceType": "CodeSystem", "url": system, "status": "active", "content": "complete", "concept": concept})  # fmt: skip
    for code in "abc":
        repository.update(OPEN, "Observation", code, {
            "resourceType": "Observation", "status": "final", "code": {"coding": [{"system": system, "code": code}]}})  # fmt: skip

    def ids(parameter: str, value: str) -> list[str]:
        return sorted(stored.id for _, stored in repository.search(OPEN, "Observation", [(parameter, value)]).entries)

    assert ids("code:below", f"{system}|a") == ["a", "b"]
    assert ids("code:above", f"{system}|b") == ["a", "b"]
    repository.create(OPEN, "ValueSet", {
        "resourceType": "ValueSet", "url": "http://a.vn/v", "status": "active",
        "compose": {"include": [{"system": system, "filter": [{"property": "concept", "op": "is-a", "value": "a"}]}]}})  # fmt: skip
    assert ids("code:in", "http://a.vn/v") == ["a", "b"]
    assert ids("code:not-in", "http://a.vn/v") == ["c"]
