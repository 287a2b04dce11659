"""Transactions: processing order, conditions and references inside, conflicts, and their bounds.

https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fhir_server.access.context import AccessContext
from fhir_server.app import create_app
from fhir_server.config import Config
from fhir_server.errors import BadRequest, Forbidden, NotFound, PreconditionFailed, TooLarge, Unavailable, Unprocessable
from fhir_server.repository import Repository
from fhir_server.store.mongod import Mongod
from fhir_server.store.records import LARGE_TRANSACTIONS, Store
from tests.repository.people import CARD, OPEN, bundle, ids, patient

BASE = "http://127.0.0.1:8080/fhir"
CARD_17 = f"identifier={CARD}|GD4790000000017"
URN = "urn:uuid:0b2c6a4e-6c0f-4a6e-9c1e-6d1f3c2b1a00"


def basic(text="x", **more):
    return {"resourceType": "Basic", "code": {"text": text}, **more}


def weight(subject, **more):
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "cân nặng"},
        "subject": {"reference": subject},
        **more,
    }


def entry(method, url, resource=None, full_url=None, **request):
    made = {"request": {"method": method, "url": url, **request}}
    if resource is not None:
        made["resource"] = resource
    if full_url is not None:
        made["fullUrl"] = full_url
    return made


def run(repository, *entries, ctx=OPEN, **more):
    made = {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}
    return repository.transaction(ctx, made, **more)


def held(repository, result):
    return json.loads(repository.read(OPEN, result.stored.type, result.stored.id).json)


def merge_patch(change):
    data = base64.b64encode(json.dumps(change).encode()).decode()
    return {"resourceType": "Binary", "contentType": "application/merge-patch+json", "data": data}


def fhirpath_patch(type, path, **value):
    parts = [{"name": "type", "valueCode": type}, {"name": "path", "valueString": path}]
    parts += [{"name": "value", **value}] if value else []
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}


class TestProcessing:
    def test_the_order_is_delete_create_update_patch_read_whatever_the_bundle_says(self, repository):
        for name in ("gone", "put", "patched"):
            repository.update(OPEN, "Basic", name, basic(name))
        results = run(
            repository,
            entry("GET", "Basic?_sort=_id&_elements=code"),
            entry("HEAD", "Basic/patched"),
            entry("PATCH", "Basic/patched", merge_patch({"code": {"text": "patched now"}})),
            entry("PUT", "Basic/put", basic("put now", id="put")),
            entry("POST", "Basic", basic("new")),
            entry("DELETE", "Basic/gone"),
            entry("GET", "Basic/put/_history"),
            entry("GET", "Basic/put/_history/1"),
            entry("GET", "_history?_count=2"),
        )
        assert [each.status for each in results] == [200, 200, 200, 200, 201, 204, 200, 200, 200]
        assert set(ids(results[0].page)) == {"put", "patched", results[4].stored.id}
        assert json.loads(results[1].stored.json)["code"] == {"text": "patched now"}
        assert (results[2].outcome, results[2].stored.version, results[2].stored.method) == ("updated", 2, "PATCH")
        assert [each.version for each in results[6].page.entries] == [2, 1]
        assert json.loads(results[7].stored.json)["code"] == {"text": "put"}
        assert len(results[8].page.entries) == 2
        assert results[8].page.next is not None

    def test_a_conditional_delete_deletes_every_match(self, repository):
        for number in range(3):
            repository.create(OPEN, "Patient", patient(17) | {"active": bool(number)})
        kept = repository.create(OPEN, "Patient", patient(1)).stored.id
        several, none = run(
            repository, entry("DELETE", f"Patient?{CARD_17}"), entry("DELETE", "Patient?identifier=none")
        )
        assert (several.status, several.deleted, several.stored) == (204, 3, None)
        assert (none.status, none.deleted, none.outcome) == (204, 0, "unchanged")
        assert ids(repository.search(OPEN, "Patient", [])) == [kept]

    def test_a_patch_that_changes_nothing_makes_no_version(self, repository):
        repository.update(OPEN, "Basic", "a", basic())
        (result,) = run(repository, entry("PATCH", "Basic/a", merge_patch({"code": {"text": "x"}})))
        assert (result.status, result.outcome, result.stored.version) == (200, "unchanged", 1)

    def test_a_conditional_patch_finds_its_resource(self, repository):
        made = repository.create(OPEN, "Patient", patient(17)).stored
        change = fhirpath_patch("replace", "Patient.gender", valueCode="other")
        (result,) = run(repository, entry("PATCH", f"Patient?{CARD_17}", change))
        assert (result.stored.id, result.stored.version) == (made.id, 2)

    def test_if_none_match_star_creates_and_replaces_nothing(self, repository):
        made = entry("PUT", "Basic/a", basic(id="a"), ifNoneMatch="*")
        assert run(repository, made)[0].status == 201
        with pytest.raises(PreconditionFailed):
            run(repository, made)

    @pytest.mark.parametrize(
        ("wrong", "error", "where"),
        [
            (entry("PATCH", "Basic/none", merge_patch({})), NotFound, ""),
            (entry("PATCH", "Basic?identifier=none", merge_patch({})), NotFound, ""),
            (entry("PATCH", "Basic/a", basic()), BadRequest, ""),
            (entry("PATCH", "Basic/a"), BadRequest, ""),
            (entry("PATCH", "Basic/a", merge_patch({"code": None})), Unprocessable, ".resource.code"),
            (entry("PATCH", "Basic/a", merge_patch({"id": "b"})), Unprocessable, ".resource.id"),
            (entry("PATCH", "Basic/a", merge_patch({}), ifMatch='W/"7"'), PreconditionFailed, ""),
            (entry("DELETE", "Basic/a", ifMatch='W/"7"'), PreconditionFailed, ""),
            (entry("DELETE", "Basic?_count=1"), BadRequest, ""),
            (entry("PUT", "Basic/a", basic(id="a"), ifNoneMatch='W/"1"'), BadRequest, ""),
            (entry("OPTIONS", "Basic/a"), BadRequest, ""),
            (entry("GET", "Basic/a/$x"), BadRequest, ""),
            (entry("GET", "Basic/$x"), BadRequest, ""),
            (entry("GET", "http://elsewhere.example/fhir/Basic/a"), BadRequest, ""),
            (entry("GET", f"{BASE}x/Basic/a"), BadRequest, ""),
        ],
    )
    def test_what_fails_is_named_and_leaves_nothing(self, repository, wrong, error, where):
        repository.update(OPEN, "Basic", "a", basic())
        with pytest.raises(error) as refusal:
            run(repository, entry("POST", "Basic", basic("new")), wrong)
        assert refusal.value.issues[0].expression == (f"Bundle.entry[1]{where}",)
        assert repository.history(OPEN, query=[]).total == 1


class TestDoubles:
    """https://hl7.org/fhir/R4/http.html#trules: one resource is written once."""

    @pytest.mark.parametrize(
        "two",
        [
            (entry("PUT", "Basic/a", basic(id="a")), entry("PATCH", "Basic/a", merge_patch({}))),
            (entry("DELETE", "Basic?code:text=x"), entry("PUT", "Basic/a", basic(id="a"))),
            (entry("PATCH", "Basic?code:text=x", merge_patch({})), entry("DELETE", "Basic/a")),
            (entry("PUT", "Basic?code:text=new", basic("new")), entry("PUT", "Basic?code:text=new", basic("new"))),
            (
                entry("PUT", "Basic?code:text=new", basic("new")),
                entry("POST", "Basic", basic("new"), ifNoneExist="code:text=new"),
            ),
            (entry("POST", "Basic", basic(), URN), entry("POST", "Basic", basic(), URN)),
        ],
    )
    def test_two_writes_of_one_resource_are_refused(self, repository, two):
        repository.update(OPEN, "Basic", "a", basic())
        with pytest.raises(BadRequest) as refusal:
            run(repository, *two)
        assert refusal.value.issues[0].code == "duplicate"
        assert repository.history(OPEN, query=[]).total == 1

    def test_two_creates_under_one_condition_make_one_resource(self, repository):
        other = "urn:uuid:7a000000-0000-4000-8000-000000000002"
        first, second, one, two = run(
            repository,
            entry("POST", "Patient", patient(17), URN, ifNoneExist=CARD_17),
            entry("POST", "Patient", patient(17), other, ifNoneExist=CARD_17),
            entry("POST", "Observation", weight(URN)),
            entry("POST", "Observation", weight(other)),
        )
        assert (first.status, second.status) == (201, 200)
        assert first.stored.id == second.stored.id
        subject = {"reference": f"Patient/{first.stored.id}"}
        assert held(repository, one)["subject"] == held(repository, two)["subject"] == subject
        assert repository.search(OPEN, "Patient", []).total == 1


class TestReferences:
    """https://hl7.org/fhir/R4/bundle.html#references"""

    def test_urls_and_references_of_this_server_may_be_absolute(self, repository):
        person, observation, read = run(
            repository,
            entry(
                "PUT", "http://example.vn/fhir/Patient/a", patient(1) | {"id": "a"}, "http://example.vn/fhir/Patient/a"
            ),
            entry("POST", f"{BASE}/Observation", weight("http://example.vn/fhir/Patient/a")),
            entry("GET", "http://example.vn/fhir/Patient/a"),
            base="http://example.vn/fhir",
        )
        assert held(repository, observation)["subject"] == {"reference": "Patient/a"}
        assert read.stored.id == person.stored.id == "a"

    def test_a_relative_reference_is_read_from_the_base_of_the_entry_it_stands_in(self, repository):
        repository.update(OPEN, "Patient", "1", patient(1) | {"id": "1"})
        there = "http://elsewhere.example/fhir"
        person, from_there, from_here, urn = run(
            repository,
            entry("POST", "Patient", patient(2), f"{there}/Patient/1"),
            entry("POST", "Observation", weight("Patient/1"), f"{there}/Observation/1"),
            entry("POST", "Observation", weight("Patient/1")),
            entry("POST", "Observation", weight("Patient/1"), URN),
        )
        assert held(repository, from_there)["subject"] == {"reference": f"Patient/{person.stored.id}"}
        assert held(repository, from_here)["subject"] == {"reference": "Patient/1"}
        assert held(repository, urn)["subject"] == {"reference": "Patient/1"}

    def test_uris_and_fragments_are_pointed_and_texts_are_left_as_they_are(self, repository):
        _, other = run(
            repository,
            entry("POST", "Patient", patient(1), URN),
            entry(
                "POST",
                "Observation",
                weight(
                    URN,
                    identifier=[{"system": "urn:ietf:rfc:3986", "value": URN}],
                    implicitRules=f"{URN}#rules",
                    extension=[{"url": "http://x", "valueUri": URN}, {"url": "http://y", "valueString": URN}],
                ),
            ),
        )
        stored = held(repository, other)
        pointed = stored["subject"]["reference"]
        assert pointed.startswith("Patient/")
        assert stored["identifier"][0]["value"] == URN
        assert stored["implicitRules"] == f"{pointed}#rules"
        assert [each.get("valueUri") or each["valueString"] for each in stored["extension"]] == [pointed, URN]

    def test_conditional_references_work_in_contained_resources_and_in_extensions(self, repository):
        known = repository.create(OPEN, "Patient", patient(17)).stored
        reference = {"reference": f"Patient?{CARD_17}"}
        (made,) = run(
            repository,
            entry(
                "POST",
                "Observation",
                weight(
                    f"Patient?{CARD_17}",
                    contained=[{"resourceType": "Specimen", "id": "s", "subject": reference}],
                    specimen={"reference": "#s"},
                    extension=[{"url": "http://x", "valueReference": reference}],
                ),
            ),
        )
        stored = held(repository, made)
        pointed = {"reference": f"Patient/{known.id}"}
        assert stored["subject"] == pointed
        assert stored["contained"][0]["subject"] == pointed
        assert stored["extension"][0]["valueReference"] == pointed

    def test_criteria_do_not_see_what_the_same_bundle_creates(self, repository):
        with pytest.raises(PreconditionFailed) as refusal:
            run(
                repository,
                entry("POST", "Patient", patient(17), URN),
                entry("POST", "Observation", weight(f"Patient?{CARD_17}")),
            )
        assert refusal.value.issues[0].expression == ("Bundle.entry[1].resource.subject.reference",)


class TestConflicts:
    def test_transactions_that_create_the_same_ids_all_take_effect(self, repository):
        def put(number):
            entries = [entry("PUT", f"Basic/{each}", basic(str(number), id=each)) for each in ("a", "b", "c")]
            return run(repository, *entries if number % 2 else reversed(entries))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(put, range(12)))
        for each in ("a", "b", "c"):
            versions = repository.history(OPEN, "Basic", each, query=[]).entries
            assert [version.version for version in versions] == list(range(12, 0, -1))

    def test_a_count_kept_by_patches_in_transactions_loses_none(self, repository):
        repository.update(OPEN, "Basic", "a", basic("0"))

        def add(_):
            while True:
                current = repository.read(OPEN, "Basic", "a")
                counted = int(json.loads(current.json)["code"]["text"]) + 1
                change = merge_patch({"code": {"text": str(counted)}})
                try:
                    made = entry("PATCH", "Basic/a", change, ifMatch=f'W/"{current.version}"')
                    return run(repository, made, entry("POST", "Basic", basic("beside")))
                except PreconditionFailed:
                    continue

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(add, range(24)))
        assert json.loads(repository.read(OPEN, "Basic", "a").json)["code"] == {"text": "24"}
        assert repository.read(OPEN, "Basic", "a").version == 25
        assert repository.search(OPEN, "Basic", [("code:text", "beside"), ("_summary", "count")]).total == 24


class TestBounds:
    def test_large_ones_wait_for_their_turn_and_are_told_when_to_come_back(self, repository):
        store = repository.store
        store.wait_seconds = 0.2
        many = [basic(str(number)) for number in range(200)]
        for _ in range(LARGE_TRANSACTIONS):
            store._large.acquire()
        try:
            with pytest.raises(Unavailable) as refusal:
                repository.transaction(OPEN, bundle(many))
            assert (refusal.value.status, refusal.value.headers) == (503, {"Retry-After": "10"})
            assert len(repository.transaction(OPEN, bundle(many[:199]))) == 199
            store.wait_seconds = 30
            with ThreadPoolExecutor(1) as pool:
                waiting = pool.submit(repository.transaction, OPEN, bundle(many))
                time.sleep(0.3)
                assert not waiting.done()
                store._large.release()
                assert len(waiting.result()) == 200
                store._large.acquire()
        finally:
            for _ in range(LARGE_TRANSACTIONS):
                store._large.release()

    def test_one_that_takes_too_long_is_not_tried_again_and_the_client_is_told(self, repository):
        store = repository.store
        limit = "transactionLifetimeLimitSeconds"
        store.client.admin.command("setParameter", 1, **{limit: 1})
        store.transaction_seconds = 1
        tries: list[None] = []

        def work(session):
            tries.append(None)
            store.claim(["x"], repository.read(OPEN, "Basic", "a").updated, session)
            for _ in range(60):
                time.sleep(0.1)
                store.current("Basic", "a", session=session)

        repository.update(OPEN, "Basic", "a", basic())
        try:
            with pytest.raises(TooLarge, match="took longer than the 1 seconds"):
                store.transact(work)
        finally:
            store.client.admin.command("setParameter", 1, **{limit: 60})
        assert len(tries) == 1


@pytest.fixture(scope="module")
def roomy(tmp_path_factory):
    """A repository on a MongoDB with the cache that the server gives it by default."""
    with Mongod(tmp_path_factory.mktemp("roomy"), cache_mb=1024, purpose="test") as mongod:
        store = Store.open(mongod.uri)
        yield Repository(store)
        store.close()


def test_a_bundle_of_3500_entries_and_12_megabytes_passes_with_the_default_settings(roomy):
    narrative = '<div xmlns="http://www.w3.org/1999/xhtml">' + "<p>dòng chữ mô tả</p>" * 150 + "</div>"
    entries = []
    for number in range(3500):
        person = f"urn:uuid:7a000000-0000-4000-8000-{number // 10:012d}"
        if number % 10 == 0:
            entries.append(entry("POST", "Patient", patient(number), person))
            continue
        text = {"status": "generated", "div": narrative}
        entries.append(entry("POST", "Observation", weight(person, text=text, effectiveDateTime="2026-11-20")))
    whole = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    data = json.dumps(whole, ensure_ascii=False).encode()
    assert len(data) > 12_000_000
    client = create_app(roomy, config=Config.from_environment({})).test_client()
    began = time.monotonic()
    response = client.post("/fhir", data=data, content_type="application/fhir+json")
    assert time.monotonic() - began < 60
    assert response.status_code == 200
    answers = json.loads(response.data)["entry"]
    assert [each["response"]["status"] for each in answers] == ["201 Created"] * 3500
    assert roomy.search(OPEN, "Observation", [("_summary", "count")]).total == 3150
    type, id = answers[1]["response"]["location"].split("/")[:2]
    subject = json.loads(roomy.read(OPEN, type, id).json)["subject"]["reference"]
    assert answers[0]["response"]["location"] == f"{subject}/_history/1"


def test_a_transaction_that_the_cache_cannot_hold_is_refused_with_what_to_do(tmp_path_factory):
    with Mongod(tmp_path_factory.mktemp("tight"), cache_mb=256, purpose="test") as mongod:
        store = Store.open(mongod.uri)
        words = " ".join(f"chu{number}" for number in range(500))
        resources = [basic(words, extension=[{"url": "http://x", "valueString": "x" * 60_000}]) for _ in range(900)]
        with pytest.raises(TooLarge, match="larger than MongoDB's cache"):
            Repository(store).transaction(OPEN, bundle(resources))
        assert store.collection("Basic").count_documents({}) == 0
        store.close()


def test_a_caller_bound_to_a_patient_adds_in_a_transaction_and_changes_nothing(repository):
    for name, number in (("a", 1), ("b", 2)):
        repository.update(OPEN, "Patient", name, patient(number) | {"id": name})
    own = repository.create(OPEN, "Observation", weight("Patient/a")).stored.id
    other = repository.create(OPEN, "Observation", weight("Patient/b")).stored.id
    ctx = AccessContext.for_patient("a", "card:1")
    assert run(repository, entry("POST", "Observation", weight("Patient/a")), ctx=ctx)[0].status == 201
    before = repository.history(OPEN, query=[("_count", "0")]).total
    for refused in (
        entry("PATCH", f"Observation/{own}", merge_patch({"status": "amended"})),
        entry("PATCH", "Observation?subject=Patient/a", merge_patch({"status": "amended"})),
        entry("DELETE", "Observation?subject=Patient/a"),
        entry("GET", "_history"),
        entry("GET", "Observation/_history"),
        entry("POST", "Observation", weight("Patient/b")),
    ):
        with pytest.raises(Forbidden):
            run(repository, refused, ctx=ctx)
    for url in (f"Observation/{other}", f"Observation/{other}/_history", f"Observation/{other}/_history/1"):
        with pytest.raises(NotFound):
            run(repository, entry("GET", url), ctx=ctx)
    for reference in ("Patient?_id=b", "Patient?gender=female,male,unknown"):
        with pytest.raises((PreconditionFailed, Forbidden)):
            run(
                repository,
                entry("POST", "Observation", weight(reference, performer=[{"reference": "Patient?_id=b"}])),
                ctx=ctx,
            )
    assert repository.history(OPEN, query=[("_count", "0")]).total == before
