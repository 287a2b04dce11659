"""Every interaction makes its AuditEvents: what they say, whose they are, and that nobody else writes any."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from fhir_server.access import audit_record
from fhir_server.access.audit_events import ENTITIES, KINDS, events_of
from fhir_server.access.audit_record import Record, Touched
from fhir_server.access.audit_spool import Spool, segments
from fhir_server.access.context import AccessContext
from fhir_server.citizen.cards import open_card
from fhir_server.citizen.pins import try_pin
from fhir_server.errors import Unavailable
from fhir_server.repository import Repository
from fhir_server.resource.validation import validate
from fhir_server.rest.interactions import INTERACTIONS
from fhir_server.store.records import Store
from tests.access.audited import Trail, said

Json = dict[str, Any]
PATIENT = {"resourceType": "Patient", "name": [{"family": "Nguyễn"}]}
AN, BINH = "an", "binh"


@pytest.fixture
def trail(store: Store, tmp_path: Path) -> Trail:
    """A server with the records of two people, and nothing in its trail yet."""
    repository, loader = Repository(store), AccessContext.unrestricted("import")
    for id in (AN, BINH):
        repository.update(loader, "Patient", id, {**PATIENT, "id": id})
        observation = {
            "resourceType": "Observation",
            "id": f"weight-{id}",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
            "subject": {"reference": f"Patient/{id}"},
        }
        repository.update(loader, "Observation", observation["id"], observation)  # type: ignore[arg-type]
    return Trail.on(store, tmp_path)


CASES: list[tuple[str, str, Json | None, tuple[str, str, str, list[str]]]] = [
    ("GET", "Patient/an", None, ("read", "R", "0", ["Patient/an", "Patient/an/_history/1"])),
    ("GET", "Patient/an/_history/1", None, ("vread", "R", "0", ["Patient/an", "Patient/an/_history/1"])),
    ("GET", "Patient/an/_history", None, ("history-instance", "R", "0", ["Patient/an", "Patient/an/_history/1"])),
    (
        "GET",
        "Observation?patient=an",
        None,
        ("search-type", "E", "0", ["Patient/an", "Observation/weight-an/_history/1"]),
    ),
    (
        "GET",
        "Patient/an/Observation?code=29463-7",
        None,
        ("search-type", "E", "0", ["Patient/an", "Observation/weight-an/_history/1"]),
    ),
    ("GET", "Observation?code=nowhere", None, ("search-type", "E", "0", [])),
    (
        "PUT",
        "Patient/an",
        {**PATIENT, "id": "an", "active": True},
        ("update", "U", "0", ["Patient/an", "Patient/an/_history/2"]),
    ),
    ("DELETE", "Observation/weight-an", None, ("delete", "D", "0", ["Patient/an", "Observation/weight-an/_history/2"])),
    ("GET", "Patient/nobody", None, ("read", "R", "4", ["Patient/nobody"])),
    ("GET", "Patient?wrong=1", None, ("search-type", "E", "4", [])),
    ("POST", "Patient", {**PATIENT, "gender": "nam"}, ("create", "C", "4", [])),
    ("DELETE", "Patient?name=nguyen&_count=0", None, ("delete", "D", "4", [])),
    (
        "GET",
        "Patient/an/$everything",
        None,
        ("operation everything", "E", "0", ["Patient/an", "Patient/an/_history/1", "Observation/weight-an/_history/1"]),
    ),
]


@pytest.mark.parametrize(("method", "path", "body", "expected"), CASES, ids=[f"{each[0]} {each[1]}" for each in CASES])
def test_an_interaction_makes_one_event_that_says_what_it_was(
    trail: Trail, method: str, path: str, body: Json | None, expected: tuple[str, str, str, list[str]]
) -> None:
    trail.client.open(f"/fhir/{path}", method=method, json=body, headers={"X-Request-Id": "r-1"})
    (event,) = trail.events()
    subtypes, action, outcome, named = said(event)
    assert (subtypes, action, outcome, sorted(named)) == (*expected[:3], sorted(expected[3]))
    (agent,) = event["agent"]
    assert (agent["altId"], agent["requestor"], agent["network"]) == (
        "open",
        True,
        {"address": "127.0.0.1", "type": "2"},
    )
    assert event["purposeOfEvent"][0]["coding"][0]["code"] == "TREAT"
    assert event["entity"][-1]["what"] == {"identifier": {"value": "r-1"}}


def test_a_creation_names_the_new_patient_as_created(trail: Trail) -> None:
    id = trail.client.post("/fhir/Patient", json=PATIENT).json["id"]
    (event,) = trail.events()
    assert said(event) == ("create", "C", "0", [f"Patient/{id}", f"Patient/{id}/_history/1"])
    assert event["entity"][1]["lifecycle"]["code"] == "1"


def test_a_search_keeps_its_query_also_when_it_came_in_the_body(trail: Trail) -> None:
    trail.client.post("/fhir/Observation/_search", data={"patient": "Patient/an", "code": "29463-7"})
    (event,) = trail.events()
    (query,) = [each["query"] for each in event["entity"] if "query" in each]
    assert base64.b64decode(query) == b"Observation?patient=Patient%2Fan&code=29463-7"


def test_a_page_of_several_people_makes_one_event_for_each_and_one_for_the_query(trail: Trail) -> None:
    trail.client.get("/fhir/Patient?name=nguyen")
    query, *each = trail.events()
    assert said(query) == ("search-type", "E", "0", [])
    assert [said(event)[3] for event in each] == [
        ["Patient/an", "Patient/an/_history/1"],
        ["Patient/binh", "Patient/binh/_history/1"],
    ]
    assert not any("query" in entity for event in each for entity in event["entity"])


def test_a_query_that_names_somebody_else_is_not_told_to_the_patient(trail: Trail) -> None:
    trail.client.get("/fhir/Patient?_id=an&identifier:not=x|079185000123")
    query, own = trail.events()
    assert [len([each for each in event["entity"] if "query" in each]) for event in (query, own)] == [1, 0]


def test_each_entry_of_a_batch_has_an_event_of_its_own(trail: Trail) -> None:
    entries = [{"request": {"method": "GET", "url": url}} for url in ("Patient/an", "Patient/nobody")]
    trail.client.post("/fhir", json={"resourceType": "Bundle", "type": "batch", "entry": entries})
    assert [said(event) for event in trail.events()] == [
        ("batch", "E", "0", []),
        ("read", "R", "0", ["Patient/an", "Patient/an/_history/1"]),
        ("read", "R", "4", ["Patient/nobody"]),
    ]


def test_a_transaction_names_all_it_wrote_even_what_a_condition_deleted(trail: Trail) -> None:
    entries: list[Json] = [
        {"request": {"method": "DELETE", "url": "Observation?code=29463-7"}},
        {"request": {"method": "PUT", "url": "Patient/an"}, "resource": {**PATIENT, "id": "an", "active": True}},
    ]
    trail.client.post("/fhir", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    named = [said(event) for event in trail.events()]
    assert sorted(named) == [
        ("transaction", "E", "0", ["Patient/an", "Observation/weight-an/_history/2", "Patient/an/_history/2"]),
        ("transaction", "E", "0", ["Patient/binh", "Observation/weight-binh/_history/2"]),
    ]


def test_who_has_seen_a_record_is_a_search_by_patient_and_is_audited_itself(trail: Trail) -> None:
    for path in ("Patient/an", "Observation?patient=an", "Patient/binh"):
        trail.client.get(f"/fhir/{path}")
    assert len(trail.events()) == 3
    found = trail.client.get("/fhir/AuditEvent?patient=Patient/an&_sort=-date").json
    assert [said(each["resource"])[0] for each in found["entry"]] == ["search-type", "read"]
    (event,) = trail.new_events()
    assert said(event)[3][0] == "Patient/an"
    assert {each.partition("/")[0] for each in said(event)[3][1:]} == {"AuditEvent"}


def test_a_citizen_reads_the_events_of_their_own_record_and_no_others(trail: Trail) -> None:
    for path in ("Patient/an", "Patient/binh", "Patient?name=nguyen"):
        trail.client.get(f"/fhir/{path}")
    trail.events()
    page = trail.repository.search(AccessContext.for_patient(AN, "card:1"), "AuditEvent", [])
    assert len(page.entries) == 2
    assert not any(BINH.encode() in (stored.json or b"") for _, stored in page.entries)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nobody_writes_changes_or_deletes_an_event(trail: Trail, method: str) -> None:
    trail.client.get("/fhir/Patient/an")
    (event,) = trail.events()
    address = "/fhir/AuditEvent" + ("" if method == "POST" else f"/{event['id']}")
    kind = "application/json-patch+json" if method == "PATCH" else "application/fhir+json"
    body: Any = (
        [{"op": "replace", "path": "/outcome", "value": "8"}] if method == "PATCH" else {**event, "outcome": "8"}
    )
    answer = trail.client.open(address, method=method, json=body, content_type=kind)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")
    assert "this server alone" in answer.json["issue"][0]["diagnostics"]
    assert trail.events()[0] == event
    assert trail.verified().broken == []


@pytest.mark.parametrize("address", ["AuditEvent/of-this-trail", "AuditEvent/nowhere", "AuditEvent?altid=nobody"])
def test_deleting_an_event_is_refused_in_the_same_way_whether_there_is_one_or_not(trail: Trail, address: str) -> None:
    trail.client.get("/fhir/Patient/an")
    (event,) = trail.events()
    address = address.replace("of-this-trail", event["id"])
    alone = trail.client.delete(f"/fhir/{address}")
    assert (alone.status_code, alone.json["issue"][0]["code"]) == (405, "not-supported")
    entry = {"request": {"method": "DELETE", "url": address}}
    batch = trail.client.post("/fhir", json={"resourceType": "Bundle", "type": "batch", "entry": [entry]})
    assert batch.json["entry"][0]["response"]["status"].startswith("405")
    transaction = trail.client.post("/fhir", json={"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    assert (transaction.status_code, transaction.json["resourceType"]) == (405, "OperationOutcome")
    assert trail.events()[0] == event


def test_the_statements_of_the_server_offer_no_writing_of_events(
    store: Store, client: FlaskClient, tmp_path: Path
) -> None:
    def told(browser: FlaskClient) -> tuple[dict[str, Json], list[str]]:
        statement, document = browser.get("/fhir/metadata").json, browser.get("/openapi.json").json
        resources = {each["type"]: each for each in statement["rest"][0]["resource"]}
        (place,) = document["paths"]["/{type}/{id}"]["delete"]["parameters"][:1]
        name = place["$ref"].rpartition("/")[2]
        return resources, document["components"]["parameters"][name]["schema"]["enum"]

    everywhere, all_writable = told(client)
    kept, writable = told(Trail.on(store, tmp_path).client)
    events = kept["AuditEvent"]
    reading = {"read", "vread", "history-instance", "search-type", "history-type"}
    assert {each["code"] for each in events["interaction"]} == reading
    assert (events["updateCreate"], events["conditionalCreate"], events["conditionalUpdate"]) == (False, False, False)
    assert events["conditionalDelete"] == "not-supported"
    assert "AuditEvent" not in writable
    assert kept["Patient"] == everywhere["Patient"]
    assert everywhere["AuditEvent"]["interaction"] == everywhere["Patient"]["interaction"]
    assert {*all_writable} - {*writable} == {"AuditEvent"}


def test_without_a_trail_nothing_is_recorded(store: Store, client: Any) -> None:
    client.get("/fhir/Patient/an")
    assert store.database["AuditEvent"].count_documents({}) == 0


def test_what_tells_of_nobody_is_not_recorded(trail: Trail) -> None:
    for path in ("/fhir/metadata", "/health", "/fhir/openapi.json"):
        assert trail.client.get(path).status_code == 200
    assert trail.events() == []


def test_every_interaction_has_a_kind_and_every_kind_makes_valid_events() -> None:
    codes = {code for interaction in INTERACTIONS for code in interaction.codes}
    assert codes - set(KINDS) == {"capabilities"}
    for kind in KINDS:
        record = Record(1_790_000_000_000, kind, "x", "Patient/an", actor="staff:lan", facility="79001", purpose="BTG")
        record.reason, record.request, record.origin, record.status = "cấp cứu", "r-1", "10.0.0.7", 500
        record.touched = [Touched("Organization", "o", 3, "")]
        (event,) = events_of(record, "host")
        validate(event)
        assert (event["outcome"], event["purposeOfEvent"][0]["text"]) == ("8", "cấp cứu")
        assert [agent["altId"] for agent in event["agent"]] == ["staff:lan", "facility:79001"]


def test_an_event_names_so_many_resources_and_another_one_the_rest() -> None:
    touched = [Touched("Observation", str(number), 1, AN) for number in range(2 * ENTITIES + 1)]
    events = list(events_of(Record(0, "operation", touched=touched), "host"))
    assert [len(said(event)[3]) - 1 for event in events] == [ENTITIES, ENTITIES, 1]
    assert {said(event)[3][0] for event in events} == {"Patient/an"}


def test_the_spool_is_for_the_server_alone(trail: Trail) -> None:
    trail.client.get("/fhir/Patient/an")
    (segment,) = segments(trail.config.audit_spool)
    assert stat.S_IMODE(segment.stat().st_mode) == 0o600
    assert stat.S_IMODE(trail.config.audit_spool.stat().st_mode) == 0o700
    assert b"Nguy" not in segment.read_bytes()


def test_a_full_spool_refuses_requests_until_it_was_shipped(store: Store, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "audit", segment_bytes=100, spool_bytes=300)
    for _ in range(3):
        spool.write(b"x" * 99 + b"\n")
    with pytest.raises(Unavailable):
        spool.write(b"x" * 99 + b"\n")
    with pytest.raises(Unavailable):
        spool.refuse_when_full()
    for each in segments(tmp_path / "audit"):
        each.unlink()
    spool.refuse_when_full()
    spool.write(b"x\n")


def test_a_disk_that_takes_no_more_refuses_the_request_and_tells_why(trail: Trail, tmp_path: Path) -> None:
    assert trail.client.get("/fhir/Patient/an").status_code == 200
    spool = trail.config.audit_spool
    moved = spool.rename(tmp_path / "moved")
    spool.write_bytes(b"")  # no directory can be made here
    full = Trail.on(trail.store, tmp_path).client.get("/fhir/Patient/an")
    assert (full.status_code, full.headers["Retry-After"]) == (503, "10")
    assert full.json["issue"][0]["code"] == "transient"
    spool.unlink()
    os.rename(moved, spool)
    assert len(trail.events()) == 1


def test_a_log_in_that_fails_is_recorded_with_the_name_that_was_tried(trail: Trail) -> None:
    typed = {"username": "79001", "password": "not the right one"}
    assert trail.client.post("/api/xac-thuc/token", json=typed).status_code == 401
    (event,) = trail.events()
    assert said(event) == ("110122", "E", "4", [])
    assert event["agent"][0]["altId"] == "facility:79001"
    assert "not the right one" not in str(event)


def test_a_wrong_card_and_a_wrong_pin_are_recorded(trail: Trail) -> None:
    with trail.client.application.test_request_context("/"):
        for act in (
            lambda: open_card(trail.repository, "no such card"),
            lambda: try_pin(trail.repository, None, "000000"),
        ):
            record, token = audit_record.begin()
            act()
            audit_record.end(token)
            (event,) = events_of(record, "host")
            validate(event)
            assert said(event)[0] in ("card wrong", "pin wrong")
            assert event["agent"][0]["altId"] == "card:unknown"
