"""Who may use the gateway: accounts, tokens, wrong passwords, closed accounts."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest

from fhir_server.access import gateway_accounts, passwords
from fhir_server.citizen.attempts import WRONG_CODES_ALLOWED
from fhir_server.intake.gateway import adapters, front, province
from tests.intake.gateway.conftest import PASSWORD, VISITS, Hospital

UNIT = "/api/xac-thuc/thong-tin"


def test_a_token_opens_what_the_unit_may_see(hospital):
    answer = hospital.log_in()
    assert answer.status_code == 200
    assert (answer.json["success"], answer.json["code"]) == (True, "SUCCESS")
    assert answer.json["data"]["expires_in"] == 10_800
    assert len(answer.json["data"]["access_token"]) == 43  # 256 bits
    assert answer.headers["Cache-Control"] == "no-store"
    unit = hospital.get(UNIT).json
    assert unit["data"] == {"ten_don_vi": "Bệnh viện Thử Nghiệm", "ma_don_vi": "79001"}


def test_a_wrong_password_an_unknown_name_and_a_closed_account_get_one_answer(hospital, repository):
    wrong = hospital.log_in(password="không phải mật khẩu")
    unknown = hospital.log_in(username="ai đó")
    gateway_accounts.set_active(repository.store.database, "bv79001", False)
    closed = hospital.log_in()
    assert wrong.status_code == unknown.status_code == closed.status_code == 401
    assert wrong.json == unknown.json == closed.json
    assert wrong.json["code"] == "INVALID_CREDENTIALS"
    assert wrong.json["data"] == {}


def test_an_unknown_name_costs_a_hash_as_a_known_one_does(hospital, monkeypatch):
    verified = []
    verify = passwords.verified

    def counted(*given):
        verified.append(1)
        return verify(*given)

    monkeypatch.setattr(gateway_accounts, "verified", counted)
    hospital.log_in(username="ai đó")
    hospital.log_in(password="sai")
    assert len(verified) == 2


@pytest.mark.parametrize(
    "body", [None, [], "x", {"username": "bv79001"}, {"username": 1, "password": "x"}, {"username": "", "password": ""}]
)
def test_a_log_in_without_name_or_password_is_400(hospital, body):
    answer = hospital.client.post("/api/xac-thuc/token", json=body)
    assert (answer.status_code, answer.json["success"]) == (400, False)


def test_wrong_passwords_of_an_address_run_out_and_no_further_one_is_looked_at(hospital, monkeypatch):
    verified = []

    def refusing(*given):
        verified.append(1)
        return False

    monkeypatch.setattr(gateway_accounts, "verified", refusing)
    statuses = [hospital.log_in(password="sai").status_code for _ in range(WRONG_CODES_ALLOWED + 1)]
    assert statuses == [401] * WRONG_CODES_ALLOWED + [429]
    assert len(verified) == WRONG_CODES_ALLOWED
    last = hospital.log_in()
    assert (last.status_code, last.json["code"]) == (429, "TOO_MANY_ATTEMPTS")
    assert last.headers["Retry-After"] == "900"


def test_wrong_passwords_of_an_account_run_out_over_all_addresses(hospital, monkeypatch):
    monkeypatch.setattr(front, "ACCOUNT_ATTEMPTS", 3)
    monkeypatch.setattr(gateway_accounts, "verified", lambda *given: False)
    statuses = [
        hospital.client.post(
            "/api/xac-thuc/token",
            json={"username": "bv79001", "password": "sai"},
            environ_base={"REMOTE_ADDR": f"192.0.2.{n}"},
        ).status_code
        for n in range(4)
    ]
    assert statuses == [401, 401, 401, 429]


def test_right_passwords_use_up_nothing(hospital, monkeypatch):
    monkeypatch.setattr(gateway_accounts, "verified", lambda *given: True)
    assert {hospital.log_in().status_code for _ in range(WRONG_CODES_ALLOWED + 5)} == {200}


def test_more_hashes_than_are_allowed_at_once_are_turned_away(hospital, monkeypatch):
    monkeypatch.setattr(passwords, "HASH_WAIT_SECONDS", 0)
    taken = [passwords._hashing.acquire(timeout=0) for _ in range(passwords.HASHES_AT_ONCE)]
    try:
        answer = hospital.log_in()
    finally:
        for _ in filter(None, taken):
            passwords._hashing.release()
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "5")


@pytest.mark.parametrize("end", ["disable", "password"])
def test_closing_an_account_or_changing_its_password_ends_its_tokens(hospital, repository, end):
    assert hospital.get(UNIT).status_code == 200
    if end == "disable":
        gateway_accounts.set_active(repository.store.database, "bv79001", False)
        gateway_accounts.set_active(repository.store.database, "bv79001", True)
    else:
        gateway_accounts.set_password(repository.store.database, "bv79001", "một mật khẩu khác")
    assert hospital.get(UNIT).json["code"] == "INVALID_TOKEN"


def test_a_token_that_is_over_opens_nothing(hospital, repository):
    tokens = repository.store.database["gateway_tokens"]
    assert tokens.update_many({}, {"$set": {"expires": datetime(2026, 1, 1, tzinfo=UTC)}}).modified_count == 1
    assert hospital.get(UNIT).status_code == 401


def test_neither_password_nor_token_is_stored(hospital, repository):
    token = hospital.headers["Authorization"].removeprefix("Bearer ")
    held = str([list(repository.store.database[name].find()) for name in ("gateway_accounts", "gateway_tokens")])
    assert "bv79001" in held
    assert token not in held
    assert PASSWORD not in held
    assert "$argon2id$" in held


def test_every_call_but_the_log_in_and_the_refused_ones_asks_for_a_token(app, client):
    refused = {path for _, path, _ in province.NOT_SERVED}
    open_calls = {"/api/xac-thuc/token", *(path for path, _ in adapters.LOG_INS), *refused}
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith(("gateway.", "gateway_adapters."))]
    assert len(rules) == 18
    for rule in rules:
        method = "POST" if "POST" in rule.methods else "GET"
        answer = client.open(rule.rule, method=method)
        if rule.rule in open_calls:
            assert answer.status_code in (400, 410, 501), rule.rule
        else:
            assert (answer.status_code, answer.json["code"]) == (401, "INVALID_TOKEN"), rule.rule


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc", "Bearer \xff", "Bearer " + "x" * 5000])
def test_what_is_no_token_is_401(client, account, header):
    answer = client.get(UNIT, headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_no_log_line_holds_a_password_a_token_or_a_body(hospital, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG, logger="fhir_server")

    told = "what was " + "sent"  # in two pieces: the log may quote this line of code

    def broken(*given):
        raise RuntimeError(told)

    monkeypatch.setattr("fhir_server.intake.gateway.lists.visits", broken)
    answer = hospital.get(f"{VISITS}/ho-so")
    assert (answer.status_code, answer.json["code"]) == (500, "SYSTEM_ERROR")
    hospital.send()
    assert "RuntimeError" in caplog.text
    for secret in (PASSWORD, hospital.headers["Authorization"].removeprefix("Bearer "), told, "79001_2611"):
        assert secret not in caplog.text


def test_a_password_too_short_and_a_name_twice_are_refused(repository, account):
    database = repository.store.database
    with pytest.raises(gateway_accounts.AccountRefused, match="12 to 200"):
        gateway_accounts.add_account(database, "b", "ngắn", unit_code="1", unit_name="B")
    with pytest.raises(gateway_accounts.AccountRefused, match="already"):
        gateway_accounts.add_account(database, account, PASSWORD, unit_code="1", unit_name="B")
    with pytest.raises(gateway_accounts.AccountRefused, match="There is no account"):
        gateway_accounts.set_active(database, "nobody", False)


def test_hospitals_do_not_share_a_token(client, repository, account):
    gateway_accounts.add_account(
        repository.store.database, "tram", PASSWORD, unit_code="79002", unit_name="Trạm", facilities=["79002"]
    )
    one, two = Hospital(client, repository), Hospital(client, repository)
    one.log_in()
    two.log_in("tram")
    assert one.get(UNIT).json["data"]["ma_don_vi"] == "79001"
    assert two.get(UNIT).json["data"]["ma_don_vi"] == "79002"
