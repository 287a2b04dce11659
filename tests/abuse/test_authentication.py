"""Abuse cases 43 to 55: proving who one is, and staying the only one who can.

43 algorithm confusion, 44 replay and claims, 45 codes, refresh tokens and PKCE, 46 scopes, 47 revocation, 48 parallel PIN
guesses, 49 PIN timing, 50 enumeration, 51 limits, 52 CSRF, 53 open redirects, 54 headers of pages, 55 sessions.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from fhir_server.access import staff
from fhir_server.citizen import pins
from fhir_server.citizen.cards import revoke_card
from fhir_server.citizen.login import check
from tests.abuse.conftest import card_of
from tests.abuse.site import Site, code_of, redeem, tokens
from tests.access.world import BASE, CALLBACK, EC, FHIR, PIN, STRANGER, App, assertion

EVIL = "https://evil.example/"


def person(site: Site) -> str:
    """Somebody new, so that what happens to their card happens to nobody else."""
    made = site.send("POST", "/fhir/Patient", {"resourceType": "Patient"}, token=site.clinic)
    return str(made.json["id"])


def reheaded(text: str, **header: Any) -> str:
    head = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    return ".".join([head, *text.split(".")[1:]])


def test_case_43_no_other_algorithm_key_or_header_counts(site: Site) -> None:
    """`none`, HMAC with the public key, a key that comes along, foreign `jku`, unknown `kid`, `crit`, another signature."""
    good = assertion("clinic")
    forged = [
        reheaded(good, alg=each, kid="ec", typ="JWT") for each in ("none", "None", "HS256", "HS384", "RS256", "ES256")
    ]
    forged += [each.rpartition(".")[0] + "." for each in forged]
    head, claims, _ = reheaded(good, alg="HS384", kid="ec", typ="JWT").split(".")
    for secret in (EC.as_pem(private=False), json.dumps(EC.as_dict(private=False)).encode()):
        mac = base64.urlsafe_b64encode(hmac.new(secret, f"{head}.{claims}".encode(), hashlib.sha384).digest())
        forged.append(f"{head}.{claims}.{mac.rstrip(b'=').decode()}")
    forged += [
        assertion("clinic", STRANGER, header={"jwk": STRANGER.as_dict(private=False)}),
        assertion("clinic", STRANGER, header={"jku": f"{EVIL}jwks"}),
        assertion("clinic", STRANGER),
        *(assertion("clinic", header=each) for each in ({"kid": "other"}, {"kid": None}, {"crit": ["exp"], "exp": 1})),
        good[:-4] + ("AAAA" if not good.endswith("AAAA") else "BBBB"),
    ]
    for each in forged:
        sent = {
            **site.proof("clinic"),
            "grant_type": "client_credentials",
            "scope": "system/*.rs",
            "client_assertion": each,
        }
        answer = site.form("/auth/token", sent)
        assert (answer.status, answer.json["error"]) == (401, "invalid_client")
    assert site.client("clinic", "system/*.rs").status == 200


def test_case_44_an_assertion_counts_once_now_and_for_this_server(site: Site) -> None:
    """jti replay, exp, nbf, aud, and iss that is not sub; at once from two sides too."""
    now = int(time.time())
    for claims in (
        *({"exp": now - 60}, {"exp": now + 900}, {"exp": None}, {"nbf": now + 60}, {"aud": FHIR}, {"aud": None}),
        *({"aud": [f"{BASE}/auth/token", EVIL]}, {"iss": "reader"}, {"sub": "reader"}, {"jti": None}, {"jti": ""}),
    ):
        answer = site.client("clinic", "system/*.rs", **claims)
        assert (answer.status, answer.json["error"]) == (401, "invalid_client")
    once = {**site.proof("clinic"), "grant_type": "client_credentials", "scope": "system/*.rs"}
    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(lambda _: site.form("/auth/token", once).status, range(8)))
    assert statuses == [200] + [401] * 7


def test_case_45_codes_and_refresh_tokens_count_once_and_for_their_app(site: Site, phone: App) -> None:
    """Reuse of a code or refresh token ends what it gave; PKCE and the redirect address must fit to the letter."""
    card = card_of(site.repository, person(site))
    code = code_of(site.browser().launch(phone, card.code))
    given = redeem(site, phone, code).json
    assert site.send("GET", "/fhir/Patient", token=given["access_token"]).status == 200
    assert redeem(site, phone, code).json["error"] == "invalid_grant"
    assert site.send("GET", "/fhir/Patient", token=given["access_token"]).status == 401
    given = tokens(site, phone, card.code)
    refresh = {"grant_type": "refresh_token", "refresh_token": given["refresh_token"], "client_id": phone.id}
    second = site.form("/auth/token", refresh).json
    assert site.form("/auth/token", refresh).json["error"] == "invalid_grant"
    assert site.send("GET", "/fhir/Patient", token=second["access_token"]).status == 401
    for early in ({"code_verifier": ""}, {"client_id": "clinic"}, {"client_id": "nobody"}, {"redirect_uri": ""}):
        code = code_of(site.browser().launch(phone, card.code))
        assert redeem(site, phone, code, **early).json["error"] in (
            "invalid_grant",
            "invalid_request",
            "invalid_client",
        )
    for wrong in ({"code_verifier": "x" * 43}, {"redirect_uri": f"{CALLBACK}/"}, {"code_verifier": phone.challenge}):
        code = code_of(site.browser().launch(phone, card.code))
        assert redeem(site, phone, code, **wrong).status in (400, 401)
        assert redeem(site, phone, code).json["error"] == "invalid_grant"
    for changes in ({"code_challenge": None}, {"code_challenge_method": "plain"}, {"response_type": "token"}):
        answer = site.browser().open(f"/auth/authorize?{urlencode(phone.request(**changes))}")
        assert answer.headers["location"].startswith(f"{CALLBACK}?error=")
    for address in (
        f"{CALLBACK}/",
        f"{CALLBACK}?x=1",
        f"{CALLBACK}#x",
        EVIL,
        f"{CALLBACK}.evil.example",
        f"{CALLBACK}/../x",
    ):
        answer = site.browser().open(f"/auth/authorize?{urlencode(phone.request(redirect_uri=address))}")
        assert answer.status == 400
        assert "location" not in answer.headers


def test_case_46_scopes_are_enforced_and_never_grow(site: Site, phone: App) -> None:
    """More than is registered is not given; what is not given is refused; a refresh never widens."""
    given = site.client("reader", "system/*.cruds system/Observation.cruds").json
    assert given["scope"] == "system/Observation.rs"
    token = given["access_token"]
    assert site.send("GET", "/fhir/Observation/a-weight-1", token=token).status == 200
    for method, path in (
        *(
            ("GET", "Patient/a-patient"),
            ("GET", "Condition"),
            ("DELETE", "Observation/a-weight-1"),
            ("GET", "_history"),
        ),
        *(
            ("GET", "Observation?patient.birthdate=1990"),
            ("GET", "Patient/a-patient/$everything"),
            ("GET", "AuditEvent"),
        ),
        *(("GET", "Observation?_revinclude=Provenance:target"), ("GET", "Observation?_has:Condition:encounter:code=x")),
    ):
        answer = site.send(method, f"/fhir/{path}", token=token)
        assert answer.status in (400, 403), path
    body = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    assert site.send("POST", "/fhir/Observation", body, token=token).status == 403
    included = site.send("GET", "/fhir/Observation?_include=*&_count=100", token=token)
    assert {each.partition("/")[0] for each in included.ids} == {"Observation"}
    card = card_of(site.repository, person(site))
    first = tokens(site, phone, card.code, scope="patient/Observation.rs offline_access system/*.cruds user/*.rs")
    assert set(first["scope"].split()) == {"patient/Observation.rs", "offline_access"}
    refresh = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"], "client_id": phone.id}
    again = site.form("/auth/token", {**refresh, "scope": "patient/*.cruds system/*.rs"}).json
    assert "patient/*" not in again.get("scope", "")
    assert site.send("GET", "/fhir/Patient", token=again.get("access_token", "")).status in (401, 403)


def test_case_47_a_revocation_counts_at_the_next_request_in_every_worker(site: Site, phone: App) -> None:
    """A token that was revoked, or whose card was locked, is refused by every one of the next requests."""
    card = card_of(site.repository, person(site))
    revoked = site.client("clinic", "system/*.rs").json["access_token"]
    locked = tokens(site, phone, card.code)["access_token"]
    with ThreadPoolExecutor(8) as pool:

        def statuses(token: str) -> set[int]:
            return set(pool.map(lambda _: site.send("GET", "/fhir/Patient?_count=1", token=token).status, range(24)))

        assert statuses(revoked) == statuses(locked) == {200}
        assert site.form("/auth/revoke", {"token": revoked, **site.proof("clinic")}).status == 200
        assert statuses(revoked) == {401}
        revoke_card(site.repository, card.id)
        assert statuses(locked) == {401}
    assert len(site.server.processes()) >= 3


def test_case_48_two_hundred_guesses_at_once_are_five(site: Site) -> None:
    """However many PINs are tried at the same moment, from however many addresses, five are looked at."""
    card = card_of(site.repository, person(site))
    browser = site.browser("203.0.113.48")
    assert browser.fill("/q", code=card.code).status == 303
    form = browser.open("/q/pin").hidden
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())

    def guess(number: int) -> int:
        sent = {**form, "pin": f"{number:06d}"}
        headers = {"Cookie": cookies, "X_Forwarded_For": f"198.51.100.{number}", "X_Forwarded_Proto": "https"}
        return site.form("/q/pin", sent, **headers).status

    with ThreadPoolExecutor(32) as pool:
        statuses = list(pool.map(guess, range(200)))
    assert statuses.count(403) == pins.WRONG_ALLOWED
    assert set(statuses) <= {403, 429, 503}
    kept = site.database["card_pins"].find_one({"_id": card.id})
    assert kept["wrong"] == pins.WRONG_ALLOWED
    assert site.browser("203.0.113.49").fill("/q", code=card.code).status == 303
    assert site.browser("203.0.113.49").show(card.code).status == 429


def test_case_49_a_pin_takes_the_same_work_however_wrong_it_is(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """One hash for a right, a wrong, a nearly right and an unknown card's PIN, and the same questions to MongoDB."""
    hashed: list[str] = []
    compare = pins._matches

    def counted(known: str, pin: str) -> bool:
        hashed.append(pin)
        return compare(known, pin)

    monkeypatch.setattr(pins, "_matches", counted)
    card = card_of(site.repository, person(site))
    work = []
    for pin in ("000001", f"{PIN[:5]}0", f"0{PIN[1:]}", "", "9" * 5_000):
        with site.work() as done:
            assert check(site.repository, card.code, pin, "203.0.113.50") is None
        work.append(done)
    # The first one begins a run of wrong tries, which takes a question less; the run goes on alike.
    assert all(each == work[1] for each in work[1:])
    assert sum(work[1].values()) > sum(work[0].values()) >= 2
    assert check(site.repository, "A" * 22, PIN, "203.0.113.50") is None
    assert len(hashed) == 6
    lengths = {len(each) for each in hashed}
    assert len(lengths) == 1


def test_case_50_numbers_of_people_cannot_be_tried(site: Site) -> None:
    """A BHYT or CCCD number opens nothing, and answers alike whether it is somebody's or nobody's."""
    number = "GD4790000000999"
    known = {"system": "http://fhir.ehealth.gov.vn/core/sid/insurance_number", "value": number}
    made = site.send("POST", "/fhir/Patient", {"resourceType": "Patient", "identifier": [known]}, token=site.clinic)
    assert made.status == 201
    pages = [site.browser("203.0.113.51").fill("/q", code=each) for each in (number, "GD4790000000998", "079085000999")]
    assert {each.status for each in pages} == {403}
    assert len({each.text.replace(each.hidden["entry_token"], "") for each in pages}) == 1
    for query in ("identifier={}", "identifier=http://fhir.ehealth.gov.vn/core/sid/insurance_number%7C{}", "_id=x,{}"):
        said = [
            site.a("GET", f"Patient?{query.format(each)}").json.get("total") for each in (number, "GD4790000000998")
        ]
        assert said == [0, 0]
        assert site.send("GET", f"/fhir/Patient?{query.format(number)}").status == 401
    assert site.send("GET", f"/desk/find?q={number}").status == 401
    unknown, wrong = (
        site.browser("203.0.113.52").fill("/desk/login", name=each, password="wrong wrong wrong")
        for each in ("nobody", "abuse-a")
    )
    assert (unknown.status, wrong.status) == (403, 403)
    clients = [site.client(each, "system/*.rs", key=STRANGER) for each in ("clinic", "nobody")]
    assert clients[0].text == clients[1].text


def test_case_51_every_card_client_and_address_has_a_limit(site: Site) -> None:
    """Wrong codes of an address, the weight of a client and the weight of an address end in 429 with Retry-After."""
    browser = site.browser("203.0.113.53")
    form = browser.open("/q").hidden
    statuses = [browser.open("/q", {**form, "code": "x"}).status for _ in range(31)]
    assert statuses == [403] * 30 + [429]
    assert site.browser("203.0.113.54").fill("/q", code="x").status == 403
    token = site.client("flood", "system/*.rs").json["access_token"]
    body = b'{"resourceType":' + b" " * 1_000_000
    for address, sent in (("203.0.113.55", token), ("203.0.113.56", "none")):
        for _ in range(600):
            answer = site.send(
                "POST", "/fhir", body, token=sent, X_Forwarded_For=address if sent == "none" else "198.51.100.9"
            )
            if answer.status == 429:
                break
            assert answer.status in (400, 401)
        assert answer.status == 429
        assert int(answer.headers["retry-after"]) <= 60
    assert site.a("GET", "Patient/a-patient").status == 200


def test_case_52_no_other_page_sends_a_form_in_ones_name(site: Site, phone: App) -> None:
    """A form without its page's token, or with another browser's, is refused everywhere; cookies are SameSite=Strict."""
    browser = site.browser("203.0.113.57").enter(site.card.code)
    other = site.browser("203.0.113.58").open("/q").hidden
    for path in (
        "/c/lock",
        "/c/share",
        "/c/consent",
        "/c/entries",
        "/c/declare",
        "/c/logout",
        "/c/family",
        "/c/facility",
    ):
        for fields in ({}, {"form_token": "x"}, other, {"form_token": "0" * 64}):
            assert browser.open(path, {**fields, "declare": "yes", "lock": "yes"}).status == 403, path
    assert browser.open("/c/").status == 200
    for path in ("/q", "/desk/login", "/s"):
        assert site.browser("203.0.113.59").open(path, {"code": "x", "name": "x", "password": "x"}).status in (400, 403)
    first = site.browser().open(f"/auth/authorize?{urlencode(phone.request())}")
    stolen = site.browser().open("/auth/authorize", {**first.hidden, "card": site.card.code, "pin": PIN})
    assert stolen.status == 400
    for page in (site.send("GET", "/q"), site.send("GET", "/desk/login"), first):
        cookie = page.headers["set-cookie"]
        assert "SameSite=Strict" in cookie
        assert "HttpOnly" in cookie
        assert "Secure" in cookie
        assert cookie.startswith("__Host-")


def test_case_53_no_address_leads_elsewhere(site: Site, phone: App) -> None:
    """No parameter and no path makes the server redirect to another site."""
    for path in ("/q", "/c/", "/desk/", "/desk/login", "/", "/s", "/auth/authorize", "/c/logout", "/fhir"):
        for name in ("next", "url", "redirect", "redirect_uri", "return", "continue", "goto", "r"):
            answer = site.send("GET", f"{path}?{name}={quote(EVIL)}")
            assert "evil" not in answer.headers.get("location", "")
    for path in (
        f"//{EVIL[8:]}",
        f"/{EVIL}",
        "/%2f%2fevil.example",
        "/\\evil.example",
        "/q/..//evil.example",
        "//evil.example/%2e%2e",
    ):
        answer = site.send("GET", path)
        assert not answer.headers.get("location", "/").startswith(("//", "http"))
        assert answer.status in (308, 400, 401, 404)
    for header in ("Host", "X_Forwarded_Host", "Referer"):
        answer = site.send("GET", "/c/pin", **{header: "evil.example"})
        assert "evil" not in answer.headers.get("location", "")
    told = site.browser().open(f"/auth/authorize?{urlencode(phone.request(redirect_uri=EVIL))}")
    assert "location" not in told.headers


def test_case_54_pages_stand_in_no_frame_and_run_no_foreign_script(site: Site, phone: App) -> None:
    """CSP without inline script, no framing, no referrer, nosniff, no-store, and HSTS under https, on every page."""
    browser = site.browser("203.0.113.60").enter(site.card.code)
    pages = ("/", "/q", "/c/", "/c/declare", "/c/seen", "/s", "/desk/login", "/desk/find", "/q/nothing", "/c/lock")
    answers = [
        browser.open(each) for each in (*pages, f"/auth/authorize?{urlencode(phone.request())}", "/auth/authorize")
    ]
    for path, answer in zip((*pages, "launch", "refused"), answers, strict=True):
        policy = answer.headers.get("content-security-policy", "")
        if answer.status == 404 and not policy:
            continue
        assert "default-src 'none'" in policy, path
        assert "frame-ancestors 'none'" in policy, path
        assert "unsafe" not in policy, path
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "max-age=" in answer.headers["strict-transport-security"], path
        assert "<script>" not in answer.text
        assert "onclick=" not in answer.text


def test_case_55_a_session_is_new_at_each_step_and_ends_for_good(site: Site) -> None:
    """No fixation; on a shared phone the second card sees the second record; after leaving, nothing is shown."""
    card = card_of(site.repository, person(site))
    browser = site.browser("203.0.113.61")
    browser.cookies["__Host-citizen"] = "planted-by-somebody-else"
    seen = [browser.cookies["__Host-citizen"]]
    browser.fill("/q", code=card.code)
    seen.append(browser.cookies["__Host-citizen"])
    for path, typed in (("/q/pin", {"pin": PIN}), ("/q/you", {"me": "yes"})):
        browser.fill(path, **typed)
        seen.append(browser.cookies["__Host-citizen"])
    assert len(set(seen)) == 4
    old = seen[-1]
    for each in seen[:-1]:
        stale = site.send("GET", "/c/", Cookie=f"__Host-citizen={each}", X_Forwarded_Proto="https")
        assert stale.status in (303, 401)
    browser.enter(site.card.code)
    assert site.send("GET", "/c/", Cookie=f"__Host-citizen={old}", X_Forwarded_Proto="https").status == 401
    last = browser.cookies["__Host-citizen"]
    page = browser.open("/c/")
    assert page.headers["cache-control"] == "no-store"
    left = browser.open("/c/logout", {"form_token": page.hidden["form_token"]})
    assert left.status == 303
    assert "cache" in left.headers["clear-site-data"]
    for path in ("/c/", "/c/declare", "/c/seen"):
        again = site.send("GET", path, Cookie=f"__Host-citizen={last}", X_Forwarded_Proto="https")
        assert again.status == 401
        assert "mine" not in again.text
    assert site.database["citizen_sessions"].count_documents({"_id": last}) == 0
    assert staff.account_of(site.database, last) is None
