"""history at its three levels: https://hl7.org/fhir/R4/http.html#history"""

import json
from datetime import datetime, timedelta

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


def etags(response):
    assert response.status_code == 200, response.text
    return [entry["response"]["etag"] for entry in json.loads(response.data).get("entry", [])]


@pytest.fixture
def moments(client, lived):
    """When the three versions of the person came."""
    entries = json.loads(client.get(f"/fhir/Patient/{lived['id']}/_history").data)["entry"]
    return [datetime.fromisoformat(entry["response"]["lastModified"]) for entry in reversed(entries)]


def shifted(moment, milliseconds):
    return (moment + timedelta(milliseconds=milliseconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.mark.parametrize("path", ["/fhir/Patient/{id}/_history", "/fhir/Patient/_history", "/fhir/_history"])
def test_at_a_moment_lists_what_was_current_then(client, lived, moments, path):
    first, second, third = moments
    url = path.format(id=lived["id"]) + "?_at="
    assert etags(client.get(url + shifted(first, -1))) == []
    assert etags(client.get(url + shifted(first, 0))) == ['W/"1"']
    assert etags(client.get(url + shifted(second, -1))) == ['W/"1"']
    assert etags(client.get(url + shifted(second, 0))) == ['W/"2"']
    assert etags(client.get(url + shifted(third, 0))) == ['W/"3"']
    assert etags(client.get(url + shifted(third, 1))) == []
    assert etags(client.get(url + str(first.year))) == ['W/"3"', 'W/"2"', 'W/"1"']
    assert etags(client.get(url + str(first.year - 1))) == []
    assert etags(client.get(url + str(first.year + 1))) == []


def test_at_lists_what_is_still_current(client, created):
    url = "/fhir/Patient/_history?_at="
    moment = datetime.fromisoformat(created["meta"]["lastUpdated"])
    assert etags(client.get(url + str(moment.year + 1))) == ['W/"1"']
    assert etags(client.get(url + shifted(moment, -1))) == []


def test_at_and_since_are_both_kept_to(client, lived, moments):
    url = f"/fhir/Patient/_history?_at={moments[0].year}&_since={shifted(moments[1], 0)}"
    assert etags(client.get(url)) == ['W/"3"', 'W/"2"']


@pytest.mark.parametrize("path", ["/fhir/Patient/{id}/_history", "/fhir/Patient/_history", "/fhir/_history"])
def test_sort_turns_the_order_round_over_all_pages(client, lived, path):
    base = path.format(id=lived["id"])
    for sort, expected in (("_lastUpdated", "123"), ("-_lastUpdated", "321")):
        url: str | None = f"{base}?_count=2&_sort={sort}"
        seen = ""
        while url:
            bundle = json.loads(client.get(url).data)
            seen += "".join(entry["response"]["etag"][3] for entry in bundle["entry"])
            url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)
        assert seen == expected


@pytest.mark.parametrize("path", ["/fhir/Patient/{id}/_history", "/fhir/Patient/_history", "/fhir/_history"])
def test_the_total_counts_versions_and_count_0_is_nothing_but_it(client, lived, path):
    url = path.format(id=lived["id"])
    assert json.loads(client.get(f"{url}?_count=2").data)["total"] == 3
    only = json.loads(client.get(f"{url}?_count=0").data)
    assert only["total"] == 3
    assert "entry" not in only
    assert json.loads(client.get(f"{url}?_count=0&_since=2100-01-01").data)["total"] == 0


@pytest.mark.parametrize(
    "query",
    ["_list=List/1", "_sort=_id", "_at=tomorrow", "_since=x", "_count=-1", "_count=x", "name=x", "_at=2026&_at=2025", "_cursor=x"],
)  # fmt: skip
def test_what_a_history_does_not_take_is_400(client, lived, query):
    for path in (f"/fhir/Patient/{lived['id']}", "/fhir/Patient", "/fhir"):
        response = client.get(f"{path}/_history?{query}")
        assert response.status_code == 400, path
        assert json.loads(response.data)["issue"][0]["severity"] == "error"


def test_pages_of_a_history_stay_as_they_were_while_writes_go_on(client, send, person):
    made = [json.loads(send("POST", "/fhir/Patient", person(number=f"790000{n:04d}")).data) for n in range(6)]
    url: str | None = "/fhir/Patient/_history?_count=2"
    seen = []
    while url:
        bundle = json.loads(client.get(url).data)
        seen += [entry["resource"]["id"] for entry in bundle["entry"]]
        url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)
        send("PUT", f"/fhir/Patient/{made[0]['id']}", {**made[0], "active": len(seen) % 4 == 0})
        send("POST", "/fhir/Patient", person())
    assert seen == [each["id"] for each in reversed(made)]


def test_a_patch_is_listed_as_one(client, send, created):
    url = f"/fhir/Patient/{created['id']}"
    client.patch(url, data='{"gender":"male"}', content_type="application/merge-patch+json")
    newest = json.loads(client.get(f"{url}/_history").data)["entry"][0]
    assert newest["request"] == {"method": "PATCH", "url": f"Patient/{created['id']}"}
    assert newest["resource"]["gender"] == "male"
