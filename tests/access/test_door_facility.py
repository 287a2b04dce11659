"""Facilities at the door: own patients, what patients open and hide, restricted labels, emergencies."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fhir_server import sight
from fhir_server.access.consents import FACILITY
from fhir_server.access.context import AccessContext
from fhir_server.access.scopes import Scope
from fhir_server.errors import Forbidden, NotFound
from tests.repository.people import bundle

OPEN = AccessContext.unrestricted("test")
ALL = (Scope("system", "*", frozenset("cruds")),)
OWN = AccessContext("facility:79001", scopes=ALL, facility="79001", narrowed=True)
WIDE = AccessContext("facility:79001", scopes=ALL, facility="79001")
CLIENT = AccessContext("client:c", scopes=ALL)
SCOPE = "http://terminology.hl7.org/CodeSystem/consentscope"
CLINIC = {"identifier": {"system": FACILITY, "value": "79001"}}


def put(repository: Any, resource: dict[str, Any]) -> None:
    repository.update(OPEN, resource["resourceType"], resource["id"], resource)


def weight(id: str, patient: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "subject": {"reference": f"Patient/{patient}"},
        **more,
    }


def encounter(id: str, patient: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Encounter",
        "id": id,
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": {"reference": f"Patient/{patient}"},
        "serviceProvider": CLINIC,
        **more,
    }


def consent(
    id: str, patient: str, kind: str, *, actor: Any = CLINIC, status: Any = "active", **more: Any
) -> dict[str, Any]:
    role = {"coding": [{"code": "PRCP"}]}
    return {
        "resourceType": "Consent",
        "id": id,
        "status": status,
        "scope": {"coding": [{"system": SCOPE, "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": f"Patient/{patient}"},
        "policyRule": {"coding": [{"code": "OPTIN"}]},
        "provision": {"type": kind, **({"actor": [{"role": role, "reference": actor}]} if actor else {}), **more},
    }


@pytest.fixture
def held(repository):
    sight._places.clear()
    put(
        repository,
        {
            "resourceType": "Organization",
            "id": "clinic",
            "name": "Trạm mẫu",
            "identifier": [{"system": FACILITY, "value": "79001"}],
        },
    )
    for patient in ("own", "other"):
        put(repository, {"resourceType": "Patient", "id": patient, "name": [{"family": "Mẫu"}]})
        put(repository, weight(f"{patient}-weight", patient))
    put(repository, encounter("visit", "own"))
    return repository


def seen(repository: Any, ctx: AccessContext, type: str = "Observation", *pairs: tuple[str, str]) -> list[str]:
    page = repository.search(ctx, type, [*pairs, ("_total", "accurate")])
    found = sorted(stored.id for kind, stored in page.entries if kind == "match")
    assert page.total == len(found)
    for id in found:
        assert repository.read(ctx, type, id).id == id
    return found


def test_a_narrowed_facility_sees_its_own_patients_and_the_directory(held):
    assert seen(held, OWN) == ["own-weight"]
    assert seen(held, OWN, "Patient") == ["own"]
    assert seen(held, OWN, "Organization") == ["clinic"]
    assert seen(held, WIDE) == ["other-weight", "own-weight"]
    for ask in (
        lambda: held.read(OWN, "Patient", "other"),
        lambda: held.vread(OWN, "Observation", "other-weight", "1"),
        lambda: held.history(OWN, "Observation", "other-weight", query=[]),
        lambda: held.update(OWN, "Observation", "other-weight", weight("other-weight", "own")),
        lambda: held.delete(OWN, "Observation", "other-weight"),
    ):
        with pytest.raises(NotFound):
            ask()
    with pytest.raises(Forbidden):
        held.history(OWN, "Observation", query=[])


def test_joins_includes_and_conditions_of_a_narrowed_facility_tell_of_its_own_patients_only(held):
    assert seen(held, OWN, "Organization", ("_has:Patient:organization:_id", "other")) == []
    assert seen(held, OWN, "Patient", ("_has:Observation:subject:code", "29463-7")) == ["own"]
    assert seen(held, OWN, "Observation", ("subject:Patient.family", "mau")) == ["own-weight"]
    put(held, {"resourceType": "Patient", "id": "other", "generalPractitioner": [{"reference": "Organization/clinic"}]})
    page = held.search(OWN, "Organization", [("_revinclude", "Patient:general-practitioner")])
    assert [stored.id for _, stored in page.entries] == ["clinic"]
    assert held.search(OWN, "Observation", [("_id", "other-weight"), ("_summary", "count")]).total == 0
    made = held.create(OWN, "Observation", weight("x", "own"), if_none_exist="_id=other-weight")
    assert made.outcome == "created"


@pytest.mark.parametrize(
    "resource",
    [
        encounter("e", "other", serviceProvider={"reference": "Organization/clinic"}),
        {
            "resourceType": "EpisodeOfCare",
            "id": "e",
            "status": "active",
            "patient": {"reference": "Patient/other"},
            "managingOrganization": CLINIC,
        },
        {
            "resourceType": "Coverage",
            "id": "e",
            "status": "active",
            "beneficiary": {"reference": "Patient/other"},
            "payor": [{"display": "BHXH"}],
            "network": "79001",
        },
        {"resourceType": "Patient", "id": "other", "managingOrganization": CLINIC},
    ],
    ids=lambda each: each["resourceType"],
)
def test_each_record_that_says_who_treats_makes_a_patient_the_facilitys_own_as_long_as_it_says_so(held, resource):
    put(held, resource)
    assert seen(held, OWN) == ["other-weight", "own-weight"]
    if resource["resourceType"] == "Patient":
        put(held, {"resourceType": "Patient", "id": "other"})
    else:
        held.delete(OPEN, resource["resourceType"], "e")
    assert seen(held, OWN) == ["own-weight"]


def test_a_cancelled_visit_opens_nothing(held):
    put(held, encounter("visit", "own", status="cancelled"))
    assert seen(held, OWN) == []


def test_a_consent_opens_a_record_until_it_is_withdrawn_or_over(held):
    moment = datetime.now(UTC)
    for period, opened in (
        ({}, True),
        ({"end": (moment + timedelta(minutes=30)).isoformat(timespec="seconds")}, True),
        ({"end": (moment - timedelta(minutes=1)).isoformat(timespec="seconds")}, False),
        ({"start": (moment + timedelta(minutes=5)).isoformat(timespec="seconds")}, False),
    ):
        put(held, consent("c", "other", "permit", **({"period": period} if period else {})))
        assert (seen(held, OWN) == ["other-weight", "own-weight"]) is opened, period
    put(held, consent("c", "other", "permit"))
    put(held, consent("c", "other", "permit", status="inactive"))
    assert seen(held, OWN) == ["own-weight"]


def test_a_consent_for_another_purpose_class_or_facility_does_not_open(held):
    other = {"identifier": {"system": FACILITY, "value": "79002"}}
    for more in (
        {"purpose": [{"code": "HRESCH"}]},
        {"class": [{"code": "Encounter"}]},
        {"actor": other},
        {"code": [{"text": "only weight"}]},
        {"actor": None},
    ):
        put(held, consent("c", "other", "permit", **more))
        assert seen(held, OWN) == ["own-weight"], more
    put(held, consent("c", "other", "permit", purpose=[{"code": "TREAT"}]) | {})
    assert seen(held, OWN) == ["other-weight", "own-weight"]


@pytest.mark.parametrize("denials", [100, 0], ids=["as a filter", "as a check"])
@pytest.mark.parametrize("ctx", [OWN, WIDE, CLIENT], ids=["narrowed", "facility", "client"])
def test_a_denial_hides_from_whom_it_names(held, ctx, denials, monkeypatch):
    monkeypatch.setattr(sight, "DENIALS", denials)
    others = [] if ctx is OWN else ["other-weight"]
    put(held, consent("c", "own", "deny", actor=None))
    assert seen(held, ctx) == others
    with pytest.raises(NotFound):
        held.read(ctx, "Observation", "own-weight")
    with pytest.raises(NotFound):
        held.history(ctx, "Observation", "own-weight", query=[])
    assert seen(held, OPEN) == ["other-weight", "own-weight"]
    assert held.read(AccessContext.for_patient("own", "card:1"), "Observation", "own-weight").id == "own-weight"
    put(held, consent("c", "own", "deny"))
    assert seen(held, ctx) == (["other-weight", "own-weight"] if ctx is CLIENT else others)
    put(held, consent("c", "own", "deny", actor=None, **{"class": [{"code": "Encounter"}]}))
    assert "own-weight" in seen(held, ctx)
    assert seen(held, ctx, "Encounter") == []
    put(held, consent("c", "own", "deny", actor=None, status="inactive"))
    assert "visit" in seen(held, ctx, "Encounter")


@pytest.mark.parametrize("denials", [100, 0], ids=["as a filter", "as a check"])
@pytest.mark.parametrize("ctx", [OWN, WIDE, CLIENT], ids=["narrowed", "facility", "client"])
@pytest.mark.parametrize("who", ["own", "other", "third"])
def test_a_denial_hides_all_that_is_the_same_persons_as_long_as_they_are_merged(held, ctx, denials, who, monkeypatch):
    monkeypatch.setattr(sight, "DENIALS", denials)
    for patient in ("third", "else"):
        put(held, {"resourceType": "Patient", "id": patient})
        put(held, weight(f"{patient}-weight", patient))
    for patient in ("other", "third", "else"):
        put(held, encounter(f"visit-{patient}", patient))
    everything = ["else-weight", "other-weight", "own-weight", "third-weight"]
    assert seen(held, ctx) == everything
    held.merging.merge(OPEN, "third", "other")
    held.merging.merge(OPEN, "other", "own")
    put(held, consent("c", who, "deny", actor=None))
    assert seen(held, ctx) == ["else-weight"]
    for id in ("own", "other", "third"):
        with pytest.raises(NotFound):
            held.read(ctx, "Observation", f"{id}-weight")
        with pytest.raises(NotFound):
            held.history(ctx, "Observation", f"{id}-weight", query=[])
    assert seen(held, ctx, "Observation", ("patient", "Patient/own")) == []
    assert seen(held, OPEN) == everything
    held.merging.unmerge(OPEN, "other")
    apart = {"own": {"own"}, "other": {"other", "third"}, "third": {"other", "third"}}[who]
    assert seen(held, ctx) == [each for each in everything if each.removesuffix("-weight") not in apart]


def test_a_denial_has_the_exceptions_that_it_permits(held):
    role = {"coding": [{"code": "PRCP"}]}
    other = {"identifier": {"system": FACILITY, "value": "79002"}}
    for actor, excepted in ((CLINIC, True), (other, False)):
        permit = {"type": "permit", "actor": [{"role": role, "reference": actor}]}
        put(held, consent("c", "own", "deny", actor=None, provision=[permit]))
        assert ("own-weight" in seen(held, WIDE)) is excepted
        assert ("own-weight" in seen(held, OWN)) is excepted
        assert seen(held, CLIENT) == ["other-weight"]


def test_a_denial_for_a_label_hides_what_carries_it(held):
    put(held, weight("own-hiv", "own", meta={"security": [{"code": "HIV"}]}))
    put(held, consent("c", "own", "deny", actor=None, securityLabel=[{"code": "HIV"}]))
    assert seen(held, WIDE) == ["other-weight", "own-weight"]
    assert seen(held, OWN) == ["own-weight"]


def test_breaking_the_glass_with_a_reason_opens_what_is_not_labelled(held):
    put(held, consent("c", "own", "deny", actor=None))
    put(held, weight("own-hiv", "own", meta={"security": [{"code": "HIV"}]}))
    broken = replace(OWN, purpose="BTG", reason="Bệnh nhân bất tỉnh", labels=frozenset())
    assert seen(held, broken) == ["other-weight", "own-weight"]
    assert seen(held, replace(broken, reason=" ")) == []


def test_a_narrowed_facility_writes_about_its_own_patients_and_whom_it_takes_in(held):
    held.create(OWN, "Observation", weight("x", "own"))
    with pytest.raises(Forbidden):
        held.create(OWN, "Observation", weight("x", "other"))
    with pytest.raises(Forbidden):
        held.update(OWN, "Observation", "own-weight", weight("own-weight", "other"))
    with pytest.raises(Forbidden):
        held.create(OWN, "Organization", {"resourceType": "Organization", "name": "x"})
    with pytest.raises(Forbidden):
        held.create(OWN, "Encounter", encounter("x", "other", serviceProvider={"reference": "Organization/else"}))
    held.transaction(OWN, bundle([encounter("x", "other"), weight("y", "other")]))
    assert "other-weight" in seen(held, OWN)


def test_a_permit_that_a_narrowed_facility_writes_itself_needs_the_patient_to_be_its_own(held):
    with pytest.raises(Forbidden):
        held.create(OWN, "Consent", consent("x", "other", "permit"))


LABELLED = [
    ({"system": "http://hl7.org/fhir/sid/icd-10", "code": "B20.1"}, "HIV"),
    ({"system": "http://hl7.org/fhir/sid/icd-10", "code": "Z21"}, "HIV"),
    ({"system": "http://hl7.org/fhir/sid/icd-10", "code": "F32.2"}, "PSY"),
    ({"system": "http://hl7.org/fhir/sid/icd-10", "code": "F10.2"}, "ETH"),
    ({"system": "http://hl7.org/fhir/sid/icd-10", "code": "O04.9"}, "SEX"),
    ({"system": "http://loinc.org", "code": "75622-1"}, "HIV"),
    ({"system": "http://hl7.org/fhir/sid/icd-10", "code": "I10"}, ""),
]


@pytest.mark.parametrize(("coding", "label"), LABELLED)
def test_the_server_labels_what_is_restricted_and_hides_it_without_the_label(held, coding, label):
    condition = {
        "resourceType": "Condition",
        "id": "c",
        "subject": {"reference": "Patient/own"},
        "code": {"coding": [coding]},
    }
    put(held, condition)
    assert (
        seen(held, OPEN, "Condition", ("_security", label)) == ["c"]
        if label
        else seen(held, OPEN, "Condition") == ["c"]
    )
    without = replace(WIDE, labels=frozenset())
    assert seen(held, without, "Condition") == ([] if label else ["c"])
    assert seen(held, replace(without, labels=frozenset({label})), "Condition") == ["c"]
    assert seen(held, AccessContext.for_patient("own", "card:1"), "Condition") == ["c"]
    if label:
        with pytest.raises(NotFound):
            held.read(without, "Condition", "c")
        with pytest.raises(NotFound):
            held.history(without, "Condition", "c", query=[])
        assert held.history(without, "Condition", query=[]).total == 0
        with pytest.raises(NotFound):
            held.update(without, "Condition", "c", condition)
        # Writing the same again changes nothing: the label is not the client's to leave out.
        assert held.update(OPEN, "Condition", "c", condition).outcome == "unchanged"


def test_a_version_that_was_labelled_stays_hidden_when_the_current_one_is_not(held):
    put(held, weight("own-weight", "own", meta={"security": [{"code": "R"}]}))
    put(held, weight("own-weight", "own", note=[{"text": "x"}]))
    without = replace(WIDE, labels=frozenset())
    assert [each.version for each in held.history(without, "Observation", "own-weight", query=[]).entries] == [3, 1]
    with pytest.raises(NotFound):
        held.vread(without, "Observation", "own-weight", "2")


def test_an_export_leaves_out_what_its_caller_may_not_see(held):
    from fhir_server.export_order import ExportOrder

    put(held, weight("own-hiv", "own", meta={"security": [{"code": "HIV"}]}))
    put(held, consent("c", "other", "deny", actor=None))
    ctx = replace(CLIENT, labels=frozenset())
    job = held.exports.start(ctx, ExportOrder(types=("Observation",)), request="")
    while held.exports.work():
        pass
    lines = b"".join(held.exports.file(ctx, job, "Observation.1.ndjson")).decode().splitlines()
    assert [line.count('"id":"own-weight"') for line in lines] == [1]
    with pytest.raises(Forbidden):
        held.exports.file(replace(ctx, scopes=()), job, "Observation.1.ndjson")
    with pytest.raises(Forbidden):
        held.exports.start(OWN, ExportOrder(), request="")
