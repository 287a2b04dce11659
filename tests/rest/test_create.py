"""create and conditional create: https://hl7.org/fhir/R4/http.html#create"""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from fhir_server.app import create_app
from fhir_server.config import Config

CRITERIA = "identifier=http://hososuckhoe.example.vn/fhir/sid/bhxh-number|7900000123"


def test_create_answers_201_with_the_resource_and_where_it_is(send, person):
    response = send("POST", "/fhir/Patient", person())
    made = json.loads(response.data)
    assert response.status_code == 201
    assert made["meta"]["versionId"] == "1"
    assert {key: made[key] for key in person()} == person()
    location = f"http://localhost/fhir/Patient/{made['id']}/_history/1"
    assert response.headers["Location"] == location
    assert response.headers["Content-Location"] == location
    assert response.headers["ETag"] == 'W/"1"'
    assert "Last-Modified" in response.headers


def test_the_id_in_the_body_of_a_create_is_ignored(client, send, person):
    response = send("POST", "/fhir/Patient", person(id="mine"))
    assert response.status_code == 201
    assert json.loads(response.data)["id"] != "mine"
    assert client.get("/fhir/Patient/mine").status_code == 404


def test_location_uses_the_configured_base_url(repository, person):
    config = Config.from_environment({"FHIR_BASE_URL": "https://hssk.example.vn/fhir"})
    client = create_app(repository, config=config).test_client()
    response = client.post("/fhir/Patient", json=person())
    made = json.loads(response.data)
    assert response.headers["Location"] == f"https://hssk.example.vn/fhir/Patient/{made['id']}/_history/1"


def test_return_minimal_sends_headers_and_no_body(send, person):
    response = send("POST", "/fhir/Patient", person(), Prefer="return=minimal")
    assert response.status_code == 201
    assert response.data == b""
    assert response.headers["Content-Length"] == "0"
    assert response.headers["ETag"] == 'W/"1"'
    assert response.headers["Location"].startswith("http://localhost/fhir/Patient/")
    assert "Content-Type" not in response.headers


def test_return_operation_outcome_tells_what_happened(send, person):
    response = send("POST", "/fhir/Patient", person(), Prefer="return=OperationOutcome")
    outcome = json.loads(response.data)
    logical_id = response.headers["Location"].split("/")[5]
    assert response.status_code == 201
    assert outcome == {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "information",
                "code": "informational",
                "diagnostics": f"Patient/{logical_id} was created as version 1.",
            }
        ],
    }


def test_a_resource_of_another_type_than_the_address_is_refused(send, person, issue):
    response = send("POST", "/fhir/Observation", person())
    assert response.status_code == 400
    assert issue(response)["expression"] == ["resourceType"]


def test_an_invalid_resource_is_refused_naming_the_element(send, person):
    response = send("POST", "/fhir/Patient", person(gender="nam"))
    assert response.status_code == 400
    assert [issue["expression"] for issue in json.loads(response.data)["issue"]] == [["Patient.gender"]]


def test_if_none_exist_creates_once_and_then_answers_200_with_what_is_there(send, person):
    first = send("POST", "/fhir/Patient", person(), If_None_Exist=CRITERIA)
    second = send("POST", "/fhir/Patient", person(family="Trần"), If_None_Exist=CRITERIA)
    assert first.status_code == 201
    assert second.status_code == 200
    assert second.data == first.data
    assert second.headers["Location"] == first.headers["Location"]
    assert second.headers["ETag"] == 'W/"1"'


def test_criteria_in_the_address_of_a_create_mean_what_if_none_exist_means(send, person):
    first = send("POST", f"/fhir/Patient?{CRITERIA}", person())
    second = send("POST", f"/fhir/Patient?{CRITERIA}", person(family="Trần"))
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.data == first.data


def test_if_none_exist_with_several_matches_is_412(send, person, issue):
    send("POST", "/fhir/Patient", person())
    send("POST", "/fhir/Patient", person())
    response = send("POST", "/fhir/Patient", person(), If_None_Exist=CRITERIA)
    assert response.status_code == 412
    issue(response)


def test_fifty_parallel_conditional_creates_make_one_resource(app, client, person):
    body = json.dumps(person())

    def create(_):
        headers = {"If-None-Exist": CRITERIA, "Content-Type": "application/fhir+json"}
        return app.test_client().post("/fhir/Patient", data=body, headers=headers)

    with ThreadPoolExecutor(50) as pool:
        responses = list(pool.map(create, range(50)))
    assert sorted(response.status_code for response in responses) == [200] * 49 + [201]
    assert len({response.headers["Location"] for response in responses}) == 1
    found = json.loads(client.get(f"/fhir/Patient?{CRITERIA}").data)
    assert len(found["entry"]) == 1
    assert found["entry"][0]["resource"]["meta"]["versionId"] == "1"


@pytest.mark.parametrize("url", ["/fhir/Patient", "/fhir/Patient/"])
def test_a_final_slash_makes_no_difference(send, person, url):
    assert send("POST", url, person()).status_code == 201
