"""A phone: headless chromium of 360 x 740 pixels on a server of our own, and what looks at each of its pages."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

    from fhir_server.repository import Repository

ARTEFACTS = Path(__file__).parent / "artefacts"
AXE = ARTEFACTS / "axe.min.js"
WIDTH, HEIGHT = 360, 740
MISSING = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
if not AXE.exists():
    MISSING.append("axe-core (python -m tests.browser fetches it)")

# What an axe run is asked for: https://www.w3.org/TR/WCAG22/ at level AA.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
_SMALL = """
return [...document.querySelectorAll("main button, main .button, main input:not([type=hidden]), main select, .switch, .hotline, .menu a, summary")]
  .map(each => each.closest("label.tick, label.tile") || each)
  .filter(each => each.offsetParent !== null || each.matches(".hotline"))
  .filter(each => each.getBoundingClientRect().height < 55.5)
  .map(each => each.outerHTML.slice(0, 120));
"""
_CLIPPED = """
return [...document.querySelectorAll("main *, header *, .hotline")]
  .filter(each => { const box = each.getBoundingClientRect(); return box.width && (box.right > innerWidth + 1); })
  .filter(each => !each.closest("svg") && !each.matches(".skip"))
  .map(each => each.outerHTML.slice(0, 120));
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if MISSING:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=f"not here: {', '.join(MISSING)}"))


@pytest.fixture
def site(repository: Repository) -> Iterator[str]:
    """The address of a running server."""
    from fhir_server.app import create_app
    from fhir_server.config import Config

    server = make_server("127.0.0.1", 0, lambda *_: [], threaded=True)
    assert isinstance(server, ThreadingMixIn)
    server.daemon_threads, server.block_on_close = True, False  # the browser keeps its connections open
    config = Config.from_environment({}, public_url=f"http://127.0.0.1:{server.port}")
    server.app = create_app(repository, config=config)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    yield config.public_url
    server.shutdown()
    serving.join()
    server.server_close()


@pytest.fixture
def before_camera() -> str:
    """The text of the QR code that the phone's camera looks at; "" for the moving picture that chromium makes up."""
    return ""


def film(text: str, path: Path) -> None:
    """A film of a QR code on a grey table, as chromium takes one for a camera: https://wiki.multimedia.cx/index.php/YUV4MPEG2"""
    import qrcode
    from PIL import Image

    code = qrcode.make(text, border=4).get_image().convert("L").resize((300, 300)).rotate(7, fillcolor=120)
    table = Image.new("L", (640, 480), 120)
    table.paste(code, (150, 90))
    frame = b"FRAME\n" + table.tobytes() + bytes([128]) * (640 * 480 // 2)
    path.write_bytes(b"YUV4MPEG2 W640 H480 F30:1 Ip C420jpeg\n" + frame * 10)


@pytest.fixture
def phone(before_camera: str, tmp_path: Path) -> Iterator[Chrome]:
    """A small phone with a browser."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--lang=vi"):
        options.add_argument(argument)
    for argument in ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"):  # a camera
        options.add_argument(argument)
    if before_camera:
        film(before_camera, tmp_path / "camera.y4m")
        options.add_argument(f"--use-file-for-fake-video-capture={tmp_path / 'camera.y4m'}")
    options.add_experimental_option(
        "mobileEmulation", {"deviceMetrics": {"width": WIDTH, "height": HEIGHT, "pixelRatio": 2}}
    )
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture
def look(phone: Chrome) -> Callable[[str], None]:
    """Keep a picture of the page, and see that axe finds nothing, that all can be tapped and that nothing is cut off."""

    def look(name: str) -> None:
        size = phone.execute_script(
            "return [document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
        )
        assert size[0] <= WIDTH, f"{name} is {size[0]} px wide"
        # The screen is made as long as the page: chromium can wait for ever for what lies outside of it.
        metrics = {"width": WIDTH, "height": min(size[1], 6000), "deviceScaleFactor": 1, "mobile": True}
        phone.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        phone.save_screenshot(str(ARTEFACTS / f"{name}.png"))
        phone.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics | {"height": HEIGHT})
        assert phone.execute_script(_CLIPPED) == [], name
        assert phone.execute_script(_SMALL) == [], name
        phone.execute_script(AXE.read_text(encoding="utf-8"))
        found: Any = phone.execute_async_script(
            "const done = arguments[1]; axe.run(document, {runOnly: arguments[0]}).then(done)", RULES
        )
        assert found["passes"]
        problems = [(each["id"], [node["html"][:150] for node in each["nodes"]]) for each in found["violations"]]
        assert problems == [], name

    return look
