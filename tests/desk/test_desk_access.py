"""Who gets into the desk and to which page: passwords, sessions, forms, and a table of pages and roles."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest

from fhir_server.access import staff
from fhir_server.access.passwords import AccountRefused, verified
from fhir_server.app import create_app
from fhir_server.config import Config
from fhir_server.desk.pages import PAGES, WRONG_PASSWORDS_ALLOWED
from tests.desk.conftest import PASSWORD, hidden, send, sign_in

# page -> who opens it; the table of the code is held against this one.
OPENED_BY = {
    "find": "registrar clinician admin",
    "found": "registrar clinician admin",
    "person": "registrar clinician admin",
    "asking": "registrar clinician",
    "asking_shown": "registrar clinician",
    "shared": "registrar clinician",
    "emergency": "clinician",
    "emergency_declared": "clinician",
    "entering": "registrar admin",
    "enter": "registrar admin",
    "cards": "registrar admin",
    "carers": "registrar admin",
    "carers_named": "registrar admin",
    "sheets": "admin",
    "sheets_made": "admin",
    "duplicates": "registrar admin",
    "pair": "registrar admin",
    "decide": "registrar admin",
    "part": "registrar admin",
    "imports": "admin",
    "take": "admin",
    "rejected": "admin",
    "download": "admin",
    "gateway": "integrator admin",
    "gateway_asked": "integrator admin",
    "residents": "registrar admin",
    "residents_decided": "registrar admin",
    "bundle": "integrator",
    "bundle_sent": "integrator",
    "audit": "auditor",
    "events": "auditor",
}


def test_every_page_has_a_row_in_the_table():
    assert {page.name for page in PAGES} == OPENED_BY.keys()


@pytest.mark.parametrize("role", staff.ROLES)
def test_a_role_opens_its_pages_and_no_other(role, browser_of):
    browser = browser_of(role)
    token = hidden(browser.get("/desk/"))["form_token"]
    for page in PAGES:
        address = page.rule.replace("<id>", "nobody")
        answer = browser.get(address) if page.method == "GET" else browser.post(address, data={"form_token": token})
        if role in OPENED_BY[page.name].split():
            assert answer.status_code in (200, 303, 404, 422), page
        else:
            assert answer.status_code == 403, page
            assert "Vai trò của bạn không mở trang này" in answer.text


def test_nobody_gets_in_without_logging_in(client):
    for page in PAGES:
        address = page.rule.replace("<id>", "nobody")
        answer = client.get(address) if page.method == "GET" else client.post(address)
        assert (answer.status_code, "password" in answer.text) == (401, True), page
    assert client.get("/desk/").status_code == 401


def test_unknown_wrong_and_closed_are_answered_alike(client, repository):
    database = repository.store.database
    for name in ("lan", "mai"):
        staff.add_account(database, name, PASSWORD, roles=["registrar"])
    staff.set_active(database, "mai", False)
    answers = [
        sign_in(client, name, password)
        for name, password in (("nobody", PASSWORD), ("lan", "sai mật khẩu rồi"), ("mai", PASSWORD))
    ]
    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert len({answer.data for answer in answers}) == 1
    assert sign_in(client, "lan").status_code == 303


def test_wrong_passwords_are_counted_before_they_are_looked_at(client, repository, monkeypatch):
    staff.add_account(repository.store.database, "lan", PASSWORD, roles=["registrar"])
    looked = []

    def counted(known: str, password: str) -> bool:
        looked.append(1)
        return verified(known, password)

    monkeypatch.setattr(staff, "verified", counted)
    statuses = [sign_in(client, "lan", "sai mật khẩu rồi").status_code for _ in range(WRONG_PASSWORDS_ALLOWED + 2)]
    assert statuses == [403] * WRONG_PASSWORDS_ALLOWED + [429] * 2
    assert sign_in(client, "lan").status_code == 429
    assert len(looked) == WRONG_PASSWORDS_ALLOWED


def test_a_form_of_another_site_is_refused(browser_of, repository, add_person):
    browser = browser_of("registrar")
    person = add_person("Nguyễn Văn An")
    for data in ({}, {"form_token": "0" * 64}, {"form_token": "é"}):
        refused = browser.post(
            f"/desk/person/{person}/cards", data=data | {"action": "issue", "reason": "khách yêu cầu"}
        )
        assert refused.status_code == 403
    assert repository.store.database["cards"].count_documents({}) == 0
    assert client_without_entry_token(browser).status_code == 403


def client_without_entry_token(browser):
    return browser.post("/desk/login", data={"name": "registrar", "password": PASSWORD})


def test_a_session_ends_by_log_out_by_idleness_and_with_the_account(browser_of, repository):
    database = repository.store.database
    browser = browser_of("registrar")
    secret = browser.get_cookie("desk").value
    assert send(browser, "/desk/logout").status_code == 303
    browser.set_cookie("desk", secret)
    assert browser.get("/desk/find").status_code == 401

    idle = browser_of("clinician")
    database["staff_sessions"].update_many({}, {"$set": {"expires": datetime(2020, 1, 1, tzinfo=UTC)}})
    assert idle.get("/desk/find").status_code == 401

    changed = browser_of("admin")
    staff.set_password(database, "admin", "một mật khẩu khác nữa")
    assert changed.get("/desk/find").status_code == 401


def test_a_log_in_gives_a_new_secret_that_is_stored_as_a_hash(browser_of, repository):
    browser = browser_of("registrar")
    first = browser.get_cookie("desk").value
    send(browser, "/desk/logout")
    assert sign_in(browser, "registrar").status_code == 303
    second = browser.get_cookie("desk").value
    assert first != second
    held = str([list(repository.store.database[name].find()) for name in ("staff_accounts", "staff_sessions")])
    assert second not in held
    assert PASSWORD not in held
    assert "argon2id" in held


def test_under_https_the_cookie_belongs_to_this_host_alone(repository, tmp_path):
    config = Config.from_environment({}, access="smart", data=tmp_path, public_url="https://so.example.vn", audit="no")
    browser = create_app(repository, config=config).test_client()
    staff.add_account(repository.store.database, "lan", PASSWORD, roles=["registrar"])
    assert browser.get("/desk/login", base_url="https://so.example.vn").status_code == 200
    page = browser.get("/desk/login", base_url="https://so.example.vn")
    answer = browser.post(
        "/desk/login",
        base_url="https://so.example.vn",
        data=hidden(page) | {"name": "lan", "password": PASSWORD},
    )
    (cookie,) = [each for each in answer.headers.getlist("Set-Cookie") if each.startswith("__Host-desk=")]
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Strict"} <= {part.strip() for part in cookie.split(";")}


def test_no_page_runs_what_is_not_ours(browser_of):
    browser = browser_of(*staff.ROLES)
    for page in PAGES:
        if page.method == "GET":
            answer = browser.get(page.rule.replace("<id>", "nobody"))
            policy = answer.headers["Content-Security-Policy"]
            assert "script-src 'self';" in policy
            assert "unsafe" not in policy
            assert answer.headers["Cache-Control"] == "no-store"
            assert "<script>" not in answer.text
            assert " style=" not in answer.text
            assert " onclick" not in answer.text


def test_htmx_is_told_to_evaluate_nothing(browser_of):
    page = browser_of("registrar").get("/desk/find").text
    assert '"allowEval":false' in page
    assert '"includeIndicatorStyles":false' in page


def test_a_part_of_a_page_that_is_refused_becomes_the_whole_page(browser_of, client):
    asked = {"HX-Request": "true"}
    assert client.post("/desk/find", headers=asked).headers["HX-Redirect"] == "/desk/login"
    assert browser_of("auditor").post("/desk/find", headers=asked).headers["HX-Retarget"] == "#main"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"name": "lan", "password": "ngắn"}, "12 to 200"),
        ({"name": "Lan Anh", "password": PASSWORD}, "1 to 60 letters"),
        ({"name": "lan", "password": PASSWORD, "roles": ["boss"]}, "not boss"),
        ({"name": "lan", "password": PASSWORD, "roles": []}, "The roles are"),
        ({"name": "lan", "password": PASSWORD, "labels": ["XYZ"]}, "not XYZ"),
    ],
)
def test_an_account_that_cannot_be_is_refused(repository, given, told):
    with pytest.raises(AccountRefused, match=told):
        staff.add_account(repository.store.database, **({"roles": ["registrar"]} | given))


def test_what_is_searched_for_stands_in_no_log(browser_of, add_person, caplog):
    add_person("Nguyễn Văn An")
    browser = browser_of("registrar")
    with caplog.at_level(logging.INFO):
        found = send(browser, "/desk/find", q="nguyen van an")
    assert "Nguyễn Văn An" in found.text
    assert "?" not in found.request.path + found.request.query_string.decode()
    assert "nguyen van an" not in caplog.text.lower()
