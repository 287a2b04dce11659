"""A PIN opens its card, is changed at the first use, and cannot be guessed however many try at once."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from http.client import HTTPConnection
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from werkzeug.serving import make_server

from fhir_server.access.context import AccessContext
from fhir_server.citizen import pins
from fhir_server.citizen.cards import issue_card, open_card, reset_pin
from fhir_server.citizen.documents import now
from fhir_server.citizen.login import check
from tests.citizen.conftest import PIN, hidden_fields

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from fhir_server.repository import Repository

OPEN = AccessContext.unrestricted("test")
GUESSES = 200


@pytest.fixture
def card(repository: Repository, person_a: str, token_of: Callable[[str], str]) -> str:
    found = open_card(repository, token_of(person_a))
    assert found is not None
    return found.id


def wait_over(repository: Repository, card: str) -> None:
    """As if a quarter of an hour had gone by."""
    past = now() - timedelta(minutes=1)
    repository.store.database["card_pins"].update_one({"_id": card}, {"$set": {"until": past}})


def test_five_wrong_pins_make_a_card_wait_and_the_right_one_waits_too(repository: Repository, card: str):
    assert [pins.try_pin(repository, card, "000001") for _ in range(6)] == ["wrong"] * 5 + ["wait"]
    assert pins.try_pin(repository, card, PIN) == "wait"
    wait_over(repository, card)
    assert pins.try_pin(repository, card, PIN) == "right"
    assert [pins.try_pin(repository, card, "000001") for _ in range(6)] == ["wrong"] * 5 + ["wait"]


def test_twenty_wrong_pins_need_staff(repository: Repository, card: str):
    outcomes = []
    for _ in range(4):
        outcomes += [pins.try_pin(repository, card, "000001") for _ in range(5)]
        wait_over(repository, card)
    assert outcomes == ["wrong"] * 20
    assert pins.try_pin(repository, card, PIN) == "locked"
    pin = reset_pin(repository, card)
    assert pin is not None
    assert pins.try_pin(repository, card, pin) == "right"
    assert pins.must_change(repository, card)


def test_nothing_of_a_pin_is_stored_but_a_hash_that_the_database_alone_cannot_check(repository: Repository, card: str):
    stored = repository.store.database["card_pins"].find_one({"_id": card}) or {}
    assert stored["hash"].startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert PIN not in str(stored)
    with pytest.raises(Exception, match="match"):
        pins._hasher.verify(stored["hash"], PIN)


@pytest.mark.parametrize(
    "pin", ["000000", "123456", "654321", "890123", "121212", "123123", "020985", "850902", "091985", "112211"]
)
def test_the_pins_that_are_tried_first_are_refused(repository: Repository, card: str, pin: str):
    with pytest.raises(pins.PinRefused, match=r"^pin\.easy$"):
        pins.change_pin(repository, card, pin, pin, date(1985, 9, 2))
    assert pins.try_pin(repository, card, PIN) == "right"


def test_a_printed_pin_is_changed_at_the_first_use_and_opens_no_app(
    repository: Repository, client: FlaskClient, person_a: str, present: Callable[[str], object]
):
    issued = issue_card(repository, OPEN, person_a, public_url="https://so.example.vn")
    assert check(repository, issued.token, issued.pin, "192.0.2.1") is None
    present(issued.token)
    answer = client.post("/q/pin", data=hidden_fields(client.get("/q/pin")) | {"pin": issued.pin})
    assert answer.headers["Location"] == "/q/change"
    assert client.get("/c/").headers["Location"] == "/q/change"
    for typed, again, words in (
        ("73910", "73910", "đúng 6 chữ số"),
        ("739105", "739106", "không giống nhau"),
        ("020985", "020985", "quá dễ đoán"),
        (issued.pin, issued.pin, "khác với mã in trên phiếu"),
    ):
        form = hidden_fields(client.get("/q/change"))
        page = client.post("/q/change", data=form | {"pin": typed, "again": again})
        assert page.status_code == 422
        assert words in page.text
        assert typed not in page.text
    chosen = client.post("/q/change", data=hidden_fields(client.get("/q/change")) | {"pin": PIN, "again": PIN})
    assert chosen.headers["Location"] == "/q/you"
    found = check(repository, issued.token, PIN, "192.0.2.1")
    assert found is not None
    assert found.patient == person_a


def test_nothing_of_the_person_is_shown_before_the_pin_and_little_before_they_say_it_is_them(
    client: FlaskClient, person_a: str, token_of: Callable[[str], str], present: Callable[[str], object]
):
    present(token_of(person_a))
    before = re.sub(r"[0-9a-f]{64}", "", client.get("/q/pin").text)  # the form's token may hold any digits
    assert not any(part in before for part in ("Ánh", "Nguyễn", "1985", "123"))
    client.post("/q/pin", data=hidden_fields(client.get("/q/pin")) | {"pin": PIN})
    masked = client.get("/q/you").text
    assert "N••••• Thị Ánh Đ••" in masked
    assert "1985" in masked
    assert "02/09" not in masked
    client.post("/q/you", data=hidden_fields(client.get("/q/you")) | {"me": "no"})
    assert client.get("/c/").status_code == 401


def test_two_hundred_parallel_guesses_are_at_most_the_allowed_attempts(
    app: Flask, repository: Repository, card: str, person_a: str, monkeypatch: pytest.MonkeyPatch
):
    """Over real sockets, from sessions of their own and addresses of their own, so that only the card's count holds."""
    looked_at: list[str] = []
    matches = pins._matches

    def noted(known: str, pin: str) -> bool:
        looked_at.append(pin)
        return matches(known, pin)

    monkeypatch.setattr(pins, "_matches", noted)
    monkeypatch.setattr(pins, "HASH_WAIT_SECONDS", 60)
    monkeypatch.setattr("fhir_server.citizen.entry_pages.spend_attempt", lambda *_: True)
    from fhir_server.citizen.sessions import form_token, start_session

    found = open_card_of(repository, card)
    secrets = [start_session(repository, found, "pin") for _ in range(GUESSES)]
    server = make_server("127.0.0.1", 0, app, threaded=True)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()

    def guess(number: int) -> int:
        connection = HTTPConnection("127.0.0.1", server.port, timeout=120)
        secret = secrets[number]
        body = urlencode({"pin": f"{number:06d}", "form_token": form_token(secret)})
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": f"citizen={secret}"}
        connection.request("POST", "/q/pin", body, headers)
        status = connection.getresponse().status
        connection.close()
        return status

    try:
        with ThreadPoolExecutor(40) as pool:
            statuses = list(pool.map(guess, range(GUESSES)))
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
    assert len(looked_at) == pins.WRONG_ALLOWED
    assert sorted(set(statuses)) == [403, 429]
    assert statuses.count(403) == pins.WRONG_ALLOWED


def open_card_of(repository: Repository, card: str):
    from fhir_server.citizen.cards import card_in_force

    found = card_in_force(repository, card, 1)
    assert found is not None
    return found
