"""QĐ 831 records on their way in: found again by FHIR search, sent again, beside QĐ 130, and out again."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fhir_server.access.context import AccessContext
from fhir_server.intake import visits
from fhir_server.intake.health_records import RecordOutcome, receive
from mappings.qd831.record import read_record
from mappings.qd831.table import HEADER

DATA = Path(__file__).parents[1] / "mappings" / "data"
SAMPLE = (DATA / "qd831.xml").read_bytes()
CTX = AccessContext.unrestricted("test")
OWN = "http://hososuckhoe.example.vn/fhir"


def found(client: Any, query: str) -> list[dict[str, Any]]:
    answer = client.get(f"/fhir/{query}")
    assert answer.status_code == 200, answer.text
    return [entry["resource"] for entry in json.loads(answer.data).get("entry", [])]


def send(repository: Any, xml: bytes = SAMPLE) -> RecordOutcome:
    outcome = receive(repository, CTX, xml)
    assert outcome.errors == []
    return outcome


def versions(client: Any) -> dict[str, int]:
    """type/id -> version of all that is stored."""
    return {
        f"{it['resourceType']}/{it['id']}": int(it["meta"]["versionId"])
        for it in found(
            client, "?_type=Patient,Observation,Condition,Encounter,AllergyIntolerance,Immunization&_count=200"
        )
    }


def test_a_record_is_found_by_fhir_search_with_its_exact_values(repository: Any, client: Any) -> None:
    outcome = send(repository)
    assert outcome.outcome == "created"
    who = f"subject={outcome.patient}"
    (patient,) = found(client, "Patient?identifier=http://fhir.ehealth.gov.vn/core/sid/national_id|079185000123")
    assert f"Patient/{patient['id']}" == outcome.patient
    (pressure,) = found(client, f"Observation?{who}&component-code=http://loinc.org|8480-6")
    assert [it["valueQuantity"]["value"] for it in pressure["component"]] == [135, 85]
    assert len(found(client, f"Observation?{who}&code=http://loinc.org|8867-4&value-quantity=78")) == 1
    assert len(found(client, f"Observation?{who}&code=http://loinc.org|10331-7&value-concept=neg")) == 1
    assert len(found(client, f"Observation?{who}&combo-code-value-quantity=http://loinc.org|8462-4$85")) == 1
    assert {it["code"]["text"] for it in found(client, f"AllergyIntolerance?patient={outcome.patient}")} == {
        "Penicilin",
        "Phấn hoa",
    }
    assert len(found(client, f"Condition?{who}&code=http://hl7.org/fhir/sid/icd-10|I10")) == 1
    assert len(found(client, f"FamilyMemberHistory?patient={outcome.patient}")) == 2
    assert len(found(client, f"Immunization?patient={outcome.patient}&date=2024-09-03")) == 1
    assert len(found(client, f"Encounter?{who}&date=2026-11")) == 1
    (archive,) = found(client, f"DocumentReference?{who}")
    assert found(client, f"Provenance?entity=DocumentReference/{archive['id']}")


def test_the_same_again_writes_nothing(repository: Any, client: Any) -> None:
    send(repository)
    before = versions(client)
    assert send(repository).outcome == "unchanged"
    assert versions(client) == before


def test_a_resend_replaces_what_changed_and_withdraws_what_vanished(repository: Any, client: Any) -> None:
    first = send(repository)
    edited = SAMPLE.replace(b"<MACH>78</MACH>", b"<MACH>81</MACH>")
    edited = re.sub(rb"<DSDIUNG><LOAI>4.*?</DSDIUNG>", b"", edited)
    assert send(repository, edited).outcome == "updated"
    (pulse,) = found(client, f"Observation?subject={first.patient}&code=http://loinc.org|8867-4")
    assert (pulse["valueQuantity"]["value"], pulse["meta"]["versionId"]) == (81, "2")
    states = {
        it["code"]["text"]: [c["code"] for c in it.get("verificationStatus", {}).get("coding", [])]
        for it in found(client, f"AllergyIntolerance?patient={first.patient}")
    }
    assert states == {"Penicilin": [], "Phấn hoa": ["entered-in-error"]}


def test_a_section_or_visit_that_was_not_sent_stays(repository: Any, client: Any) -> None:
    first = send(repository)
    before = versions(client)
    shorter = re.sub(rb"<TIENSU>.*</DANHSACHHOSOKHAMCHUABENH>", b"", SAMPLE, flags=re.DOTALL)
    assert send(repository, shorter).outcome == "unchanged"
    assert versions(client) == before
    assert len(found(client, f"Immunization?patient={first.patient}&status=completed")) == 1


def test_a_visit_that_qd_130_told_of_keeps_what_it_says(repository: Any, client: Any) -> None:
    (visit,) = visits.receive(repository, CTX, (DATA / "giamdinhhs_visit.xml").read_bytes())
    assert visit.outcome == "created"
    before = client.get(f"/fhir/{visit.encounter}").data
    send(repository, SAMPLE.replace(b"831_000001", visit.ma_lk.encode()))
    assert client.get(f"/fhir/{visit.encounter}").data == before
    (pulse,) = found(client, "Observation?code=http://loinc.org|8867-4")
    assert pulse["encounter"]["reference"] == visit.encounter


def test_what_was_received_is_exported_again_over_http(repository: Any, client: Any) -> None:
    outcome = send(repository)
    answer = client.get(f"/fhir/{outcome.patient}/$qd831?sender=79001")
    assert (answer.status_code, answer.mimetype) == (200, "application/xml")
    exported, expected = read_record(answer.data)[0], read_record(SAMPLE)[0]
    assert exported.single.pop(HEADER) == expected.single.pop(HEADER)
    assert exported == expected
    posted = {"resourceType": "Parameters", "parameter": [{"name": "sender", "valueString": "79002"}]}
    answer = client.post(f"/fhir/{outcome.patient}/$qd831", json=posted)
    assert read_record(answer.data)[0].of(HEADER) == {"SENDER_CODE": "79002"}
    assert client.get("/fhir/Patient/nobody/$qd831").status_code == 404


@pytest.mark.parametrize("gone", [b"HOTEN", b"MADINHDANH|MABHXH|MATHE|SOCMND", b"SENDER_CODE"])
def test_a_record_that_names_nobody_is_rejected_and_says_where(repository: Any, client: Any, gone: bytes) -> None:
    general, rest = SAMPLE.split(b"<QUANHE_GIADINH>", 1)
    broken = re.sub(rb"<(" + gone + rb")>[^<]*</\1>", b"", general) + b"<QUANHE_GIADINH>" + rest
    outcome = receive(repository, CTX, broken)
    assert (outcome.outcome, len(outcome.errors)) == ("rejected", 1)
    assert outcome.errors[0].field in gone.decode()
    assert found(client, "Patient") == []


def test_somebody_with_the_number_of_another_waits_for_a_decision(repository: Any, client: Any) -> None:
    first = send(repository)
    before = versions(client)
    other = SAMPLE.replace("Nguyễn Thị Ánh Đào".encode(), "Phạm Văn Khác".encode())
    outcome = send(repository, other.replace(b"02/09/1985", b"03/04/1971"))
    assert [it.code for it in outcome.warnings][:1] == ["invalid"]
    (task,) = found(client, "Task?status=requested")
    assert task["focus"]["reference"] == outcome.patient
    assert versions(client).items() >= before.items(), "what was said of the first person stays theirs"
    assert send(repository).patient == first.patient
    assert send(repository, other.replace(b"02/09/1985", b"03/04/1971")).outcome == "unchanged"
    assert len(found(client, "Task?status=requested")) == 1


def renumbered(xml: bytes) -> bytes:
    """The sample under other numbers: those of its person in one digit, the others left alone."""
    general, rest = xml.split(b"<QUANHE_GIADINH>", 1)
    general = general.replace(b"079185000123", b"079185000128").replace(b"7900000123", b"7900000128")
    return general + b"<QUANHE_GIADINH>" + rest


def test_a_record_under_mistyped_numbers_is_a_new_person_in_the_queue(repository: Any, client: Any) -> None:
    first, outcome = send(repository), send(repository, renumbered(SAMPLE))
    assert outcome.patient != first.patient
    (task,) = found(client, "Task?code=possible-duplicate&status=requested")
    assert (task["focus"]["reference"], task["for"]["reference"]) == (outcome.patient, first.patient)
    assert "số giấy tờ chỉ khác một chữ số" in task["input"][0]["valueString"]
    assert send(repository, renumbered(SAMPLE)).outcome == "unchanged"
    assert len(found(client, "Task")) == 1


def test_a_newborn_is_not_taken_for_who_bears_the_name_it_came_with(repository: Any, client: Any) -> None:
    year = str(datetime.now(ZoneInfo("Asia/Ho_Chi_Minh")).year).encode()
    young = SAMPLE.replace(b"02/09/1985", b"01/01/" + year)
    first, outcome = send(repository, young), send(repository, renumbered(young))
    assert outcome.patient != first.patient
    assert found(client, "Task") == []
