"""The pages of staff in a real browser, at 1280 and 360 pixels: the policy lets them work, nothing is cut off, axe is content."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from fhir_server.access import staff
from fhir_server.access.context import AccessContext
from fhir_server.desk.pages import MENU
from fhir_server.intake.matching import queue_item
from mappings.identity import judge
from tests.browser.conftest import ARTEFACTS, AXE, RULES

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

    from fhir_server.repository import Repository

OPEN = AccessContext.unrestricted("test")
PASSWORD = "một mật khẩu dài"
SIZES = ((1280, 900), (360, 740))
HOA = {"resourceType": "Patient", "name": [{"text": "Lê Thị Hoa"}], "gender": "female", "birthDate": "1980-03-05"}


# Chromium reads QR codes on phones and not on Linux: what the phone's would do as soon as the camera shows something.
CAMERAS = """
window.cameras = [];
const asked = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async wanted => {
  const stream = await asked(wanted);
  window.cameras.push(stream);
  return stream;
};
"""
DETECTOR = """
window.BarcodeDetector = class {
  static async getSupportedFormats() { return ["qr_code"]; }
  async detect(video) { return video.videoWidth && video.currentTime ? [{ rawValue: "%s" }] : []; }
};
"""


def look(browser: Chrome, name: str) -> None:
    """Keep a picture at both sizes, and see that nothing is cut off and that axe finds nothing."""
    for width, height in SIZES:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 400}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width, (name, width)
        browser.save_screenshot(str(ARTEFACTS / f"desk-{name}-{width}.png"))
        browser.execute_script(AXE.read_text(encoding="utf-8"))
        found: Any = browser.execute_async_script(
            "const done = arguments[1]; axe.run(document, {runOnly: arguments[0]}).then(done)", RULES
        )
        assert found["passes"]
        problems = [(each["id"], [node["html"][:150] for node in each["nodes"]]) for each in found["violations"]]
        assert problems == [], (name, width)


def test_the_desk_at_both_sizes(repository: Repository, site: str, phone: Chrome):
    from selenium.webdriver.support.ui import WebDriverWait

    staff.add_account(
        repository.store.database, "lan", PASSWORD, roles=[*staff.ROLES], facility="79001", break_glass=True
    )
    known, newer = (repository.create(OPEN, "Patient", HOA).stored.address for _ in range(2))
    task = repository.create(OPEN, "Task", queue_item(newer, known, judge(HOA, HOA))).stored.id

    def press(selector: str) -> None:
        phone.execute_script("document.querySelector(arguments[0]).click()", selector)

    def wait_for(selector: str) -> None:
        WebDriverWait(phone, 20).until(lambda driver: driver.find_elements("css selector", selector))

    phone.get(f"{site}/desk/login")
    look(phone, "login")
    phone.find_element("id", "name").send_keys("lan")
    phone.find_element("id", "password").send_keys(PASSWORD)
    press("main button")
    wait_for(".tiles")
    look(phone, "home")
    for page in MENU:
        phone.get(f"{site}{page.rule}")
        look(phone, page.name)
    phone.get(f"{site}/desk/find")
    phone.find_element("id", "q").send_keys("le thi hoa")
    press("main form button")
    wait_for("#found tbody tr")
    assert phone.current_url == f"{site}/desk/find"
    assert len(phone.find_elements("css selector", "#found tbody tr")) == 2
    look(phone, "found")
    phone.get(f"{site}/desk/person/{known.removeprefix('Patient/')}")
    look(phone, "person")
    phone.get(f"{site}/desk/person/{known.removeprefix('Patient/')}/carers")
    look(phone, "carers")
    phone.get(f"{site}/desk/asking")
    press("main form button")
    wait_for("main svg, main img")
    look(phone, "asking-code")
    phone.get(f"{site}/desk/emergency")
    phone.find_element("id", "reason").send_keys("Bệnh nhân bất tỉnh, không có người nhà")
    press("button[value=begin]")
    wait_for("main .alert a")
    look(phone, "in-an-emergency")
    phone.get(f"{site}/desk/emergency")
    press("button[value=end]")
    wait_for("button[value=begin]")
    phone.get(f"{site}/desk/duplicates/{task}")
    look(phone, "pair")
    phone.get(f"{site}/desk/bundle")
    entry = {"resource": {"resourceType": "Patient", "birthDate": "x"}, "request": {"method": "POST", "url": "Patient"}}
    text = json.dumps({"resourceType": "Bundle", "type": "batch", "entry": [entry]})
    phone.execute_script("document.getElementById('text').value = arguments[0]", text)
    press("button[value=try]")
    wait_for("#result")
    look(phone, "bundle-tried")
    assert [each for each in phone.get_log("browser") if each["level"] == "SEVERE"] == []


CCCD = "001080999999"
QR = f"{CCCD}||Lê Thị Hoa|05031980|Nữ|Hà Nội|01012021"


@pytest.mark.parametrize("own", [True, False], ids=["the browser reads it", "our reader reads it"])
@pytest.mark.parametrize("before_camera", [QR])
def test_the_camera_fills_in_the_field_and_is_let_go(repository: Repository, site: str, phone: Chrome, own: bool):
    """Chromium on Linux reads no codes itself: where it is to, that is a stand-in; else the picture is read for good."""
    from selenium.webdriver.support.ui import WebDriverWait

    staff.add_account(repository.store.database, "lan", PASSWORD, roles=["registrar"])
    number = {"system": "http://fhir.ehealth.gov.vn/core/sid/national_id", "value": CCCD}
    repository.create(OPEN, "Patient", HOA | {"identifier": [number]})
    source = CAMERAS + (DETECTOR % QR if own else "")
    phone.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": source})
    phone.get(f"{site}/desk/login")
    phone.find_element("id", "name").send_keys("lan")
    phone.find_element("id", "password").send_keys(PASSWORD)
    phone.execute_script("document.querySelector('main button').click()")
    WebDriverWait(phone, 20).until(lambda driver: driver.find_elements("css selector", ".tiles"))
    phone.get(f"{site}/desk/find")
    assert phone.execute_script("return 'BarcodeDetector' in window") == own
    button = phone.find_element("css selector", "[data-scan-button]")
    assert button.is_displayed()
    button.click()
    WebDriverWait(phone, 20).until(lambda driver: "Lê Thị Hoa" in driver.page_source)
    assert phone.find_element("id", "q").get_attribute("value") == QR
    streams = "return window.cameras.map(each => each.getTracks().map(track => track.readyState))"
    assert phone.execute_script(streams) == [["ended"]]
    assert phone.find_elements("css selector", "video") == []
    fetched = "return performance.getEntriesByType('resource').some(each => each.name.includes('/static/qr/'))"
    assert phone.execute_script(fetched) != own
    assert [each for each in phone.get_log("browser") if each["level"] == "SEVERE"] == []
