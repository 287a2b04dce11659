"""Subscriptions, which nothing here delivers: https://hl7.org/fhir/R4/subscription.html"""

import json

import pytest


def subscription(status):
    return {
        "resourceType": "Subscription",
        "status": status,
        "reason": "New observations",
        "criteria": "Observation?status=final",
        "channel": {"type": "rest-hook", "endpoint": "https://clinic.example.vn/told"},
    }


def entry(method, url, resource):
    return {"resource": resource, "request": {"method": method, "url": url}}


def transaction(*entries):
    return {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}


@pytest.mark.parametrize("status", ["requested", "active"])
def test_one_that_waits_for_messages_is_refused_however_it_comes(send, issue, client, status):
    waiting = subscription(status)
    kept = json.loads(send("POST", "/fhir/Subscription", subscription("off")).data)
    switched_on = json.dumps([{"op": "replace", "path": "/status", "value": status}])
    refused = [
        send("POST", "/fhir/Subscription", waiting),
        send("PUT", "/fhir/Subscription/mine", {**waiting, "id": "mine"}),
        send("PUT", f"/fhir/Subscription/{kept['id']}", {**waiting, "id": kept["id"]}),
        client.patch(f"/fhir/Subscription/{kept['id']}", data=switched_on, content_type="application/json-patch+json"),
        send("POST", "/fhir", transaction(entry("POST", "Subscription", waiting))),
    ]
    assert [each.status_code for each in refused] == [422] * 5
    for each in refused:
        told = issue(each)
        assert told["code"] == "not-supported"
        assert told["diagnostics"].startswith("This server delivers no subscriptions: ")
        assert told["expression"][0].endswith(".status")
    assert client.get("/fhir/Subscription").json["entry"][0]["resource"] == kept
    assert client.get("/fhir/Subscription?_summary=count").json["total"] == 1


@pytest.mark.parametrize("status", ["off", "error"])
def test_one_that_waits_for_nothing_is_kept(send, client, status):
    response = send("POST", "/fhir/Subscription", subscription(status))
    assert response.status_code == 201
    assert client.get(f"/fhir/Subscription/{response.json['id']}").json["status"] == status


def test_the_capability_statement_says_so(client):
    of_types = client.get("/fhir/metadata").json["rest"][0]["resource"]
    remarks = {each["type"]: each["documentation"] for each in of_types if "documentation" in each}
    assert remarks == {"Subscription": "Kept with the status off or error; this server delivers none."}
