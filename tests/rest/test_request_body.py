"""Request bodies that are too long, compressed, or no JSON: https://hl7.org/fhir/R4/json.html"""

import gzip
import json
import tracemalloc

import pytest

from fhir_server.app import create_app
from fhir_server.config import Config

LIMIT = 100_000


@pytest.fixture
def config():
    return Config.from_environment({"FHIR_MAX_BODY_BYTES": str(LIMIT)})


def padded(person, size):
    """A person in JSON of exactly `size` bytes."""
    text = json.dumps(person())
    return (text + " " * (size - len(text))).encode()


def test_a_body_at_the_limit_is_taken_and_one_byte_more_is_413(send, person, issue):
    assert send("POST", "/fhir/Patient", padded(person, LIMIT)).status_code == 201
    response = send("POST", "/fhir/Patient", padded(person, LIMIT + 1))
    assert response.status_code == 413
    assert issue(response)["code"] == "too-long"


def test_a_gzipped_body_is_read(send, person):
    body = gzip.compress(json.dumps(person()).encode())
    response = send("POST", "/fhir/Patient", body, Content_Encoding="gzip")
    assert response.status_code == 201
    assert json.loads(response.data)["gender"] == "female"


def test_the_limit_holds_for_what_a_gzipped_body_inflates_to(send, person):
    at_limit = gzip.compress(padded(person, LIMIT))
    over = gzip.compress(padded(person, LIMIT + 1))
    assert send("POST", "/fhir/Patient", at_limit, Content_Encoding="gzip").status_code == 201
    assert send("POST", "/fhir/Patient", over, Content_Encoding="gzip").status_code == 413


def test_a_gzip_bomb_is_refused_without_being_inflated(send):
    bomb = gzip.compress(b" " * 50_000_000)
    assert len(bomb) < LIMIT
    tracemalloc.start()
    response = send("POST", "/fhir/Patient", bomb, Content_Encoding="gzip")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert response.status_code == 413
    assert peak < 2_000_000


@pytest.mark.parametrize("damage", [lambda body: body[:-9], lambda body: b"plain", lambda body: body + b"more"])
def test_a_damaged_gzip_body_is_400(send, person, issue, damage):
    body = damage(gzip.compress(json.dumps(person()).encode()))
    response = send("POST", "/fhir/Patient", body, Content_Encoding="gzip")
    assert response.status_code == 400
    assert issue(response)["code"] == "structure"


def test_another_content_encoding_is_415(send, person):
    assert send("POST", "/fhir/Patient", json.dumps(person()), Content_Encoding="br").status_code == 415


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "[]",
        "null",
        '"Patient"',
        '{"id":"1"}',
        '{"resourceType":"Patient","id":"1","id":"2"}',
        '{"resourceType":"Patient","multipleBirthInteger":NaN}',
        '{"resourceType":"Patient","id":"\\ud800"}',
        b'{"resourceType":"Patient","id":"\xff"}',
        '{"resourceType":"Patient","x":' + "[" * 65 + "]" * 65 + "}",
        '{"resourceType":"Patient","x":' + "[" * 30_000 + "]" * 30_000 + "}",
    ],
    ids=["cut", "array", "null", "text", "typeless", "twice", "nan", "surrogate", "latin-1", "deep", "deeper"],
)
def test_what_is_no_acceptable_json_is_400(send, issue, body):
    response = send("POST", "/fhir/Patient", body)
    assert response.status_code == 400
    assert issue(response)["code"] == "structure"


@pytest.mark.parametrize("body", ["", "  \n"])
def test_an_empty_body_is_400(send, issue, body):
    response = send("POST", "/fhir/Patient", body)
    assert response.status_code == 400
    assert issue(response)["code"] == "required"


def test_the_limit_holds_for_search_forms(repository, config):
    client = create_app(repository, config=config).test_client()
    response = client.post("/fhir/Patient/_search", data={"name": "x" * LIMIT})
    assert response.status_code == 413
