"""The start page says what the server is and holds, and lets one try it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fhir_server.access.context import AccessContext
from fhir_server.app import create_app
from fhir_server.config import Config

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from fhir_server.repository import Repository

OPEN = AccessContext.unrestricted("test")


def add_person(repository: Repository, name: str) -> str:
    patient = {"resourceType": "Patient", "name": [{"text": name}]}
    return repository.create(OPEN, "Patient", patient).stored.id


def add_visit(repository: Repository, patient: str, day: str) -> None:
    visit = {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": {"reference": f"Patient/{patient}"},
        "period": {"start": day},
    }
    repository.create(OPEN, "Encounter", visit)


def entry_token(page: str) -> str:
    return re.search(r'name="entry_token" value="([^"]+)"', page)[1]


def form_token(page: str) -> str:
    return re.search(r'name="form_token" value="([^"]+)"', page)[1]


def test_an_empty_server_says_how_to_load_the_sample_data(client: FlaskClient):
    page = client.get("/")
    assert page.status_code == 200
    assert "fhir-server demo" in page.text
    assert "<dd>0</dd>" in page.text
    assert "Cấp một thẻ mẫu" not in page.text


def test_the_start_page_counts_what_is_held(client: FlaskClient, repository: Repository):
    for name in ("Nguyễn Văn An", "Trần Thị Bình", "Lê Văn Cường"):
        add_person(repository, name)
    page = client.get("/")
    assert re.search(r"<dt>Người</dt><dd>3</dd>", page.text)
    assert re.search(r"<dt>Lần khám</dt><dd>0</dd>", page.text)
    assert "Nguyễn Văn An" not in page.text


def test_every_search_to_try_is_answered(client: FlaskClient, repository: Repository):
    add_person(repository, "Nguyễn Văn An")
    links = re.findall(r'href="(/fhir/[^"]+)"', client.get("/").text)
    assert len(links) == 3
    answers = [client.get(link.replace("&amp;", "&")) for link in links]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert answers[0].get_json()["entry"][0]["resource"]["name"][0]["text"] == "Nguyễn Văn An"


def test_the_sample_card_opens_the_record_of_the_person_with_the_newest_visit(
    client: FlaskClient, repository: Repository
):
    for name, day in (("Trần Thị Bình", "2026-02-01"), ("Nguyễn Văn An", "2026-03-01"), ("Lê Văn Cường", "2026-01-01")):
        add_visit(repository, add_person(repository, name), day)
    token = entry_token(client.get("/").text)
    card = client.post("/start/card", data={"entry_token": token})
    assert card.status_code == 200
    assert 'src="data:image/png;base64,' in card.text
    code = re.search(r'href="http://127\.0\.0\.1:8080/q#([\w-]{22})"', card.text)[1]
    pin = re.search(r'class="printed">(\d{6})<', card.text)[1]
    assert client.post("/q", data={"entry_token": token, "code": code}).location == "/q/pin"
    for address, typed in (("/q/pin", {"pin": pin}), ("/q/change", {"pin": "739105", "again": "739105"})):
        assert (
            client.post(address, data={"form_token": form_token(client.get(address).text), **typed}).status_code == 303
        )
    assert "N••••• Văn A•" in client.get("/q/you").text


def test_a_sample_card_is_issued_only_to_our_own_page_on_this_machine(client: FlaskClient, repository: Repository):
    add_person(repository, "Nguyễn Văn An")
    token = entry_token(client.get("/").text)
    assert client.post("/start/card").status_code == 403
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    assert client.post("/start/card", data={"entry_token": token}, environ_base=elsewhere).status_code == 403
    assert repository.store.database["cards"].count_documents({}) == 0


def test_figures_and_cards_are_not_shown_where_a_login_is_asked_for(repository: Repository):
    add_person(repository, "Nguyễn Văn An")
    browser = create_app(repository, config=Config.from_environment({}, access="smart")).test_client()
    page = browser.get("/")
    assert page.status_code == 200
    assert "yêu cầu đăng nhập" in page.text
    assert "<dd>" not in page.text
    assert browser.post("/start/card", data={"entry_token": browser.get_cookie("entry").value}).status_code == 403
