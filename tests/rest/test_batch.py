"""batch: https://hl7.org/fhir/R4/http.html#transaction"""

import base64
import json

import pytest

CRITERIA = "identifier=http://hososuckhoe.example.vn/fhir/sid/bhxh-number|7900000123"


def entry(method, url, resource=None, **request):
    made = {"request": {"method": method, "url": url, **request}}
    return {**made, "resource": resource} if resource else made


@pytest.fixture
def batch(send):
    def batch(*entries, **headers):
        response = send("POST", "/fhir", {"resourceType": "Bundle", "type": "batch", "entry": list(entries)}, **headers)
        assert response.status_code == 200, response.text
        bundle = json.loads(response.data)
        assert bundle["type"] == "batch-response"
        assert len(bundle["entry"]) == len(entries)
        return bundle["entry"]

    return batch


def test_each_entry_is_carried_out_and_answered_in_its_place(batch, person, created):
    answers = batch(
        entry("GET", f"Patient/{created['id']}"),
        entry("POST", "Patient", person(number="7900000002")),
        entry("PUT", "Patient/nguoi-3", person(number="7900000003", id="nguoi-3")),
        entry("DELETE", "Patient/nobody"),
        entry("GET", "Patient?gender=female"),
        entry("GET", f"/Patient/{created['id']}/_history"),
        entry("GET", f"http://localhost/fhir/Patient/{created['id']}/_history/1"),
    )
    assert [answer["response"]["status"] for answer in answers] == [
        "200 OK",
        "201 Created",
        "201 Created",
        "204 No Content",
        "200 OK",
        "200 OK",
        "200 OK",
    ]
    read, made, put, deleted, found, history, version = answers
    assert read["resource"] == created
    assert read["response"]["etag"] == 'W/"1"'
    assert read["response"]["lastModified"] == created["meta"]["lastUpdated"]
    assert "location" not in read["response"]
    assert made["response"]["location"].startswith("Patient/")
    assert made["response"]["etag"] == 'W/"1"'
    assert "resource" not in made
    assert put["response"]["location"] == "Patient/nguoi-3/_history/1"
    assert deleted == {"response": {"status": "204 No Content"}}
    assert found["resource"]["type"] == "searchset"
    assert len(found["resource"]["entry"]) == 3
    assert history["resource"]["type"] == "history"
    assert version["resource"] == created


def test_a_failing_entry_leaves_the_others_alone(client, batch, person):
    answers = batch(
        entry("POST", "Patient", person(gender="nam")),
        entry("POST", "Patient", person()),
        entry("GET", "Patient/nobody"),
        entry("GET", "Nonsense/1"),
        entry("POST", "Patient/1"),
        entry("GET", "a/b/c/d/e"),
        entry("POST", "", {"resourceType": "Bundle", "type": "batch"}),
        entry("POST", "Patient"),
        {"fullUrl": "urn:uuid:0"},
    )
    statuses = [answer["response"]["status"] for answer in answers]
    assert statuses == [
        "400 Bad Request",
        "201 Created",
        "404 Not Found",
        "404 Not Found",
        "405 Method Not Allowed",
        "404 Not Found",
        "400 Bad Request",
        "400 Bad Request",
        "400 Bad Request",
    ]
    outcomes = [answer["response"]["outcome"]["issue"][0] for answer in answers if "outcome" in answer["response"]]
    assert [outcome.get("expression") for outcome in outcomes] == [
        ["Patient.gender"],
        None,
        None,
        None,
        None,
        ["Bundle.entry.request.url"],
        ["Bundle.entry.resource"],
        ["Bundle.entry.request"],
    ]
    assert len(json.loads(client.get("/fhir/Patient").data)["entry"]) == 1


def test_the_conditions_of_an_entry_hold(batch, person, created):
    criteria = "identifier=http://hososuckhoe.example.vn/fhir/sid/bhxh-number|7900000123"
    url = f"Patient/{created['id']}"
    answers = batch(
        entry("POST", "Patient", person(), ifNoneExist=criteria),
        entry("PUT", url, created, ifMatch='W/"9"'),
        entry("GET", url, ifNoneMatch='W/"1"'),
        entry("GET", url, ifModifiedSince="2100-01-01T00:00:00Z"),
        entry("GET", url, ifModifiedSince="tomorrow"),
        entry("PUT", f"Patient?{criteria}", {**created, "gender": "male"}),
        entry("DELETE", f"Patient?{criteria}"),
    )
    assert [answer["response"]["status"] for answer in answers] == [
        "200 OK",
        "412 Precondition Failed",
        "304 Not Modified",
        "304 Not Modified",
        "400 Bad Request",
        "200 OK",
        "204 No Content",
    ]
    assert answers[0]["response"]["location"] == f"{url}/_history/1"
    assert answers[5]["response"]["etag"] == 'W/"2"'
    assert answers[6]["response"]["etag"] == 'W/"3"'


def test_return_representation_sends_what_was_written(batch, person):
    (made,) = batch(entry("POST", "Patient", person()), Prefer="return=representation")
    assert made["resource"]["gender"] == "female"
    assert made["fullUrl"] == f"http://localhost/fhir/Patient/{made['resource']['id']}"


def test_a_patch_in_a_batch_is_a_binary_or_parameters(client, batch, created):
    url = f"Patient/{created['id']}"
    text = json.dumps([{"op": "replace", "path": "/gender", "value": "male"}]).encode()
    binary = {
        "resourceType": "Binary",
        "contentType": "application/json-patch+json",
        "data": base64.b64encode(text).decode(),
    }
    parts = [{"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": "Patient.name"}]
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    answers = batch(
        entry("PATCH", url, binary),
        entry("PATCH", url, parameters, ifMatch='W/"2"'),
        entry("PATCH", url, parameters, ifMatch='W/"2"'),
        entry("PATCH", url),
        entry("PATCH", f"Patient?{CRITERIA}", binary),
    )
    assert [(each["response"]["status"], each["response"].get("etag")) for each in answers] == [
        ("200 OK", 'W/"2"'),
        ("200 OK", 'W/"3"'),
        ("412 Precondition Failed", None),
        ("400 Bad Request", None),
        ("200 OK", 'W/"3"'),
    ]
    patched = json.loads(client.get(f"/fhir/{url}").data)
    assert patched["gender"] == "male"
    assert "name" not in patched


def test_return_operation_outcome_tells_of_each_write_and_leaves_reads_alone(batch, person, created):
    made, read, gone = batch(
        entry("POST", "Patient", person(number="7900000002")),
        entry("GET", f"Patient/{created['id']}"),
        entry("DELETE", "Patient/nobody"),
        Prefer="return=OperationOutcome",
    )
    assert made["response"]["outcome"]["issue"][0]["diagnostics"].endswith("was created as version 1.")
    assert "resource" not in made
    assert read["resource"] == created
    assert gone["response"]["outcome"]["issue"][0]["diagnostics"] == "There was nothing to delete."


def test_a_conditional_delete_in_a_batch_deletes_every_match(client, batch, person, send):
    for _ in range(3):
        send("POST", "/fhir/Patient", person())
    (gone,) = batch(entry("DELETE", f"Patient?{CRITERIA}"))
    assert gone["response"] == {"status": "204 No Content"}
    assert json.loads(client.get("/fhir/Patient?_summary=count").data)["total"] == 0


def test_head_in_a_batch_has_no_resource(batch, created):
    (head,) = batch(entry("HEAD", f"Patient/{created['id']}"))
    assert head["response"]["etag"] == 'W/"1"'
    assert "resource" not in head


def test_an_empty_batch_has_an_empty_answer(send):
    response = send("POST", "/fhir/", {"resourceType": "Bundle", "type": "batch"})
    assert json.loads(response.data) == {"resourceType": "Bundle", "type": "batch-response"}


@pytest.mark.parametrize(
    "body",
    [{"resourceType": "Bundle", "type": "collection"}, {"resourceType": "Bundle"}, {"resourceType": "Patient"}],
)
def test_only_batches_and_transactions_are_processed(send, issue, body):
    response = send("POST", "/fhir", body)
    assert response.status_code == 400
    assert issue(response)["expression"] == ["Bundle.type"]


def test_a_bundle_of_too_many_entries_is_413(send, issue):
    entries = "{}," * 10_000 + "{}"
    response = send("POST", "/fhir", f'{{"resourceType":"Bundle","type":"batch","entry":[{entries}]}}')
    assert response.status_code == 413
    assert issue(response)["code"] == "too-long"
    assert issue(response)["expression"] == ["Bundle.entry"]


@pytest.mark.parametrize("name", ["ifMatch", "ifNoneMatch", "ifNoneExist"])
@pytest.mark.parametrize("value", [True, 1, [], {}])
def test_a_condition_that_is_no_string_is_refused(send, name, value):
    entry = {
        "request": {"method": "PUT", "url": "Patient/x", name: value},
        "resource": {"resourceType": "Patient", "id": "x"},
    }
    response = send("POST", "/fhir", {"resourceType": "Bundle", "type": "batch", "entry": [entry]})
    (answered,) = json.loads(response.data)["entry"]
    assert answered["response"]["status"] == "400 Bad Request"
    assert answered["response"]["outcome"]["issue"][0]["expression"] == [f"Bundle.entry.request.{name}"]


def test_operations_are_carried_out_in_their_place(batch, created):
    patient = f"Patient/{created['id']}"
    tag = {"tag": [{"system": "http://example.vn/tags", "code": "new"}]}
    added = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": tag}]}
    entries = [
        {"request": {"method": "GET", "url": f"{patient}/$everything"}},
        {"request": {"method": "POST", "url": "Observation/$lastn"}, "resource": {
            "resourceType": "Parameters", "parameter": [{"name": "patient", "valueString": patient}]}},
        {"request": {"method": "POST", "url": f"{patient}/$meta-add"}, "resource": added},
        {"request": {"method": "GET", "url": f"{patient}/_history/2/$meta"}},
        {"request": {"method": "GET", "url": f"{patient}/$nothing"}},
    ]  # fmt: skip
    everything, newest, labelled, version, nothing = batch(*entries)
    assert [each["resource"]["id"] for each in everything["resource"]["entry"]] == [created["id"]]
    assert (newest["response"]["status"], newest["resource"]["type"]) == ("200 OK", "searchset")
    assert labelled["resource"]["parameter"][0]["valueMeta"]["tag"] == tag["tag"]
    assert version["resource"] == labelled["resource"]
    assert nothing["response"]["status"] == "404 Not Found"
    assert "There is no operation '$nothing'" in nothing["response"]["outcome"]["issue"][0]["diagnostics"]


def test_what_an_operation_answers_in_a_format_of_its_own_comes_in_a_binary(batch, created):
    (answer,) = batch(entry("GET", f"Patient/{created['id']}/$qd831"))
    assert answer["response"]["status"] == "200 OK"
    assert answer["resource"]["resourceType"] == "Binary"
    assert answer["resource"]["contentType"].startswith("application/xml")
    assert b"<HOSOSUCKHOE>" in base64.b64decode(answer["resource"]["data"])
