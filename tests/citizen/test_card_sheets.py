"""Cards in bulk: every page's codes are read back by a decoder, and the slips lie in the same order elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pypdfium2  # type: ignore[import-untyped]
import pytest
import zxingcpp

from fhir_server.access.context import AccessContext
from fhir_server.citizen.card_sheets import TO_A_PAGE, sheets
from fhir_server.citizen.cards import issue_card, open_card, reissue_card
from fhir_server.citizen.login import check
from fhir_server.commands.cards import Wanted, people_wanted
from fhir_server.config import Config
from fhir_server.errors import NotFound
from tests.citizen.conftest import PIN, hidden_fields

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from fhir_server.repository import Repository

OPEN = AccessContext.unrestricted("test")
PUBLIC = "https://hososuckhoe.example.vn"
CARDS = 500


def codes_on(page: pypdfium2.PdfPage) -> list[str]:
    """The links of a page's codes, row by row."""
    picture = page.render(scale=2).to_pil()
    found = zxingcpp.read_barcodes(picture, formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode))
    half = picture.height / 10
    found.sort(key=lambda each: (round(each.position.top_left.y / half), each.position.top_left.x))
    return [each.text for each in found]


def test_five_hundred_cards_are_printed_at_once_and_every_code_is_read_back(
    repository: Repository, store_resource: Callable[..., str]
):
    started = time.perf_counter()
    for number in range(CARDS):
        store_resource(
            resourceType="Patient",
            name=[{"text": f"Nguyễn Thị Thử {number:03d}"}],
            birthDate="1990-01-01",
            address=[{"use": "home", "text": f"Thôn {number % 7}, Xã Thử", "city": "Xã Thử"}],
        )
    stored = time.perf_counter()
    people = people_wanted(repository, OPEN, Wanted(ward="Xã Thử"))
    assert len(people) == len(set(people)) == CARDS
    cards = [issue_card(repository, OPEN, each, public_url=PUBLIC) for each in people]
    issued = time.perf_counter()
    content = sheets(cards, hotline=Config.from_environment({}).hotline)
    print(
        f"\nstored {stored - started:.1f} s, issued {issued - stored:.1f} s, "
        f"drawn {time.perf_counter() - issued:.1f} s, {len(content)} bytes"
    )
    pdf = pypdfium2.PdfDocument(content)
    assert len(pdf) == 2 * CARDS // TO_A_PAGE
    for number in range(len(pdf) // 2):
        mine = cards[number * TO_A_PAGE : (number + 1) * TO_A_PAGE]
        page, slips = pdf[number], pdf[len(pdf) // 2 + number]
        assert codes_on(page) == [card.link for card in mine]
        words, secret = page.get_textpage().get_text_range(), slips.get_textpage().get_text_range()
        places = [secret.find(f"{card.pin[:3]} {card.pin[3:]}") for card in mine]
        assert -1 not in places
        assert places == sorted(places)
        assert all(card.code in words and card.code not in secret for card in mine)
        assert all(f"{card.pin[:3]} {card.pin[3:]}" not in words for card in mine)


def test_a_household_is_everybody_with_the_same_home_address(
    repository: Repository, store_resource: Callable[..., str]
):
    def person(address: str) -> str:
        return store_resource(resourceType="Patient", address=[{"use": "home", "text": address}])

    one, other = person("12 Lê Lợi, Phường Thử"), person("12 Lê Lợi, Phường Thử")
    person("12 Lê Lợi, Phường Thử Hai")
    assert people_wanted(repository, OPEN, Wanted(household=f"Patient/{one}"))[0] == one
    assert set(people_wanted(repository, OPEN, Wanted(household=one))) == {one, other}
    assert len(people_wanted(repository, OPEN, Wanted(everybody=True))) == 3


def test_a_new_card_in_place_of_the_old_ones_locks_them(repository: Repository, person_a: str):
    old = issue_card(repository, OPEN, person_a, public_url=PUBLIC)
    new = reissue_card(repository, OPEN, person_a, public_url=PUBLIC)
    assert open_card(repository, old.token) is None
    found = open_card(repository, new.token)
    assert found is not None
    assert found.patient == person_a


def test_the_old_card_of_a_merged_person_leads_to_the_hotline_after_its_pin_until_the_merge_is_taken_back(
    client: FlaskClient,
    repository: Repository,
    person_a: str,
    person_b: str,
    token_of: Callable[[str], str],
    present: Callable[[str], TestResponse],
    enter: Callable[[str], FlaskClient],
):
    old = token_of(person_a)
    browser = enter(old)
    repository.merging.merge(OPEN, person_a, person_b)
    in_the_midst = browser.get("/c/")
    assert (in_the_midst.status_code, "1900 0000" in in_the_midst.text) == (403, True)
    assert "đã được gộp" in in_the_midst.text
    assert browser.get("/c/").status_code == 401
    assert present(old).headers["Location"] == "/q/pin"
    wrong = client.post("/q/pin", data=hidden_fields(client.get("/q/pin")) | {"pin": "000001"})
    assert (wrong.status_code, "gộp" in wrong.text) == (403, False)
    right = client.post("/q/pin", data=hidden_fields(client.get("/q/pin")) | {"pin": PIN})
    refused = client.get(right.headers["Location"])
    assert (refused.status_code, "đã được gộp" in refused.text) == (403, True)
    assert "Trần Văn Đức" not in refused.text
    assert "1950" not in refused.text
    assert check(repository, old, PIN, "203.0.113.9") is None
    repository.merging.unmerge(OPEN, person_a)
    assert "Nguyễn Thị Ánh Đào" in enter(old).get("/c/").text
    opened = check(repository, old, PIN, "203.0.113.9")
    assert opened is not None
    assert opened.patient == person_a


def test_the_old_card_of_a_merged_person_opens_no_more_than_it_did(
    repository: Repository, person_a: str, person_b: str
):
    from fhir_server.citizen.record import read_record
    from fhir_server.citizen.sessions import current_session, start_session

    old = open_card(repository, issue_card(repository, OPEN, person_a, public_url=PUBLIC).token)
    assert old is not None
    repository.merging.merge(OPEN, person_a, person_b)
    session = current_session(repository, start_session(repository, old))
    assert session is not None
    with pytest.raises(NotFound):
        read_record(repository, session.context)
    query = [("patient", f"Patient/{person_b}")]
    assert repository.search(session.context, "Observation", query).entries == []
    assert people_wanted(repository, OPEN, Wanted(everybody=True)) == [person_b]
