"""A card opens one patient's record for as long as it is in force, and what is stored of it opens nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from fhir_server.access.context import AccessContext
from fhir_server.citizen.attempts import WRONG_CODES_ALLOWED, return_attempt, spend_attempt
from fhir_server.citizen.cards import Card, issue_card, open_card, revoke_card
from fhir_server.citizen.documents import documents
from fhir_server.citizen.sessions import current_session, end_session, start_session
from fhir_server.errors import NotFound

if TYPE_CHECKING:
    from fhir_server.repository import Repository

OPEN = AccessContext.unrestricted("test")
PUBLIC = "https://so.example.vn/"


def opened(repository: Repository, token: str) -> Card:
    card = open_card(repository, token)
    assert card is not None
    return card


def test_the_link_carries_128_random_bits_in_its_fragment_and_nothing_else(repository: Repository, person_a: str):
    card = issue_card(repository, OPEN, person_a, public_url=PUBLIC)
    assert re.fullmatch(r"https://so\.example\.vn/q#[A-Za-z0-9_-]{22}", card.link)
    assert card.link.endswith(card.token)
    assert issue_card(repository, OPEN, person_a, public_url=PUBLIC).token != card.token


def test_only_a_hash_of_the_token_is_stored(repository: Repository, person_a: str):
    card = issue_card(repository, OPEN, person_a, public_url=PUBLIC)
    stored = repository.store.database["cards"].find_one({"_id": card.id}) or {}
    assert sorted(stored) == ["_id", "expires", "issued", "patient", "token_hash", "version"]
    assert re.fullmatch(r"[0-9a-f]{64}", stored["token_hash"])
    assert card.token not in str(stored)
    assert card.code not in str(stored)


def test_the_token_and_the_printed_code_open_the_same_card(repository: Repository, person_a: str):
    card = issue_card(repository, OPEN, person_a, public_url=PUBLIC)
    sloppy = card.code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    for typed in (card.token, f" {card.token}\n", card.code, card.code.replace("-", ""), sloppy):
        found = opened(repository, typed)
        assert (found.id, found.patient, found.version) == (card.id, person_a, 1)


@pytest.mark.parametrize("typed", ["", "x", "A" * 22, "A" * 26, "Z" * 26, "0" * 25 + "U", "ế" * 22, "\0" * 22])
def test_what_no_card_carries_opens_nothing(repository: Repository, person_a: str, typed: str):
    issue_card(repository, OPEN, person_a, public_url=PUBLIC)
    assert open_card(repository, typed) is None


def test_a_revoked_card_opens_nothing(repository: Repository, person_a: str):
    card = issue_card(repository, OPEN, person_a, public_url=PUBLIC)
    other = issue_card(repository, OPEN, person_a, public_url=PUBLIC)
    assert revoke_card(repository, card.id) is True
    assert revoke_card(repository, card.id) is False
    assert open_card(repository, card.token) is None
    assert open_card(repository, other.token) is not None


def test_an_expired_card_opens_nothing(repository: Repository, person_a: str):
    card = issue_card(repository, OPEN, person_a, public_url=PUBLIC, lifetime=timedelta(seconds=-1))
    assert open_card(repository, card.token) is None


def test_a_card_is_issued_only_for_a_patient_the_caller_may_read(repository: Repository, person_a: str, person_b: str):
    for ctx, patient in ((OPEN, "nobody"), (AccessContext.for_patient(person_b, actor="test"), person_a)):
        with pytest.raises(NotFound):
            issue_card(repository, ctx, patient, public_url=PUBLIC)
    assert documents(repository, Card).count() == 0


def test_the_qr_is_drawn_as_svg_and_as_png(repository: Repository, person_a: str):
    card = issue_card(repository, OPEN, person_a, public_url=PUBLIC)
    assert card.qr_svg().startswith("<svg")
    assert "<path" in card.qr_svg()
    assert card.qr_png().startswith(b"\x89PNG\r\n")


def test_a_session_is_bound_to_the_patient_of_the_card(
    repository: Repository, person_a: str, token_of: Callable[[str], str]
):
    card = opened(repository, token_of(person_a))
    secret = start_session(repository, card)
    session = current_session(repository, secret)
    assert session.context == AccessContext.for_patient(person_a, actor=f"card:{card.id}")
    assert secret not in str(repository.store.database["citizen_sessions"].find_one())


def test_a_session_ends_with_its_card(repository: Repository, person_a: str, token_of: Callable[[str], str]):
    card = opened(repository, token_of(person_a))
    secret = start_session(repository, card)
    revoke_card(repository, card.id)
    assert current_session(repository, secret) is None
    assert repository.store.database["citizen_sessions"].count_documents({}) == 0


def test_a_session_ends_after_20_minutes_without_use_and_use_prolongs_it(
    repository: Repository, person_a: str, token_of: Callable[[str], str]
):
    sessions = repository.store.database["citizen_sessions"]
    secret = start_session(repository, opened(repository, token_of(person_a)))
    begun = sessions.find_one()
    assert begun["expires"] - begun["started"] == timedelta(minutes=20)
    sessions.update_one({}, {"$set": {"expires": begun["expires"] - timedelta(minutes=19)}})
    assert current_session(repository, secret) is not None
    assert sessions.find_one()["expires"] >= begun["expires"]
    sessions.update_one({}, {"$set": {"expires": begun["started"] - timedelta(seconds=1)}})
    assert current_session(repository, secret) is None


def test_a_session_that_was_closed_is_gone(repository: Repository, person_a: str, token_of: Callable[[str], str]):
    secret = start_session(repository, opened(repository, token_of(person_a)))
    end_session(repository, secret)
    for value in (secret, "", None, "guess"):
        assert current_session(repository, value) is None


def test_wrong_codes_are_limited_per_address_and_right_ones_are_free(repository: Repository):
    for _ in range(3):
        assert spend_attempt(repository, "192.0.2.1")
        return_attempt(repository, "192.0.2.1")
    allowed = [spend_attempt(repository, "192.0.2.1") for _ in range(WRONG_CODES_ALLOWED + 2)]
    assert allowed == [True] * WRONG_CODES_ALLOWED + [False, False]
    assert spend_attempt(repository, "192.0.2.2")
