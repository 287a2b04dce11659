"""What integrators, administrators and auditors look at: Bundles, imports, the gateway, the audit trail."""

from __future__ import annotations

import io
import json
import time
from datetime import UTC, datetime
from typing import Any

from fhir_server.intake import resident_inbox
from fhir_server.intake.gateway.documents import GatewayRequest, GatewayVisit, documents
from tests.desk.conftest import OPEN, send
from tests.desk.test_desk_people import stored

GOOD = {"resourceType": "Patient", "name": [{"text": "Lê Thị Hoa"}]}
BAD = {"resourceType": "Patient", "birthDate": "hôm qua"}


def bundle(kind: str, *resources: dict[str, Any]) -> str:
    entries = [{"resource": each, "request": {"method": "POST", "url": "Patient"}} for each in resources]
    return json.dumps({"resourceType": "Bundle", "type": kind, "entry": entries})


def again(page: Any) -> dict[str, Any]:
    """What stands in the field to be mended."""
    from html import unescape

    text = page.text.partition("<textarea")[2].partition(">")[2].partition("</textarea>")[0]
    return json.loads(unescape(text))


def test_a_dry_run_says_what_is_wrong_with_each_entry_and_stores_nothing(browser_of, repository):
    browser = browser_of("integrator")
    page = send(browser, "/desk/bundle", action="try", text=bundle("transaction", GOOD, BAD, GOOD))
    assert "Số mục bị từ chối: 1" in page.text
    assert "Patient.birthDate" in page.text
    assert page.text.count(">đạt<") == 2
    page = send(browser, "/desk/bundle", action="try", text=bundle("transaction", GOOD, GOOD))
    assert "Không có lỗi" in page.text
    assert stored(repository, "Patient") == []


def test_a_dry_run_finds_what_only_the_whole_transaction_shows(browser_of, repository):
    asked = {"method": "PUT", "url": "Patient/x", "ifMatch": 'W/"7"'}
    stale = {"resource": GOOD | {"id": "x"}, "request": asked}
    text = json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": [stale]})
    page = send(browser_of("integrator"), "/desk/bundle", action="try", text=text)
    assert "Số mục bị từ chối: 1" in page.text
    assert stored(repository, "Patient") == []


def test_of_a_batch_only_what_failed_is_left_to_send_again(browser_of, repository):
    browser = browser_of("integrator")
    page = send(browser, "/desk/bundle", action="send", text=bundle("batch", GOOD, BAD, GOOD))
    assert len(stored(repository, "Patient")) == 2
    left = again(page)
    assert [entry["resource"]["birthDate"] for entry in left["entry"]] == ["hôm qua"]
    left["entry"][0]["resource"]["birthDate"] = "1980-03-05"
    page = send(browser, "/desk/bundle", action="send", text=json.dumps(left))
    assert "Không có lỗi" in page.text
    assert len(stored(repository, "Patient")) == 3


def test_a_transaction_is_stored_whole_or_not_at_all(browser_of, repository):
    browser = browser_of("integrator")
    page = send(browser, "/desk/bundle", action="send", text=bundle("transaction", GOOD, BAD))
    assert "bị từ chối" in page.text
    assert ">không lưu<" in page.text
    assert len(again(page)["entry"]) == 2
    assert stored(repository, "Patient") == []


def test_a_bundle_may_be_a_file_in_xml_and_what_is_none_is_told(browser_of, repository):
    browser = browser_of("integrator")
    xml = (
        '<Bundle xmlns="http://hl7.org/fhir"><type value="batch"/><entry><resource><Patient><gender value="male"/>'
        '</Patient></resource><request><method value="POST"/><url value="Patient"/></request></entry></Bundle>'
    )
    page = send(browser, "/desk/bundle", action="send", file=(io.BytesIO(xml.encode()), "b.xml"))
    assert "Không có lỗi" in page.text
    assert [each["gender"] for each in stored(repository, "Patient")] == ["male"]
    for text in (
        "",
        "[]",
        '{"resourceType":"Patient"}',
        bundle("batch"),
        '{"resourceType":"Bundle","type":"batch","entry":[1]}',
        "<!DOCTYPE x><x/>",
    ):
        assert send(browser, "/desk/bundle", action="send", text=text).status_code == 422, text


def test_a_roster_is_imported_and_its_rejected_rows_are_told(browser_of, repository):
    browser = browser_of("admin")
    header = "Họ tên,Ngày sinh,Giới tính,Mã thẻ BHYT\n"
    text = header + "Lê Thị Hoa,05/03/1980,Nữ,GD4790000000123\n=1+1,ngày nào đó,Nữ,GD4790000000999\n"
    taken = send(browser, "/desk/imports", file=(io.BytesIO(text.encode()), "danh sach.csv"))
    assert taken.status_code == 303
    for _ in range(200):
        upload = repository.store.database["roster_uploads"].find_one()
        if upload["state"] in ("done", "failed"):
            break
        time.sleep(0.05)
    assert (upload["state"], upload["summary"]["created"], upload["summary"]["rejected"]) == ("done", 1, 1)
    assert "danh sach.csv" in browser.get("/desk/imports").text
    assert "ngày nào đó" in browser.get(f"/desk/imports/{upload['_id']}").text
    file = browser.get(f"/desk/imports/{upload['_id']}/rejected.csv")
    assert file.headers["Content-Type"].startswith("text/csv")
    assert "\n=" not in file.text
    assert ",=" not in file.text
    assert send(browser, "/desk/imports", file=(io.BytesIO(b"x"), "x.exe")).status_code == 422
    assert send(browser, "/desk/imports").status_code == 422


def visit(repository: Any, facility: str, ma_lk: str, status: str) -> None:
    at = datetime.now(UTC)
    error = {"severity": "error", "code": "REQUIRED", "field_path": "XML2[1].MA_THUOC", "message": "Thiếu mã thuốc <b>"}
    result = {"facility": facility, "ma_lk": ma_lk, "outcome": "rejected", "status": status, "errors": [error]}
    errors = [result] if status == "INVALID" else []
    common: dict[str, Any] = {"facility": facility, "received": at, "status": status, "number": 1}
    request = GatewayRequest(id=ma_lk, kind="visit", actor="a", keys=["k"], content_hash="h", results=errors, **common)
    documents(repository, GatewayRequest).insert(request, load_bulk=False)
    shown = GatewayVisit(id=f"{facility}|{ma_lk}", ma_lk=ma_lk, latest_tracking_id=ma_lk, **common)
    documents(repository, GatewayVisit).insert(shown, load_bulk=False)


def test_the_gateway_is_reconciled_by_outcome_and_facility(browser_of, repository):
    visit(repository, "79001", "LK-1", "VALID")
    visit(repository, "79002", "LK-2", "INVALID")
    admin = browser_of("admin")
    page = admin.get("/desk/gateway").text
    assert "LK-1" in page
    assert "XML2[1].MA_THUOC" in page
    assert "Thiếu mã thuốc &lt;b&gt;" in page
    wrong = send(admin, "/desk/gateway", status="has_error").text
    assert ("LK-1" in wrong, "LK-2" in wrong) == (False, True)
    own = browser_of("integrator", facility="79001")
    page = send(own, "/desk/gateway", facility="79002").text
    assert ("LK-1" in page, "LK-2" in page) == (True, False)
    assert "LK-1" not in send(admin, "/desk/gateway", begin="2020-01-01", end="2020-02-01").text


def test_changes_of_residents_that_wait_are_listed_with_the_reason(browser_of, repository):
    at = datetime.now(UTC)
    for number, status in enumerate((resident_inbox.WAITING, resident_inbox.APPLIED)):
        message = resident_inbox.ResidentMessage(
            id=f"so-lao-dong|{number}",
            sender="so-lao-dong",
            content_hash="h",
            payload={"a": 1},
            status=status,
            reason="Chưa có <người> này",
            actor="a",
            received=at,
            tried=at,
        )
        resident_inbox.messages(repository).insert(message, load_bulk=False)
    page = browser_of("registrar").get("/desk/residents").text
    assert "so-lao-dong|0" in page
    assert "so-lao-dong|1" not in page
    assert "Chưa có &lt;người&gt; này" in page


def event(repository: Any, patient: str, actor: str, day: str, reason: str) -> None:
    repository.create(
        OPEN,
        "AuditEvent",
        {
            "resourceType": "AuditEvent",
            "type": {"code": "rest"},
            "subtype": [{"code": "read"}],
            "recorded": f"{day}T08:00:00Z",
            "outcome": "0",
            "agent": [{"altId": actor, "requestor": True}],
            "source": {"observer": {"display": "x"}},
            "purposeOfEvent": [{"coding": [{"code": "TREAT"}], **({"text": reason} if reason else {})}],
            "entity": [{"what": {"reference": f"Patient/{patient}"}}],
        },
    )


def test_the_audit_trail_is_searched_by_patient_actor_and_day(browser_of, add_person, repository):
    a, b = add_person("Nguyễn Văn An"), add_person("Lê Văn Bình")
    event(repository, a, "staff:lan", "2026-02-01", "=HYPERLINK(1)")
    event(repository, b, "client:his", "2026-02-03", "")
    browser = browser_of("auditor")

    def lines(**asked: str) -> int:
        return send(browser, "/desk/audit", action="show", **asked).text.count('data-name="Ai"')

    assert lines() == 2
    assert lines(patient=a) == 1
    assert lines(actor="client:his") == 1
    assert lines(begin="2026-02-02", end="2026-02-28") == 1
    assert lines(patient=a, actor="client:his") == 0
    assert send(browser, "/desk/audit", begin="hôm qua").status_code == 422
    assert send(browser, "/desk/audit", patient="x,Patient/y").status_code == 422
    file = send(browser, "/desk/audit", action="csv", patient=a)
    assert "'=HYPERLINK(1)" in file.text
