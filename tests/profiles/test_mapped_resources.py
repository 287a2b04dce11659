"""Everything the mappings make names its profile and keeps it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from fhir_server.citizen import declaration, submission
from fhir_server.profile_enforcement import Conformance, claimed
from mappings import profile_names, systems
from mappings.code_lists import codes
from mappings.roster import Layout, Refused, RosterRow, map_row
from mappings.visits import patient_from_visit, read_envelope, visit_bundle
from profiles.structures import STRUCTURES
from seed import visit_files
from seed.generate import declarations, roster_rows
from seed.people import HEADER, people

DATA = Path(__file__).parent.parent / "mappings" / "data"
CONFORMANCE = Conformance(lambda kind, url: [])
KINDS = {row.url: row.kind for row in STRUCTURES}


def check(resources: Iterable[dict[str, Any]]) -> dict[str, int]:
    """How many resources there are of each profile. Fails where one names none of its type, or does not keep it."""
    found: dict[str, int] = {}
    for resource in resources:
        ours = [url for url in claimed(resource) if url in KINDS]
        assert [KINDS[url] for url in ours] == [resource["resourceType"]], resource
        issues = CONFORMANCE.issues(resource, ours[0])
        # Every issue, so that "was not checked" counts as a failure too.
        assert issues == [], (resource, issues)
        found[ours[0]] = found.get(ours[0], 0) + 1
    return found


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


def test_the_visits_of_the_samples_and_the_seed() -> None:
    found: dict[str, int] = {}
    for file in (DATA / "giamdinhhs_visit.xml", *visit_files()):
        envelope = read_envelope(file.read_bytes())
        for visit in envelope.visits:
            made = [entry["resource"] for entry in visit_bundle(visit, "Patient/p")["entry"]]
            for url, count in check([patient_from_visit(visit)[0], *made]).items():
                found[url] = found.get(url, 0) + count
    assert found[profile_names.PATIENT] == found[profile_names.ENCOUNTER] == 41
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


def broken(resource: dict[str, Any], profile: str) -> list[str]:
    issues = CONFORMANCE.issues(resource, profile)
    assert issues is not None
    return [expression for issue in issues if issue.severity == "error" for expression in issue.expression]


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
    form = declaration.read_form({"allergy": "yes", "kind": "food", "substance": "Tôm"}, today=date(2026, 1, 1))
    assert form.declaration is not None
    recorded = datetime.fromisoformat("2026-01-01T08:00:00+07:00")
    (allergy,) = submission.resources(form.declaration, "p", recorded=recorded, submission="s")
    profile = profile_names.SELF_DECLARED_ALLERGY
    assert broken(allergy, profile) == []
    confirmed = {
        "coding": [{**allergy["verificationStatus"]["coding"][0], "code": "confirmed"}],
    }
    assert broken({**allergy, "verificationStatus": confirmed}, profile) == ["AllergyIntolerance.verificationStatus"]
    unlabelled = {**allergy, "meta": {"profile": [profile]}}
    assert broken(unlabelled, profile) == ["AllergyIntolerance.meta.tag", "AllergyIntolerance.meta.tag"]
