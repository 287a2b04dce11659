"""Everything the mappings make names its profile and keeps it."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from fhir_server.citizen import declaration, submission
from fhir_server.citizen.declared_history import DISABILITIES, ILLNESSES
from fhir_server.intake.visit_archive import archive_entries
from fhir_server.intake.visit_records import PARTS, provenance
from mappings import profile_names, systems
from mappings.code_lists import codes
from mappings.resend import in_error
from mappings.roster import Layout, Refused, RosterRow, map_row
from mappings.visits import patient_from_visit, read_envelope, visit_bundle
from seed import visit_files
from seed.clinic import envelope
from seed.generate import declarations, facility_visits, roster_rows
from seed.people import HEADER, people
from tests.profiles.kept import broken, check

DATA = Path(__file__).parent.parent / "mappings" / "data"


def mapped_rows(header: Sequence[str], rows: Iterable[list[str]]) -> Iterable[RosterRow | Refused]:
    layout = Layout.from_header(header)
    return (map_row(layout, number, row) for number, row in enumerate(rows, start=1))


def parts(outcomes: Iterable[RosterRow | Refused]) -> Iterable[dict[str, Any]]:
    for row in outcomes:
        if isinstance(row, RosterRow):
            yield row.patient
            yield from ({**coverage, "beneficiary": {"reference": "Patient/p"}} for coverage in row.coverages)


def test_10_000_generated_roster_rows() -> None:
    outcomes = list(mapped_rows(HEADER, roster_rows(list(people(9_994)))))
    assert len(outcomes) == 10_000
    refused = sum(isinstance(outcome, Refused) for outcome in outcomes)
    assert refused == 3
    assert check(parts(outcomes)) == {profile_names.PATIENT: 9_997, profile_names.COVERAGE: 9_997}


def test_the_dirty_roster() -> None:
    lines = (DATA / "bhyt_roster_dirty.csv").read_text(encoding="utf-8-sig").splitlines()
    header, *rows = csv.reader(lines)
    assert check(parts(mapped_rows(header, rows))) == {profile_names.PATIENT: 5, profile_names.COVERAGE: 5}


def test_the_visits_of_the_samples_and_the_seed_and_500_more() -> None:
    found: Counter[str] = Counter()
    invented = facility_visits(list(people(300)), 500)
    documents = [file.read_bytes() for file in (DATA / "giamdinhhs_visit.xml", *visit_files())]
    for document in [*documents, *(envelope(*each).encode() for each in invented.items())]:
        for visit in read_envelope(document).visits:
            made = [entry["resource"] for entry in visit_bundle(visit, "Patient/p")["entry"]]
            archive = archive_entries(visit, None, "Patient/p", "Encounter/e")[0]
            told = provenance(["Encounter/e"], {"display": "79001"}, "Nhận", {"reference": archive["fullUrl"]})
            patient = patient_from_visit(visit)[0]
            withdrawn = [in_error(each) for each in made if each["resourceType"] in ("Encounter", *PARTS)]
            found += check([patient, *made, *withdrawn, archive["resource"], told["resource"]])
    assert found[profile_names.PATIENT] == found[profile_names.VISIT_ARCHIVE] == 541
    assert found[profile_names.ENCOUNTER] == 2 * 541
    assert {
        *(profile_names.COVERAGE, profile_names.CONDITION, profile_names.VITAL_SIGN, profile_names.LABORATORY),
        *(profile_names.BLOOD_GROUP, profile_names.CLINICAL_NOTE, profile_names.ORGANIZATION),
    } <= found.keys()


def test_what_citizens_declare() -> None:
    made = []
    for entry in declarations(list(people(200))):
        recorded = datetime.fromisoformat(entry["recorded"])
        read = declaration.read_form(entry["form"], today=recorded.date())
        assert read.declaration is not None
        made += submission.resources(read.declaration, "p", recorded=recorded, submission="s")
    found = check(made)
    assert set(found) == {profile_names.SELF_DECLARED_OBSERVATION, profile_names.SELF_DECLARED_ALLERGY}
    assert sum(found.values()) == len(made) > 60


def declared(**form: str) -> list[dict[str, Any]]:
    recorded = datetime.fromisoformat("2026-01-01T08:00:00+07:00")
    read = declaration.read_form(form, today=recorded.date())
    assert read.declaration is not None, read.problems
    return submission.resources(read.declaration, "p", recorded=recorded, submission="s")


def test_what_citizens_declare_of_earlier_years() -> None:
    form = {f"illness_{number}": "on" for number in ILLNESSES} | {
        f"disability_{number}": "on" for number in DISABILITIES
    }
    form |= {"illness_other": "Gút", "disability_other": "Khác", "relative_1": "MTH", "family_1": "3"}
    form |= {"smoking": "former", "alcohol": "never", "activity": "some", "abo": "A", "rh": "+", "allergy": "no"}
    found = check([*declared(**form, surgery="Mổ ruột thừa", surgery_year="2001"), *declared(surgery="Mổ mắt")])
    assert found == {
        profile_names.SELF_DECLARED_CONDITION: len(ILLNESSES) + len(DISABILITIES),
        profile_names.SELF_DECLARED_PROCEDURE: 2,
        profile_names.SELF_DECLARED_FAMILY_HISTORY: 1,
        profile_names.SELF_DECLARED_OBSERVATION: 4,
        profile_names.SELF_DECLARED_ALLERGY: 1,
    }


def test_an_operation_without_the_label_of_its_source_is_refused() -> None:
    (operation,) = declared(surgery="Mổ ruột thừa")
    profile = profile_names.SELF_DECLARED_PROCEDURE
    assert broken(operation, profile) == []
    assert broken({**operation, "meta": {"profile": [profile]}}, profile) == ["Procedure.meta.tag"] * 2
    unsaid = {name: value for name, value in operation.items() if name != "asserter"}
    assert broken(unsaid, profile) == ["Procedure.asserter"]


def a_row() -> RosterRow:
    (row,) = mapped_rows(HEADER, roster_rows(list(people(1)))[:1])
    assert isinstance(row, RosterRow)
    return row


def test_a_patient_that_does_not_keep_the_profile_is_told_where() -> None:
    patient = a_row().patient
    ethnic = {"url": systems.PATIENT_ETHNIC_GROUP}
    known = {"coding": [{"system": systems.ETHNIC_GROUP, "code": "01"}]}
    unknown = {"coding": [{"system": systems.ETHNIC_GROUP, "code": "77"}]}
    assert len(codes("ethnic_groups")) == 56
    assert broken({**patient, "extension": [{**ethnic, "valueCodeableConcept": known}]}, profile_names.PATIENT) == []
    assert broken({**patient, "extension": [{**ethnic, "valueCodeableConcept": unknown}]}, profile_names.PATIENT) == [
        "Patient.extension[0].value"
    ]
    without = {key: value for key, value in patient.items() if key != "gender"}
    assert broken(without, profile_names.PATIENT) == ["Patient.gender"]
    place = {"url": systems.PLACE_CODE, "valueCoding": {"system": systems.WARD, "code": "26740"}}
    address = {**patient["address"][0], "_city": {"extension": [place]}}
    assert broken({**patient, "address": [address]}, profile_names.PATIENT) == [
        "Patient.address[0].city.extension[0].value.version"
    ]
    card = {"system": systems.BHYT_CARD, "type": {"text": "Thẻ"}, "value": "GD4797900000999"}
    assert broken({**patient, "identifier": [card]}, profile_names.PATIENT) == ["Patient.identifier[0].type"]


def test_a_coverage_area_is_one_of_the_three() -> None:
    (coverage,) = a_row().coverages
    area = {"url": systems.LIVING_AREA, "valueCode": "K9"}
    assert broken({**coverage, "extension": [area]}, profile_names.COVERAGE) == ["Coverage.extension[0].value"]


def test_a_declaration_that_claims_to_be_confirmed_is_refused() -> None:
    (allergy,) = declared(allergy="yes", kind="food", substance="Tôm")
    profile = profile_names.SELF_DECLARED_ALLERGY
    assert broken(allergy, profile) == []
    confirmed = {
        "coding": [{**allergy["verificationStatus"]["coding"][0], "code": "confirmed"}],
    }
    assert broken({**allergy, "verificationStatus": confirmed}, profile) == ["AllergyIntolerance.verificationStatus"]
    unlabelled = {**allergy, "meta": {"profile": [profile]}}
    assert broken(unlabelled, profile) == ["AllergyIntolerance.meta.tag", "AllergyIntolerance.meta.tag"]
