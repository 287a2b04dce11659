"""Abuse cases 25 to 30: what a citizen's app may not write, and two writers at once.

25 id, meta and owner from the client, 26 changing a clinic's record, 27 JSON Patch on /meta and /subject, 28 "confirmed" by
oneself, 29 absurd values and volume, 30 a race of If-Match.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.abuse.site import Site
from tests.abuse.test_compartment import observation

A = '{"reference":"Patient/a-patient"}'
PATCH = {"Content_Type": "application/json-patch+json"}


def version(site: Site, path: str) -> dict[str, Any]:
    found: dict[str, Any] = site.send("GET", f"/fhir/{path}", token=site.clinic).json
    return found


def test_case_25_id_meta_and_owner_are_the_servers(site: Site) -> None:
    """What the client says of id, version, moment, labels and owner is not believed."""
    meta = {
        "versionId": "99",
        "lastUpdated": "2001-01-01T00:00:00Z",
        "tag": [{"system": "http://example.vn", "code": "clinic"}],
        "security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "PROAST"}],
    }
    made = site.a("POST", "Observation", observation(id="b-weight-1", meta=meta))
    assert made.status == 201
    stored = made.json
    assert stored["id"] != "b-weight-1"
    assert stored["meta"]["versionId"] == "1"
    assert not stored["meta"]["lastUpdated"].startswith("2001")
    assert [each["code"] for each in stored["meta"]["security"]] == ["PATAST"]
    assert [each["code"] for each in stored["meta"]["tag"]] == ["self-declared"]
    assert site.database["Observation"].find_one({"_id": stored["id"]})["o"] == "a-patient"
    assert version(site, "Observation/b-weight-1")["meta"]["versionId"] == "2"
    for hostile in ({"o": "b-patient"}, {"_id": "x"}, {"owner": "b-patient"}):
        assert site.a("POST", "Observation", observation(**hostile)).status in (400, 422)


def test_case_26_a_record_of_the_clinic_is_not_changed(site: Site) -> None:
    """PUT, PATCH and DELETE of a clinic's record about A are 403, alone and in a transaction."""
    before = version(site, "Observation/a-weight-1")
    patch = [{"op": "replace", "path": "/status", "value": "entered-in-error"}]
    assert site.a("PUT", "Observation/a-weight-1", {**before, "status": "entered-in-error"}).status == 403
    assert site.a("PATCH", "Observation/a-weight-1", patch, **PATCH).status == 403
    assert site.a("DELETE", "Observation/a-weight-1").status == 403
    assert site.a("PUT", "Patient/a-patient", {"resourceType": "Patient", "id": "a-patient"}).status == 403
    for method in ("PUT", "DELETE"):
        entry = {"request": {"method": method, "url": "Observation/a-weight-1"}}
        entry |= {"resource": {**before, "status": "entered-in-error"}} if method == "PUT" else {}
        sent = site.a("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
        assert sent.status == 403
    assert version(site, "Observation/a-weight-1") == before


@pytest.mark.parametrize(
    "path", ["/meta", "/meta/security", "/meta/tag/0", "/subject", "/subject/reference", "/code", "/id"]
)
def test_case_27_a_patch_of_meta_or_subject_is_refused(site: Site, path: str) -> None:
    """A JSON Patch on /meta, /subject or anything but the withdrawal of an own entry changes nothing."""
    made = site.a("POST", "Observation", observation()).json
    for change in (
        {"op": "replace", "path": path, "value": {"reference": "Patient/b-patient"}},
        {"op": "remove", "path": path},
        {"op": "move", "from": path, "path": "/note"},
    ):
        answer = site.a("PATCH", f"Observation/{made['id']}", [change], **PATCH)
        # Labels that are taken away are there again before it is looked whether anything changes.
        assert answer.status in (400, 403, 422) or (answer.status, answer.json) == (200, made)
    assert version(site, f"Observation/{made['id']}") == made


def test_case_28_nobody_confirms_what_they_say_themselves(site: Site) -> None:
    """A patient's own statement cannot be confirmed, refuted or asserted by somebody else, at once or later."""
    system = "http://terminology.hl7.org/CodeSystem/condition-ver-status"

    def condition(state: str, **changes: Any) -> dict[str, Any]:
        status = {"coding": [{"system": system, "code": state}]}
        subject = {"reference": "Patient/a-patient"}
        return {
            "resourceType": "Condition",
            "subject": subject,
            "verificationStatus": status,
            "code": {"text": "x"},
            **changes,
        }

    for state in ("confirmed", "refuted"):
        assert site.a("POST", "Condition", condition(state)).status == 403
    for asserter in ("Practitioner/x", "Patient/b-patient"):
        assert site.a("POST", "Condition", condition("provisional", asserter={"reference": asserter})).status == 403
    made = site.a("POST", "Condition", condition("unconfirmed"))
    assert made.status == 201
    confirmed = {**made.json, **condition("confirmed")}
    assert site.a("PUT", f"Condition/{made.json['id']}", confirmed).status == 403
    patch = [{"op": "replace", "path": "/verificationStatus/coding/0/code", "value": "confirmed"}]
    assert site.a("PATCH", f"Condition/{made.json['id']}", patch, **PATCH).status == 403
    assert version(site, f"Condition/{made.json['id']}") == made.json


def test_case_29_absurd_values_and_volumes_are_refused(site: Site) -> None:
    """Numbers that no record can hold, dates that are none, huge texts and endless lists are 4xx, never 500."""
    for value in ('{"value": 1e999999999}', '{"value": -1e7000}', f'{{"value": {"9" * 400}}}'):
        text = f'{{"resourceType":"Observation","status":"final","code":{{"text":"x"}},"subject":{A},"valueQuantity":{value}}}'
        assert site.a("POST", "Observation", text).status in (400, 422)
    for changes in (
        {"effectiveDateTime": "2026-13-45"},
        {"effectiveDateTime": "9" * 1000},
        {"valueInteger": 2**31},
        {"status": "x" * 100_000},
    ):
        assert site.a("POST", "Observation", observation(**changes)).status in (400, 422)
    assert site.a("POST", "Observation", b" " * 50_000_001).status == 413
    notes = [{"text": "x" * 100_000}] * 180
    assert site.a("POST", "Observation", observation(note=notes)).status in (400, 403, 413, 422)
    entries = [{"resource": observation(), "request": {"method": "POST", "url": "Observation"}}] * 10_001
    assert site.a("POST", "", {"resourceType": "Bundle", "type": "batch", "entry": entries}).status == 413


def test_case_30_a_race_of_if_match_has_one_winner(site: Site) -> None:
    """Of twenty updates of the same version at once exactly one is carried out."""
    made = site.send("POST", "/fhir/Basic", {"resourceType": "Basic", "code": {"text": "0"}}, token=site.clinic).json

    def update(number: int) -> int:
        body = {**made, "code": {"text": str(number)}}
        return site.send("PUT", f"/fhir/Basic/{made['id']}", body, token=site.clinic, If_Match='W/"1"').status

    with ThreadPoolExecutor(20) as pool:
        statuses = sorted(pool.map(update, range(1, 21)))
    assert statuses[0] == 200
    assert set(statuses[1:]) <= {409, 412}
    assert version(site, f"Basic/{made['id']}")["meta"]["versionId"] == "2"
