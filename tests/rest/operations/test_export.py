"""$export: kick-off, status, manifest, files and removal, over HTTP. https://hl7.org/fhir/uv/bulkdata/STU2/export.html"""

from __future__ import annotations

import gzip
import json
from datetime import datetime, timedelta

import pytest

from fhir_server import exporting
from fhir_server.access.context import AccessContext
from fhir_server.errors import Forbidden, NotFound
from fhir_server.export_order import ExportOrder

ASYNC = {"Prefer": "respond-async", "Accept": "application/fhir+json"}
NDJSON = "application/fhir+ndjson"


@pytest.fixture
def kick_off(client):
    """kick_off("Patient/$export?_type=Patient"): the address of the status."""

    def kick_off(address, parameters=None, prefer="respond-async"):
        headers = {**ASYNC, "Prefer": prefer}
        if parameters is None:
            response = client.get(f"/fhir/{address}", headers=headers)
        else:
            body = json.dumps({"resourceType": "Parameters", "parameter": parameters})
            response = client.post(f"/fhir/{address}", data=body, headers=headers, content_type="application/fhir+json")
        assert response.status_code == 202, response.text
        assert response.data == b""
        return response.headers["Content-Location"].removeprefix("http://localhost")

    return kick_off


@pytest.fixture
def manifest(client, repository):
    """The manifest of an export, after it was carried out."""

    def manifest(status):
        while repository.exports.work():
            pass
        response = client.get(status, headers={"Accept": "application/json"})
        assert response.status_code == 200, response.text
        assert response.content_type == "application/json"
        return json.loads(response.data)

    return manifest


@pytest.fixture
def lines(client, manifest):
    """`type -> the lines of all its files` of an export."""

    def lines(status):
        found: dict[str, list[bytes]] = {}
        for each in manifest(status)["output"]:
            response = client.get(each["url"].removeprefix("http://localhost"), headers={"Accept": NDJSON})
            assert (response.status_code, response.content_type) == (200, NDJSON)
            several = response.data.split(b"\n")
            assert several.pop() == b""
            assert len(several) == each["count"]
            found.setdefault(each["type"], []).extend(several)
        return found

    return lines


@pytest.fixture
def ids(lines):
    """`Type/id` of everything an export holds, in order."""

    def ids(status):
        return [f"{type}/{json.loads(line)['id']}" for type, several in lines(status).items() for line in several]

    return ids


@pytest.fixture
def world(put, observe):
    """Two patients with observations, a practitioner, and a group of one of them."""
    put("Patient/a", gender="female")
    put("Patient/b", gender="male")
    observe("o1", "a", "718-7", 13, "2026-01-02")
    observe("o2", "b", "718-7", 14, "2026-01-03")
    observe("o3", "b", "4548-4", 6, "2026-01-04")
    put("Practitioner/p")
    members = [{"entity": {"reference": "Patient/b"}}, {"entity": {"reference": "Patient/a"}, "inactive": True}]
    put("Group/g", type="person", actual=True, member=members)


def refusal(response):
    return response.status_code, json.loads(response.data)["issue"][0]["diagnostics"]


def test_without_respond_async_it_says_which_header_is_missing(client):
    status, text = refusal(client.get("/fhir/$export"))
    assert status == 400
    assert "Prefer: respond-async" in text


def test_the_whole_system_is_exported_byte_by_byte_as_it_is_read(client, world, kick_off, lines):
    found = lines(kick_off("$export"))
    assert {type: len(several) for type, several in found.items()} == {
        "Group": 1,
        "Observation": 3,
        "Patient": 2,
        "Practitioner": 1,
    }
    for type, several in found.items():
        for line in several:
            assert line == client.get(f"/fhir/{type}/{json.loads(line)['id']}").data


def test_the_manifest_says_what_was_asked_when_and_what_came_of_it(client, world, kick_off, manifest):
    status = kick_off("$export?_type=Patient&_outputFormat=ndjson")
    made = manifest(status)
    assert made["request"] == "http://localhost/fhir/$export?_type=Patient&_outputFormat=ndjson"
    assert made["requiresAccessToken"] is False
    assert (made["deleted"], made["error"]) == ([], [])
    assert [(each["type"], each["count"]) for each in made["output"]] == [("Patient", 2)]
    patient = json.loads(client.get("/fhir/Patient/b").data)
    assert datetime.fromisoformat(made["transactionTime"]) >= datetime.fromisoformat(patient["meta"]["lastUpdated"])
    assert "Expires" in client.get(status).headers


def test_until_it_is_done_the_status_says_so(client, world, kick_off, manifest):
    status = kick_off("$export")
    waiting = client.get(status)
    assert (waiting.status_code, waiting.data) == (202, b"")
    assert (waiting.headers["X-Progress"], waiting.headers["Retry-After"]) == ("waiting", "2")
    manifest(status)
    assert client.get(status).status_code == 200


def test_an_empty_server_gives_an_empty_manifest(kick_off, manifest):
    assert manifest(kick_off("$export"))["output"] == []


def test_all_patients_are_exported_with_what_is_in_their_compartments(world, kick_off, ids):
    assert ids(kick_off("Patient/$export")) == [
        *("Group/g", "Observation/o1", "Observation/o2", "Observation/o3", "Patient/a", "Patient/b")
    ]


def test_a_group_is_exported_with_the_compartments_of_its_active_members(world, kick_off, ids):
    assert ids(kick_off("Group/g/$export")) == ["Group/g", "Observation/o2", "Observation/o3", "Patient/b"]


def test_a_group_that_is_not_there_is_404(client):
    assert client.get("/fhir/Group/none/$export", headers=ASYNC).status_code == 404


def test_patients_can_be_named_in_the_body(world, kick_off, ids):
    named = {"name": "patient", "valueReference": {"reference": "Patient/a"}}
    assert ids(kick_off("Patient/$export", [named])) == ["Group/g", "Observation/o1", "Patient/a"]
    assert ids(kick_off("Group/g/$export", [named])) == []


def test_types_filters_and_elements_come_by_post_as_by_get(world, kick_off, ids, lines):
    query = "_type=Observation,Patient&_typeFilter=Observation%3Fcode%3D718-7%26date%3Dgt2026-01-02"
    expected = ["Observation/o2", "Patient/a", "Patient/b"]
    assert ids(kick_off(f"$export?{query}")) == expected
    body = [
        {"name": "_type", "valueString": "Observation,Patient"},
        {"name": "_typeFilter", "valueString": "Observation?code=718-7&date=gt2026-01-02"},
    ]
    assert ids(kick_off("$export", body)) == expected
    cut = lines(kick_off("$export?_type=Patient,Practitioner&_elements=Patient.gender"))
    assert set(json.loads(cut["Patient"][0])) == {"resourceType", "id", "meta", "gender"}
    assert json.loads(cut["Patient"][0])["meta"]["tag"][0]["code"] == "SUBSETTED"
    assert b"SUBSETTED" not in cut["Practitioner"][0]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ("Observation?code=718-7,Observation?code=4548-4", ["o1", "o2", "o3"]),
        ("Observation?code=718-7,4548-4&subject=Patient/a", ["o1"]),
        ("Observation?patient.gender=male", ["o2", "o3"]),
        ("Observation?code-value-quantity=718-7$gt13", ["o2"]),
        ("Observation?code=4548-4,Observation?code-value-quantity=718-7$gt13", ["o2", "o3"]),
        ("Observation?_content=4548", ["o3"]),
    ],
)
def test_type_filters_are_searches_and_several_of_a_type_are_alternatives(world, kick_off, ids, filters, expected):
    status = kick_off("$export", [{"name": "_typeFilter", "valueString": filters}, OBSERVATIONS])
    assert ids(status) == [f"Observation/{each}" for each in expected]


OBSERVATIONS = {"name": "_type", "valueCode": "Observation"}


def test_since_leaves_out_what_has_not_changed_after_it(world, put, kick_off, manifest, ids):
    moment = manifest(kick_off("$export"))["transactionTime"]
    assert ids(kick_off("$export", [{"name": "_since", "valueInstant": moment}])) == []
    put("Patient/a", gender="other")
    assert ids(kick_off("$export", [{"name": "_since", "valueInstant": moment}])) == ["Patient/a"]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("_outputFormat=text/csv", "_outputFormat can be"),
        ("_type=Patient,Nothing", "'Nothing' is none"),
        ("_since=yesterday", "_since takes an instant"),
        ("_typeFilter=Observation", "_typeFilter takes searches"),
        ("_typeFilter=Observation?code=1&_type=Patient", "not among the types"),
        ("_typeFilter=Observation?nonsense=1", "nonsense"),
        ("_typeFilter=Observation?_sort=date", "no _sort"),
        ("_elements=nonsense", "'nonsense' is none"),
        ("patient=Patient/a", "in the body of a POST"),
        ("organizeOutputBy=Patient", "no parameter 'organizeOutputBy'"),
    ],
)
def test_what_is_not_understood_is_400_and_nothing_is_queued(client, repository, query, reason):
    status, text = refusal(client.get(f"/fhir/$export?{query}", headers=ASYNC))
    assert status == 400
    assert reason in text
    assert repository.exports.work() is False


def test_unknown_parameters_are_ignored_when_the_client_is_lenient(world, kick_off, ids):
    status = kick_off(
        "Patient/$export?organizeOutputBy=x&_type=Patient,Practitioner", prefer="respond-async, handling=lenient"
    )
    assert ids(status) == ["Patient/a", "Patient/b"]


def test_a_type_outside_all_compartments_is_refused_for_patients(client):
    status, text = refusal(client.get("/fhir/Patient/$export?_type=Practitioner", headers=ASYNC))
    assert (status, "Practitioner belongs to no patient" in text) == (400, True)


@pytest.mark.parametrize("finished", [False, True])
def test_a_delete_stops_an_export_and_removes_what_it_made(
    client, world, store, kick_off, manifest, repository, finished
):
    status = kick_off("$export")
    urls = [each["url"].removeprefix("http://localhost") for each in manifest(status)["output"]] if finished else []
    assert client.delete(status).status_code == 202
    assert [client.get(each).status_code for each in (status, *urls)] == [404] * (1 + len(urls))
    assert client.delete(status).status_code == 404
    assert repository.exports.work() is False
    assert [store.database[name].count_documents({}) for name in ("jobs", "files", "moments")] == [0, 0, 0]


def test_files_are_sent_gzipped_to_who_takes_it(client, world, kick_off, manifest):
    url = manifest(kick_off("$export?_type=Patient"))["output"][0]["url"].removeprefix("http://localhost")
    plain, zipped = (client.get(url, headers={"Accept-Encoding": each}) for each in ("identity", "gzip"))
    assert "Content-Encoding" not in plain.headers
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(zipped.data) == plain.data


def test_the_addresses_are_good_for_the_client_that_asked_only(repository, world):
    asking, other = AccessContext.unrestricted("client:a"), AccessContext.unrestricted("client:b")
    job_id = repository.exports.start(asking, ExportOrder(), request="")
    repository.exports.work()
    assert repository.exports.status(asking, job_id).state == "done"
    for refused in (repository.exports.status, repository.exports.remove):
        with pytest.raises(NotFound):
            refused(other, job_id)
    with pytest.raises(NotFound):
        repository.exports.file(other, job_id, "Patient.1.ndjson")
    assert b"".join(repository.exports.file(asking, job_id, "Patient.1.ndjson")).count(b"\n") == 2


def test_a_caller_bound_to_a_patient_exports_nothing(repository, world):
    with pytest.raises(Forbidden):
        repository.exports.start(AccessContext.for_patient("a", "card:1"), ExportOrder(), request="")


def test_there_is_a_bound_on_exports_that_wait(client, kick_off, monkeypatch):
    monkeypatch.setattr(exporting, "WAITING", 2)
    kick_off("$export")
    kick_off("$export")
    response = client.get("/fhir/$export", headers=ASYNC)
    assert (response.status_code, response.headers["Retry-After"]) == (429, "60")


def test_an_export_expires_and_the_next_one_clears_it_away(client, world, store, kick_off, manifest, monkeypatch):
    status = kick_off("$export")
    manifest(status)
    monkeypatch.setattr(exporting, "KEPT", timedelta(seconds=-1))
    assert client.get(status).status_code == 404
    kick_off("$export")
    assert store.database["files"].count_documents({}) == 0
    assert store.database["jobs"].count_documents({}) == 1


def test_a_failed_export_says_so(client, world, repository, kick_off, monkeypatch):
    status = kick_off("$export")

    def broken(self, *_):
        raise ValueError("secret")

    monkeypatch.setattr(exporting.Exports, "_step", broken)
    repository.exports.work()
    code, text = refusal(client.get(status))
    assert (code, "failed to write the export" in text, "secret" in text) == (500, True, False)
