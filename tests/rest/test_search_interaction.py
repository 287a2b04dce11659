"""search by GET and POST: https://hl7.org/fhir/R4/http.html#search"""

import json

import pytest

CARDS = "http://hososuckhoe.example.vn/fhir/sid/bhxh-number"


def links(bundle):
    return {link["relation"]: link["url"] for link in bundle["link"]}


@pytest.fixture
def people(send, person):
    """Five people with the numbers 7900000001 to 7900000005."""
    return [json.loads(send("POST", "/fhir/Patient", person(number=f"790000000{n}")).data) for n in range(1, 6)]


def test_a_searchset_holds_the_resources_as_stored(client, people):
    response = client.get(f"/fhir/Patient?identifier={CARDS}|7900000003")
    bundle = json.loads(response.data)
    assert response.status_code == 200
    assert bundle["resourceType"] == "Bundle"
    assert bundle["type"] == "searchset"
    assert bundle["entry"] == [
        {
            "fullUrl": f"http://localhost/fhir/Patient/{people[2]['id']}",
            "resource": people[2],
            "search": {"mode": "match"},
        }
    ]
    assert links(bundle)["self"] == f"http://localhost/fhir/Patient?identifier={CARDS}%7C7900000003"
    assert "next" not in links(bundle)


def test_a_searchset_without_matches_has_no_entry(client):
    bundle = json.loads(client.get(f"/fhir/Patient?identifier={CARDS}|0").data)
    assert "entry" not in bundle
    assert bundle["type"] == "searchset"


def test_the_next_links_lead_through_every_match_once(client, people):
    url, seen, pages = "/fhir/Patient?gender=female&_count=2&_format=json", [], 0
    while url:
        bundle = json.loads(client.get(url).data)
        seen += [entry["resource"]["id"] for entry in bundle["entry"]]
        pages += 1
        url = links(bundle).get("next")
        assert url is None or "_format=json" in url
    assert pages == 3
    assert sorted(seen) == sorted(one["id"] for one in people)


def test_post_search_finds_what_get_finds(client, people):
    form = {"identifier": f"{CARDS}|7900000002"}
    by_post = client.post("/fhir/Patient/_search", data=form)
    by_get = client.get("/fhir/Patient", query_string=form)
    assert by_post.status_code == 200
    assert json.loads(by_post.data) == json.loads(by_get.data)


def test_post_search_takes_parameters_from_the_address_too(client, people):
    both = client.post("/fhir/Patient/_search?gender=female", data={"identifier": f"{CARDS}|7900000002"})
    assert [entry["resource"]["id"] for entry in json.loads(both.data)["entry"]] == [people[1]["id"]]
    bare = client.post("/fhir/Patient/_search?gender=male")
    assert bare.status_code == 200
    assert "entry" not in json.loads(bare.data)


@pytest.mark.parametrize("content_type", ["multipart/form-data; boundary=x", "application/fhir+json", "text/plain"])
def test_post_search_reads_url_encoded_forms_only(client, issue, content_type):
    response = client.post("/fhir/Patient/_search", data=b"gender=male", content_type=content_type)
    assert response.status_code == 415
    assert issue(response)["code"] == "not-supported"


def test_an_unknown_parameter_is_400_unless_lenient_handling_is_preferred(client, people):
    refused = client.get("/fhir/Patient?colour=red")
    assert refused.status_code == 400
    lenient = client.get("/fhir/Patient?colour=red&_count=10", headers={"Prefer": "handling=lenient"})
    bundle = json.loads(lenient.data)
    assert lenient.status_code == 200
    modes = [entry["search"]["mode"] for entry in bundle["entry"]]
    assert modes == ["match"] * 5 + ["outcome"]
    warning = bundle["entry"][5]
    assert "fullUrl" not in warning
    assert warning["resource"]["resourceType"] == "OperationOutcome"
    assert warning["resource"]["issue"][0]["severity"] == "warning"
    assert "colour" not in links(bundle)["self"]


def test_included_resources_are_told_apart_from_matches(client, send, people):
    observation = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "cân nặng"},
        "subject": {"reference": f"Patient/{people[0]['id']}"},
    }
    send("POST", "/fhir/Observation", observation)
    bundle = json.loads(client.get("/fhir/Observation?status=final&_include=Observation:subject").data)
    found = [(entry["search"]["mode"], entry["resource"]["resourceType"]) for entry in bundle["entry"]]
    assert found == [("match", "Observation"), ("include", "Patient")]


def test_total_stands_in_the_bundle_when_asked_for(client, people):
    accurate = json.loads(client.get("/fhir/Patient?gender=female&_total=accurate&_count=1").data)
    assert accurate["total"] == 5
    assert len(accurate["entry"]) == 1


def test_head_of_a_search_has_no_body(client, people):
    response = client.head("/fhir/Patient?gender=female")
    assert (response.status_code, response.data) == (200, b"")


def test_more_than_a_thousand_parameters_are_refused(client, issue):
    response = client.get("/fhir/Patient?" + "&".join(["gender=male"] * 1001))
    assert response.status_code == 400
    assert issue(response)["code"] == "too-costly"


@pytest.mark.parametrize("query", ["name=%FF", "name=%C3%28"])
def test_parameters_that_are_not_utf_8_are_refused(client, issue, query):
    response = client.get(f"/fhir/Patient?{query}")
    assert response.status_code == 400
    assert issue(response)["code"] == "value"


def test_links_escape_what_was_asked_for(client, send, person):
    send("POST", "/fhir/Patient", person(family='A"<b>'))
    response = client.get("/fhir/Patient", query_string={"family": 'A"<b>'})
    assert links(json.loads(response.data))["self"].startswith("http://localhost/fhir/Patient?family=A%22%3Cb%3E")


@pytest.mark.parametrize("name", ["family", "family:contains", "family:exact", "identifier", "_id", "_filter", "_text"])
def test_a_value_with_a_nul_is_refused(client, name):
    response = client.get(f"/fhir/Patient?{name}=a%00b")
    assert response.status_code == 400
    assert "NUL" in json.loads(response.data)["issue"][0]["diagnostics"]
