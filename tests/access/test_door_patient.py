"""A caller bound to a patient at the door: own records only, own statements only, and no difference that tells of others."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.errors import FhirError, Forbidden, NotFound
from fhir_server.patch import from_resource
from tests.abuse.crossed import OPEN, SECRET, A, fill


@pytest.fixture
def crossed(repository):
    fill(repository)
    return repository


def statement(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "Cân nặng"},
        "subject": {"reference": "Patient/a-patient"},
        **more,
    }


def refusal(ask: Any) -> tuple[type[FhirError], str]:
    with pytest.raises(FhirError) as raised:
        ask()
    return type(raised.value), str(raised.value)


@pytest.mark.parametrize(
    ("type", "id"), [("Observation", "b-weight-1"), ("Observation", "b-gone"), ("Patient", "b-patient")]
)
def test_what_is_anothers_is_refused_as_what_does_not_exist(crossed, type, id):
    change = from_resource({"resourceType": "Parameters", "parameter": []})
    for ask in (
        lambda id: crossed.read(A, type, id),
        lambda id: crossed.vread(A, type, id, "1"),
        lambda id: crossed.history(A, type, id, query=[]),
        lambda id: crossed.patch(A, "Observation", id, change, if_match=1),
        lambda id: crossed.update(A, "Observation", id, statement(id=id), if_match=1),
        lambda id: crossed.update(A, "Observation", id, statement(id=id), only_new=True),
        lambda id: crossed.delete(A, "Observation", id, if_match=1),
    ):
        kind, text = refusal(lambda ask=ask: ask(id))
        assert (kind, text.replace(id, "")) == tuple(
            each.replace("nothing", "") if isinstance(each, str) else each
            for each in refusal(lambda ask=ask: ask("nothing"))
        )


def test_a_version_that_was_anothers_is_not_given_with_the_own_one(crossed):
    assert [each.version for each in crossed.history(A, "Observation", "moved", query=[]).entries] == [2]
    assert crossed.history(A, "Observation", "moved", query=[]).total == 1
    with pytest.raises(NotFound):
        crossed.vread(A, "Observation", "moved", "1")


@pytest.mark.parametrize(
    "name",
    ["_filter", "_query", "_list", "_text", "_content", "subject:Patient._text", "_has:Observation:subject:_content"],
)
def test_parameters_that_read_everything_are_refused(crossed, name):
    for lenient in (False, True):
        with pytest.raises(Forbidden):
            crossed.search(A, "Patient", [(name, SECRET)], lenient=lenient)
    with pytest.raises(Forbidden):
        crossed.search_system(A, [(name, SECRET)])
    with pytest.raises(Forbidden):
        crossed.create(A, "Observation", statement(), if_none_exist=f"{name}=x")


def test_definitions_are_open_and_directories_are_not(crossed):
    crossed.update(OPEN, "ValueSet", "v", {"resourceType": "ValueSet", "id": "v", "status": "active"})
    assert crossed.read(A, "ValueSet", "v").id == "v"
    for type, id in (("Organization", "ward"), ("Binary", "nobodys"), ("List", "both"), ("Group", "pair")):
        with pytest.raises(NotFound):
            crossed.read(A, type, id)


def test_a_binary_is_who_its_security_context_names(crossed):
    made = {"resourceType": "Binary", "id": "mine", "contentType": "text/plain", "data": "YQ=="}
    for context, seen in (
        ("Patient/a-patient", True),
        ("DocumentReference/b-document", False),
        ("Patient/b-patient", False),
    ):
        crossed.update(OPEN, "Binary", "mine", {**made, "securityContext": {"reference": context}})
        if seen:
            assert crossed.read(A, "Binary", "mine").id == "mine"
        else:
            with pytest.raises(NotFound):
                crossed.read(A, "Binary", "mine")


@pytest.mark.parametrize(
    "more",
    [
        {"subject": {"reference": "Patient/b-patient"}},
        {"encounter": {"reference": "Encounter/b-encounter"}},
        {"encounter": {"reference": "Encounter/nothing"}},
        {"hasMember": [{"reference": "Observation/b-weight-1"}]},
        {"focus": [{"reference": "Patient/b-patient"}]},
        {"performer": [{"reference": "Practitioner/doctor"}]},
        {"performer": [{"reference": "Patient/b-patient"}]},
    ],
)
def test_a_patient_states_nothing_of_others_and_in_nobody_elses_name(crossed, more):
    with pytest.raises(Forbidden) as raised:
        crossed.create(A, "Observation", statement(**more))
    assert SECRET not in str(raised.value)


def test_references_to_existing_and_missing_records_of_others_are_refused_alike(crossed):
    texts = {
        refusal(lambda id=id: crossed.create(A, "Observation", statement(encounter={"reference": f"Encounter/{id}"})))
        for id in ("b-encounter", "nothing")
    }
    assert len(texts) == 1


def test_what_a_patient_states_is_labelled_whatever_it_says_of_itself(crossed):
    meta = {"security": [{"code": "R"}], "tag": [{"code": "official"}], "source": "http://hospital.example.vn"}
    sent = statement(id="own-id", meta=meta, encounter={"reference": "Encounter/a-encounter"})
    made = crossed.create(A, "Observation", sent).stored
    assert made.id != "own-id"
    assert made.json is not None
    text = made.json.decode()
    assert [each in text for each in ("PATAST", "self-declared", "official", "hospital")] == [True, True, False, False]
    allergy = {
        "resourceType": "AllergyIntolerance",
        "patient": {"reference": "Patient/a-patient"},
        "clinicalStatus": {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}
            ]
        },
        "verificationStatus": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification",
                    "code": "confirmed",
                }
            ]
        },
    }
    with pytest.raises(Forbidden, match="clinician"):
        crossed.create(A, "AllergyIntolerance", allergy)
    with pytest.raises(Forbidden):
        crossed.create(
            A, "Basic", {"resourceType": "Basic", "code": {"text": "x"}, "subject": {"reference": "Patient/a-patient"}}
        )


def test_a_patient_withdraws_an_own_statement_and_changes_nothing_else(crossed):
    made = crossed.create(A, "Observation", statement()).stored
    for changed in (
        {"code": {"text": "Khác"}},
        {"status": "amended"},
        {"status": "entered-in-error", "code": {"text": "Khác"}},
    ):
        with pytest.raises(Forbidden):
            crossed.update(A, "Observation", made.id, statement(id=made.id, **changed))
    gone = crossed.update(A, "Observation", made.id, statement(id=made.id, status="entered-in-error"))
    assert gone.outcome == "updated"
    assert b"entered-in-error" in gone.stored.json
    with pytest.raises(Forbidden):
        crossed.delete(A, "Observation", made.id)


def entry(method: str, url: str, resource: Any = None) -> dict[str, Any]:
    return {"request": {"method": method, "url": url}} | ({} if resource is None else {"resource": resource})


def transaction(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}


def test_in_a_transaction_too_a_patient_withdraws_own_statements_and_changes_nothing_else(crossed):
    mine, other = (crossed.create(A, "Observation", statement()).stored for _ in range(2))
    address = f"Observation/{mine.id}"
    withdrawn = statement(id=mine.id, status="entered-in-error")
    for refused in (
        entry("PUT", address, {**withdrawn, "code": {"text": "Khác"}}),
        entry("PUT", address, statement(id=mine.id, status="amended")),
        entry("PUT", "Observation/unused", {**withdrawn, "id": "unused"}),
        entry("PUT", "Observation/a-weight-1", {**withdrawn, "id": "a-weight-1"}),
        entry("PUT", "Observation/b-weight-1", {**withdrawn, "id": "b-weight-1"}),
        entry("PUT", f"Observation?_id={mine.id}", withdrawn),
        entry("DELETE", address),
    ):
        with pytest.raises(Forbidden):
            crossed.transaction(A, transaction(entry("POST", "Observation", statement()), refused))
    assert crossed.read(A, "Observation", mine.id).version == 1
    done = crossed.transaction(
        A,
        transaction(
            entry("PUT", address, withdrawn),
            entry("PATCH", f"Observation/{other.id}", withdrawing_patch()),
            entry("POST", "Observation", statement()),
        ),
    )
    assert [each.status for each in done] == [200, 200, 201]
    for id in (mine.id, other.id):
        assert b"entered-in-error" in crossed.read(A, "Observation", id).json


def withdrawing_patch() -> dict[str, Any]:
    parts = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "Observation.status"},
        {"name": "value", "valueCode": "entered-in-error"},
    ]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}


def test_a_clinics_record_is_not_the_patients_to_withdraw_even_in_her_name(crossed):
    sent = statement(id="told", performer=[{"reference": "Patient/a-patient"}])
    crossed.update(OPEN, "Observation", "told", sent)
    with pytest.raises(Forbidden):
        crossed.update(A, "Observation", "told", {**sent, "status": "entered-in-error"})
    made = crossed.create(A, "Observation", statement()).stored
    crossed.update(OPEN, "Observation", made.id, statement(id=made.id, note=[{"text": "đã xem"}]))
    with pytest.raises(Forbidden):
        crossed.update(A, "Observation", made.id, statement(id=made.id, status="entered-in-error"))


def test_a_contained_definition_is_no_more_open_than_its_container(crossed):
    contained = [{"resourceType": "Questionnaire", "id": "q", "status": "active", "title": SECRET}]
    answers = {
        "resourceType": "QuestionnaireResponse",
        "id": "b-answers",
        "status": "completed",
        "questionnaire": "#q",
        "contained": contained,
        "subject": {"reference": "Patient/b-patient"},
    }
    crossed.update(OPEN, "QuestionnaireResponse", "b-answers", answers)
    for kind in ("container", "contained"):
        pairs = [("_contained", "true"), ("_containedType", kind)]
        assert crossed.search(A, "Questionnaire", pairs).entries == []
        assert len(crossed.search(OPEN, "Questionnaire", pairs).entries) == 1
