"""_contained and _containedType over HTTP: https://hl7.org/fhir/R4/search.html#contained"""

import json

import pytest

ORDER = {
    "resourceType": "MedicationRequest",
    "status": "active",
    "intent": "order",
    "contained": [{"resourceType": "Medication", "id": "m1", "code": {"coding": [{"code": "A"}]}, "status": "active"}],
    "medicationReference": {"reference": "#m1"},
    "subject": {"reference": "Patient/p"},
}


@pytest.fixture
def order(send):
    return json.loads(send("POST", "/fhir/MedicationRequest", ORDER).data)


def searched(client, url):
    response = client.get(f"/fhir/{url}")
    assert response.status_code == 200, response.text
    return json.loads(response.data)


def test_the_container_is_the_entry_unless_the_contained_resource_is_asked_for(client, order):
    assert "entry" not in searched(client, "Medication?code=A")
    bundle = searched(client, "Medication?code=A&_contained=true")
    url = f"http://localhost/fhir/MedicationRequest/{order['id']}"
    assert bundle["entry"] == [{"fullUrl": url, "resource": order, "search": {"mode": "match"}}]
    asked = "Medication?code=A&_contained=true&_containedType=contained"
    bundle = searched(client, asked)
    assert bundle["entry"] == [{"fullUrl": f"{url}#m1", "resource": ORDER["contained"][0], "search": {"mode": "match"}}]
    assert (bundle["total"], bundle["link"]) == (1, [{"relation": "self", "url": f"http://localhost/fhir/{asked}"}])


def test_both_finds_free_standing_ones_too_page_by_page(client, send, order):
    medication = {"resourceType": "Medication", "code": {"coding": [{"code": "A"}]}}
    free = json.loads(send("POST", "/fhir/Medication", medication).data)["id"]
    url: str | None = "/fhir/Medication?code=A&_contained=both&_count=1&_total=accurate"
    seen: list[str] = []
    while url:
        bundle = json.loads(client.get(url).data)
        assert bundle["total"] == 2
        seen += [entry["fullUrl"].partition("/fhir/")[2] for entry in bundle["entry"]]
        url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)
    assert sorted(seen) == sorted([f"Medication/{free}", f"MedicationRequest/{order['id']}"])
    counted = searched(client, "Medication?code=A&_contained=both&_summary=count")
    assert (counted["total"], "entry" in counted) == (2, False)


def test_elements_and_summaries_are_those_of_what_is_given(client, order):
    (entry,) = searched(client, "Medication?_contained=true&_elements=intent")["entry"]
    assert set(entry["resource"]) == {
        "resourceType",
        "id",
        "meta",
        "status",
        "intent",
        "medicationReference",
        "subject",
    }
    (entry,) = searched(client, "Medication?_contained=true&_containedType=contained&_elements=status")["entry"]
    assert set(entry["resource"]) == {"resourceType", "id", "meta", "status"}
    response = client.get("/fhir/Medication?_contained=true&_containedType=contained&_elements=intent")
    assert response.status_code == 400


def test_by_post_in_a_batch_and_as_xml_it_finds_the_same(client, send, order):
    expected = searched(client, "Medication?code=A&_contained=true")["entry"]
    form = {"code": "A", "_contained": "true"}
    assert json.loads(client.post("/fhir/Medication/_search", data=form).data)["entry"] == expected
    entry = {"request": {"method": "GET", "url": "Medication?code=A&_contained=true"}}
    batch = send("POST", "/fhir", {"resourceType": "Bundle", "type": "batch", "entry": [entry]})
    assert json.loads(batch.data)["entry"][0]["resource"]["entry"] == expected
    xml = client.get("/fhir/Medication?code=A&_contained=true&_containedType=contained&_format=xml")
    assert xml.status_code == 200
    assert f'fullUrl value="http://localhost/fhir/MedicationRequest/{order["id"]}#m1"' in xml.text


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("Medication?_contained=yes", "_contained takes false, true or both"),
        ("Medication?_containedType=all", "_containedType takes container or contained"),
        ("Medication?_contained=true&ingredient.code=x", "_contained=true cannot be combined with a chained parameter"),
        ("MedicationRequest?_contained=both&_include=*", "_contained=both cannot be combined with _include"),
        ("Observation/$lastn?_contained=true", "$lastn takes filters"),
        ("?_type=Medication&_contained=true", "several types takes no _contained"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_reason(client, order, url, said):
    client.post("/fhir/Medication", json={"resourceType": "Medication"}, content_type="application/fhir+json")
    response = client.get(f"/fhir/{url}", headers={"Prefer": "handling=lenient"})
    assert response.status_code == 400
    assert said in json.loads(response.data)["issue"][0]["diagnostics"]


def test_a_delete_never_takes_what_only_a_container_holds(client, order):
    response = client.delete("/fhir/Medication?code=A&_contained=true")
    assert response.status_code == 400
    assert client.get(f"/fhir/MedicationRequest/{order['id']}").status_code == 200
