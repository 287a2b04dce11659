"""What a citizen meets: the card opens one's own record and no other, and the form stores what was typed, once."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.test import TestResponse

from fhir_server.access.context import AccessContext
from fhir_server.app import create_app
from fhir_server.citizen import consents
from fhir_server.citizen.attempts import WRONG_CODES_ALLOWED
from fhir_server.citizen.cards import issue_card, open_card, revoke_card
from fhir_server.config import Config
from fhir_server.repository import Repository
from tests.citizen.conftest import PIN, declare, hidden_fields, save

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

Present = Callable[[str], TestResponse]
Enter = Callable[[str], "FlaskClient"]
TokenOf = Callable[[str], str]

OPEN = AccessContext.unrestricted("test")
SAVES = 6


def found(browser: FlaskClient, search: str) -> list[dict[str, Any]]:
    bundle = browser.get(f"/fhir/{search}").get_json()
    return [entry["resource"] for entry in bundle.get("entry", [])]


def test_unknown_revoked_and_expired_cards_are_answered_alike(
    repository: Repository, client: FlaskClient, person_a: str, token_of: TokenOf, present: Present
):
    revoked, expired = (
        token_of(person_a),
        issue_card(repository, OPEN, person_a, public_url="http://x.example", lifetime=timedelta(seconds=-1)),
    )
    revoke_card(repository, open_card(repository, revoked).id)
    answers = [present(code) for code in ("A" * 22, revoked, expired.token, expired.code, "không phải mã")]
    assert {answer.status_code for answer in answers} == {403}
    assert len({answer.data for answer in answers}) == 1
    assert len({str(sorted(answer.headers)) for answer in answers}) == 1
    assert "Không mở được thẻ này" in answers[0].text
    assert client.get("/c/").status_code == 401


def test_a_card_opens_the_record_of_its_patient(opened: FlaskClient):
    page = opened.get("/c/")
    assert page.status_code == 200
    assert "Nguyễn Thị Ánh Đào" in page.text
    assert "02/09/1985" in page.text
    assert "Nữ" in page.text
    assert "••••••••••••123" in page.text
    assert "GD4790000000123" not in page.text


def test_nothing_of_another_patient_is_ever_on_the_page(person_b: str, opened: FlaskClient):
    for address in ("/c/", f"/c/?patient={person_b}", "/c/declare", "/c/?saved=1"):
        # The forms' random tokens may hold any three digits.
        text = re.sub(r"[0-9a-f]{16,}", "", opened.get(address).text)
        for theirs in (person_b, "Trần Văn Đức", "1950", "của B", "77,7", "987", "07/01/2026"):
            assert theirs not in text


def test_the_other_card_shows_the_other_record_in_full(
    client: FlaskClient, person_a: str, person_b: str, token_of: TokenOf, enter: Enter
):
    enter(token_of(person_a))
    enter(token_of(person_b))
    text = client.get("/c/").text
    for shown in (
        "Trần Văn Đức",
        "Bệnh viện của B",
        "Lý do khám: Lý do của B",
        "Chẩn đoán của B",
        "77,7 kg",
        "Dị nguyên của B",
        "07/01/2026",
    ):
        assert shown in text
    assert "Điều trị nội trú" in text
    assert "Nguyễn Thị Ánh Đào" not in text
    assert "Tự khai, chưa xác nhận" not in text


def test_each_opening_starts_a_new_session_and_ends_the_old_one(
    repository: Repository, client: FlaskClient, person_a: str, token_of: TokenOf, present: Present, enter: Enter
):
    token = token_of(person_a)
    client.set_cookie("citizen", "fixed-by-somebody")
    present(token)
    cookies = ["fixed-by-somebody", client.get_cookie("citizen").value]
    for step, answer in (("pin", {"pin": PIN}), ("you", {"me": "yes"})):
        client.post(f"/q/{step}", data=hidden_fields(client.get(f"/q/{step}")) | answer)
        cookies.append(client.get_cookie("citizen").value)
    present(token)
    cookies.append(client.get_cookie("citizen").value)
    assert len(set(cookies)) == 5
    assert repository.store.database["citizen_sessions"].count_documents({}) == 1


def test_what_is_declared_is_found_by_fhir_search_with_the_digits_as_typed(opened: FlaskClient, person_a: str):
    answer = declare(
        opened,
        weight="58,50",
        height="160",
        systolic="121",
        diastolic="79",
        measured="2026-03-05",
        abo="AB",
        rh="-",
        allergy="yes",
        kind="food",
        substance="Tôm <sú>",
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, "/c/?saved=1")
    weights = opened.get(f"/fhir/Observation?patient=Patient/{person_a}&code=http://loinc.org|29463-7&date=2026-03-05")
    assert '"value":58.50,' in weights.text.replace(" ", "")
    (pressure,) = found(opened, f"Observation?patient={person_a}&code=85354-9&category=vital-signs")
    assert [part["valueQuantity"]["value"] for part in pressure["component"]] == [121, 79]
    (blood,) = found(opened, f"Observation?patient={person_a}&code=http://loinc.org|882-1&_tag=self-declared")
    assert blood["valueCodeableConcept"]["text"] == "AB Rh-"
    (allergy,) = found(opened, f"AllergyIntolerance?patient={person_a}&verification-status=unconfirmed&category=food")
    assert allergy["code"]["text"] == "Tôm <sú>"
    assert len(found(opened, "Observation?_security=PATAST")) == 4


def test_the_record_shows_what_was_declared_as_not_confirmed(opened: FlaskClient):
    declare(opened, weight="58,5", height="160", allergy="yes", kind="food", substance="Tôm <sú>", rh="+")
    text = opened.get("/c/?saved=1").text
    assert "Đã lưu" in text
    assert "58,5 kg" in text
    assert "22,9" in text  # 58.5 / 1.6² = 22.85
    assert "Tôm &lt;sú&gt;" in text
    assert text.count("Tự khai, chưa xác nhận") == 4


def test_the_newest_of_a_day_is_shown_and_no_allergy_gives_way_to_one(opened: FlaskClient):
    declare(opened, weight="58", allergy="no")
    assert "Không có dị ứng đã biết" in opened.get("/c/").text
    declare(opened, weight="59", allergy="yes", kind="drug", substance="Penicillin")
    text = opened.get("/c/").text
    assert ("59 kg" in text, "58 kg" in text) == (True, False)
    assert ("Penicillin" in text, "Không có dị ứng đã biết" in text) == (True, False)


def test_a_form_sent_twice_is_stored_once(opened: FlaskClient):
    form = hidden_fields(opened.get("/c/declare")) | {"weight": "58,5", "allergy": "no"}
    for _ in range(3):
        assert opened.post("/c/declare", data=form).headers["Location"] == "/c/review"
        twice = hidden_fields(opened.get("/c/review"))
        assert [opened.post("/c/review", data=twice).headers["Location"] for _ in range(2)] == ["/c/?saved=1"] * 2
    assert len(found(opened, "Observation?code=29463-7")) == 1
    assert len(found(opened, "AllergyIntolerance")) == 1
    assert len(found(opened, "QuestionnaireResponse")) == len(found(opened, "Provenance")) == 1
    assert opened.post("/c/declare", data=form | {"weight": "59"}).status_code == 303
    assert save(opened).status_code == 303
    assert len(found(opened, "Observation?code=29463-7")) == 2


def test_the_same_form_saved_by_many_at_the_same_moment_is_stored_once(
    app: Flask, opened: FlaskClient, repository: Repository, monkeypatch: pytest.MonkeyPatch
):
    opened.post("/c/declare", data=hidden_fields(opened.get("/c/declare")) | {"weight": "58,5", "illness_2": "yes"})
    sent, cookie = hidden_fields(opened.get("/c/review")), opened.get_cookie("citizen")
    assert cookie is not None
    all_have_looked, store = threading.Barrier(SAVES), Repository.transaction

    def together(*arguments: Any, **named: Any) -> Any:
        all_have_looked.wait(30)  # each has found that nothing is stored yet
        return store(*arguments, **named)

    monkeypatch.setattr(Repository, "transaction", together)

    def save_once(_: int) -> str:
        browser = app.test_client()
        browser.set_cookie("citizen", cookie.value)
        return browser.post("/c/review", data=sent).headers["Location"]

    with ThreadPoolExecutor(SAVES) as pool:
        assert list(pool.map(save_once, range(SAVES))) == ["/c/?saved=1"] * SAVES
    for query in ("Observation?code=29463-7", "Condition", "QuestionnaireResponse", "Provenance"):
        assert len(found(opened, query)) == 1
    (provenance,) = found(opened, "Provenance")
    assert len(provenance["target"]) == 4


def test_agreeing_twice_at_the_same_moment_is_one_consent(repository: Repository, person_a: str):
    ctx, at = AccessContext.for_patient(person_a, "card:1"), datetime.now(UTC)
    for _ in range(2):  # once again when it was withdrawn
        with ThreadPoolExecutor(SAVES) as pool:
            list(pool.map(lambda _: consents.agree(repository, ctx, "declare", at), range(SAVES)))
        given = [each for each in consents.agreements(repository, ctx) if each.active]
        assert [each.purpose for each in given] == ["declare"]
        consents.withdraw(repository, ctx, given[0].id)


def test_what_was_looked_over_is_what_is_saved(opened: FlaskClient):
    def fill_in(weight: str) -> dict[str, str]:
        opened.post("/c/declare", data=hidden_fields(opened.get("/c/declare")) | {"weight": weight})
        return hidden_fields(opened.get("/c/review"))

    first, second = fill_in("58"), fill_in("59")
    assert opened.post("/c/review", data=first).headers["Location"] == "/c/review"
    assert found(opened, "Observation") == []
    assert opened.post("/c/review", data=second).headers["Location"] == "/c/?saved=1"
    (weight,) = found(opened, "Observation")
    assert weight["valueQuantity"]["value"] == 59


def test_an_absurd_value_is_refused_and_nothing_typed_is_lost(opened: FlaskClient):
    typed = {"weight": "900", "height": "161,5", "abo": "B", "allergy": "yes", "kind": "drug", "substance": 'a"<b>'}
    page = declare(opened, **typed, measured="4/3/2026")
    assert page.status_code == 422
    assert "Cân nặng phải từ 0,5 đến 400 kg." in page.text
    for kept in ('value="900"', 'value="161,5"', 'value="2026-03-04"', 'value="a&#34;&lt;b&gt;"'):
        assert kept in page.text
    for chosen in ("B", "drug"):
        assert f'<option value="{chosen}" selected>' in page.text
    assert 'value="yes" checked' in page.text
    assert found(opened, "Observation") == []


def test_an_odd_value_is_stored_only_once_it_is_confirmed(opened: FlaskClient):
    page = declare(opened, weight="190")
    assert page.status_code == 422
    assert "Cân nặng 190 kg có đúng không?" in page.text
    confirmed = re.search(r'name="confirmed" value="([^"]+)"', page.text)[1]
    opened.post("/c/declare", data=hidden_fields(opened.get("/c/declare")) | {"weight": "195"})
    assert save(opened, confirmed=confirmed).status_code == 422
    opened.post("/c/declare", data=hidden_fields(opened.get("/c/declare")) | {"weight": "190"})
    assert save(opened, confirmed=confirmed).status_code == 303
    assert [each["valueQuantity"]["value"] for each in found(opened, "Observation?code=29463-7")] == [190]


def test_when_storing_fails_the_form_comes_back_as_typed(opened: FlaskClient, repository: Repository, person_a: str):
    form = hidden_fields(opened.get("/c/declare")) | {"weight": "58,5", "substance": "chưa xong"}
    repository.delete(OPEN, "Patient", person_a)
    page = opened.post("/c/declare", data=form)
    assert page.status_code == 404
    assert "Chưa lưu được" in page.text
    assert 'value="58,5"' in page.text
    assert 'value="chưa xong"' in page.text


def test_a_form_without_its_proof_of_origin_is_refused_in_plain_words(opened: FlaskClient):
    form = hidden_fields(opened.get("/c/declare"))
    for forged in ({"weight": "58"}, {"weight": "58", "form_token": "0" * 64}, {"weight": "58", "form_token": "ế"}):
        page = opened.post("/c/declare", data=forged)
        assert page.status_code == 403
        assert "Biểu mẫu này không đến từ trang đang mở trên máy của bạn" in page.text
    assert opened.post("/c/logout").status_code == 403
    assert opened.post("/q", data={"code": "A" * 22}).status_code == 403
    assert opened.post("/c/declare", data=form | {"weight": "58"}).status_code == 303
    assert opened.post("/c/review").status_code == 403
    assert save(opened).status_code == 303
    assert len(found(opened, "Observation")) == 1


def test_closing_the_record_ends_the_session(opened: FlaskClient):
    cookie = opened.get_cookie("citizen").value
    assert opened.post("/c/logout", data=hidden_fields(opened.get("/c/"))).status_code == 303
    assert opened.get_cookie("citizen") is None
    opened.set_cookie("citizen", cookie)
    page = opened.get("/c/")
    assert page.status_code == 401
    assert "Hãy quét thẻ lại" in page.text


def test_a_locked_card_closes_the_page_at_once(opened: FlaskClient, repository: Repository):
    card = repository.store.database["citizen_sessions"].find_one()["card"]
    revoke_card(repository, card)
    assert opened.get("/c/").status_code == 401
    assert opened.get("/c/declare").status_code == 401


def test_too_many_wrong_codes_from_one_address_must_wait(
    client: FlaskClient, person_a: str, token_of: TokenOf, present: Present
):
    form = hidden_fields(client.get("/q"))
    wrong = [client.post("/q", data=form | {"code": "A" * 22}).status_code for _ in range(WRONG_CODES_ALLOWED + 1)]
    assert wrong == [403] * WRONG_CODES_ALLOWED + [429]
    blocked = present(token_of(person_a))
    assert (blocked.status_code, blocked.headers["Retry-After"]) == (429, "900")
    assert "quá nhiều lần" in blocked.text


def test_every_page_is_framed_by_strict_headers_and_the_hotline(opened: FlaskClient, config: Config):
    answers = [opened.get(address) for address in ("/", "/q", "/c/", "/c/declare")]
    answers += [declare(opened, weight="900"), opened.post("/c/declare", data={}), opened.post("/q", data={})]
    for answer in answers:
        assert answer.headers["Content-Security-Policy"] == (
            "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; form-action 'self'; "
            "base-uri 'none'; frame-ancestors 'none'; connect-src 'self'; manifest-src 'self'; worker-src 'self'"
        )
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert f'href="tel:{config.hotline.replace(" ", "")}"' in answer.text
        assert config.hotline in answer.text
        assert not re.search(r"<script>|<style|\son\w+=|\sstyle=", answer.text)


def test_a_page_is_small_enough_for_a_slow_network(opened: FlaskClient):
    parts = [opened.get(address).data for address in ("/q", "/c/static/pages.css", "/c/static/pages.js")]
    assert len(parts[1]) < 14_000
    assert sum(map(len, parts)) < 50_000


def test_vietnamese_comes_first_and_english_is_kept_once_chosen(opened: FlaskClient):
    assert '<html lang="vi"' in opened.get("/c/").text
    assert '<html lang="en"' in opened.get("/c/?lang=en").text
    assert "My record" in opened.get("/c/").text
    declare(opened, weight="58,50")
    assert "58.50 kg" in opened.get("/c/").text
    assert '<html lang="vi"' in opened.get("/c/?lang=vi").text
    assert '<html lang="vi"' in opened.get("/c/?lang=fr").text


def test_switching_the_language_keeps_what_was_typed_and_stores_nothing(opened: FlaskClient):
    page = declare(opened, weight="58,5", switch="en")
    assert page.status_code == 200
    assert "Declare my health" in page.text
    assert 'value="58,5"' in page.text
    assert found(opened, "Observation") == []


def test_cookies_are_out_of_reach_of_scripts_and_other_sites(
    client: FlaskClient, person_a: str, token_of: TokenOf, present: Present
):
    (cookie,) = present(token_of(person_a)).headers.getlist("Set-Cookie")
    assert re.fullmatch(r"citizen=[\w-]{43}; HttpOnly; Path=/; SameSite=Strict", cookie)


def test_under_https_cookies_are_bound_to_the_host(repository: Repository, person_a: str, token_of: TokenOf):
    config = Config.from_environment({}, public_url="https://so.example.vn")
    browser = create_app(repository, config=config).test_client()
    entry = browser.get("/q", base_url="https://so.example.vn")
    sent = browser.post(
        "/q", data=hidden_fields(entry) | {"code": token_of(person_a)}, base_url="https://so.example.vn"
    )
    (cookie,) = sent.headers.getlist("Set-Cookie")
    assert re.fullmatch(r"__Host-citizen=[\w-]{43}; Secure; HttpOnly; Path=/; SameSite=Strict", cookie)
    assert browser.get("/q/pin", base_url="https://so.example.vn").status_code == 200


def test_in_open_access_the_pages_are_closed_to_other_machines_and_under_foreign_names(app: Flask):
    browser = app.test_client()
    for options in (
        {"environ_base": {"REMOTE_ADDR": "192.0.2.7"}},
        {"base_url": "http://rebound.example.com"},
    ):
        page = browser.get("/q", **options)
        assert page.status_code == 403
        assert "Trang cho người dân chưa mở trên máy chủ này" in page.text
        assert 'name="code"' not in page.text
    assert browser.get("/q", base_url="http://127.0.0.1:8080").status_code == 200
    assert browser.get("/q", base_url="http://[::1]:8080").status_code == 200


def test_with_smart_access_the_pages_are_open_to_everybody_over_https_and_to_nobody_without(repository: Repository):
    browser = create_app(repository, config=Config.from_environment({}, access="smart")).test_client()
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    for address, status in (("/q", 200), ("/c/", 401), ("/c/declare", 401)):
        assert browser.get(address, base_url="https://so.example.vn", environ_base=elsewhere).status_code == status
        assert browser.get(address, base_url="http://so.example.vn", environ_base=elsewhere).status_code == 403


def test_a_form_larger_than_ours_is_refused(opened: FlaskClient):
    page = opened.post("/c/declare", data={"substance": "x" * 40_000})
    assert page.status_code == 413
    assert "quá lớn" in page.text
