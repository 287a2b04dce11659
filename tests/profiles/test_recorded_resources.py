"""Everything that health records, clinics, registries and staff send becomes resources that name their profile and keep it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from mappings import card_qr, clinic_json, person, profile_names, resident_changes, staff_form, systems
from mappings.dates import period
from mappings.qd831.into import mapped, record_key, refusals
from mappings.qd831.person import patient_of
from mappings.qd831.record import HealthRecord, RecordedVisit, Row, read_record, to_xml
from mappings.qd831.table import HEADER, OF_A_VISIT, PERSON, REPEATED, VISIT, FieldRow, fields, fields_of
from mappings.resend import in_error
from seed.people import Invented, people
from tests.profiles.kept import broken, check

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "tests" / "mappings" / "data" / "qd831.xml"
EXAMPLE = ROOT / "docs" / "mappings" / "clinic-json.md"

# What senders write into a field of a kind: what its form asks for, and what it does not.
SENT = {
    "code": ("1", "2", "0", "khác", "Rh+"),
    "flag": ("0", "1", "x", "có"),
    "count": ("0", "2", "02", "hai", "99999999999"),
    "number": ("12.5", "36,6", "120", "0", "cao", "1e5"),
    "text": ("Bình thường", "T1, T2 đều", '<&> "', "x" * 3000),
    "date": ("19/11/2026", "2026", "11/2026", "20261119", "hôm qua"),
}
BLOOD = {"NHOMMAU_HEABO": ("A", "B", "AB", "O", "không rõ"), "NHOMMAU_HERH": ("+", "-", "Rh+")}
ROWS = {"TRANGTHAI": ("0", "1", "2"), "GIAMHO": ("0", "1"), "MANHOM": ("1", "2", "3"), "DABO": ("0", "1")}


def sent(row: FieldRow, random: Random) -> str:
    """A text for a field, now and then one that does not have its form."""
    dated = "date" if row.field.startswith("NGAY") else "code" if row.field.startswith(("LOAI", "MA")) else "text"
    return random.choice(BLOOD.get(row.field) or ROWS.get(row.field) or SENT.get(row.kind) or SENT[dated])


def filled(path: str, random: Random) -> Row:
    known = [row for row in fields_of(path).values() if row.fate == "mapped"]
    return {row.field: sent(row, random) for row in known if random.random() < 0.7}


def health_record(invented: Invented) -> HealthRecord:
    """A record of an invented person, every field of the table filled seven times of ten, with any text."""
    random = Random(invented.serial)
    record = HealthRecord()
    for path in dict.fromkeys(row.path for row in fields()):
        if path in REPEATED:
            record.rows[path] = [row for _ in range(random.randint(0, 3)) if (row := filled(path, random))]
        elif path == VISIT:
            record.visits = [recorded_visit(number, random) for number in range(random.randint(0, 3))]
        elif path not in (HEADER, *OF_A_VISIT):
            record.single[path] = filled(path, random)
    record.single[HEADER] = {"SENDER_CODE": invented.place.facility}
    record.single[PERSON] |= {
        "MABHXH": invented.bhxh,
        "MATHE": invented.card,
        "HOTEN": invented.name,
        "GIOITINH": {"male": "1", "female": "2"}.get(invented.sex, "3"),
        "NGAYSINH": f"{invented.born:%d/%m/%Y}",
        "DIACHI_HIENTAI": invented.address,
    }
    return record


def recorded_visit(number: int, random: Random) -> RecordedVisit:
    rows = {path: [row for _ in range(2) if (row := filled(path, random))] for path in OF_A_VISIT}
    return RecordedVisit(filled(VISIT, random) | {"MA_LK": f"LK{number}", "NGAYKHAM": "19/11/2026"}, rows)


def made(record: HealthRecord, patient: dict[str, Any] | None = None) -> Iterator[dict[str, Any]]:
    """The resources of a record, and each once more as a later record would withdraw it."""
    yield patient or patient_of(record.of(PERSON))[0]
    for entry in mapped(record, "Patient/p", record_key(record))[0]["entry"]:
        yield entry["resource"]
        yield in_error(entry["resource"])


OF_A_RECORD = {
    *(profile_names.PATIENT, profile_names.RELATED_PERSON, profile_names.ENCOUNTER, profile_names.CONDITION),
    *(profile_names.BLOOD_GROUP, profile_names.PATIENT_HISTORY, profile_names.EXAM_FINDING, profile_names.VITAL_SIGN),
    *(profile_names.LABORATORY, profile_names.ALLERGY, profile_names.FAMILY_HISTORY, profile_names.IMMUNIZATION),
}


def test_the_health_record_of_the_samples() -> None:
    found = check(made(read_record(SAMPLE.read_bytes())[0]))
    assert set(found) == OF_A_RECORD
    assert (found.total(), found[profile_names.PATIENT]) == (2 * 38 + 1, 1)


@pytest.mark.parametrize(
    ("profile", "left_out", "told"),
    [
        (profile_names.EXAM_FINDING, "encounter", "Observation.encounter"),
        (profile_names.EXAM_FINDING, "valueString", "Observation.value"),
        (profile_names.EXAM_FINDING, "category", "Observation.category"),
        (profile_names.PATIENT_HISTORY, "subject", "Observation.subject"),
        (profile_names.RELATED_PERSON, "identifier", "RelatedPerson.identifier"),
    ],
)
def test_what_does_not_keep_a_profile_is_told_where(profile: str, left_out: str, told: str) -> None:
    named = [each for each in made(read_record(SAMPLE.read_bytes())[0]) if each["meta"]["profile"] == [profile]]
    without = [{key: value for key, value in each.items() if key != left_out} for each in named if left_out in each]
    assert without
    assert [broken(each, profile) for each in without] == [[told]] * len(without)


def test_a_category_is_the_one_of_its_profile() -> None:
    (finding, *_) = (
        each
        for each in made(read_record(SAMPLE.read_bytes())[0])
        if each["meta"]["profile"] == [profile_names.EXAM_FINDING]
    )
    other = {**finding, "category": [person.concept(systems.OBSERVATION_CATEGORY, "survey")]}
    assert broken(other, profile_names.EXAM_FINDING) == ["Observation.category[0]"]


def test_300_generated_health_records() -> None:
    found: Counter[str] = Counter()
    for invented in people(300):
        record = read_record(to_xml(health_record(invented)))[0]
        assert refusals(record) == []
        found += check(made(record))
    assert set(found) == OF_A_RECORD
    assert found[profile_names.PATIENT] == 300
    assert min(found.values()) >= 300


def visit_payload(invented: Invented) -> dict[str, Any]:
    """The visit of the documentation, of somebody else; some without a number, some with little told."""
    found = re.search(r"```json\n(.*?)```", EXAMPLE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    payload: dict[str, Any] = json.loads(found[1])
    who = {"name": invented.name, "birthDate": invented.born.isoformat(), "gender": invented.sex}
    numbers = {"card": invented.card, "cccd": invented.cccd} if invented.serial % 3 else {}
    payload |= {"facility": invented.place.facility, "person": {**who, **numbers, "address": invented.address}}
    left_out = ("vitals", "diagnoses", "prescriptions", "allergies", "practitioner", "advice", "reason")
    return {
        name: value
        for position, (name, value) in enumerate(payload.items())
        if name not in left_out or (invented.serial >> position % 4) % 2
    }


def test_300_generated_visits_of_clinics() -> None:
    found: Counter[str] = Counter()
    for invented in people(300):
        visit, problems = clinic_json.read_visit(visit_payload(invented))
        assert visit is not None, problems
        record = clinic_json.record_of_visit(visit)
        patient = clinic_json.patient_of_visit(record)[0]
        entries = mapped(record, "Patient/p", "key")[0]["entry"]
        found += check([patient, *(entry["resource"] for entry in entries)])
    assert found[profile_names.PATIENT] == found[profile_names.ENCOUNTER] == 300
    assert set(found) == {
        *(profile_names.PATIENT, profile_names.ENCOUNTER, profile_names.VITAL_SIGN, profile_names.EXAM_FINDING),
        *(profile_names.CONDITION, profile_names.MEDICATION_REQUEST, profile_names.ALLERGY),
    }


def change(invented: Invented, sequence: int, kind: str, **more: Any) -> resident_changes.Change:
    known = {"registration": f"KS-{invented.serial}"}
    message = {"sender": "CA79", "sequence": sequence, "recorded": "2026-11-20T08:00:00+07:00", "kind": kind}
    read, problems = resident_changes.read_change({**message, "person": known, **more})
    assert read is not None, problems
    return read


def test_300_births_and_what_becomes_of_the_children() -> None:
    found: Counter[str] = Counter()
    for invented in people(300):
        born = {"name": invented.name, "birthDate": invented.born.isoformat(), "gender": invented.sex}
        mother = {"bhyt": invented.card} | ({"name": "Lò Thị Mẫu"} if invented.serial % 2 else {})
        birth = change(invented, 1, "birth", changes=born, mother=mother)
        child, related = resident_changes.newborn(birth), resident_changes.mother_of(birth, "Patient/p")
        assert related is not None
        told = [birth]
        states: list[dict[str, Any]] = [child, related]
        for kind, said in (
            ("move", {"address": invented.address}),
            ("correction", {"cccd": invented.cccd, "gender": "unknown", "name": "Mẫu"}),
            ("death", {"deceased": "2026"}),
        ):
            told.append(change(invented, len(told) + 1, kind, changes=said))
            child = resident_changes.applied(child, told[-1], told)
            states.append(child)
        found += check(states)
    assert found == {profile_names.PATIENT: 1200, profile_names.RELATED_PERSON: 300}


@pytest.mark.parametrize("numbered", [True, False])
def test_300_forms_that_staff_fill_in(numbered: bool) -> None:
    found: Counter[str] = Counter()
    for invented in people(300):
        form = {"name": invented.name, "birth_date": f"{invented.born:%d/%m/%Y}", "sex": invented.sex}
        form |= {"address": invented.address, "guardian_name": "Lò Thị Mẫu", "facility": invented.place.facility}
        form |= {"bhyt": invented.card, "cccd": invented.cccd} if numbered else {}
        account = staff_form.read_form(form, today="2026-11-24")
        number = f"VD-79001-20261124-{invented.serial}"
        temporary = {**person.identifier("temporary", number, period=period("2026-11-24", None)), "use": "temp"}
        waiting = {**account.patient, "identifier": [*account.patient.get("identifier", ()), temporary]}
        found += check([account.patient, waiting, *account.coverages])
    assert found == {profile_names.PATIENT: 600} | ({profile_names.COVERAGE: 300} if numbered else {})


def test_300_cards_of_each_kind_that_are_scanned() -> None:
    found: Counter[str] = Counter()
    for invented in people(300):
        sex = "Nữ" if invented.sex == "female" else "Nam"
        cccd = f"{invented.cccd}|02512{invented.serial % 10000:04}|{invented.name}|{invented.born:%d%m%Y}|{sex}|{invented.address}|"
        name, home = (text.encode().hex() for text in (invented.name, invented.address))
        area = ("", "K1", "K2", "K3", "K9")[invented.serial % 5]
        bhyt = (
            f"{invented.card}|{name}|{invented.born:%d/%m/%Y}|{2 - (sex == 'Nam')}|{home}|79 - 001|01/01/2026|31/12/2026"
            f"|15/12/2025|7900|-|{area}|01/01/2024"
        )
        for text in (cccd, bhyt):
            account = card_qr.read_qr(text)
            found += check([account.patient, *account.coverages])
    assert found == {profile_names.PATIENT: 600, profile_names.COVERAGE: 300}
