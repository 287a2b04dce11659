"""What a camera reads into the field, or a person types there: the QR text of a CCCD, our card's link or code, a number."""

from __future__ import annotations

import re

import pytest

from fhir_server.citizen.card_code import read
from fhir_server.citizen.cards import issue_card, revoke_card
from mappings.systems import BHYT_CARD, CCCD
from tests.desk.conftest import OPEN, send


@pytest.fixture
def binh(add_person) -> str:
    numbers = [{"system": CCCD, "value": "001080999999"}, {"system": BHYT_CARD, "value": "GD4790000000123"}]
    return add_person("Trần Văn Bình", "1980-03-05", identifier=numbers)


@pytest.mark.parametrize("address", ["/desk/find", "/desk/enter"])
def test_the_page_offers_the_camera_and_the_field_works_without_it(browser_of, address):
    browser = browser_of("registrar")
    page = browser.get(address).text
    field = {"/desk/find": "q", "/desk/enter": "qr"}[address]
    assert f'data-scan="{field}"' in page
    assert f'<input id="{field}" name="{field}" type="text"' in page
    # The button is shown by the script, and the reader fetched when it is pressed, where the browser has none.
    assert browser.get(re.search(r'data-reader="([^"]+)"', page)[1]).mimetype == "text/javascript"
    assert "data-scan-button hidden" in page
    assert '/desk/static/scan.js" defer' in page


def test_what_the_camera_reads_finds_the_person(browser_of, binh, add_person, repository):
    add_person("Lê Thị Hoa")
    card = issue_card(repository, OPEN, binh, public_url="https://so.example.vn")
    desk = browser_of("registrar")
    for scanned in (
        "001080999999||Trần Văn Bình|05031980|Nam|Hà Nội|01012021",
        card.link,
        card.token,
        card.code,
        card.code.lower().replace("-", " "),
        "GD4790000000123",
        "gd4 79 0000000123",
        "001080999999",
    ):
        page = send(desk, "/desk/find", q=scanned)
        assert page.text.count('data-name="Giới tính"') == 1, scanned
        assert f'href="/desk/person/{binh}"' in page.text, scanned


def test_finding_by_card_opens_nothing_and_no_card_in_force_finds_nobody(browser_of, binh, repository):
    card = issue_card(repository, OPEN, binh, public_url="https://so.example.vn")
    desk = browser_of("registrar")
    send(desk, "/desk/find", q=card.link)
    assert repository.store.database["citizen_sessions"].count_documents({}) == 0
    revoke_card(repository, card.id)
    for scanned in (card.link, card.code, "https://so.example.vn/q#AAAAAAAAAAAAAAAAAAAAAA"):
        assert "Không tìm thấy ai" in send(desk, "/desk/find", q=scanned).text, scanned


def test_a_name_that_could_be_a_code_is_a_name(browser_of, add_person):
    asked = "le thi bich ngan hanh tran ban ha"
    assert read(asked) is not None
    add_person("Lê Thị Bích Ngân Hạnh Trân Ban Hà")
    assert send(browser_of("registrar"), "/desk/find", q=asked).text.count('data-name="Giới tính"') == 1
