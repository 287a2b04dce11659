"""The whole way of a citizen on a phone of 360 pixels: scan, PIN, "is this you?", consent, the form, the record, sharing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from fhir_server.access.context import AccessContext
from fhir_server.citizen import carers
from fhir_server.citizen.cards import issue_card
from fhir_server.citizen.facility_asking import ask
from fhir_server.resource.exact import parse

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

    from fhir_server.repository import Repository

OPEN = AccessContext.unrestricted("test")
PIN = "739105"


def patient(repository: Repository, name: str, born: str) -> str:
    resource = {"resourceType": "Patient", "name": [{"text": name}], "gender": "female", "birthDate": born}
    return repository.create(OPEN, "Patient", parse(json.dumps(resource).encode())).stored.id


def test_a_citizen_on_a_phone(repository: Repository, site: str, phone: Chrome, look: Callable[[str], None]):
    me, mother = (
        patient(repository, "Nguyễn Thị Ánh Đào", "1985-09-02"),
        patient(repository, "Lê Thị Thử", "1955-01-01"),
    )
    carers.entrust(repository, OPEN, mother, me, until=None)
    issued = issue_card(repository, OPEN, me, public_url=site)

    def tap(selector: str) -> None:
        element = phone.find_element("css selector", selector)
        phone.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def fill(**values: str) -> None:
        for name, value in values.items():
            field = phone.find_element("name", name)
            if field.tag_name == "select":
                tap(f"select[name={name}] option[value='{value}']")
            elif field.get_attribute("type") == "date":
                phone.execute_script("arguments[0].value = arguments[1]", field, value)
            else:
                field.clear()
                field.send_keys(value)

    def at(path: str) -> None:
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(phone, 20).until(lambda driver: re.fullmatch(path, driver.current_url.removeprefix(site)))

    phone.get(f"{site}/q")
    look("01-entry")
    phone.get("about:blank")
    phone.get(issued.link)
    at("/q/pin")
    assert issued.token not in phone.page_source
    look("02-pin")
    fill(pin="000000")
    tap("main button")
    look("03-pin-wrong")
    fill(pin=issued.pin)
    tap("main button")
    at("/q/change")
    look("04-change")
    fill(pin="123456", again="123456")
    tap("main button")
    look("05-change-easy")
    fill(pin=PIN, again=PIN)
    tap("main button")
    at("/q/you")
    look("06-is-this-you")
    tap("button[value=yes]")
    at("/c/consent")
    look("07-consent")
    tap("input[name=declare]")
    tap("input[name=care]")
    tap("main form button")
    at("/c/.*")
    look("08-record-empty")

    for number, (day, weight, systolic) in enumerate((("2026-01-05", "62,5", "150"), ("2026-03-05", "58,5", "141"))):
        phone.get(f"{site}/c/declare")
        fill(weight=weight, height="160", systolic=systolic, diastolic="85", measured=day, abo="O", rh="+")
        if number == 0:
            tap("input[name=allergy][value=yes]")
            fill(kind="food", substance="Tôm")
            for tile in ("illness_2", "illness_3"):
                tap(f"input[name={tile}]")
            fill(surgery="Mổ ruột thừa", surgery_year="1999", relative_1="MTH", family_1="3", smoking="never")
            look("09-form")
            # The page is left without sending: what was typed is on the server.
            phone.execute_script(
                "document.querySelector('[name=surgery]').dispatchEvent(new Event('change', {bubbles: true}))"
            )
            from selenium.webdriver.support.ui import WebDriverWait

            WebDriverWait(phone, 20).until(lambda driver: driver.find_element("id", "kept").is_displayed())
            phone.get(f"{site}/c/?later=1")
            assert "chưa xong" in phone.page_source
            phone.get(f"{site}/c/declare")
            assert phone.find_element("name", "surgery").get_attribute("value") == "Mổ ruột thừa"
            fill(weight="chín mươi")
            tap("form#declare > button:not(.quiet)")
            look("10-form-wrong")
            fill(weight="162,5")
            tap("form#declare > button:not(.quiet)")
            at("/c/review")
            look("11-review-odd")
            tap("main a.button.quiet")
            fill(weight=weight)
        tap("form#declare > button:not(.quiet)")
        at("/c/review")
        look(f"12-review-{number}")
        tap("main form button")
        at("/c/.*saved.*")
    tap("summary")
    look("13-record")
    assert len(phone.find_elements("css selector", "svg.chart")) == 3

    for name in ("seen", "entries", "consent", "family", "lock", "share", "facility"):
        phone.get(f"{site}/c/{name}")
        look(f"14-{name}")
    phone.get(f"{site}/c/share")
    tap("button[value=link]")
    look("15-health-link")
    phone.get(f"{site}/c/share")
    tap("button[value=doctor]")
    look("16-doctor-code")
    link, code = phone.find_element("css selector", "code").text, phone.find_element("css selector", ".printed").text
    phone.get(f"{site}/c/facility#{ask(repository, '79999', 'Trạm y tế Phường Thử')}")
    tap("main form button")
    look("17-facility")
    tap("main form button")
    at("/c/.*done.*")
    phone.get(f"{site}/c/family")
    tap("main form button")
    at("/c/.*")
    look("18-mother")
    phone.get(f"{site}/c/?later=1&size=3")
    look("19-large-text")
    phone.get(f"{site}/c/?later=1&size=1&lang=en")
    look("20-english")

    cookies = phone.get_cookies()
    tap("form[action='/c/logout'] button")
    at("/q")
    phone.back()
    assert "Lê Thị Thử" not in phone.page_source
    assert any(cookie["name"] == "citizen" for cookie in cookies)

    # A facility's code that is scanned before the card waits until the record is open.
    asked = ask(repository, "79999", "Trạm y tế Phường Thử")
    phone.get("about:blank")
    phone.get(f"{site}/c/facility#{asked}")
    look("20a-facility-first")
    assert asked not in phone.current_url
    phone.get("about:blank")
    phone.get(issued.link)
    at("/q/pin")
    fill(pin=PIN)
    tap("main button")
    at("/q/you")
    tap("button[value=yes]")
    at("/c/facility")
    assert phone.find_element("css selector", "#code").get_attribute("value") == asked
    tap("main form button")
    look("20b-facility-asks")
    tap("main form button")
    at("/c/.*done.*")
    phone.get(f"{site}/c/?later=1")
    assert phone.current_url == f"{site}/c/?later=1"  # once, and no more

    phone.get("about:blank")
    phone.get(link)
    fill(code=code)
    look("21-doctor")
    tap("main form button")
    look("22-doctor-sees")
    assert "Nguyễn Thị Ánh Đào" in phone.page_source
    kept = phone.execute_async_script(
        "const done = arguments[0];"
        "caches.keys().then(names => Promise.all(names.map(name => caches.open(name).then(cache => cache.keys()))))"
        ".then(all => done(all.flat().map(request => new URL(request.url).pathname)))"
    )
    assert sorted(kept) == ["/c/static/icon.svg", "/c/static/pages.css", "/q/offline"]
    complaints = [
        entry["message"] for entry in phone.get_log("browser") if "Content Security Policy" in entry["message"]
    ]
    assert complaints == []
