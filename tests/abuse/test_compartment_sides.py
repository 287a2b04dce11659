"""Abuse cases 13 to 24: the sides of the compartment, where an answer could tell of B without showing B.

13 conditions, 14 operations, 15 compartment URLs, 16 a scope for nobody, 17 types beside the table, 18 cursors,
19 Patient.link, 20 contained and Binary, 21 writing to B, 22 subscriptions, 23 ETag and the like, 24 the old card of a
merged patient.
"""

from __future__ import annotations

import hashlib
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from fhir_server import r4
from fhir_server.access.guard import DEFINITIONS
from tests.abuse.conftest import card_of
from tests.abuse.crossed import SECRET
from tests.abuse.site import Site, tokens
from tests.abuse.test_compartment import B, observation, owned, told
from tests.access.world import FHIR, App

FAMILY = "Người Đã Gộp"


def test_case_13_conditions_tell_nothing_of_b(site: Site) -> None:
    """Conditional create, update, delete and references answer alike whether B has such a record or nobody."""
    for theirs, nobodys in (("_id=b-weight-1", "_id=x-weight-1"), ("patient=b-patient", "patient=x-patient")):
        created = [site.a("POST", "Observation", observation(), If_None_Exist=each) for each in (theirs, nobodys)]
        assert [each.status for each in created] == [201, 201]
        for method in ("PUT", "DELETE", "PATCH"):
            bodies: dict[str, Any] = {"PUT": observation(), "PATCH": [], "DELETE": None}
            body = bodies[method]
            kind = {"Content_Type": "application/json-patch+json"} if method == "PATCH" else {}
            pair = [site.a(method, f"Observation?{each}", body, **kind) for each in (theirs, nobodys)]
            assert pair[0].essence[:2] == pair[1].essence[:2]
            assert pair[0].status >= 400
    said = []
    for id in ("b-encounter", "x-encounter"):
        entry = {
            "resource": observation(encounter={"reference": f"Encounter?_id={id}"}),
            "request": {"method": "POST", "url": "Observation"},
        }
        answer = site.a("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
        said.append((answer.status, answer.text.replace(id, "")))
    assert said[0] == said[1]
    assert said[0][0] >= 400


def test_case_14_operations_on_b_or_on_everybody_are_refused(site: Site) -> None:
    """`$everything` of B is 404, `$export` and unknown operations are refused."""
    assert site.a("GET", f"{B}/$everything").status == 404
    mine = site.a("GET", "Patient/a-patient/$everything?_count=100")
    assert "Patient/a-patient" in mine.ids
    everybody = site.a("GET", "Patient/$everything?_count=100")
    assert everybody.status in (200, 403, 404)
    for path in ("$export", "Patient/$export", "Group/pair/$export", "$reindex", "$unknown", f"{B}/$unknown"):
        assert site.a("GET", path).status in (403, 404, 405)
        assert site.a("POST", path, {"resourceType": "Parameters"}).status in (403, 404, 405)
    for path in ("$summary", "$qd831", "$meta"):
        assert site.a("GET", f"{B}/{path}").status == 404
    for path in (f"Observation/$lastn?subject={B}", f"Observation/$stats?subject={B}&code=29463-7&statistic=count"):
        site.a("GET", path)
    wanted = {
        "name": "resource",
        "resource": {"resourceType": "Patient", "gender": "female", "birthDate": "1990-01-02"},
    }
    match = site.a("POST", "Patient/$match", {"resourceType": "Parameters", "parameter": [wanted]})
    assert match.status == 403 or match.ids <= {"Patient/a-patient"}


def test_case_15_compartment_addresses_of_b_are_empty(site: Site) -> None:
    """`Patient/B/Observation`, `Patient/B/*` and compartments around B's encounter hold nothing."""
    for path in (
        f"{B}/Observation",
        f"{B}/*",
        "Encounter/b-encounter/Observation",
        f"{B}/Condition",
        "Encounter/b-encounter/*",
    ):
        theirs = site.a("GET", path)
        nobodys = site.a("GET", path.replace("/b-", "/x-"))
        assert (theirs.status, theirs.json.get("total", 0)) == (nobodys.status, nobodys.json.get("total", 0))
        assert theirs.ids == set()
    assert site.a("GET", "Patient/a-patient/Observation").ids


def test_case_16_a_patient_scope_without_a_patient_opens_nothing(site: Site) -> None:
    """A `patient/` scope is not given to a backend; a token with one and no patient counts for nothing."""
    asked = site.client("clinic", "patient/*.rs")
    assert (asked.status, asked.json["error"]) == (400, "invalid_scope")
    token = site.database["smart_tokens"].find_one({"_id": hashlib.sha256(site.token.encode()).hexdigest()})
    without = {name: each for name, each in token.items() if name != "patient"}
    site.database["smart_tokens"].insert_one({**without, "_id": hashlib.sha256(b"forged").hexdigest()})
    assert site.send("GET", "/fhir/Patient", token="forged").status == 401


def test_case_17_types_beside_the_compartment_table_are_closed(site: Site) -> None:
    """Of every R4 type A is shown own records only, also of those that the compartment table does not name."""
    others: dict[str, dict[str, Any]] = {
        "Practitioner": {"name": [{"family": SECRET}]},
        "Location": {"name": SECRET},
        "Medication": {"code": {"text": SECRET}},
        "Substance": {"code": {"text": SECRET}},
        "Linkage": {"item": [{"type": "source", "resource": {"reference": B}}], "author": {"display": SECRET}},
    }
    for type, body in others.items():
        made = site.send("POST", f"/fhir/{type}", {"resourceType": type, **body}, token=site.clinic)
        assert made.status == 201, made.text
    for type in sorted(set(r4.RESOURCE_TYPES) - DEFINITIONS):
        answer = site.a("GET", f"{type}?_total=accurate&_count=1")
        assert answer.status in (200, 403), type
        assert answer.status == 403 or answer.json["total"] == owned(site, type), type


def test_case_18_a_cursor_of_somebody_else_or_a_forged_one_opens_nothing(site: Site) -> None:
    """A clinic's cursor, a changed one and one that was used before show A own records or nothing."""

    def next_of(token: str, path: str = "/fhir/Observation?_count=2") -> str:
        links = {each["relation"]: each["url"] for each in site.send("GET", path, token=token).json["link"]}
        parts = urlsplit(links["next"])
        return f"{parts.path.removeprefix('/fhir/')}?{parts.query}"

    theirs, mine = next_of(site.clinic), next_of(site.token)
    site.a("GET", theirs)
    first, again = site.a("GET", mine), site.a("GET", mine)
    assert first.status == 200
    assert first.ids == again.ids
    name, _, value = mine.rpartition("=")
    for changed in (
        f"{name}={value[:-4]}AAAA",
        f"{name}=",
        f"{name}={value[::-1]}",
        mine.replace("_count=2", "_count=99"),
    ):
        assert site.a("GET", changed).status in (200, 400, 404, 410)
    other = site.a("GET", theirs.replace("Observation?", "Encounter?"))
    assert other.status in (200, 400, 404, 410)


def test_case_19_a_link_to_b_does_not_widen(site: Site, phone: App) -> None:
    """`Patient.link` to B opens nothing of B."""
    linked = {"resourceType": "Patient", "link": [{"other": {"reference": B}, "type": "seealso"}]}
    made = site.send("POST", "/fhir/Patient", linked, token=site.clinic).json["id"]
    card = card_of(site.repository, made)
    token = tokens(site, phone, card.code)["access_token"]
    for path in ("Patient", "Observation", "Patient?_include=Patient:link", f"Patient/{made}/$everything", "Encounter"):
        answer = site.send("GET", f"/fhir/{path}", token=token)
        site.has_nothing_of_b(answer, path)
        assert {each for each in answer.ids if not each.startswith("AuditEvent/")} <= {f"Patient/{made}"}
    assert site.send("GET", f"/fhir/{B}", token=token).status == 404


def test_case_20_contained_resources_and_files_of_b_are_closed(site: Site) -> None:
    """Contained resources are as their containers; a Binary and a DocumentReference are whose they are."""
    for query in (
        "_contained=true",
        "_contained=both&_containedType=contained",
        "_contained=true&_containedType=container",
    ):
        site.a("GET", f"Medication?{query}")
    assert site.a("GET", "MedicationRequest/b-prescription").status == 404
    for path in ("Binary/b-binary", "Binary/nobodys", "DocumentReference/b-document"):
        for accept in ("application/fhir+json", "text/plain", "*/*"):
            theirs, nobodys = (site.a("GET", each, Accept=accept) for each in (path, path.partition("/")[0] + "/x"))
            assert theirs.status == nobodys.status
            assert theirs.status in (404, 406)
    assert told(site, "DocumentReference?_total=accurate&_include=DocumentReference:*")[1] == 0
    assert "mine" in site.a("GET", "MedicationRequest/a-prescription").text


def test_case_21_nothing_is_written_into_the_record_of_b(site: Site) -> None:
    """A create about B, or that names B's encounter, is refused as is one that names nothing that exists."""
    theirs = {"reference": B}
    for changes in (
        {"subject": theirs},
        {"focus": [theirs]},
        {"performer": [theirs]},
        {"subject": {"reference": f"{FHIR}/{B}"}},
    ):
        assert site.a("POST", "Observation", observation(**changes)).status in (400, 403)
    answers = [
        site.a("POST", "Observation", observation(encounter={"reference": f"Encounter/{id}"}))
        for id in ("b-encounter", "x-encounter")
    ]
    assert [each.status for each in answers] == [403, 403]
    assert answers[0].json == answers[1].json
    assert site.a("POST", "Patient", {"resourceType": "Patient", "id": "b-patient"}).status == 403


def test_case_22_no_subscription_delivers_anything(site: Site) -> None:
    """A may not subscribe; nor may a clinic, and a Subscription that it stores switched off is never acted upon."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.5)
        endpoint = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        wanted = {
            "resourceType": "Subscription",
            "status": "requested",
            "reason": "x",
            "criteria": "Observation?_id=b-weight-1",
            "channel": {"type": "rest-hook", "endpoint": endpoint, "payload": "application/fhir+json"},
        }
        assert site.a("POST", "Subscription", wanted).status == 403
        assert site.send("POST", "/fhir/Subscription", wanted, token=site.clinic).status == 422
        kept = site.send("POST", "/fhir/Subscription", {**wanted, "status": "off"}, token=site.clinic)
        assert kept.status == 201
        body = observation(id="b-weight-1", subject={"reference": B}, note=[{"text": SECRET}])
        before = site.send("GET", "/fhir/Observation/b-weight-3", token=site.clinic).json
        site.send("PUT", "/fhir/Observation/b-weight-3", {**before, "note": body["note"]}, token=site.clinic)
        with pytest.raises(TimeoutError):
            listening.accept()
    assert site.a("GET", f"Subscription/{kept.json['id']}").status == 404


def test_case_23_no_header_of_a_cache_tells_of_b(site: Site) -> None:
    """If-None-Match, If-Modified-Since and If-Match make no difference between what is B's, deleted, and not there."""
    for id in ("b-weight-1", "b-gone"):
        for headers in (
            {"If_None_Match": 'W/"1"'},
            {"If_None_Match": "*"},
            {"If_Modified_Since": "Fri, 01 Jan 2100 00:00:00 GMT"},
            {},
        ):
            for method in ("GET", "HEAD"):
                theirs = site.a(method, f"Observation/{id}", **headers)
                nobodys = site.a(method, f"Observation/{'x' * len(id)}", **headers)
                assert theirs.status == nobodys.status == 404
                assert not {"etag", "last-modified"} & theirs.headers.keys()
                assert theirs.essence[2] == nobodys.essence[2]
        for tag in ('W/"1"', 'W/"2"', 'W/"9"'):
            writes = [site.a("PUT", f"Observation/{each}", observation(id=each), If_Match=tag) for each in (id, "x-1")]
            assert [each.status for each in writes] == [403, 403]
            assert writes[0].json == writes[1].json


def test_case_24_the_old_card_of_a_merged_patient_opens_nothing(site: Site, phone: App) -> None:
    """Whose record was merged into another one has a card that opens neither."""
    person = {"resourceType": "Patient", "name": [{"text": FAMILY}]}
    old, new = (site.send("POST", "/fhir/Patient", person, token=site.clinic).json["id"] for _ in "ab")
    card = card_of(site.repository, old)
    token = tokens(site, phone, card.code)["access_token"]
    assert site.send("GET", f"/fhir/Patient/{old}", token=token).status == 200
    parameters = [
        {"name": "source-patient", "valueReference": {"reference": f"Patient/{old}"}},
        {"name": "target-patient", "valueReference": {"reference": f"Patient/{new}"}},
    ]
    merge = {"resourceType": "Parameters", "parameter": parameters}
    merged = site.send("POST", "/fhir/Patient/$merge", merge, token=site.clinic)
    assert merged.status == 200, merged.text
    assert site.send("GET", f"/fhir/Patient/{old}", token=token).status in (401, 404)
    assert site.send("GET", f"/fhir/Patient/{new}", token=token).status in (401, 404)
    browser = site.browser("203.0.113.24")
    assert browser.show(card.code).headers["location"] == "/q/you"
    for path in ("/q/you", "/c/", "/c/entries", "/c/seen"):
        page = browser.open(path)
        assert page.status == (403 if path == "/q/you" else 401)
        assert FAMILY not in page.text
