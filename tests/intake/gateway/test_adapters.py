"""Groups B and C: the same visits, multipart, with the counts in the answer."""

from __future__ import annotations

import io

import pytest

from fhir_server.intake.gateway import queue, worker
from mappings.giamdinhhs import MAX_BYTES
from tests.intake.gateway.conftest import MA_LK, PASSWORD, SAMPLE, edited
from tests.intake.gateway.test_visits import INVALID, with_invalid_visit

B = "/csdl-4750/import-csdl-4750-by-xml-file"
C = "/api/csdl-3176/import-csdl-3176-by-xml-file-khong-dong-bo"


def upload(hospital, path, xml=SAMPLE, **more):
    return hospital.upload(path, file=(io.BytesIO(xml), "ho_so.xml"), **more)


@pytest.mark.parametrize(("path", "time"), [("/get-token", 180), ("/api/get-token", "180")])
def test_the_token_comes_by_multipart_and_opens_the_other_calls(client, account, path, time):
    form = {"username": account, "password": PASSWORD}
    answer = client.post(path, data=form, content_type="multipart/form-data").json
    assert set(answer) == {"success", "token", "time", "message"}
    assert answer["success"] is True
    assert answer["time"] == time
    unit = client.get("/api/xac-thuc/thong-tin", headers={"Authorization": f"Bearer {answer['token']}"})
    assert unit.status_code == 200
    wrong = client.post(path, data={**form, "password": "sai"}, content_type="multipart/form-data")
    assert (wrong.status_code, wrong.json["success"]) == (401, False)


def test_b_answers_with_what_became_of_the_visits(hospital):
    assert upload(hospital, B).json == {
        "TotalSucceed": 1,
        "Inserted": 1,
        "Updated": 0,
        "TotalFailed": 0,
        "ListFailed": [],
        "Total": 1,
    }
    assert hospital.status()["ho_so"]["status"].startswith("VALID")


def test_b_names_the_visits_that_failed_and_stores_the_others(hospital):
    answer = upload(hospital, B, with_invalid_visit()).json
    assert (answer["TotalSucceed"], answer["TotalFailed"], answer["Total"]) == (1, 1, 2)
    (failed,) = answer["ListFailed"]
    assert failed["MA_LK"] == "79001_2611_000002"
    assert "NGAY_VAO" in failed["CHI_TIET_LOI"]


def test_c_answers_in_its_own_shape(hospital):
    answer = upload(hospital, C, INVALID, type="3176").json["response3176"]
    assert set(answer) == {"IdLanGui", "TotalSucceed", "Inserted", "Updated", "TotalFailed", "Total", "ListLoi"}
    assert (answer["TotalSucceed"], answer["TotalFailed"]) == (0, 1)
    assert answer["ListLoi"][0]["MA_LK"] == MA_LK
    good = upload(hospital, C, type="3176").json["response3176"]
    assert (good["TotalSucceed"], good["Inserted"], good["TotalFailed"], good["ListLoi"]) == (1, 1, 0, [])


@pytest.mark.parametrize("more", [{}, {"type": "4750"}])
def test_c_wants_its_type(hospital, more):
    assert upload(hospital, C, **more).json["code"] == "INVALID_REQUEST"


@pytest.mark.parametrize(("path", "more"), [(B, {}), (C, {"type": "3176"})])
def test_a_missing_or_too_large_file_is_refused(hospital, path, more):
    assert hospital.upload(path, **more, other="x").json["code"] == "MISSING_FIELD"
    large = upload(hospital, path, b" " * (MAX_BYTES + 1), **more)
    assert (large.status_code, large.json["code"]) == (413, "PAYLOAD_TOO_LARGE")
    larger = upload(hospital, path, b" " * (MAX_BYTES + 200_000), **more)
    assert (larger.status_code, larger.json["code"]) == (413, "PAYLOAD_TOO_LARGE")


def test_another_facilitys_file_is_refused_here_too(hospital):
    foreign = edited(lambda text: text.replace(">79001<", ">79999<").replace("[79001]", "[79999]"))
    assert upload(hospital, B, foreign).json["code"] == "ORG_MISMATCH"


def test_b_says_so_when_it_cannot_answer_yet_and_the_same_file_gets_the_answer_later(hospital, repository, monkeypatch):
    monkeypatch.setattr(worker.finished, "__defaults__", (0,))
    with queue.lane(repository, "79001") as held:
        assert held
        waits = upload(hospital, B)
    assert (waits.status_code, waits.json["code"]) == (503, "SERVICE_NOT_AVAILABLE")
    assert waits.json["data"]["tracking_id"]
    hospital.work()
    assert upload(hospital, B).json["Inserted"] == 1
