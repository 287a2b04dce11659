"""Abuse cases 56 to 64: how far the server reaches, and what leaks out of it at its edges.

56 addresses of the own network, 57 prefix-matched hosts, 58 imports as a laundry, 59 logs, 60 internals in errors,
61 metrics and admin pages, 62 the audit trail, 63 slow clients, 64 card sheets and exports.
"""

from __future__ import annotations

import json
import socket
import time
from contextlib import ExitStack
from typing import Any

import pytest

from fhir_server.access import clients, outbound
from fhir_server.access.clients import ClientRefused, Registration
from fhir_server.access.outbound import NotFetched, is_public
from fhir_server.desk.pages import PAGES
from tests.abuse.conftest import card_of
from tests.abuse.crossed import SECRET
from tests.abuse.site import Site, tokens
from tests.abuse.test_authentication import person
from tests.abuse.test_compartment import observation
from tests.abuse.test_injection import PASSWORD, staff_browser
from tests.access.world import PIN, App

PRIVATE = (
    "127.0.0.1",
    "[::1]",
    "10.0.0.1",
    "169.254.169.254",
    "192.168.1.1",
    "[::ffff:127.0.0.1]",
    "2130706433",
    "0x7f.1",
    "localhost",
)
INTERNAL = (
    "Traceback",
    'File "',
    "pymongo",
    "mongod",
    "werkzeug",
    "site-packages",
    "fhir_server/",
    ".py",
    "OperationFailure",
)


def events(site: Site, **wanted: Any) -> list[dict[str, Any]]:
    """The events that are kept, once the shipping has come by."""
    for _ in range(100):
        found = [json.loads(each["json"]) for each in site.database["AuditEvent"].find().sort("_id", -1).limit(400)]
        said = [json.dumps(each, ensure_ascii=False) for each in found]
        matching = [
            each for each, text in zip(found, said, strict=True) if all(value in text for value in wanted.values())
        ]
        if matching:
            return matching
        time.sleep(0.1)
    return []


def test_case_56_no_address_that_somebody_names_reaches_the_own_network(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Key sets and imports from private addresses, by any spelling, by rebinding and by redirect: no connection is made."""
    for host in PRIVATE:
        with pytest.raises((NotFetched, ClientRefused)):
            outbound.fetch(f"https://{host}/jwks", network=outbound.Network(resolve=lambda *_: ["127.0.0.1"]))
    for address in (
        "127.0.0.1",
        "::1",
        "10.1.2.3",
        "169.254.169.254",
        "fd00::1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "0.0.0.0",
    ):
        assert not is_public(address)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.5)
        port = listening.getsockname()[1]
        url = f"https://localhost:{port}/jwks"
        if all(each.id != "inward" for each in clients.all_clients(site.database)):
            clients.register(
                site.database, Registration(id="inward", name="Inward", scopes=["system/*.rs"], jwks_url=url)
            )
        assert site.client("inward", "system/*.rs").json["error"] == "invalid_client"
        wanted = {"name": "input", "part": [{"name": "url", "valueUri": f"http://127.0.0.1:{port}/x.ndjson"}]}
        for path in ("$import", "Patient/$import"):
            answer = site.send(
                "POST", f"/fhir/{path}", {"resourceType": "Parameters", "parameter": [wanted]}, token=site.clinic
            )
            assert 400 <= answer.status < 500
        with pytest.raises(TimeoutError):
            listening.accept()


def test_case_57_credentials_go_to_no_host_that_begins_alike(site: Site) -> None:
    """The server sends no credentials with what it fetches, and no host that begins like another one passes for it."""
    for url in (
        "https://user:pass@a.example/jwks",
        "https://a.example@127.0.0.1/jwks",
        "http://a.example/jwks",
        "https://a.example/#x",
    ):
        with pytest.raises(NotFetched):
            outbound.check_url(url)
    sent: list[bytes] = []

    class Recorded(outbound._Pinned):
        def connect(self) -> None:
            self.sock = Recorder()

    class Recorder(socket.socket):
        def sendall(self, data: Any, *_: Any) -> None:
            sent.append(bytes(data))
            raise ConnectionResetError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outbound, "_Pinned", Recorded)
        with pytest.raises(NotFetched):
            outbound.fetch("https://a.example/jwks", network=outbound.Network(resolve=lambda *_: ["93.184.215.14"]))
    (request,) = sent
    assert b"authorization" not in request.lower()
    assert b"cookie" not in request.lower()
    for base in ("https://fhir.example.vn.evil.example/fhir", "https://fhir.example.vn@evil.example/fhir"):
        answer = site.a("POST", "Observation", observation(subject={"reference": f"{base}/Patient/a-patient"}))
        assert answer.status in (400, 403)


def test_case_58_an_import_writes_nothing_into_another_record(site: Site) -> None:
    """Neither A nor a client without the scopes imports anything; a transaction of A's with B's records is refused whole."""
    reader = site.client("reader", "system/*.rs").json["access_token"]
    before = site.database["Observation"].count_documents({"o": "b-patient"})
    for token in (site.token, reader):
        for path in ("$import", "Patient/$import"):
            answer = site.send("POST", f"/fhir/{path}", {"resourceType": "Parameters"}, token=token)
            assert answer.status in (403, 404)
    entries = [
        {
            "resource": observation(subject={"reference": f"Patient/{who}"}),
            "request": {"method": "POST", "url": "Observation"},
        }
        for who in ("a-patient", "b-patient")
    ]
    mine = site.database["Observation"].count_documents({"o": "a-patient"})
    assert site.a("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries}).status == 403
    assert site.database["Observation"].count_documents({"o": "a-patient"}) == mine
    assert site.database["Observation"].count_documents({"o": "b-patient"}) == before
    for path in ("/api/token/take", "/desk/imports", "/desk/bundle", "/api/egw/take"):
        assert site.send("POST", path, {"x": 1}, kind="application/json", token=site.token).status in (
            400,
            401,
            403,
            404,
            405,
        )


def test_case_59_no_name_token_or_pin_is_in_a_log(site: Site, phone: App) -> None:
    """After log-ins, searches, errors and launches, at the most talkative level, the log holds nothing personal."""
    card = card_of(site.repository, person(site))
    given = tokens(site, phone, card.code)
    site.browser("203.0.113.70").enter(card.code)
    site.browser("203.0.113.70").fill("/q", code=card.code + "x")
    name = "Nguyễn Thị Nhật Ký"
    body = {"resourceType": "Patient", "name": [{"text": name, "family": "NhatKyFamily"}], "birthDate": "19-99"}
    site.send("POST", "/fhir/Patient", body, token=site.clinic)
    site.send("POST", "/fhir/Patient", {**body, "birthDate": "1999-09-09"}, token=site.clinic)
    site.send("GET", "/fhir/Patient?family=NhatKyFamily&birthdate=1999-09-09", token=site.clinic)
    site.send("GET", "/fhir/Patient?_count=x&name=NhatKyFamily", token=site.clinic)
    site.send("GET", f"/fhir/Patient?access_token={site.clinic}")
    log = site.server.log.read_text(encoding="utf-8")
    assert "GET /fhir/Patient" in log  # it is a log of requests
    secrets = (card.code, card.token, PIN, given["access_token"], given["refresh_token"], site.clinic, site.token)
    for each in (*secrets, "NhatKyFamily", name, "1999-09-09", "19-99", SECRET, "eyJ", PASSWORD):
        assert each not in log


def test_case_60_errors_tell_nothing_of_the_inside(site: Site) -> None:
    """Whatever is wrong, the answer has no stack trace, path, module or word of MongoDB."""
    for method, path, body in (
        *(
            ("GET", "/fhir/Patient?_count=x", None),
            ("POST", "/fhir/Patient", "{"),
            ("POST", "/fhir/Patient", '{"a":'),
        ),
        *(("PATCH", "/fhir/Patient/a-patient", "x"), ("GET", "/fhir/Nothing", None), ("BREW", "/fhir/Patient", None)),
        *(
            ("GET", "/fhir/Patient/%00", None),
            ("GET", "/fhir/%ff%fe", None),
            ("POST", "/auth/token", "x"),
            ("GET", "/auth/token", None),
        ),
        *(
            ("GET", "/c/static/../../app.py", None),
            ("GET", "/desk/person/%00", None),
            ("POST", "/q", "\x00"),
            ("GET", "/q?lang=%ff", None),
        ),
        *(
            ("GET", "/c/static/%2e%2e/%2e%2e/config.py", None),
            ("GET", "/desk/imports/x", None),
            ("POST", "/desk/login", "x=%ff"),
        ),
    ):
        for token in (site.clinic, site.token, None):
            answer = site.send(method, path, body, token=token)
            assert answer.status < 500 or (method, answer.status) == ("BREW", 501), (path, answer.text)
            for word in INTERNAL:
                assert word not in answer.text, (path, word)
                assert word not in answer.headers.get("server", "")


def test_case_61_no_metrics_console_or_admin_page_is_public(site: Site) -> None:
    """Addresses where others keep metrics, consoles and dumps do not exist; the desk asks for a log-in, health says ok."""
    for path in (
        *(
            "/metrics",
            "/admin",
            "/console",
            "/debug",
            "/actuator",
            "/actuator/env",
            "/.env",
            "/.git/config",
            "/server-status",
        ),
        *("/fhir/metrics", "/status", "/stats", "/swagger", "/graphql", "/phpinfo.php", "/data", "/mongod.log", "/api"),
    ):
        for method in ("GET", "POST"):
            answer = site.send(method, path)
            assert answer.status in (401, 404, 405), path
    assert site.send("GET", "/health").text.strip() == "ok"
    for page in PAGES:
        address = page.rule.replace("<id>", "a-patient")
        assert site.send(page.method, address, "" if page.method == "POST" else None).status == 401
        assert site.send(page.method, address, "" if page.method == "POST" else None, token=site.token).status == 401
    start = site.send("GET", "/")
    assert "a-patient" not in start.text
    assert site.send("POST", "/start/card", "x=1").status == 403


def test_case_62_every_read_search_and_denial_is_in_the_audit_trail(site: Site) -> None:
    """A read, a search, a refusal, a request without a token and a wrong PIN each leave an event that says who and what."""
    asked = {
        "read": site.send("GET", "/fhir/Condition/a-condition", token=site.clinic),
        "search": site.send("GET", "/fhir/Condition?patient=a-patient&code=I10", token=site.clinic),
        "denied": site.send("GET", "/fhir/Observation?_list=both", token=site.token),
        "missing": site.send("GET", "/fhir/Condition/b-condition", token=site.token),
        "written": site.send("POST", "/fhir/Condition", {"resourceType": "Condition"}, token=site.token),
    }
    assert [each.status for each in asked.values()][:4] == [200, 200, 403, 404]
    for what, answer in asked.items():
        found = events(site, request=answer.headers["x-request-id"])
        assert found, what
        assert {each["outcome"] for each in found} == ({"0"} if what in ("read", "search") else {"4"}), what
        actor = "client:clinic" if what in ("read", "search") else "client:phone"
        assert actor in json.dumps(found)
    refused = site.send("GET", "/fhir/Patient", token="nobody")
    assert events(site, request=refused.headers["x-request-id"])
    for method in ("PUT", "DELETE", "PATCH"):
        event = found[0]["id"]
        body = None if method == "DELETE" else {**found[0], "outcomeDesc": "nothing happened"}
        assert site.send(method, f"/fhir/AuditEvent/{event}", body, token=site.clinic).status in (400, 403, 405, 415)


def test_case_63_slow_clients_do_not_keep_others_waiting(site: Site) -> None:
    """Two hundred connections that send a byte of a request and wait keep nobody from an answer."""
    with ExitStack() as held:
        for number in range(200):
            slow = held.enter_context(socket.create_connection(("127.0.0.1", site.server.port), timeout=10))
            slow.sendall(
                b"GET /fhir/Pat" if number % 2 else b"POST /fhir HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"
            )
        for _ in range(10):
            assert site.a("GET", "Patient/a-patient").status == 200
        assert site.send("GET", "/health").status == 200


def test_case_64_card_sheets_and_exports_need_their_role(site: Site) -> None:
    """Cards as PDF are for admins alone; `$export` needs its scopes, and its files the client that asked."""
    for role in ("clinician", "auditor", "integrator", "registrar"):
        browser = staff_browser(site, role, f"203.0.113.{80 + len(role)}")
        assert browser.open("/desk/cards").status == 403
        token = browser.open("/desk/").hidden["form_token"]
        assert browser.open("/desk/cards", {"form_token": token}).status == 403
    assert staff_browser(site, "admin").open("/desk/cards").status == 200
    citizen = site.browser("203.0.113.71").enter(site.card.code)
    assert citizen.open("/desk/cards").status == 401
    asynchronous = {"Prefer": "respond-async"}
    reader = site.client("reader", "system/*.rs").json["access_token"]
    for holder, status in ((site.token, 403), (reader, 403), (None, 401)):
        assert site.send("GET", "/fhir/$export", token=holder, **asynchronous).status == status
    begun = site.send("GET", "/fhir/$export?_type=Organization", token=site.clinic, **asynchronous)
    assert begun.status == 202
    place = begun.headers["content-location"]
    path = place[place.index("/", 8) :]
    for _ in range(100):
        done = site.send("GET", path, token=site.clinic)
        if done.status == 200:
            break
        time.sleep(0.1)
    addresses = [path, *(each["url"][each["url"].index("/", 8) :] for each in done.json["output"])]
    for address in addresses:
        assert site.send("GET", address).status == 401
        for token in (site.token, reader):
            assert site.send("GET", address, token=token).status in (403, 404)
        assert site.send("GET", address, token=site.clinic).status == 200
    assert len(addresses) > 1
