"""Lists at the desk: imported with the rights of whoever hands them in, taken up again, beside those of the command line."""

from __future__ import annotations

import io
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from fhir_server.access import audit_record, staff
from fhir_server.app import create_app
from fhir_server.commands.imports import import_roster, import_self_declared
from fhir_server.config import Config
from fhir_server.desk import import_pages
from fhir_server.desk.uploads import Uploads
from fhir_server.errors import FhirError
from fhir_server.importing import Imports
from tests.desk.conftest import OPEN, PASSWORD, send, sign_in
from tests.desk.test_desk_paging import next_link
from tests.desk.test_desk_people import stored

HEADER = "Họ tên,Ngày sinh,Giới tính,Mã thẻ BHYT\n"
LIST = HEADER + "Lê Thị Hoa,05/03/1980,Nữ,GD4790000000123\nLê Văn Bình,ngày nào đó,Nam,GD4790000000999\n"


def ended(repository: Any) -> dict[str, Any]:
    """The one upload, when its import has ended."""
    for _ in range(400):
        upload = repository.store.database["roster_uploads"].find_one()
        if upload["state"] in ("done", "failed"):
            return upload
        time.sleep(0.05)
    raise AssertionError("the import does not end")


def hand_in(browser: Any, text: str = LIST) -> None:
    assert send(browser, "/desk/imports", file=(io.BytesIO(text.encode()), "xa.csv")).status_code == 303


def context_of(repository: Any, role: str) -> Any:
    staff.add_account(repository.store.database, role, PASSWORD, roles=[role], facility="79001")
    (account,) = [each for each in staff.all_accounts(repository.store.database) if each.id == role]
    return account.context("192.0.2.7")


def test_a_list_is_imported_and_recorded_in_the_name_of_whoever_hands_it_in(repository, tmp_path):
    config = Config.from_environment({}, data=tmp_path, audit="yes")
    browser = create_app(repository, config=config).test_client()
    staff.add_account(repository.store.database, "mai", PASSWORD, roles=["admin"], facility="79001")
    sign_in(browser, "mai")
    hand_in(browser)
    assert ended(repository)["summary"]["created"] == 1
    (job,) = repository.store.database["jobs"].find()
    assert (job["actor"], job["order"]) == ("staff:mai", {"file": "xa.csv"})
    for _ in range(100):
        lines = b"".join(path.read_bytes() for path in sorted(config.audit_spool.rglob("*.spool"))).splitlines()
        records = [each for each in map(audit_record.from_line, lines) if each.bulk]
        if records:
            break
        time.sleep(0.05)
    (record,) = records
    assert (record.kind, record.actor, record.status, record.origin) == ("import", "staff:mai", 200, "127.0.0.1")
    assert (record.details["file"], record.details["created"], record.details["rejected"]) == ("xa.csv", "1", "1")


@pytest.mark.parametrize("role", ["clinician", "auditor"])
def test_the_door_holds_an_import_to_the_scopes_of_the_account(repository, tmp_path, role):
    uploads = Uploads(repository, Config.from_environment({}, data=tmp_path))
    upload = uploads.take("xa.csv", LIST.encode(), context_of(repository, role))
    assert upload.actor == f"staff:{role}"
    found = ended(repository)
    assert stored(repository, "Patient") == []
    assert stored(repository, "Coverage") == []
    assert (found["state"], found["summary"].get("created", 0)) in (("failed", 0), ("done", 0))


def test_what_is_ready_to_be_stored_is_asked_for_its_scope_too(repository):
    from fhir_server.importing import prepare

    patient = {"resourceType": "Patient", "name": [{"text": "Lê Thị Hoa"}]}
    assert len(prepare(repository, context_of(repository, "registrar"), [("a", patient)])) == 1
    with pytest.raises(FhirError):
        prepare(repository, context_of(repository, "clinician"), [("a", patient)])


def test_who_hides_a_record_from_the_facility_does_not_come_in_a_second_time(browser_of, repository):
    browser = browser_of("admin", facility="79001")
    hand_in(browser)
    ended(repository)
    (patient,) = stored(repository, "Patient")
    consent = {
        "resourceType": "Consent",
        "status": "active",
        "scope": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]
        },
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "policyRule": {"coding": [{"code": "OPTOUT"}]},
        "patient": {"reference": f"Patient/{patient['id']}"},
        "provision": {"type": "deny"},
    }
    repository.create(OPEN, "Consent", consent)
    assert browser.get(f"/desk/person/{patient['id']}").status_code == 404
    repository.store.database["roster_uploads"].delete_many({})
    hand_in(browser, LIST + "Trần Thị Mai,05/03/1981,Nữ,GD4790000000555\n")
    assert ended(repository)["summary"]["created"] == 1
    assert len(stored(repository, "Patient")) == 2


def interrupted(repository: Any, data: Path, text: str | None) -> str:
    """An upload whose process died long ago, with its file when there is one."""
    (data / "uploads").mkdir(parents=True)
    if text is not None:
        (data / "uploads" / "a1.csv").write_text(text, encoding="utf-8")
    at = datetime(2020, 1, 1, tzinfo=UTC)
    upload = {"_id": "a1", "name": "xa.csv", "actor": "staff:mai", "received": at, "seen": at, "state": "running"}
    repository.store.database["roster_uploads"].insert_one(upload | {"rows": 7, "share": 0.5})
    return "a1"


def test_an_import_whose_process_died_goes_on_at_the_press_of_a_button(browser_of, repository, tmp_path):
    browser = browser_of("admin")
    upload = interrupted(repository, tmp_path, LIST)
    page = browser.get("/desk/imports").text
    assert "bị ngắt" in page
    assert f'name="again" value="{upload}"' in page
    assert send(browser, "/desk/imports", again=upload).status_code == 303
    found = ended(repository)
    assert (found["state"], found["summary"]["created"]) == ("done", 1)
    assert "bị ngắt" not in browser.get("/desk/imports").text
    # What is done is not begun anew.
    assert send(browser, "/desk/imports", again=upload).status_code == 422


def test_an_interrupted_import_whose_file_is_gone_says_what_to_do(browser_of, repository, tmp_path):
    browser = browser_of("admin")
    send(browser, "/desk/imports", again=interrupted(repository, tmp_path, None))
    assert ended(repository)["state"] == "failed"
    assert "Hãy chọn lại tệp" in browser.get("/desk/imports").text


def test_imports_of_the_command_line_are_listed_with_what_came_of_them(browser_of, repository, tmp_path, monkeypatch):
    console = Console(file=io.StringIO())
    roster = tmp_path / "toan tinh.csv"
    roster.write_text(LIST, encoding="utf-8")
    import_roster(console, repository, roster, tmp_path / "rejected.csv")
    broken = tmp_path / "tu khai.json"
    broken.write_text("{", encoding="utf-8")
    with pytest.raises(json.JSONDecodeError):
        import_self_declared(console, repository, broken)
    imports = Imports(repository, lease_seconds=0)
    died = imports.begin(OPEN, "roster x", file="bị ngắt giữa chừng.csv")
    imports.tell(died, {"summary": {"read": 5}})
    browser = browser_of("admin")
    page = browser.get("/desk/imports").text
    jobs = page[page.index('id="jobs"') :]
    for told in (
        "toan tinh.csv",
        "roster · import",
        "1 / 0 / 0",
        "tu khai.json",
        "hỏng: JSONDecodeError",
        "chạy lại đúng lệnh",
    ):
        assert told in jobs, told
    # What was handed in at the desk is listed there, and not once more.
    hand_in(browser, LIST.replace("0123", "0777"))
    ended(repository)
    page = browser.get("/desk/imports").text
    assert page.count("xa.csv") == 1
    monkeypatch.setattr(import_pages, "SHOWN", 2)
    first = browser.get("/desk/imports")
    further = next_link(first)
    assert further == "/desk/imports?jobs=2"
    assert "toan tinh.csv" in browser.get(further).text
