"""Create, update, delete, history and transactions: versions, conditions, races, and who may."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from fhir_server.access.context import AccessContext
from fhir_server.errors import BadRequest, FhirError, Forbidden, Gone, NotFound, PreconditionFailed
from fhir_server.resource.exact import parse
from fhir_server.search.paging import encode_cursor
from tests.repository.people import CARD, OPEN, bundle, ids, patient

CARD_17 = f"identifier={CARD}|GD4790000000017"


def basic(text="x", **more):
    return {"resourceType": "Basic", "code": {"text": text}, **more}


def test_what_is_stored_comes_back_with_its_digits_and_its_order(repository):
    text = (
        b'{"resourceType":"Observation","status":"final","code":{"text":"\\u00e1"},"_status":{"id":"s"},'
        b'"contained":[{"resourceType":"Device","id":"d"}],"device":{"reference":"#d"},'
        b'"valueQuantity":{"unit":"kg","value":58.50},"component":[{"code":{"text":"b"},"valueQuantity":{"value":1.0E-7}}]}'
    )
    made = repository.create(OPEN, "Observation", parse(text)).stored
    moment = made.updated.strftime("%Y-%m-%dT%H:%M:%S.") + f"{made.updated.microsecond // 1000:03d}Z"
    head = f'{{"resourceType":"Observation","id":"{made.id}","meta":{{"versionId":"1","lastUpdated":"{moment}"}},'
    rest = text.decode().removeprefix('{"resourceType":"Observation",').replace("\\u00e1", "á")
    assert repository.read(OPEN, "Observation", made.id).json.decode() == head + rest


def test_the_native_copy_is_fhir_with_exact_decimals(repository):
    made = repository.create(OPEN, "Observation", parse(
        b'{"resourceType":"Observation","status":"final","code":{"text":"a"},"valueQuantity":{"value":58.50}}'
    )).stored  # fmt: skip
    native = repository.store.collection("Observation").find_one({"_id": made.id})["resource"]
    assert str(native["valueQuantity"]["value"]) == "58.50"
    assert native["meta"]["versionId"] == "1"


def test_an_update_makes_the_next_version_and_keeps_the_one_before(repository):
    made = repository.create(OPEN, "Basic", basic("one")).stored
    assert repository.update(OPEN, "Basic", made.id, basic("two")).outcome == "updated"
    assert repository.update(OPEN, "Basic", made.id, basic("two")).outcome == "unchanged"
    assert json.loads(repository.vread(OPEN, "Basic", made.id, "1").json)["code"] == {"text": "one"}
    assert json.loads(repository.vread(OPEN, "Basic", made.id, "2").json)["code"] == {"text": "two"}
    assert [each.version for each in repository.history(OPEN, "Basic", made.id, query=[]).entries] == [2, 1]


def test_digits_make_a_difference_to_an_update(repository):
    made = repository.create(OPEN, "Basic", basic(extension=[{"url": "http://x", "valueDecimal": 1}])).stored
    text = b'{"resourceType":"Basic","code":{"text":"x"},"extension":[{"url":"http://x","valueDecimal":1.0}]}'
    assert repository.update(OPEN, "Basic", made.id, parse(text)).outcome == "updated"


def test_a_deleted_resource_is_gone_its_versions_stay_and_it_can_come_back(repository):
    made = repository.create(OPEN, "Basic", basic()).stored
    assert repository.delete(OPEN, "Basic", made.id).stored.version == 2
    assert repository.delete(OPEN, "Basic", made.id) is None
    with pytest.raises(Gone):
        repository.read(OPEN, "Basic", made.id)
    with pytest.raises(Gone):
        repository.vread(OPEN, "Basic", made.id, "2")
    assert repository.vread(OPEN, "Basic", made.id, "1").version == 1
    assert ids(repository.search(OPEN, "Basic", [])) == []
    back = repository.update(OPEN, "Basic", made.id, basic("back"))
    assert (back.outcome, back.stored.version) == ("created", 3)
    versions = repository.history(OPEN, "Basic", made.id, query=[]).entries
    assert [(each.version, each.method) for each in versions] == [(3, "PUT"), (2, "DELETE"), (1, "POST")]


def test_history_of_a_type_and_of_everything_is_paged_newest_first(repository):
    for number in range(7):
        made = repository.create(OPEN, "Basic", basic(str(number))).stored
        repository.update(OPEN, "Basic", made.id, basic(f"{number}b"))
        if number % 2:
            repository.delete(OPEN, "Basic", made.id)
        repository.create(OPEN, "Patient", patient(number))
    for type, amount in (("Basic", 17), (None, 24)):
        found = []
        following = [("_count", "5")]
        while following is not None:
            page = repository.history(OPEN, type, query=following)
            found += [(each.updated, each.type, each.id, each.version) for each in page.entries]
            following = page.next
        assert len(found) == len(set(found)) == amount
        assert found == sorted(found, key=lambda each: each[:3], reverse=True)


def test_since_leaves_out_what_is_older(repository):
    first = repository.create(OPEN, "Basic", basic("one")).stored
    second = repository.update(OPEN, "Basic", first.id, basic("two")).stored
    since = [("_since", second.updated.isoformat(timespec="milliseconds"))]
    assert [each.version for each in repository.history(OPEN, "Basic", first.id, query=since).entries] == [2]
    assert [each.version for each in repository.history(OPEN, "Basic", query=since).entries] == [2]


def test_if_match_lets_one_of_many_writers_through(repository):
    made = repository.create(OPEN, "Basic", basic()).stored

    def write(number):
        try:
            return repository.update(OPEN, "Basic", made.id, basic(str(number)), if_match=1).outcome
        except PreconditionFailed:
            return "refused"

    with ThreadPoolExecutor(20) as pool:
        outcomes = list(pool.map(write, range(20)))
    assert sorted(outcomes) == ["refused"] * 19 + ["updated"]


def test_writers_of_one_resource_leave_versions_without_a_gap(repository):
    made = repository.create(OPEN, "Basic", basic()).stored
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda number: repository.update(OPEN, "Basic", made.id, basic(str(number))), range(30)))
    versions = [each.version for each in repository.history(OPEN, "Basic", made.id, query=[]).entries]
    assert versions == list(range(31, 0, -1))


def test_two_hundred_conditional_updates_at_once_make_one_resource_and_versions_without_a_gap(repository):
    def write(number):
        named = patient(17) | {"extension": [{"url": "http://x", "valueInteger": number}]}
        return repository.update_conditional(OPEN, "Patient", named, CARD_17)

    with ThreadPoolExecutor(200) as pool:
        results = list(pool.map(write, range(200)))
    assert len({each.stored.id for each in results}) == 1
    assert sorted(each.outcome for each in results) == ["created"] + ["updated"] * 199
    assert ids(repository.search(OPEN, "Patient", [("identifier", f"{CARD}|GD4790000000017")])) == [
        results[0].stored.id
    ]
    page = repository.history(OPEN, "Patient", results[0].stored.id, query=[("_count", "1000")])
    assert [each.version for each in page.entries] == list(range(200, 0, -1))
    kept = [json.loads(each.json)["extension"][0]["valueInteger"] for each in page.entries]
    assert sorted(kept) == list(range(200))
    moments = [each.updated for each in page.entries]
    assert moments == sorted(set(moments), reverse=True)


def test_fifty_equal_conditional_creates_at_once_make_one_resource(repository):
    with ThreadPoolExecutor(50) as pool:
        results = list(
            pool.map(lambda _: repository.create(OPEN, "Patient", patient(17), if_none_exist=CARD_17), range(50))
        )
    assert len({each.stored.id for each in results}) == 1
    assert sorted(each.outcome for each in results) == ["created"] + ["existing"] * 49
    assert len(ids(repository.search(OPEN, "Patient", [("identifier", f"{CARD}|GD4790000000017")]))) == 1


def test_twenty_updates_that_create_the_same_id_at_once_all_succeed(repository):
    with ThreadPoolExecutor(20) as pool:
        results = list(pool.map(lambda number: repository.update(OPEN, "Basic", "same", basic(str(number))), range(20)))
    assert sorted(each.stored.version for each in results) == list(range(1, 21))


def test_a_conditional_update_creates_then_updates_and_refuses_several(repository):
    assert repository.update_conditional(OPEN, "Patient", patient(17), CARD_17).outcome == "created"
    changed = patient(17) | {"active": True}
    result = repository.update_conditional(OPEN, "Patient", changed, CARD_17)
    assert (result.outcome, result.stored.version) == ("updated", 2)
    repository.create(OPEN, "Patient", patient(17))
    with pytest.raises(PreconditionFailed, match="Several"):
        repository.update_conditional(OPEN, "Patient", patient(17), CARD_17)


@pytest.mark.parametrize("criteria", ["", "_count=1", "nam=x", "_sort=name"])
def test_a_condition_that_names_nothing_is_refused(repository, criteria):
    with pytest.raises(BadRequest):
        repository.create(OPEN, "Patient", patient(1), if_none_exist=criteria)


URN = "urn:uuid:0b2c6a4e-6c0f-4a6e-9c1e-6d1f3c2b1a00"


def visit(subject=URN, **encounter):
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "resource": {
                    "resourceType": "Encounter",
                    "status": "finished",
                    "class": {"code": "AMB"},
                    "subject": {"reference": subject},
                    "text": {
                        "status": "generated",
                        "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{URN}">x</a></div>',
                    },
                    **encounter,
                },
                "request": {"method": "POST", "url": "Encounter"},
            },
            {
                "fullUrl": URN,
                "resource": patient(17),
                "request": {"method": "POST", "url": "Patient", "ifNoneExist": CARD_17},
            },
        ],
    }


def test_a_transaction_points_references_and_narrative_links_at_the_new_ids(repository):
    encounter, person = repository.transaction(OPEN, visit())
    assert (encounter.status, person.status) == (201, 201)
    stored = json.loads(repository.read(OPEN, "Encounter", encounter.stored.id).json)
    assert stored["subject"] == {"reference": f"Patient/{person.stored.id}"}
    assert f'href="Patient/{person.stored.id}"' in stored["text"]["div"]


def test_a_transaction_uses_what_a_condition_finds(repository):
    known = repository.create(OPEN, "Patient", patient(17)).stored
    encounter, person = repository.transaction(OPEN, visit())
    assert (person.status, person.stored.id, person.outcome) == (200, known.id, "existing")
    assert f"Patient/{known.id}" in encounter.stored.json.decode()
    encounter, _ = repository.transaction(OPEN, visit(subject=f"Patient?{CARD_17}"))
    assert f'"subject":{{"reference":"Patient/{known.id}"}}' in encounter.stored.json.decode()


@pytest.mark.parametrize(
    ("broken", "error", "where"),
    [
        (lambda b: b["entry"][0]["resource"].update(status="xong"), BadRequest, "Bundle.entry[0].resource.status"),
        (lambda b: b["entry"][0]["resource"].update(subject={"reference": "Patient?identifier=none"}), PreconditionFailed,
         "Bundle.entry[0].resource.subject.reference"),
        (lambda b: b["entry"].append(b["entry"][1]), BadRequest, "Bundle.entry[2]"),
        (lambda b: b["entry"].append({"request": {"method": "GET", "url": "Patient/none"}}), NotFound, "Bundle.entry[2]"),
        (lambda b: b["entry"].append({"request": {"method": "PATCH", "url": "Patient/1"}}), BadRequest, "Bundle.entry[2]"),
        (lambda b: b["entry"].append({"resource": basic(id="a"), "request": {"method": "PUT", "url": "Basic/b"}}), BadRequest,
         "Bundle.entry[2].resource.id"),
        (lambda b: b["entry"].append({"resource": basic(), "request": {"method": "PUT", "url": "Basic/b", "ifMatch": 'W/"4"'}}),
         PreconditionFailed, "Bundle.entry[2]"),
        (lambda b: b["entry"].append("x"), BadRequest, "Bundle.entry[2]"),
    ],
)  # fmt: skip
def test_a_transaction_that_fails_anywhere_leaves_nothing_and_names_the_entry(repository, broken, error, where):
    transaction = visit()
    broken(transaction)
    with pytest.raises(error) as refusal:
        repository.transaction(OPEN, transaction)
    assert refusal.value.issues[0].expression == (where,)
    assert repository.history(OPEN, query=[]).entries == []


def test_a_transaction_deletes_creates_updates_and_then_reads(repository):
    old = repository.create(OPEN, "Basic", basic("old")).stored
    kept = repository.create(OPEN, "Basic", basic("kept")).stored
    entries = [
        {"request": {"method": "GET", "url": "Basic?_count=10"}},
        {"resource": basic("changed", id=kept.id), "request": {"method": "PUT", "url": f"Basic/{kept.id}"}},
        {"resource": basic("new"), "request": {"method": "POST", "url": "Basic"}},
        {"request": {"method": "DELETE", "url": f"Basic/{old.id}"}},
        {"request": {"method": "GET", "url": f"Basic/{kept.id}"}},
    ]
    results = repository.transaction(OPEN, {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert [each.status for each in results] == [200, 200, 201, 204, 200]
    assert sorted(ids(results[0].page)) == sorted([kept.id, results[2].stored.id])
    assert json.loads(results[4].stored.json)["code"]["text"] == "changed"


def test_two_transactions_that_touch_the_same_resource_both_take_effect(repository):
    repository.update(OPEN, "Basic", "shared", basic("0"))

    def run(number):
        entries = [
            {"resource": basic(str(number), id="shared"), "request": {"method": "PUT", "url": "Basic/shared"}},
            {"resource": basic(f"own {number}"), "request": {"method": "POST", "url": "Basic"}},
        ]
        return repository.transaction(OPEN, {"resourceType": "Bundle", "type": "transaction", "entry": entries})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, range(1, 17)))
    assert repository.read(OPEN, "Basic", "shared").version == 17
    assert len(ids(repository.search(OPEN, "Basic", []))) == 17


class TestBoundToOnePatient:
    """A caller bound to patient A: B's records do not exist."""

    @pytest.fixture
    def two(self, repository):
        made = {}
        for name, number in (("a", 1), ("b", 2)):
            repository.update(OPEN, "Patient", name, patient(number) | {"id": name})
            weight = self.weight(name)
            made[name] = repository.create(OPEN, "Observation", weight).stored
        return repository, made, AccessContext.for_patient("a", "card:1")

    @staticmethod
    def weight(patient, **more):
        return {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
            "subject": {"reference": f"Patient/{patient}"},
            **more,
        }

    def test_reads_its_own_and_not_the_other(self, two):
        repository, made, ctx = two
        assert repository.read(ctx, "Patient", "a").id == "a"
        assert repository.read(ctx, "Observation", made["a"].id).id == made["a"].id
        messages = set()
        for logical_id in (made["b"].id, "none"):
            for act in (repository.read, lambda *args: repository.history(*args, query=[])):
                with pytest.raises(NotFound) as refusal:
                    act(ctx, "Observation", logical_id)
                messages.add(str(refusal.value).replace(logical_id, "ID"))
            with pytest.raises(NotFound):
                repository.vread(ctx, "Observation", logical_id, "1")
        assert len(messages) == 1

    @pytest.mark.parametrize(
        "pairs",
        [
            [],
            [("patient", "b")],
            [("subject:Patient", "b")],
            [("subject", "Patient/a,Patient/b")],
            [("code", "29463-7"), ("_sort", "-date")],
            [("_include", "Observation:subject")],
            [("_summary", "count")],
            [("_total", "accurate"), ("_count", "1")],
        ],
    )
    def test_finds_and_counts_its_own_only(self, two, pairs):
        repository, made, ctx = two
        page = repository.search(ctx, "Observation", pairs)
        assert {stored.id for _, stored in page.entries} <= {made["a"].id, "a"}
        assert page.total in (0, 1)
        people = repository.search(ctx, "Patient", [("_revinclude", "Observation:subject")])
        assert {stored.id for _, stored in people.entries} == {"a", made["a"].id}

    def test_a_record_about_two_patients_belongs_to_neither(self, two):
        repository, _, ctx = two
        both = self.weight("a", performer=[{"reference": "Patient/b"}])
        shared = repository.create(OPEN, "Observation", both).stored
        with pytest.raises(NotFound):
            repository.read(ctx, "Observation", shared.id)

    def test_a_version_that_belonged_to_another_stays_closed(self, two):
        repository, made, ctx = two
        repository.update(OPEN, "Observation", made["b"].id, self.weight("a"))
        assert repository.read(ctx, "Observation", made["b"].id).version == 2
        with pytest.raises(NotFound):
            repository.vread(ctx, "Observation", made["b"].id, "1")
        assert [each.version for each in repository.history(ctx, "Observation", made["b"].id, query=[]).entries] == [2]

    @pytest.mark.parametrize(
        "query",
        [
            [],
            [("_sort", "_lastUpdated")],
            [("_at", "2026")],
            [("_since", "2020-01-01")],
            [("_count", "0")],
            [("_count", "1"), ("_sort", "_lastUpdated")],
        ],
    )
    def test_the_history_of_what_changed_hands_tells_of_its_own_versions_only(self, two, query):
        repository, made, ctx = two
        repository.update(OPEN, "Observation", made["b"].id, self.weight("a"))
        repository.update(OPEN, "Observation", made["b"].id, self.weight("a", status="amended"))
        year = str(repository.read(OPEN, "Observation", made["b"].id).updated.year)
        query = [(name, year if name == "_at" else value) for name, value in query]
        page = repository.history(ctx, "Observation", made["b"].id, query=query)
        assert page.total == 2
        seen, following = [each.version for each in page.entries], page.next
        while following:
            page = repository.history(ctx, "Observation", made["b"].id, query=following)
            seen, following = seen + [each.version for each in page.entries], page.next
        assert sorted(seen) == ([] if query == [("_count", "0")] else [2, 3])

    def test_a_place_in_a_history_that_somebody_made_up_shows_nothing_more(self, two):
        repository, made, ctx = two
        repository.update(OPEN, "Observation", made["b"].id, self.weight("a"))
        for sort in ("_lastUpdated", "-_lastUpdated"):
            for version in (0, 1, 2, 99):
                query = [("_sort", sort), ("_cursor", encode_cursor([version]))]
                page = repository.history(ctx, "Observation", made["b"].id, query=query)
                assert {each.version for each in page.entries} <= {2}

    def test_adds_to_its_own_record_and_nowhere_else(self, two):
        repository, made, ctx = two
        assert repository.create(ctx, "Observation", self.weight("a", status="amended")).outcome == "created"
        refused = [
            lambda: repository.create(ctx, "Observation", self.weight("b")),
            lambda: repository.create(ctx, "Observation", self.weight("a", performer=[{"reference": "Patient/b"}])),
            lambda: repository.create(
                ctx, "Basic", {"resourceType": "Basic", "code": {"text": "x"}, "subject": {"reference": "Patient/a"}}
            ),
            lambda: repository.update(ctx, "Observation", made["a"].id, self.weight("a")),
            lambda: repository.delete(ctx, "Observation", made["a"].id),
            lambda: repository.delete_conditional(ctx, "Observation", "subject=Patient/a"),
            lambda: repository.update_conditional(ctx, "Observation", self.weight("a"), "subject=Patient/a"),
            lambda: repository.patch(ctx, "Observation", made["a"].id, lambda resource: resource),
            lambda: repository.patch(ctx, "Observation", made["b"].id, lambda resource: resource),
            lambda: repository.patch(ctx, "Observation", "none", lambda resource: resource),
            lambda: repository.patch_conditional(ctx, "Observation", "subject=Patient/b", lambda resource: resource),
            lambda: repository.transaction(ctx, bundle([self.weight("b")])),
            lambda: repository.history(ctx, query=[]),
            lambda: repository.history(ctx, "Observation", query=[]),
        ]
        before = [each.id for each in repository.history(OPEN, query=[]).entries]
        for act in refused:
            with pytest.raises(Forbidden):
                act()
        assert [each.id for each in repository.history(OPEN, query=[]).entries] == before

    def test_a_condition_does_not_tell_what_others_have(self, two):
        repository, _, ctx = two
        result = repository.create(ctx, "Observation", self.weight("a", status="amended"), if_none_exist="patient=b")
        assert result.outcome == "created"


def test_errors_say_which_resource_and_never_what_is_in_it(repository):
    with pytest.raises(FhirError) as refusal:
        repository.create(OPEN, "Patient", patient(1) | {"birthDate": "bí mật"})
    assert refusal.value.issues[0].expression == ("Patient.birthDate",)
