"""Patient/$summary is an International Patient Summary: a valid document, in Vietnamese first, the same every time.

The rules of the guide are those of its package hl7.fhir.uv.ips 2.0.0 (STU 2, for R4 4.0.1), read in
StructureDefinition-Bundle-uv-ips and StructureDefinition-Composition-uv-ips: each minimum of 1, fixed value, pattern and
constraint (bdl-ips-1, ips-comp-1) of them; beside those https://hl7.org/fhir/R4/documents.html for what a document holds.
What the guide's profiles of the entries ask is the matter of whoever sends the records, and is not here.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fhir_server.access.context import AccessContext
from fhir_server.errors import NotFound
from fhir_server.operations.summary import summary
from fhir_server.resource import exact
from fhir_server.resource.validation import validate
from tests.rest.operations.conftest import OPEN, coded

BASE = "http://127.0.0.1:8080/fhir"
AT = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
A = AccessContext.for_patient("a", "card:1")


@pytest.fixture
def records(put, observe):
    put("Organization/station", name="Trạm y tế Mẫu")
    for who in ("a", "b", "empty"):
        managed = {"managingOrganization": {"reference": "Organization/station"}}
        put(f"Patient/{who}", name=[{"text": "Nguyễn Thị Ánh"}], birthDate="1985-09-02", **managed)
    for who in ("a", "b"):
        of = {"reference": f"Patient/{who}"}
        allergy = {"clinicalStatus": coded("allergyintolerance-clinical", "active"), "patient": of}
        put(
            f"AllergyIntolerance/shrimp-{who}",
            code={"text": "Tôm <biển>"},
            criticality="high",
            reaction=[{"manifestation": [{"text": "Nổi mề đay"}]}],
            recordedDate="2025-05-05",
            **allergy,
        )
        refuted = {"verificationStatus": coded("allergyintolerance-verification", "refuted")}
        put(f"AllergyIntolerance/refuted-{who}", code={"text": "Sữa"}, **allergy, **refuted)
        active, over = coded("condition-clinical", "active"), coded("condition-clinical", "resolved")
        for id, date, status in (("old", "2024-01-01", active), ("new", "2026-01-01", active), ("over", "2020", over)):
            code = {
                "coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "I10"}],
                "text": f"Tăng huyết áp {id}",
            }
            put(f"Condition/{id}-{who}", clinicalStatus=status, code=code, subject=of, recordedDate=date)
        medication = {"subject": of, "medicationCodeableConcept": {"text": "Amlodipin 5 mg"}}
        put(f"MedicationStatement/now-{who}", status="active", dosage=[{"text": "1 viên mỗi sáng"}], **medication)
        put(f"MedicationStatement/before-{who}", status="stopped", **medication)
        vaccine = {"vaccineCode": {"text": "Sởi"}, "patient": of, "protocolApplied": [{"doseNumberPositiveInt": 2}]}
        put(f"Immunization/given-{who}", status="completed", occurrenceDateTime="2026-02-03", **vaccine)
        put(f"Immunization/refused-{who}", status="not-done", occurrenceDateTime="2026-02-03", **vaccine)
        vital, lab = ([coded("observation-category", each)] for each in ("vital-signs", "laboratory"))
        for day in (1, 2, 3, 4):
            observe(f"weight{day}-{who}", who, "29463-7", 50 + day, f"2026-03-0{day}", category=vital)
        observe(f"blood-{who}", who, "718-7", 13, "2026-03-05", category=lab)
        observe(f"pending-{who}", who, "718-7", 13, "2026-03-06", category=lab, status="registered")


def section(document, loinc):
    composition = document["entry"][0]["resource"]
    return next(each for each in composition["section"] if each["code"]["coding"][0]["code"] == loinc)


def entries(document, loinc):
    return [each["reference"].rpartition("fhir/")[2] for each in section(document, loinc).get("entry", [])]


def test_the_summary_is_a_document_that_begins_with_composition_and_patient(records, get) -> None:
    document = get("Patient/a/$summary")
    assert (document["resourceType"], document["type"]) == ("Bundle", "document")
    kinds = [entry["resource"]["resourceType"] for entry in document["entry"]]
    assert kinds[:3] == ["Composition", "Patient", "Device"]
    composition = document["entry"][0]["resource"]
    assert composition["type"]["coding"][0]["code"] == "60591-5"
    assert composition["subject"]["reference"] == document["entry"][1]["fullUrl"]
    assert composition["author"][0]["reference"] == document["entry"][2]["fullUrl"]


def test_the_sections_stand_in_their_order_with_what_is_current(records, repository) -> None:
    document = summary(repository, OPEN, "a", BASE, AT)
    assert [
        (
            each["code"]["coding"][0]["code"],
            [entry["reference"].rpartition("fhir/")[2] for entry in each.get("entry", [])],
        )
        for each in document["entry"][0]["resource"]["section"]
    ] == [
        ("11450-4", ["Condition/new-a"]),
        ("48765-2", ["AllergyIntolerance/shrimp-a"]),
        ("10160-0", ["MedicationStatement/now-a"]),
        ("11369-6", ["Immunization/given-a"]),
        ("30954-2", ["Observation/blood-a"]),
        ("8716-3", ["Observation/weight4-a", "Observation/weight3-a", "Observation/weight2-a"]),
        ("47519-4", []),
        ("46264-8", []),
        ("11348-0", ["Condition/over-a"]),
        ("29762-2", []),
        ("18776-5", []),
    ]


def test_the_narrative_is_vietnamese_first_and_escaped(records, repository) -> None:
    document = summary(repository, OPEN, "a", BASE, AT)
    assert section(document, "48765-2")["text"] == {
        "status": "generated",
        "div": '<div xmlns="http://www.w3.org/1999/xhtml" lang="vi" xml:lang="vi">'
        "<p><b>Dị ứng và phản ứng bất lợi</b> (Allergies and adverse reactions)</p>"
        "<ul><li>Tôm &lt;biển&gt;; nguy cơ cao; Nổi mề đay; 05/05/2025</li></ul></div>",
    }
    for loinc, text in (
        ("10160-0", "<li>Amlodipin 5 mg; 1 viên mỗi sáng</li>"),
        ("11369-6", "<li>Sởi; mũi 2; 03/02/2026</li>"),
        ("30954-2", "<li>718-7: 13 g/dL; 05/03/2026</li>"),
        ("11450-4", "<li>Tăng huyết áp new; 01/01/2026</li>"),
        ("11348-0", "<li>Tăng huyết áp over; 2020</li>"),
    ):
        assert text in section(document, loinc)["text"]["div"]


def test_a_section_of_which_nothing_is_known_says_so_and_claims_nothing(records, repository) -> None:
    document = summary(repository, OPEN, "empty", BASE, AT)
    for each in document["entry"][0]["resource"]["section"]:
        assert "entry" not in each
        assert each["emptyReason"]["coding"][0]["code"] == "unavailable"
    assert "Hồ sơ chưa có thông tin về dị ứng." in section(document, "48765-2")["text"]["div"]


@pytest.mark.parametrize("who", ["a", "empty"])
def test_the_summary_is_valid_r4_and_can_be_kept(records, repository, who) -> None:
    document = summary(repository, OPEN, who, BASE, AT)
    assert validate(document) == document
    assert repository.create(OPEN, "Bundle", document).outcome == "created"


def test_every_reference_of_the_composition_is_in_the_document(records, repository) -> None:
    document = summary(repository, OPEN, "a", BASE, AT)
    held = [entry["fullUrl"] for entry in document["entry"]]
    assert len(held) == len(set(held))
    composition = document["entry"][0]["resource"]
    named = {entry["reference"] for each in composition["section"] for entry in each.get("entry", [])}
    assert named | {composition["subject"]["reference"], composition["author"][0]["reference"]} <= set(held)
    assert f"{BASE}/Organization/station" in held


def test_the_same_record_gives_the_same_bytes(records, repository) -> None:
    first, second = (exact.dump(summary(repository, OPEN, "a", BASE, AT)) for _ in range(2))
    assert first == second
    later = summary(repository, OPEN, "a", BASE, AT.replace(hour=9))
    assert later["identifier"] != exact.parse(first)["identifier"]


def test_the_summary_of_nobody_is_not_found(client, issue) -> None:
    response = client.get("/fhir/Patient/nobody/$summary")
    assert (response.status_code, issue(response)["code"]) == (404, "not-found")


def test_a_bound_caller_gets_the_own_summary_and_no_other(records, repository) -> None:
    document = summary(repository, A, "a", BASE, AT)
    assert entries(document, "48765-2") == ["AllergyIntolerance/shrimp-a"]
    text = exact.dump(document)
    assert b"Patient/b" not in text
    assert b"-b" not in b"".join(
        entry["fullUrl"].encode() for entry in document["entry"] if "urn:" not in entry["fullUrl"]
    )
    with pytest.raises(NotFound, match="There is no Patient with the id 'b'"):
        summary(repository, A, "b", BASE, AT)


# --- the International Patient Summary, rule by rule --------------------------------------------------------------------

REQUIRED_SECTIONS = {"11450-4", "48765-2", "10160-0"}  # problems, allergies, medications


@pytest.fixture(params=["a", "empty"])
def document(request, records, repository):
    """The summary of somebody with records, and of somebody without."""
    return summary(repository, OPEN, request.param, BASE, AT)


def resources(document, kind):
    return [entry["resource"] for entry in document["entry"] if entry["resource"]["resourceType"] == kind]


def references(value):
    """Every literal reference in a value."""
    if isinstance(value, list):
        return {each for inner in value for each in references(inner)}
    if not isinstance(value, dict):
        return set()
    own = {value["reference"]} if isinstance(value.get("reference"), str) else set()
    return own | {each for inner in value.values() for each in references(inner)}


def test_ips_bundle_is_a_document_with_identifier_timestamp_and_full_urls(document) -> None:
    assert document["type"] == "document"
    assert document["identifier"]["system"] == "urn:ietf:rfc:3986"
    assert document["identifier"]["value"].startswith("urn:uuid:")
    assert document["timestamp"] == exact.instant(AT)
    full_urls = [entry["fullUrl"] for entry in document["entry"]]
    assert len(set(full_urls)) == len(document["entry"]) >= 2
    assert all(each.startswith(("urn:uuid:", f"{BASE}/")) for each in full_urls)
    for entry in document["entry"]:
        assert set(entry) == {"fullUrl", "resource"}
        assert entry["fullUrl"].endswith(entry["resource"]["id"])


def test_ips_bundle_has_one_composition_in_front_and_one_patient(document) -> None:
    assert document["entry"][0]["resource"]["resourceType"] == "Composition"
    assert (len(resources(document, "Composition")), len(resources(document, "Patient"))) == (1, 1)


def test_ips_composition_says_what_whose_when_and_by_whom(document) -> None:
    (composition,) = resources(document, "Composition")
    assert composition["status"] == "final"
    assert composition["type"]["coding"][0]["system"] == "http://loinc.org"
    assert composition["type"]["coding"][0]["code"] == "60591-5"
    assert composition["date"] == exact.instant(AT)
    assert composition["title"].strip()
    held = {entry["fullUrl"]: entry["resource"]["resourceType"] for entry in document["entry"]}
    assert held[composition["subject"]["reference"]] == "Patient"
    assert [held[each["reference"]] for each in composition["author"]] == ["Device"]


def test_ips_sections_have_title_code_narrative_and_content_or_the_reason_for_none(document) -> None:
    (composition,) = resources(document, "Composition")
    codes = [each["code"]["coding"][0]["code"] for each in composition["section"]]
    assert len(codes) == len(set(codes))
    assert set(codes) >= REQUIRED_SECTIONS
    for each in composition["section"]:
        assert each["title"].strip()
        assert each["code"]["coding"][0]["system"] == "http://loinc.org"
        assert each["text"]["status"] == "generated"
        assert each["text"]["div"].startswith('<div xmlns="http://www.w3.org/1999/xhtml"')
        assert ("entry" in each) != ("emptyReason" in each), "ips-comp-1; cmp-2: no reason for what is not empty"
        assert all(entry["reference"] for entry in each.get("entry", []))
    assert composition["text"]["div"]


def test_ips_every_entry_is_reached_from_the_composition_and_every_section_entry_is_there(document) -> None:
    held = {entry["fullUrl"]: entry["resource"] for entry in document["entry"]}
    (composition,) = resources(document, "Composition")
    assert references(composition) <= set(held)
    reached, following = set(), [document["entry"][0]["fullUrl"]]
    while following:
        url = following.pop()
        if url in held and url not in reached:
            reached.add(url)
            following += [each if ":" in each else f"{BASE}/{each}" for each in references(held[url])]
    assert reached == set(held)
