"""What a token opens at the FHIR service, and what nothing opens."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from pymongo.errors import ServerSelectionTimeoutError

from fhir_server.access import tokens
from fhir_server.access.context import AccessContext
from fhir_server.access.documents import hash_of, now
from fhir_server.access.scopes import parse_all
from fhir_server.app import create_app
from fhir_server.config import Config
from fhir_server.rest import access
from tests.access.world import BASE, PIN, App, Backend, World


def test_discovery_tells_the_addresses_and_what_is_supported(world: World) -> None:
    answer = world.http.get("/fhir/.well-known/smart-configuration")
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    assert answer.json == world.http.get("/.well-known/smart-configuration").json
    assert answer.json == {
        "authorization_endpoint": f"{BASE}/auth/authorize",
        "token_endpoint": f"{BASE}/auth/token",
        "introspection_endpoint": f"{BASE}/auth/introspect",
        "revocation_endpoint": f"{BASE}/auth/revoke",
        "grant_types_supported": ["authorization_code", "client_credentials", "refresh_token"],
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
        "scopes_supported": answer.json["scopes_supported"],
        "capabilities": answer.json["capabilities"],
    }
    assert {"launch-standalone", "client-public", "client-confidential-asymmetric", "permission-v2"} <= set(
        answer.json["capabilities"]
    )
    assert "sso-openid-connect" not in answer.json["capabilities"]  # then issuer and jwks_uri would be needed


def test_discovery_does_not_follow_the_host_header(world: World) -> None:
    answer = world.http.get("/.well-known/smart-configuration", headers={"Host": "evil.example"})
    assert "evil" not in answer.text


def test_every_scope_that_is_announced_is_one_that_is_understood(world: World) -> None:
    words = world.http.get("/.well-known/smart-configuration").json["scopes_supported"]
    assert len(parse_all(" ".join(words))) == len(words) - 2


def test_the_capability_statement_names_smart_and_its_addresses(world: World) -> None:
    security = world.fhir(None, "metadata").json["rest"][0]["security"]
    assert security["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"
    (extension,) = security["extension"]
    assert {each["url"]: each["valueUri"] for each in extension["extension"]} == {
        "authorize": f"{BASE}/auth/authorize",
        "token": f"{BASE}/auth/token",
        "introspect": f"{BASE}/auth/introspect",
        "revoke": f"{BASE}/auth/revoke",
    }


def test_in_open_access_there_is_no_authorization_server(repository: Any) -> None:
    client = create_app(repository, config=Config.from_environment({})).test_client()
    assert client.get("/fhir/.well-known/smart-configuration").status_code == 404
    assert client.post("/auth/token").status_code == 404
    assert "service" not in client.get("/fhir/metadata").json["rest"][0]["security"]


def test_every_address_below_the_base_needs_a_token_but_those_that_tell_nothing(world: World) -> None:
    open_to_all = {"/fhir/metadata", "/fhir/openapi.json", "/fhir/.well-known/smart-configuration"}
    seen = 0
    for rule in world.flask.url_map.iter_rules():
        if not rule.rule.startswith("/fhir"):
            continue
        path = rule.rule
        for name in rule.arguments:
            path = path.replace(f"<{name}>", {"type": "Patient", "compartment": "Patient"}.get(name, "1"))
        for method in (rule.methods or set()) - {"OPTIONS"}:
            seen += 1
            answer = world.http.open(path, method=method)
            if rule.rule in open_to_all:
                assert answer.status_code == 200, path
            else:
                assert answer.status_code == 401, (method, path)
                assert answer.headers["WWW-Authenticate"] == 'Bearer realm="fhir"'
    assert seen > 30


@pytest.mark.parametrize("path", ["/fhir/NoSuchType/1", "/fhir/a/b/c/d/e", "/fhir/Patient/$nothing", "/fhir/", "/fhir"])
def test_an_address_that_does_not_exist_tells_nothing_either(world: World, path: str) -> None:
    answer = world.http.get(path)
    assert answer.status_code == 401
    assert answer.json["resourceType"] == "OperationOutcome"
    assert answer.json["issue"][0]["code"] == "login"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc", "Bearer a b", "bearer \u00e9", "Token x"])
def test_what_is_no_token_opens_nothing(world: World, header: str) -> None:
    answer = world.http.get("/fhir/Patient", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="fhir"')


def test_a_token_in_the_address_is_no_token(world: World, backend: Backend) -> None:
    assert world.http.get(f"/fhir/Patient?access_token={backend.token()}").status_code == 401


def test_health_and_the_openapi_document_stay_open(world: World) -> None:
    assert world.http.get("/health").status_code == 200
    assert world.http.get("/openapi.json").status_code == 200


def test_unknown_revoked_and_expired_tokens_are_answered_alike(world: World, backend: Backend) -> None:
    revoked, expired = backend.token(), backend.token()
    assert backend.revoke(revoked).status_code == 200
    over = now() - timedelta(seconds=1)
    world.database["smart_tokens"].update_one({"_id": hash_of(expired)}, {"$set": {"expires": over}})
    answers = [world.fhir(token, "Patient", X_Request_Id="same") for token in (revoked, expired, "x" * 43)]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.data for answer in answers}) == 1
    assert len({answer.headers["WWW-Authenticate"] for answer in answers}) == 1
    assert answers[0].headers["WWW-Authenticate"] == 'Bearer realm="fhir", error="invalid_token"'


def test_a_patient_scope_that_is_bound_to_nobody_is_refused(world: World, phone_app: App, person: str) -> None:
    token = phone_app.tokens(world.card(person).code)["access_token"]
    assert world.fhir(token, "Patient").status_code == 200
    world.database["smart_tokens"].update_one({"_id": hash_of(token)}, {"$unset": {"patient": 1}})
    assert world.fhir(token, "Patient").status_code == 401


def _seen(world: World, monkeypatch: pytest.MonkeyPatch) -> list[AccessContext]:
    """The callers that reach the interactions."""
    callers: list[AccessContext] = []
    known = access.context_of

    def watched(environ: Any, config: Any) -> AccessContext:
        callers.append(known(environ, config))
        return callers[-1]

    monkeypatch.setattr(access, "context_of", watched)
    return callers


def test_what_was_registered_and_granted_becomes_the_caller(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    hospital = world.backend(
        "hospital",
        ["system/*.rs"],
        facility="79001",
        narrowed=True,
        labels=["HIV"],
        purposes=["TREAT", "PUBHLTH"],
        break_glass=True,
    )
    token = hospital.token("system/Patient.rs")
    callers = _seen(world, monkeypatch)
    world.fhir(token, "Patient", X_Request_Id="req-1", X_Purpose_Of_Use="PUBHLTH")
    assert callers[-1] == AccessContext(
        actor="client:hospital",
        scopes=parse_all("system/Patient.rs"),
        labels=frozenset({"HIV"}),
        facility="79001",
        narrowed=True,
        purpose="PUBHLTH",
        origin="127.0.0.1",
        request="req-1",
    )
    world.fhir(token, "Patient", X_Break_Glass_Reason="c%E1%BA%A5p%20c%E1%BB%A9u%20kh%C3%B4ng%20t%E1%BB%89nh")
    assert (callers[-1].purpose, callers[-1].reason) == ("BTG", "cấp cứu không tỉnh")
    world.fhir(token, "Patient")
    assert (callers[-1].purpose, callers[-1].reason) == ("TREAT", "")


def test_a_citizens_app_is_bound_to_the_patient(
    world: World, phone_app: App, person: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = phone_app.tokens(world.card(person).code)["access_token"]
    callers = _seen(world, monkeypatch)
    world.fhir(token, "Patient", X_Purpose_Of_Use="TREAT", X_Break_Glass_Reason="curiosity")
    caller = callers[-1]
    assert (caller.actor, caller.patient, caller.purpose, caller.reason) == ("client:phone", person, "PATRQT", "")
    assert caller.may_write == AccessContext.for_patient(person, "any").may_write
    assert caller.labels == frozenset()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X_Purpose_Of_Use": "PUBHLTH"}, 403),
        ({"X_Purpose_Of_Use": "treat"}, 403),
        ({"X_Purpose_Of_Use": "BTG"}, 400),
        ({"X_Break_Glass_Reason": "unconscious"}, 403),
        ({"X_Break_Glass_Reason": ""}, 400),
        ({"X_Break_Glass_Reason": "%0a%0d%0a%0d%00"}, 400),
        ({"X_Break_Glass_Reason": "x" * 501}, 400),
    ],
)
def test_a_purpose_that_a_client_may_not_claim_is_refused(
    world: World, backend: Backend, headers: dict[str, str], status: int
) -> None:
    answer = world.fhir(backend.token(), "Patient", **headers)
    assert answer.status_code == status
    assert answer.json["resourceType"] == "OperationOutcome"


def test_introspection_tells_an_active_token_to_whom_it_belongs(world: World, backend: Backend) -> None:
    token = backend.token()
    told = backend.introspect(token).json
    assert told.pop("exp") - told.pop("iat") == 300
    assert told == {"active": True, "scope": "system/*.rs", "client_id": "clinic", "token_type": "Bearer"}


def test_introspection_names_the_patient_to_a_client_that_may_ask_of_all(
    world: World, phone_app: App, person: str
) -> None:
    card = world.card(person)
    token = phone_app.tokens(card.code)["access_token"]
    checker = world.backend("checker", ["system/*.rs"], introspects=True)
    told = checker.introspect(token).json
    assert (told["active"], told["client_id"], told["patient"]) == (True, "phone", person)
    world.database["cards"].update_one({"_id": card.id}, {"$inc": {"version": 1}})
    assert checker.introspect(token).json == {"active": False}


def test_introspection_of_anything_else_says_inactive_and_no_more(
    world: World, backend: Backend, phone_app: App, person: str
) -> None:
    tokens = phone_app.tokens(world.card(person).code)
    for token in (tokens["access_token"], tokens["refresh_token"], "x", ""):
        answer = backend.introspect(token)
        assert (answer.status_code, answer.json) == (200, {"active": False})


@pytest.mark.parametrize("path", ["/auth/introspect", "/auth/revoke"])
def test_introspection_and_revocation_need_a_client_that_proves_itself(
    world: World, backend: Backend, path: str
) -> None:
    token = backend.token()
    for proof in ({}, {"client_id": "clinic"}, {"client_assertion": "x"}):
        answer = world.post(path, {"token": token, **proof})
        assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")
    assert world.fhir(token, "Patient").status_code == 200


def test_a_client_revokes_its_own_tokens_only(world: World, backend: Backend) -> None:
    token = backend.token()
    other = world.backend("other", ["system/*.rs"])
    assert other.revoke(token).status_code == 200
    assert world.fhir(token, "Patient").status_code == 200
    assert backend.revoke(token).status_code == 200
    assert backend.revoke(token).status_code == 200
    assert backend.revoke("unknown").status_code == 200
    assert world.fhir(token, "Patient").status_code == 401


def test_a_public_app_revokes_what_it_was_given_by_its_refresh_token(world: World, phone_app: App, person: str) -> None:
    tokens = phone_app.tokens(world.card(person).code)
    assert world.post("/auth/revoke", {"token": tokens["refresh_token"], "client_id": "phone"}).status_code == 200
    assert world.fhir(tokens["access_token"], "Patient").status_code == 401
    assert phone_app.refresh(tokens["refresh_token"]).json["error"] == "invalid_grant"


def test_a_token_is_read_once_by_its_id(world: World, backend: Backend, person: str) -> None:
    token = backend.token()
    plan = world.database["smart_tokens"].find({"_id": hash_of(token)}).explain()
    assert plan["executionStats"]["totalKeysExamined"] == 1
    assert plan["executionStats"]["totalDocsExamined"] == 1
    world.database.command("profile", 2)
    try:
        for _ in range(20):
            assert world.fhir(token, f"Patient/{person}").status_code == 200
    finally:
        world.database.command("profile", 0)
    own = {"$regex": r"\.smart_tokens$"}
    asked = [
        (found["ns"].rpartition(".")[2], found["planSummary"], found["docsExamined"])
        for found in world.database["system.profile"].find({"ns": own})
    ]
    assert asked == [("smart_tokens", "IDHACK", 1)]


def test_requests_beyond_the_limit_get_429_and_when_to_come_again(repository: Any, tmp_path: Any) -> None:
    settings = {"FHIR_ACCESS": "smart", "FHIR_PUBLIC_URL": BASE, "FHIR_AUDIT": "no", "FHIR_DATA": str(tmp_path)}
    config = Config.from_environment({**settings, "FHIR_CLIENT_LIMIT": "10"})
    world = World(create_app(repository, config=config), repository, config)
    token = world.backend("clinic", ["system/*.rs"]).token()
    assert world.fhir(token, "Patient").headers["RateLimit"].startswith('"client";r=5;t=')
    assert world.fhir(token, "Patient").headers["RateLimit-Policy"] == '"client";q=10;w=60'
    refused = world.fhir(token, "Patient")
    assert refused.status_code == 429
    assert refused.json["issue"][0]["code"] == "throttled"
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    other = world.backend("other", ["system/*.rs"]).token()
    assert world.fhir(other, "Patient").status_code == 200


def test_an_address_has_a_limit_too_also_without_a_token(repository: Any, tmp_path: Any) -> None:
    settings = {"FHIR_ACCESS": "smart", "FHIR_PUBLIC_URL": BASE, "FHIR_AUDIT": "no", "FHIR_DATA": str(tmp_path)}
    config = Config.from_environment({**settings, "FHIR_ADDRESS_LIMIT": "20", "FHIR_PROXIES": "1"})
    world = World(create_app(repository, config=config), repository, config)
    for _ in range(20):
        assert world.fhir(None, "Patient/1").status_code == 401
    assert world.fhir(None, "Patient/1").status_code == 429
    refused = world.post("/auth/token", {})
    assert (refused.status_code, refused.json["error"]) == (429, "temporarily_unavailable")
    assert int(refused.headers["Retry-After"]) <= 60
    page = world.http.get("/auth/authorize", base_url=BASE)
    assert page.status_code == 429
    elsewhere = world.fhir(None, "Patient/1", X_Forwarded_For="203.0.113.9")
    assert elsewhere.status_code == 401


def test_without_a_proxy_nobody_chooses_the_own_address(world: World, backend: Backend, monkeypatch: Any) -> None:
    callers = _seen(world, monkeypatch)
    world.fhir(backend.token(), "Patient", X_Forwarded_For="203.0.113.9")
    assert callers[-1].origin == "127.0.0.1"


def test_no_secret_is_written_to_the_log(
    world: World, backend: Backend, phone_app: App, person: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    card = world.card(person)
    tokens_given = phone_app.tokens(card.code)
    phone_app.log_in(phone_app.open(), card.code, "111222")
    token = backend.token()
    world.fhir(token, "Patient")
    own = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("fhir_server"))
    for secret in (token, tokens_given["access_token"], tokens_given["refresh_token"], card.code, PIN, "111222"):
        assert secret not in own
        assert all(secret not in repr(found) for name in _ours(world) for found in world.database[name].find())


def _ours(world: World) -> list[str]:
    return [name for name in world.database.list_collection_names() if name.startswith("smart_")]


def test_a_refresh_token_spent_by_many_at_once_leaves_no_two_successors(
    world: World, phone_app: App, person: str
) -> None:
    given = phone_app.tokens(world.card(person).code)
    answers: list[Any] = []

    def refresh() -> None:
        sent = {"grant_type": "refresh_token", "refresh_token": given["refresh_token"], "client_id": "phone"}
        answers.append(world.flask.test_client().post("/auth/token", data=sent))

    threads = [threading.Thread(target=refresh) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(answer.status_code == 200 for answer in answers) <= 1
    assert world.database["smart_tokens"].count_documents({}) == 0


def test_a_store_that_is_away_is_told_as_such_wherever_it_is_asked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = world.backend("clinic", ["system/*.rs"]).token()

    def away(*arguments: Any) -> None:
        raise ServerSelectionTimeoutError("127.0.0.1:27100: connection refused")

    monkeypatch.setattr(tokens, "find", away)
    answer = world.fhir(token, "Patient/p")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.json["issue"][0]["code"] == "transient"
    assert "27100" not in answer.get_data(as_text=True)
