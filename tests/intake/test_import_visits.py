"""Importing clinic visits into a real store: sent once, sent again, changed, withdrawn."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhir_server.access.context import AccessContext
from fhir_server.intake.roster import import_roster
from fhir_server.intake.visits import VisitsSummary, import_visits
from fhir_server.repository import Repository
from fhir_server.resource import exact
from mappings import systems

CTX = AccessContext.unrestricted("test")
DATA = Path(__file__).parents[1] / "mappings" / "data"
SAMPLE = DATA / "giamdinhhs_visit.xml"
MA_LK = "79001_2611_000001"
KINDS = ("Patient", "Encounter", "Condition", "Observation", "ClinicalImpression")


def imported(repository: Repository, *paths: Path) -> VisitsSummary:
    return import_visits(repository, CTX, paths)


def counts(summary: VisitsSummary) -> tuple[int, int, int, int, int]:
    return summary.visits, summary.created, summary.updated, summary.unchanged, len(summary.rejected)


def found(repository: Repository, resource_type: str, **query: str) -> list[dict[str, Any]]:
    page = repository.search(CTX, resource_type, [*query.items(), ("_count", "100")])
    return [exact.parse(stored.json) for _, stored in page.entries if stored.json]


def versions(repository: Repository) -> dict[str, int]:
    return {kind: len(repository.history(CTX, kind, query=[("_count", "1000")]).entries) for kind in KINDS}


def edited(folder: Path, edit: Callable[[str], str]) -> Path:
    """The sample with the same edit made in each of its tables."""

    def again(match: re.Match[bytes]) -> bytes:
        body = edit(base64.b64decode(match[1]).decode())
        return b"<NOIDUNGFILE>" + base64.b64encode(body.encode()) + b"</NOIDUNGFILE>"

    path = folder / "edited.xml"
    path.write_bytes(re.sub(rb"<NOIDUNGFILE>(.*?)</NOIDUNGFILE>", again, SAMPLE.read_bytes(), flags=re.DOTALL))
    return path


def row(repository: Repository, key: str) -> dict[str, Any]:
    (observation,) = found(repository, "Observation", identifier=f"{systems.visit_row_system('79001')}|{MA_LK}/{key}")
    return observation


def test_a_visit_finds_its_person_in_the_roster(repository: Repository) -> None:
    import_roster(repository, CTX, DATA / "bhyt_roster_dirty.csv")
    (before,) = found(repository, "Patient", identifier="079185000123")
    assert counts(imported(repository, SAMPLE)) == (1, 1, 0, 0, 0)
    (patient,) = found(repository, "Patient", identifier="079185000123")
    assert patient == before
    (encounter,) = found(repository, "Encounter", patient=f"Patient/{patient['id']}")
    assert encounter["identifier"][0]["value"] == MA_LK
    assert versions(repository) == {
        "Patient": 5,
        "Encounter": 1,
        "Condition": 3,
        "Observation": 6,
        "ClinicalImpression": 1,
    }


def test_each_clinical_value_is_found_by_search(repository: Repository) -> None:
    imported(repository, SAMPLE)
    (patient,) = found(repository, "Patient", identifier="7900000123")
    owner = f"Patient/{patient['id']}"
    (hemoglobin,) = found(repository, "Observation", patient=owner, code="http://loinc.org|718-7")
    assert hemoglobin["valueQuantity"]["value"] == Decimal("13.1")
    (leukocytes,) = found(repository, "Observation", code="6690-2", date="2026-11-20")
    assert leukocytes["valueQuantity"]["value"] == Decimal("12.4")
    (weight,) = found(repository, "Observation", patient=owner, code="29463-7")
    assert str(weight["valueQuantity"]["value"]) == "52.50"
    (group,) = found(repository, "Observation", patient=owner, code="882-1")
    assert group["valueCodeableConcept"]["text"] == "O+"
    assert len(found(repository, "Observation", patient=owner, category="laboratory")) == 5
    (main,) = found(repository, "Condition", patient=owner, code="J02.9")
    (encounter,) = found(repository, "Encounter", patient=owner)
    assert encounter["diagnosis"][0]["condition"] == {"reference": f"Condition/{main['id']}"}
    assert main["encounter"] == {"reference": f"Encounter/{encounter['id']}"}


def test_the_same_visit_again_writes_nothing(repository: Repository) -> None:
    imported(repository, SAMPLE)
    before = versions(repository)
    assert counts(imported(repository, SAMPLE)) == (1, 0, 0, 1, 0)
    assert counts(imported(repository, SAMPLE, SAMPLE)) == (2, 0, 0, 2, 0)
    assert versions(repository) == before


def test_the_same_visit_twice_in_one_import_is_one_visit(repository: Repository) -> None:
    assert counts(imported(repository, SAMPLE, SAMPLE)) == (2, 1, 0, 1, 0)
    assert len(found(repository, "Patient")) == 1


def test_a_late_result_fills_its_row_and_touches_nothing_else(repository: Repository, tmp_path: Path) -> None:
    imported(repository, SAMPLE)
    before = versions(repository)
    assert row(repository, "XML4/4")["status"] == "registered"
    late = edited(
        tmp_path,
        lambda text: re.sub(
            r"(Cấy máu]]></TEN_CHI_SO><GIA_TRI>)(.*?<NGAY_KQ>)", r"\1Âm tính\g<2>202611231000", text, flags=re.DOTALL
        ),
    )
    assert counts(imported(repository, late)) == (1, 0, 1, 0, 0)
    culture = row(repository, "XML4/4")
    assert (culture["status"], culture["valueString"], culture["meta"]["versionId"]) == ("final", "Âm tính", "2")
    assert versions(repository) == before | {"Observation": 7}


def test_a_result_that_vanished_is_entered_in_error_and_comes_back(repository: Repository, tmp_path: Path) -> None:
    imported(repository, SAMPLE)
    without = edited(
        tmp_path,
        lambda text: re.sub(r"<CHI_TIET_CLS>(?:(?!</CHI_TIET_CLS>).)*WBC.*?</CHI_TIET_CLS>", "", text, flags=re.DOTALL),
    )
    assert counts(imported(repository, without)) == (1, 0, 1, 0, 0)
    assert row(repository, "XML4/2")["status"] == "entered-in-error"
    assert row(repository, "XML4/1")["meta"]["versionId"] == "1"
    assert counts(imported(repository, without)) == (1, 0, 0, 1, 0)
    assert counts(imported(repository, SAMPLE)) == (1, 0, 1, 0, 0)
    assert row(repository, "XML4/2")["status"] == "final"


def test_a_diagnosis_that_was_replaced_is_entered_in_error(repository: Repository, tmp_path: Path) -> None:
    imported(repository, SAMPLE)
    other = edited(tmp_path, lambda text: text.replace("J02.9", "J03.9"))
    assert counts(imported(repository, other)) == (1, 0, 1, 0, 0)
    (old,) = found(repository, "Condition", code="J02.9")
    assert old["verificationStatus"]["coding"][0]["code"] == "entered-in-error"
    assert "clinicalStatus" not in old
    (new,) = found(repository, "Condition", code="J03.9")
    (encounter,) = found(repository, "Encounter")
    assert encounter["diagnosis"][0]["condition"] == {"reference": f"Condition/{new['id']}"}


def test_what_others_wrote_about_the_visit_is_not_withdrawn(repository: Repository, tmp_path: Path) -> None:
    imported(repository, SAMPLE)
    (encounter,) = found(repository, "Encounter")
    note = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "Ghi chú"},
        "subject": encounter["subject"],
        "encounter": {"reference": f"Encounter/{encounter['id']}"},
        "valueString": "x",
    }
    made = repository.create(CTX, "Observation", note)
    imported(repository, edited(tmp_path, lambda text: text.replace("Ho, sốt 2 ngày", "Ho")))
    assert repository.read(CTX, "Observation", made.stored.id).version == 1


def test_an_unknown_person_is_made_once(repository: Repository) -> None:
    imported(repository, SAMPLE)
    (patient,) = found(repository, "Patient")
    assert patient["birthDate"] == "1985-09-02"
    assert [entry["value"] for entry in patient["identifier"]] == [
        "GD4797900000123",
        "7900000123",
        "079185000123",
        "BN000001",
    ]


def test_a_person_without_any_number_stays_one_person(repository: Repository, tmp_path: Path) -> None:
    nameless = edited(
        tmp_path,
        lambda text: re.sub(r"<(SO_CCCD|MA_THE_BHYT|MA_BN)>.*?</\1>", "", text, flags=re.DOTALL),
    )
    assert counts(imported(repository, nameless)) == (1, 1, 0, 0, 0)
    assert counts(imported(repository, nameless)) == (1, 0, 0, 1, 0)
    assert len(found(repository, "Patient")) == 1


def test_a_number_with_another_birth_date_is_a_new_person_and_a_question(
    repository: Repository, tmp_path: Path
) -> None:
    import_roster(repository, CTX, DATA / "bhyt_roster_dirty.csv")
    (mother,) = found(repository, "Patient", identifier="079185000123")
    newborn = edited(tmp_path, lambda text: text.replace("198509020000", "202611190430"))
    summary = imported(repository, newborn)
    assert counts(summary) == (1, 1, 0, 0, 0)
    assert any("cần cán bộ xem xét" in remark for remark in summary.remarks)
    (child,) = found(repository, "Patient", birthdate="2026-11-19")
    (task,) = found(repository, "Task", code="possible-duplicate", status="requested")
    assert task["focus"] == {"reference": f"Patient/{child['id']}"}
    assert task["for"] == {"reference": f"Patient/{mother['id']}"}
    (encounter,) = found(repository, "Encounter")
    assert encounter["subject"] == {"reference": f"Patient/{child['id']}"}
    assert counts(imported(repository, newborn)) == (1, 0, 0, 1, 0)
    assert len(found(repository, "Task")) == 1


def without_numbers(text: str) -> str:
    return re.sub(r"<(SO_CCCD|MA_THE_BHYT|MA_BN)>.*?</\1>", "", text, flags=re.DOTALL)


def test_a_visit_without_numbers_asks_whether_it_is_who_has_the_same_name_and_birth_date(
    repository: Repository, tmp_path: Path
) -> None:
    import_roster(repository, CTX, DATA / "bhyt_roster_dirty.csv")
    (known,) = found(repository, "Patient", identifier="079185000123")
    assert counts(imported(repository, edited(tmp_path, without_numbers))) == (1, 1, 0, 0, 0)
    (task,) = found(repository, "Task", code="possible-duplicate")
    assert task["for"] == {"reference": f"Patient/{known['id']}"}
    assert task["input"][1]["valueString"] == "same name; same birth date; same sex"


def test_a_newborn_under_its_mothers_name_is_no_question_without_a_number(
    repository: Repository, tmp_path: Path
) -> None:
    import_roster(repository, CTX, DATA / "bhyt_roster_dirty.csv")
    newborn = edited(tmp_path, lambda text: without_numbers(text).replace("198509020000", "202611190430"))
    assert counts(imported(repository, newborn)) == (1, 1, 0, 0, 0)
    assert found(repository, "Task") == []


def test_a_visit_stays_with_who_was_merged_when_it_is_sent_again(repository: Repository, tmp_path: Path) -> None:
    visit = edited(tmp_path, without_numbers)
    imported(repository, visit)
    (before,) = found(repository, "Encounter")
    import_roster(repository, CTX, DATA / "bhyt_roster_dirty.csv")
    (known,) = found(repository, "Patient", identifier="079185000123")
    repository.merging.merge(CTX, before["subject"]["reference"].removeprefix("Patient/"), known["id"])
    assert counts(imported(repository, SAMPLE)) == (1, 0, 1, 0, 0)
    (after,) = found(repository, "Encounter", patient=f"Patient/{known['id']}")
    assert after["subject"] == before["subject"]


@pytest.mark.parametrize("content", [b"", b"<HOSO/>", b'<!DOCTYPE a SYSTEM "http://127.0.0.1/x"><GIAMDINHHS/>'])
def test_a_file_that_cannot_be_read_stops_no_other(repository: Repository, tmp_path: Path, content: bytes) -> None:
    bad = tmp_path / "bad.xml"
    bad.write_bytes(content)
    summary = imported(repository, bad, SAMPLE)
    assert (summary.files, summary.created) == (2, 1)
    assert [rejected[0] for rejected in summary.rejected] == ["bad.xml"]
