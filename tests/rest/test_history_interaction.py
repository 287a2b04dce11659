"""history at its three levels: https://hl7.org/fhir/R4/http.html#history"""

import json

import pytest


@pytest.fixture
def lived(client, send, created):
    """A person created, updated and deleted: three versions."""
    url = f"/fhir/Patient/{created['id']}"
    send("PUT", url, {**created, "gender": "male"})
    client.delete(url)
    return created


def test_instance_history_lists_the_versions_newest_first(client, lived):
    response = client.get(f"/fhir/Patient/{lived['id']}/_history")
    bundle = json.loads(response.data)
    assert response.status_code == 200
    assert bundle["type"] == "history"
    url = f"http://localhost/fhir/Patient/{lived['id']}"
    assert bundle["link"] == [{"relation": "self", "url": f"{url}/_history"}]
    assert [entry["fullUrl"] for entry in bundle["entry"]] == [url] * 3
    assert [entry["request"] for entry in bundle["entry"]] == [
        {"method": "DELETE", "url": f"Patient/{lived['id']}"},
        {"method": "PUT", "url": f"Patient/{lived['id']}"},
        {"method": "POST", "url": "Patient"},
    ]
    assert [(e["response"]["status"], e["response"]["etag"]) for e in bundle["entry"]] == [
        ("204 No Content", 'W/"3"'),
        ("200 OK", 'W/"2"'),
        ("201 Created", 'W/"1"'),
    ]
    deletion, update, creation = bundle["entry"]
    assert "resource" not in deletion
    assert update["resource"]["gender"] == "male"
    assert creation["resource"] == lived
    assert creation["response"]["lastModified"] == lived["meta"]["lastUpdated"]


def test_type_and_system_history_hold_what_belongs_to_them(client, send, lived):
    observation = {"resourceType": "Observation", "status": "final", "code": {"text": "cân nặng"}}
    made = json.loads(send("POST", "/fhir/Observation", observation).data)
    of_type = json.loads(client.get("/fhir/Observation/_history").data)
    of_system = json.loads(client.get("/fhir/_history").data)
    assert [entry["resource"]["id"] for entry in of_type["entry"]] == [made["id"]]
    assert [entry["fullUrl"].split("/fhir/")[1] for entry in of_system["entry"]] == [
        f"Observation/{made['id']}",
        *[f"Patient/{lived['id']}"] * 3,
    ]


def test_history_in_pages_returns_every_version_once(client, lived):
    url: str | None = f"/fhir/Patient/{lived['id']}/_history?_count=2"
    seen = []
    while url:
        bundle = json.loads(client.get(url).data)
        seen.append([entry["response"]["etag"] for entry in bundle["entry"]])
        url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)
    assert seen == [['W/"3"', 'W/"2"'], ['W/"1"']]


def test_history_of_nobody_is_404(client, issue):
    response = client.get("/fhir/Patient/nobody/_history")
    assert response.status_code == 404
    assert issue(response)["code"] == "not-found"


def test_history_since_leaves_older_versions_out(client, lived):
    bundle = json.loads(client.get(f"/fhir/Patient/{lived['id']}/_history?_since=2100-01-01T00:00:00Z").data)
    assert "entry" not in bundle
    assert bundle["link"][0]["url"].endswith("/_history?_since=2100-01-01T00:00:00Z")
