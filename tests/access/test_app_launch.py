"""Standalone launch of citizens' apps: https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html"""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import Any

import pytest

from fhir_server.access.documents import now
from fhir_server.citizen.cards import revoke_card
from fhir_server.citizen.pins import set_pin
from tests.access.world import BASE, CALLBACK, JWKS, PIN, App, World, assertion, hidden, told


@pytest.fixture
def card(world: World, person: str) -> Any:
    return world.card(person)


def test_a_launch_ends_with_a_token_bound_to_the_person(phone_app: App, card: Any, person: str, world: World) -> None:
    tokens = phone_app.tokens(card.code)
    assert tokens.pop("access_token")
    assert tokens.pop("refresh_token")
    assert tokens == {
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "launch/patient patient/*.rs offline_access",
        "patient": person,
    }


def test_the_token_reads_the_person_and_nobody_else(phone_app: App, card: Any, person: str, world: World) -> None:
    from tests.access.world import patient

    other = patient(world.repository, "Trần")
    token = phone_app.tokens(card.code)["access_token"]
    assert world.fhir(token, f"Patient/{person}").json["id"] == person
    assert world.fhir(token, f"Patient/{other}").status_code == 404
    assert world.fhir(token, "Patient").json["total"] == 1


def test_the_token_response_is_never_kept_in_a_cache(phone_app: App, card: Any) -> None:
    answer = phone_app.redeem(phone_app.code(card.code))
    assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache")


def test_the_state_comes_back_as_it_was_sent(phone_app: App, card: Any) -> None:
    state = "a b&c=d/é"
    consent = phone_app.log_in(phone_app.open(state=state), card.code)
    assert told(phone_app.decide(consent))["state"] == state


def test_the_request_may_come_by_post_too(phone_app: App, card: Any, world: World) -> None:
    page = world.post("/auth/authorize", phone_app.request())
    assert told(phone_app.decide(phone_app.log_in(page, card.code)))["code"]


def test_the_pages_speak_vietnamese_first_and_name_the_app_and_what_it_asks_for(phone_app: App, card: Any) -> None:
    page = phone_app.open()
    assert '<html lang="vi"' in page.text
    assert "Ứng dụng App phone muốn dùng hồ sơ" in page.text
    consent = phone_app.log_in(page, card.code)
    assert "App phone (app.example.vn)" in consent.text
    assert '<span lang="vi">Xem: mọi mục trong hồ sơ của bạn</span>' in consent.text
    assert 'lang="en">See: everything in your record</span>' in consent.text
    assert 'lang="en">Use the record while you are away too' in consent.text
    english = phone_app.world.http.get(
        "/auth/authorize", query_string={**phone_app.request(), "lang": "en"}, base_url=BASE
    )
    assert "would like to use your health record" in english.text


def test_the_pages_are_strict_about_what_they_load_and_where_their_forms_lead(phone_app: App, card: Any) -> None:
    consent = phone_app.log_in(phone_app.open(), card.code)
    for page in (phone_app.open(), consent):
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "form-action 'self' https://app.example.vn;" in policy
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["Referrer-Policy"] == "no-referrer"
        cookie = page.headers["Set-Cookie"]
        assert cookie.startswith("__Host-launch=")
        assert "Secure" in cookie
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
    for secret in (card.code, PIN):
        assert secret not in consent.text


def test_what_an_app_is_called_cannot_bring_markup_along(world: World, card: Any) -> None:
    from fhir_server.access import clients

    clients.register(
        world.database,
        clients.Registration(
            id="x", name="<script>alert(1)</script>", scopes=["patient/*.rs"], redirect_uris=[CALLBACK]
        ),
    )
    app = App(world, "x", "patient/*.rs")
    page = app.open(state="'\"><script>")
    assert "<script>" not in page.text
    assert "<script>" not in app.log_in(page, card.code).text


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"client_id": None},
        {"redirect_uri": None},
        {"redirect_uri": f"{CALLBACK}/"},
        {"redirect_uri": f"{CALLBACK}?x=1"},
        {"redirect_uri": "https://app.example.vn/callback/../evil"},
        {"redirect_uri": "https://app.example.vn.evil.example/callback"},
        {"redirect_uri": "https://app.example.vn@evil.example/callback"},
        {"redirect_uri": "HTTPS://app.example.vn/callback"},
        {"redirect_uri": "//evil.example"},
    ],
)
def test_nobody_is_sent_to_an_address_that_is_not_registered_to_the_letter(
    phone_app: App, changes: dict[str, str | None]
) -> None:
    page = phone_app.open(**changes)
    assert page.status_code == 400
    assert "Location" not in page.headers
    assert "evil" not in page.text
    assert "Ứng dụng này chưa được đăng ký" in page.text


def test_two_redirect_uris_are_one_too_many(phone_app: App, world: World) -> None:
    sent = [*phone_app.request().items(), ("redirect_uri", "https://evil.example/")]
    assert world.http.get("/auth/authorize", query_string=sent, base_url=BASE).status_code == 400


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"aud": None}, "invalid_request"),
        ({"aud": "https://evil.example/fhir"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "openid fhirUser"}, "invalid_scope"),
        ({"scope": "system/*.rs user/*.rs"}, "invalid_scope"),
        ({"scope": "patient/*.c"}, "invalid_scope"),
    ],
)
def test_the_app_is_told_what_is_wrong_with_its_request(
    phone_app: App, changes: dict[str, str | None], error: str
) -> None:
    answer = told(phone_app.open(**changes))
    assert (answer["error"], answer["state"]) == (error, "st-98afe1")
    assert "code" not in answer


def test_a_request_without_state_is_refused(phone_app: App) -> None:
    assert told(phone_app.open(state=None))["error"] == "invalid_request"


def test_a_parameter_that_comes_twice_is_refused(phone_app: App, world: World) -> None:
    sent = [*phone_app.request().items(), ("scope", "patient/*.cruds")]
    answer = world.http.get("/auth/authorize", query_string=sent, base_url=BASE)
    assert told(answer)["error"] == "invalid_request"


def test_a_wrong_pin_and_an_unknown_and_a_locked_card_are_answered_alike(
    phone_app: App, world: World, person: str, card: Any
) -> None:
    locked = world.card(person)
    revoke_card(world.repository, locked.id)
    printed = world.card(person)
    set_pin(world.repository, printed.id, PIN, change=True)
    texts = set()
    tries = [(card.code, "111222"), ("0" * 26, PIN), (locked.code, PIN), (printed.code, PIN), ("x", ""), ("", "")]
    for code, pin in tries:
        page = phone_app.open()
        answer = phone_app.log_in(page, code, pin)
        assert answer.status_code == 403
        text = answer.text
        for value in hidden(answer).values():
            text = text.replace(value, "")
        texts.add(text)
    assert len(texts) == 1
    assert world.database["smart_launches"].count_documents({}) == 0


def test_five_wrong_pins_close_the_card_for_apps_too(phone_app: App, card: Any) -> None:
    for _ in range(5):
        assert phone_app.log_in(phone_app.open(), card.code, "111222").status_code == 403
    assert phone_app.log_in(phone_app.open(), card.code, PIN).status_code == 403


def test_a_form_of_another_page_or_browser_is_not_taken(phone_app: App, card: Any, world: World) -> None:
    page = phone_app.open()
    assert phone_app.log_in(page, card.code, form_token="0" * 64).status_code == 400
    stranger = world.flask.test_client()
    sent = {**hidden(page), "card": card.code, "pin": PIN}
    assert stranger.post("/auth/authorize", data=sent, base_url=BASE).status_code == 400
    consent = phone_app.log_in(phone_app.open(), card.code)
    decided = stranger.post("/auth/authorize", data={**hidden(consent), "decision": "allow"}, base_url=BASE)
    assert decided.status_code == 400
    assert world.database["smart_launches"].count_documents({"kind": "code"}) == 0


def test_the_scopes_of_the_consent_cannot_be_changed_after_it(phone_app: App, card: Any, world: World) -> None:
    consent = phone_app.log_in(phone_app.open(scope="patient/Observation.rs"), card.code)
    changed = {**hidden(consent), "decision": "allow", "scope": "patient/*.rs", "redirect_uri": "https://evil.example"}
    code = told(world.post("/auth/authorize", changed))["code"]
    assert phone_app.redeem(code).json["scope"] == "patient/Observation.rs"


def test_a_log_in_page_that_was_tampered_with_is_checked_anew(phone_app: App, card: Any, world: World) -> None:
    answer = phone_app.log_in(phone_app.open(), card.code, redirect_uri="https://evil.example/")
    assert (answer.status_code, "Location" in answer.headers) == (400, False)


def test_a_person_who_does_not_agree_is_believed(phone_app: App, card: Any, world: World) -> None:
    consent = phone_app.log_in(phone_app.open(), card.code)
    answer = told(phone_app.decide(consent, "deny"))
    assert (answer["error"], answer["state"]) == ("access_denied", "st-98afe1")
    assert phone_app.decide(consent, "allow").status_code == 400
    assert world.database["smart_tokens"].count_documents({}) == 0


def test_a_consent_page_counts_once(phone_app: App, card: Any) -> None:
    consent = phone_app.log_in(phone_app.open(), card.code)
    kept = phone_app.world.http.get_cookie("__Host-launch", domain="fhir.example.vn")
    assert told(phone_app.decide(consent))["code"]
    phone_app.world.http.set_cookie("__Host-launch", kept.value, domain="fhir.example.vn")
    assert phone_app.decide(consent).status_code == 400


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": None},
        {"code_verifier": "x" * 64},
        {"code_verifier": "x"},
        {"redirect_uri": None},
        {"redirect_uri": f"{CALLBACK}/"},
    ],
)
def test_a_code_needs_its_verifier_and_redirect_uri_and_is_spent_by_a_wrong_try(
    phone_app: App, card: Any, changes: dict[str, str | None]
) -> None:
    code = phone_app.code(card.code)
    answer = phone_app.redeem(code, **changes)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_grant")
    assert phone_app.redeem(code).json["error"] == "invalid_grant"


def test_the_challenge_is_no_verifier(phone_app: App, card: Any) -> None:
    code = phone_app.code(card.code)
    assert phone_app.redeem(code, code_verifier=phone_app.challenge).json["error"] == "invalid_grant"


def test_a_code_of_another_client_is_not_taken(phone_app: App, card: Any, world: World) -> None:
    other = world.app("other", ["patient/*.rs"])
    code = phone_app.code(card.code)
    assert phone_app.redeem(code, client_id=other.id).json["error"] == "invalid_grant"


def test_a_code_lives_for_a_minute(phone_app: App, card: Any, world: World) -> None:
    code = phone_app.code(card.code)
    (launch,) = world.database["smart_launches"].find({"kind": "code"})
    assert timedelta(seconds=50) < launch["valid"] - now() <= timedelta(seconds=60)
    world.database["smart_launches"].update_one({}, {"$set": {"valid": now() - timedelta(seconds=1)}})
    assert phone_app.redeem(code).json["error"] == "invalid_grant"


def test_a_code_used_again_ends_the_tokens_it_gave(phone_app: App, card: Any, world: World) -> None:
    code = phone_app.code(card.code)
    tokens = phone_app.redeem(code).json
    assert world.fhir(tokens["access_token"], "Patient").status_code == 200
    assert phone_app.redeem(code).json["error"] == "invalid_grant"
    assert world.fhir(tokens["access_token"], "Patient").status_code == 401
    assert phone_app.refresh(tokens["refresh_token"]).json["error"] == "invalid_grant"


def test_of_many_who_redeem_a_code_at_once_none_keeps_a_token(phone_app: App, card: Any, world: World) -> None:
    code = phone_app.code(card.code)
    answers = []

    def redeem() -> None:
        sent = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "client_id": "phone"}
        answers.append(
            world.flask.test_client().post("/auth/token", data={**sent, "code_verifier": phone_app.verifier})
        )

    threads = [threading.Thread(target=redeem) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(answer.status_code == 200 for answer in answers) <= 1
    assert world.database["smart_tokens"].count_documents({}) == 0


def test_a_refresh_gives_new_tokens_and_the_old_refresh_token_is_spent(phone_app: App, card: Any, world: World) -> None:
    first = phone_app.tokens(card.code)
    second = phone_app.refresh(first["refresh_token"]).json
    assert second["refresh_token"] != first["refresh_token"]
    assert (second["scope"], second["patient"]) == (first["scope"], first["patient"])
    assert world.fhir(second["access_token"], "Patient").status_code == 200


def test_a_refresh_token_used_again_ends_the_whole_family(phone_app: App, card: Any, world: World) -> None:
    first = phone_app.tokens(card.code)
    second = phone_app.refresh(first["refresh_token"]).json
    assert phone_app.refresh(first["refresh_token"]).json["error"] == "invalid_grant"
    assert world.fhir(second["access_token"], "Patient").status_code == 401
    assert world.fhir(first["access_token"], "Patient").status_code == 401
    assert phone_app.refresh(second["refresh_token"]).json["error"] == "invalid_grant"


def test_a_refresh_can_ask_for_less_and_never_for_more(phone_app: App, card: Any) -> None:
    first = phone_app.tokens(card.code, scope="patient/Observation.rs offline_access")
    less = phone_app.refresh(first["refresh_token"], scope="patient/Observation.r").json
    assert less["scope"] == "patient/Observation.r"
    more = phone_app.refresh(less["refresh_token"], scope="patient/*.rs").json
    assert more["scope"] == "patient/Observation.rs"


def test_a_refresh_token_is_of_its_client_alone(phone_app: App, card: Any, world: World) -> None:
    other = world.app("other", ["patient/*.rs"])
    first = phone_app.tokens(card.code)
    assert other.refresh(first["refresh_token"]).json["error"] == "invalid_grant"
    assert phone_app.refresh(first["refresh_token"]).status_code == 200


def test_without_offline_access_there_is_no_refresh_token(phone_app: App, card: Any) -> None:
    assert "refresh_token" not in phone_app.tokens(card.code, scope="patient/*.rs")


def test_an_access_token_is_no_refresh_token_and_the_other_way_round(phone_app: App, card: Any, world: World) -> None:
    tokens = phone_app.tokens(card.code)
    assert phone_app.refresh(tokens["access_token"]).json["error"] == "invalid_grant"
    assert world.fhir(tokens["refresh_token"], "Patient").status_code == 401


def test_the_tokens_of_a_locked_card_die_at_once(phone_app: App, card: Any, world: World) -> None:
    tokens = phone_app.tokens(card.code)
    code = phone_app.code(card.code)
    assert world.fhir(tokens["access_token"], "Patient").status_code == 200
    revoke_card(world.repository, card.id)
    assert world.fhir(tokens["access_token"], "Patient").status_code == 401
    assert phone_app.refresh(tokens["refresh_token"]).json["error"] == "invalid_grant"
    assert phone_app.redeem(code).json["error"] == "invalid_grant"


def test_the_tokens_of_a_card_that_changed_die_at_once(phone_app: App, card: Any, world: World) -> None:
    tokens = phone_app.tokens(card.code)
    world.database["cards"].update_one({"_id": card.id}, {"$inc": {"version": 1}})
    assert world.fhir(tokens["access_token"], "Patient").status_code == 401


def test_a_confidential_app_redeems_its_code_with_its_key_only(world: World, card: Any) -> None:
    app = world.app("clinic-app", ["patient/*.rs"], jwks=JWKS)
    app.scope = "patient/*.rs"
    assert app.redeem(app.code(card.code)).json["error"] == "invalid_client"
    from fhir_server.access.assertions import TYPE

    proof = {"client_assertion_type": TYPE, "client_assertion": assertion("clinic-app")}
    answer = app.redeem(app.code(card.code), **proof, client_id=None)
    assert answer.status_code == 200, answer.text


def test_an_app_in_a_browser_may_read_the_answers(phone_app: App, card: Any, world: World) -> None:
    origin = {"Origin": "https://app.example.vn"}
    for path in ("/auth/token", "/fhir/.well-known/smart-configuration"):
        preflight = world.http.options(path, headers=origin)
        assert preflight.headers["Access-Control-Allow-Origin"] == "https://app.example.vn"
    answer = world.http.post("/auth/token", data={"grant_type": "x"}, headers=origin)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.vn"
    elsewhere = world.http.post("/auth/token", data={}, headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in elsewhere.headers
    assert json.loads(answer.data)["error"] == "unsupported_grant_type"
