"""transaction: https://hl7.org/fhir/R4/http.html#transaction"""

import json

import pytest

MOTHER = "urn:uuid:7a000000-0000-4000-8000-000000000001"


def weight(subject, **elements):
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "cân nặng"},
        "subject": {"reference": subject},
        **elements,
    }


def entry(method, url, resource=None, full_url=None, **request):
    made = {"request": {"method": method, "url": url, **request}}
    if resource:
        made["resource"] = resource
    if full_url:
        made["fullUrl"] = full_url
    return made


@pytest.fixture
def transaction(send):
    def transaction(*entries, **headers):
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}
        return send("POST", "/fhir", bundle, **headers)

    return transaction


def test_a_transaction_resolves_its_references_and_answers_in_order(client, transaction, person):
    response = transaction(
        entry("POST", "Observation", weight(MOTHER)),
        entry("POST", "Patient", person(), MOTHER),
        entry("PUT", "Patient/nguoi-2", person(number="7900000002", id="nguoi-2")),
    )
    bundle = json.loads(response.data)
    assert response.status_code == 200
    assert bundle["type"] == "transaction-response"
    observation, mother, other = (answer["response"] for answer in bundle["entry"])
    assert [answer["status"] for answer in (observation, mother, other)] == ["201 Created"] * 3
    assert [answer["etag"] for answer in (observation, mother, other)] == ['W/"1"'] * 3
    assert other["location"] == "Patient/nguoi-2/_history/1"
    assert "resource" not in bundle["entry"][0]
    stored = json.loads(client.get("/fhir/" + observation["location"]).data)
    assert stored["subject"]["reference"] == mother["location"].removesuffix("/_history/1")
    assert stored["meta"]["lastUpdated"] == observation["lastModified"]


def test_return_representation_sends_the_resources(transaction, person):
    response = transaction(entry("POST", "Patient", person()), Prefer="return=representation")
    (answer,) = json.loads(response.data)["entry"]
    assert answer["resource"]["gender"] == "female"
    assert answer["fullUrl"] == f"http://localhost/fhir/Patient/{answer['resource']['id']}"


def test_an_invalid_entry_fails_the_whole_transaction_and_is_named(client, transaction, person):
    response = transaction(
        entry("POST", "Patient", person(), MOTHER),
        entry("POST", "Observation", weight(MOTHER)),
        entry("POST", "Observation", weight(MOTHER, status="done")),
    )
    outcome = json.loads(response.data)
    assert response.status_code == 400
    assert outcome["resourceType"] == "OperationOutcome"
    assert [issue["expression"][0].startswith("Bundle.entry[2]") for issue in outcome["issue"]] == [True]
    assert "entry" not in json.loads(client.get("/fhir/Patient").data)
    assert "entry" not in json.loads(client.get("/fhir/_history").data)


def test_a_failing_precondition_fails_the_whole_transaction_and_is_named(client, transaction, person, created):
    response = transaction(
        entry("POST", "Patient", person(number="7900000002")),
        entry("PUT", f"Patient/{created['id']}", {**created, "gender": "male"}, ifMatch='W/"9"'),
    )
    outcome = json.loads(response.data)
    assert response.status_code == 412
    assert outcome["issue"][0]["expression"] == ["Bundle.entry[1]"]
    assert len(json.loads(client.get("/fhir/_history").data)["entry"]) == 1


def test_reads_and_searches_in_a_transaction_bring_their_resources(transaction, person, created):
    response = transaction(
        entry("GET", f"Patient/{created['id']}"),
        entry("GET", "Patient?gender=female"),
        entry("POST", "Patient", person(number="7900000002")),
    )
    assert response.status_code == 200, response.text
    read, found, made = json.loads(response.data)["entry"]
    assert read["resource"] == {**created}
    assert read["response"]["etag"] == 'W/"1"'
    assert found["resource"]["type"] == "searchset"
    assert found["resource"]["link"][0]["url"].startswith("http://localhost/fhir/Patient?gender=female")
    assert made["response"]["status"] == "201 Created"


def test_a_deletion_in_a_transaction(client, transaction, created):
    response = transaction(entry("DELETE", f"Patient/{created['id']}"))
    (answer,) = json.loads(response.data)["entry"]
    assert answer["response"]["status"] == "204 No Content"
    assert "location" not in answer["response"]
    assert client.get(f"/fhir/Patient/{created['id']}").status_code == 410


def test_reads_in_a_transaction_may_be_conditional_and_heads(transaction, created):
    url = f"Patient/{created['id']}"
    response = transaction(
        entry("GET", f"http://localhost/fhir/{url}", ifNoneMatch='W/"1"'),
        entry("GET", url, ifNoneMatch='W/"7"'),
        entry("GET", url, ifModifiedSince="2100-01-01T00:00:00Z"),
        entry("HEAD", url),
        entry("GET", f"{url}/_history/1"),
        entry("GET", f"{url}/_history?_count=1"),
        entry("GET", "Patient?_count=1"),
    )
    assert response.status_code == 200, response.text
    held, read, unmodified, head, version, history, found = json.loads(response.data)["entry"]
    assert (held["response"]["status"], "resource" in held) == ("304 Not Modified", False)
    assert (read["response"]["status"], read["resource"]) == ("200 OK", created)
    assert unmodified["response"]["status"] == "304 Not Modified"
    assert (head["response"]["etag"], "resource" in head) == ('W/"1"', False)
    assert version["resource"] == created
    assert (history["resource"]["type"], history["resource"]["total"]) == ("history", 1)
    assert history["resource"]["link"][0]["url"] == f"http://localhost/fhir/{url}/_history?_count=1"
    assert found["resource"]["type"] == "searchset"


def test_return_operation_outcome_tells_what_each_entry_did(transaction, person, created):
    binary = {"resourceType": "Binary", "contentType": "application/merge-patch+json", "data": "eyJhY3RpdmUiOnRydWV9"}
    response = transaction(
        entry("POST", "Patient", person(number="7900000002")),
        entry("PATCH", f"Patient/{created['id']}", binary),
        entry("DELETE", "Patient/nobody"),
        Prefer="return=OperationOutcome",
    )
    answers = json.loads(response.data)["entry"]
    told = [each["response"]["outcome"]["issue"][0]["diagnostics"] for each in answers]
    assert told[0].endswith(" was created as version 1.")
    assert told[1:] == [f"Patient/{created['id']} was updated to version 2.", "There was nothing to delete."]
    assert answers[1]["response"]["location"] == f"Patient/{created['id']}/_history/2"
    assert ["resource" in each for each in answers] == [False] * 3


# ---- operations ------------------------------------------------------------------------------------------------------


def test_operations_that_read_come_after_the_writes_and_see_them(transaction, person, created):
    patient = f"Patient/{created['id']}"
    newest = {
        "resourceType": "Parameters",
        "parameter": [{"name": "patient", "valueString": patient}, {"name": "code", "valueString": "http://loinc.org|29463-7"}],
    }  # fmt: skip
    coded = {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]}
    response = transaction(
        entry("GET", f"{patient}/$everything"),
        entry("POST", "Observation/$lastn", newest),
        entry("GET", f"{patient}/_history/2/$meta"),
        entry("GET", "Patient/nguoi-moi/$everything?_elements=gender"),
        entry("HEAD", f"http://localhost/fhir/{patient}/$meta"),
        entry("POST", "Observation", weight(patient, code=coded, effectiveDateTime="2026-11-20")),
        entry("PUT", patient, {**created, "gender": "other"}),
        entry("PUT", "Patient/nguoi-moi", person(number="7900000003", id="nguoi-moi")),
    )
    assert response.status_code == 200, response.text
    answers = json.loads(response.data)["entry"]
    assert [each["response"]["status"] for each in answers] == ["200 OK"] * 5 + ["201 Created", "200 OK", "201 Created"]
    everything, lastn, meta, new, head = (each.get("resource") for each in answers[:5])
    assert [each["resource"]["resourceType"] for each in everything["entry"]] == ["Patient", "Observation"]
    assert everything["entry"][0]["resource"]["gender"] == "other"
    assert [each["resource"]["effectiveDateTime"] for each in lastn["entry"]] == ["2026-11-20"]
    assert meta["parameter"][0]["valueMeta"]["versionId"] == "2"
    assert list(new["entry"][0]["resource"]) == ["resourceType", "id", "meta", "gender"]
    assert head is None


@pytest.mark.parametrize(
    ("method", "url", "status", "text"),
    [
        ("POST", "Patient/{id}/$meta-add", 400, "$meta-add is no part of a transaction"),
        ("POST", "$reindex", 400, "$reindex is no part of a transaction"),
        ("GET", "$export", 400, "$export is no part of a transaction"),
        ("GET", "Patient/nobody/$everything", 404, "nobody"),
        ("GET", "Patient/{id}/$nothing", 404, "There is no operation '$nothing'"),
        ("PUT", "Patient/{id}/$meta", 400, "Type/id"),
    ],
)
def test_an_operation_that_fails_or_changes_records_fails_the_transaction(
    client, transaction, person, created, issue, method, url, status, text
):
    body = {"resourceType": "Parameters"} if method != "GET" else None
    response = transaction(entry("POST", "Patient", person()), entry(method, url.format(id=created["id"]), body))
    assert response.status_code == status
    told = issue(response)
    assert text in told["diagnostics"]
    assert told["expression"] == ["Bundle.entry[1]"]
    assert json.loads(client.get("/fhir/Patient?_summary=count").data)["total"] == 1
