"""Backend services: https://hl7.org/fhir/smart-app-launch/STU2.2/backend-services.html"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
from joserfc import jwk

from fhir_server.access import clients
from tests.access.world import EC, JWKS, RSA, STRANGER, Backend, World, assertion


@pytest.mark.parametrize("key", [EC, RSA], ids=["ES384", "RS384"])
def test_a_signed_assertion_gets_a_bearer_token_for_300_seconds(backend: Backend, key: Any) -> None:
    answer = backend.ask(client_assertion=assertion("clinic", key))
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.content_type == "application/json"
    token = answer.json.pop("access_token")
    assert {name: value for name, value in answer.json.items() if name != "access_token"} == {
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "system/*.rs",
    }
    assert len(token) == 43


def test_only_a_hash_of_a_token_is_stored(backend: Backend, world: World) -> None:
    token = backend.token()
    (kept,) = world.database["smart_tokens"].find()
    assert kept["_id"] == hashlib.sha256(token.encode()).hexdigest()
    assert token not in repr(kept)
    assert (kept["expires"] - kept["issued"]).total_seconds() == 300


BROKEN: dict[str, dict[str, Any]] = {
    "iss is another": {"iss": "other"},
    "iss is missing": {"iss": None},
    "sub is another": {"sub": "other"},
    "both are of nobody": {"iss": "nobody", "sub": "nobody"},
    "aud is the FHIR base": {"aud": "https://fhir.example.vn/fhir"},
    "aud has a slash more": {"aud": "https://fhir.example.vn/auth/token/"},
    "aud is missing": {"aud": None},
    "aud names others too": {"aud": ["https://fhir.example.vn/auth/token", "https://other.example"]},
    "exp is past": {"exp": timedelta(seconds=-60)},
    "exp is missing": {"exp": None},
    "exp is text": {"exp": "2099"},
    "exp is not a number": {"exp": True},
    "exp is more than five minutes ahead": {"exp": timedelta(seconds=420)},
    "nbf is ahead": {"nbf": timedelta(seconds=60)},
    "iat is ahead": {"iat": timedelta(seconds=60)},
    "jti is missing": {"jti": None},
    "jti is empty": {"jti": ""},
    "jti is a number": {"jti": 7},
    "jti is too long": {"jti": "j" * 256},
    "kid is unknown": {"header": {"kid": "other"}},
    "kid is missing": {"header": {"kid": None}},
    "kid is of the other algorithm": {"header": {"kid": "rsa"}},
    "typ is another": {"header": {"typ": "at+jwt"}},
    "typ is missing": {"header": {"typ": None}},
    "crit is there": {"header": {"crit": ["exp"], "exp": 1}},
    "b64 is there": {"header": {"crit": ["b64"], "b64": True}},
    "a key comes along": {"key": STRANGER, "header": {"jwk": STRANGER.as_dict(private=False)}},
    "jku leads elsewhere": {"key": STRANGER, "header": {"jku": "https://evil.example/jwks"}},
    "x5u leads elsewhere": {"key": STRANGER, "header": {"x5u": "https://evil.example/cert"}},
    "a stranger signed": {"key": STRANGER},
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_an_assertion_that_breaks_a_rule_is_refused(backend: Backend, world: World, broken: dict[str, Any]) -> None:
    answer = backend.ask(client_assertion=assertion("clinic", **broken))
    assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")
    assert answer.headers["Cache-Control"] == "no-store"
    assert world.database["smart_tokens"].count_documents({}) == 0
    assert world.database["smart_assertions"].count_documents({}) == 0


def _segments(text: str, header: dict[str, Any]) -> str:
    head = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    return ".".join([head, *text.split(".")[1:]])


@pytest.mark.parametrize("algorithm", ["none", "None", "HS256", "HS384", "RS256", "ES256", "PS384", "", None, 5])
def test_no_other_algorithm_counts(backend: Backend, algorithm: Any) -> None:
    good = assertion("clinic")
    forged = _segments(good, {"alg": algorithm, "kid": "ec", "typ": "JWT"})
    for sent in (forged, forged.rpartition(".")[0] + "."):
        answer = backend.ask(client_assertion=sent)
        assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")


def test_the_public_key_is_no_shared_secret(backend: Backend) -> None:
    """Algorithm confusion: HS384 with the public key's own text as its secret."""
    head, claims, _ = _segments(assertion("clinic"), {"alg": "HS384", "kid": "ec", "typ": "JWT"}).split(".")
    for secret in (EC.as_pem(private=False), json.dumps(EC.as_dict(private=False)).encode()):
        mac = hmac.new(secret, f"{head}.{claims}".encode(), hashlib.sha384).digest()
        forged = base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
        answer = backend.ask(client_assertion=f"{head}.{claims}.{forged}")
        assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("text", ["", "a", "a.b.c", "..", "é.b.c", "a.b.c.d.e", "{}", "x" * 9000])
def test_what_is_no_jwt_is_refused(backend: Backend, text: str) -> None:
    answer = backend.ask(client_assertion=text)
    assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")


def test_a_changed_claim_breaks_the_signature(backend: Backend) -> None:
    one, other = assertion("clinic").split("."), assertion("clinic").split(".")
    answer = backend.ask(client_assertion=".".join([one[0], other[1], one[2]]))
    assert answer.json["error"] == "invalid_client"


def test_an_assertion_counts_once(backend: Backend) -> None:
    proof = backend.proof()
    assert backend.ask(**proof).status_code == 200
    again = backend.ask(**proof)
    assert (again.status_code, again.json["error"]) == (401, "invalid_client")
    assert "jti" in again.json["error_description"]


def test_two_clients_may_use_the_same_jti(backend: Backend, world: World) -> None:
    other = world.backend("other", ["system/*.rs"])
    assert backend.ask(**backend.proof(jti="same")).status_code == 200
    assert other.ask(**other.proof(jti="same")).status_code == 200


def test_used_assertions_are_forgotten_by_mongodb_once_they_are_over(backend: Backend, world: World) -> None:
    backend.token()
    indexes = world.database["smart_assertions"].index_information()
    assert indexes["expires_1"]["expireAfterSeconds"] == 0
    assert world.database["smart_tokens"].index_information()["expires_1"]["expireAfterSeconds"] == 0


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"grant_type": ""}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"client_assertion_type": "urn:other"}, 401, "invalid_client"),
        ({"client_assertion_type": ""}, 401, "invalid_client"),
        ({"client_id": "other"}, 401, "invalid_client"),
        ({"scope": ""}, 400, "invalid_scope"),
        ({"scope": "system/Unknown.rs"}, 400, "invalid_scope"),
        ({"scope": "patient/*.rs launch/patient"}, 400, "invalid_scope"),
        ({"scope": "user/*.rs"}, 400, "invalid_scope"),
    ],
)
def test_errors_have_the_codes_of_oauth(backend: Backend, changes: dict[str, str], status: int, error: str) -> None:
    answer = backend.ask(**changes)
    assert (answer.status_code, answer.json["error"]) == (status, error)
    assert answer.headers["Cache-Control"] == "no-store"
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)


def test_a_parameter_that_comes_twice_is_refused(backend: Backend, world: World) -> None:
    form = {"grant_type": "client_credentials", "scope": ["system/*.rs", "system/*.cruds"], **backend.proof()}
    answer = world.post("/auth/token", form)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")


def test_parameters_belong_into_a_form_in_the_body(backend: Backend, world: World) -> None:
    form = {"grant_type": "client_credentials", "scope": "system/*.rs", **backend.proof()}
    as_json = world.http.post("/auth/token", json=form)
    assert (as_json.status_code, as_json.json["error"]) == (400, "invalid_request")
    in_address = world.http.post("/auth/token?scope=system/*.rs", data=form)
    assert (in_address.status_code, in_address.json["error"]) == (400, "invalid_request")
    with_basic = world.post("/auth/token", form, headers={"Authorization": "Basic Y2xpbmljOng="})
    assert (with_basic.status_code, with_basic.json["error"]) == (401, "invalid_client")
    assert world.http.get("/auth/token").status_code == 405
    too_large = world.post("/auth/token", {**form, "scope": "x" * 40_000})
    assert (too_large.status_code, too_large.json["error"]) == (413, "invalid_request")


def test_what_cannot_be_granted_is_dropped_and_the_rest_is_told(backend: Backend) -> None:
    answer = backend.ask("system/Patient.rs system/Observation.cruds system/Patient.cruds system/Foo.rs openid x")
    assert answer.json["scope"] == "system/Patient.rs system/Observation.cruds"


def test_a_scope_that_goes_too_far_is_narrowed(world: World) -> None:
    lab = world.backend("lab", ["system/Observation.rs?category=laboratory system/Patient.r"])
    assert lab.ask("system/*.cruds").json["scope"] == "system/Observation.rs?category=laboratory system/Patient.r"


def test_scopes_of_version_1_are_understood(backend: Backend) -> None:
    assert backend.ask("system/Observation.write system/Patient.read").json["scope"] == (
        "system/Observation.write system/Patient.read"
    )
    assert backend.ask("system/Patient.*").json["scope"] == "system/Patient.rs"


def test_a_disabled_client_gets_nothing_and_its_tokens_end(backend: Backend, world: World) -> None:
    token = backend.token()
    assert world.fhir(token, "Patient").status_code == 200
    clients.disable(world.database, "clinic")
    assert world.fhir(token, "Patient").status_code == 401
    assert backend.ask().json["error"] == "invalid_client"


def test_a_client_disabled_while_its_token_is_made_has_none_afterwards(
    backend: Backend, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fhir_server.access import tokens

    issue = tokens.issue

    def disabled_first(database: Any, *args: Any) -> str:
        clients.disable(database, "clinic")  # ends the tokens that are there: this one is not yet
        return issue(database, *args)

    monkeypatch.setattr(tokens, "issue", disabled_first)
    assert backend.ask().json["error"] == "invalid_client"
    assert world.database["smart_tokens"].count_documents({}) == 0


def test_a_backend_service_proves_itself_by_a_key_alone(world: World, phone_app: Any) -> None:
    answer = world.post(
        "/auth/token", {"grant_type": "client_credentials", "scope": "system/*.rs", "client_id": "phone"}
    )
    assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"jwks": {"keys": [EC.as_dict(private=True)]}}, "private"),
        ({"jwks": {"keys": [jwk.ECKey.generate_key("P-256", {"kid": "a"}).as_dict(private=False)]}}, "no key"),
        ({"jwks": {"keys": [jwk.RSAKey.generate_key(1024, {"kid": "a"}).as_dict(private=False)]}}, "no key"),
        ({"jwks": {"keys": [{**EC.as_dict(private=False), "kid": ""}]}}, "no key"),
        ({"jwks": {"keys": [{**EC.as_dict(private=False), "use": "enc"}]}}, "no key"),
        ({"jwks": {"keys": []}}, "1 to 20"),
        ({"jwks": None}, "needs keys"),
        ({"jwks_url": "https://a.example/jwks"}, "not both"),
        ({"jwks": None, "jwks_url": "http://a.example/jwks"}, "https"),
        ({"jwks": None, "jwks_url": "https://user@a.example/jwks"}, "https"),
        ({"scopes": ["system/Foo.rs"]}, "system/Foo.rs is none"),
        ({"scopes": ["launch/patient"]}, "none was given"),
        ({"redirect_uris": ["http://app.example.vn/cb"]}, "redirect URI"),
        ({"redirect_uris": ["https://app.example.vn/cb#x"]}, "redirect URI"),
        ({"redirect_uris": ["javascript:alert(1)"]}, "redirect URI"),
        ({"redirect_uris": ["https://app.example.vn/;script-src *"]}, "redirect URI"),
        ({"purposes": ["MARKT"]}, "purpose"),
        ({"narrowed": True}, "facility"),
        ({"id": "a b"}, "id"),
        ({"id": "clinic"}, "already"),
    ],
)
def test_a_registration_that_makes_no_sense_is_refused(
    backend: Backend, world: World, changes: dict[str, Any], told: str
) -> None:
    asked = {"id": "new", "name": "New", "scopes": ["system/*.rs"], "jwks": JWKS} | changes
    with pytest.raises(clients.ClientRefused, match=told):
        clients.register(world.database, clients.Registration(**asked))
