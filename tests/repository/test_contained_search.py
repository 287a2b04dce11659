"""_contained and _containedType: https://hl7.org/fhir/R4/search.html#contained"""

from __future__ import annotations

import json
import random
import time
import uuid
from decimal import Decimal
from typing import Any

import pytest

from fhir_server import catalogue, patch
from fhir_server.access.context import AccessContext
from fhir_server.errors import BadRequest
from fhir_server.repository import Repository
from fhir_server.search.clauses import escape
from fhir_server.search.parameters import parameters
from fhir_server.store.records import Store
from tests.repository.people import OPEN, bundle, every_match, ids
from tests.resource.test_official_examples import NOT_VALID, examples
from tests.search.reference import contained_values, string_matches, strings, token_matches, token_pairs, values

DRUGS = "http://example.vn/drugs"
HALF = {"value": Decimal("1.50"), "unit": "ml"}
CONTAINED = [("_contained", "true")]
AS_CONTAINED = [*CONTAINED, ("_containedType", "contained")]


def medication(code, local=None, form=None, **more):
    made: dict[str, Any] = {"resourceType": "Medication", "code": {"coding": [{"system": DRUGS, "code": code}]}, **more}
    made |= {"id": local} if local else {}
    return made | ({"form": {"coding": [{"code": form}]}} if form else {})


def request(*medications, patient="Patient/p", **more):
    others = [{"reference": f"#{each['id']}"} for each in medications[1:]]
    return {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "contained": list(medications),
        "medicationReference": {"reference": f"#{medications[0]['id']}"},
        **({"supportingInformation": others} if others else {}),
        "subject": {"reference": patient},
        **more,
    }


def dispense(*medications, patient="Patient/p"):
    return {
        "resourceType": "MedicationDispense",
        "status": "completed",
        "contained": list(medications),
        "medicationReference": {"reference": f"#{medications[0]['id']}"},
        "subject": {"reference": patient},
    }


def create(repository, resource, **more):
    return repository.create(OPEN, resource["resourceType"], resource, **more).stored


def addresses(page):
    return [stored.address for mode, stored in page.entries if mode == "match"]


def found(repository, pairs, type="Medication", ctx=OPEN):
    seen: list[str] = []
    following = pairs
    while following is not None:
        page = repository.search(ctx, type, following)
        seen += addresses(page)
        following = page.next
    return seen


def test_a_contained_match_is_found_in_containers_of_any_type_and_only_when_asked_for(repository):
    free = create(repository, medication("A"))
    ordered = create(repository, request(medication("A", "m")))
    given = create(repository, dispense(medication("A", "m")))
    create(repository, request(medication("B", "m")))
    code = ("code", f"{DRUGS}|A")
    assert found(repository, [code]) == found(repository, [code, ("_contained", "false")]) == [f"Medication/{free.id}"]
    containers = {f"MedicationRequest/{ordered.id}", f"MedicationDispense/{given.id}"}
    assert set(found(repository, [code, *CONTAINED])) == containers
    assert set(found(repository, [code, *AS_CONTAINED])) == {f"{each}#m" for each in containers}
    assert set(found(repository, [code, ("_contained", "both")])) == {f"Medication/{free.id}", *containers}


def test_the_entry_is_the_container_or_the_contained_resource_as_it_was_written(repository):
    written = medication("A", "m", amount={"numerator": HALF, "denominator": HALF})
    create(repository, request(written))
    (_, container), *others = repository.search(OPEN, "Medication", CONTAINED).entries
    assert (container.type, others) == ("MedicationRequest", [])
    assert json.loads(container.json)["contained"][0]["id"] == "m"
    page = repository.search(OPEN, "Medication", AS_CONTAINED)
    ((_, contained),) = page.entries
    assert (contained.type, contained.id, contained.container) == (
        "Medication",
        "m",
        f"MedicationRequest/{container.id}",
    )
    assert json.loads(contained.json, parse_float=Decimal) == written
    assert b"1.50" in contained.json
    assert page.applied == AS_CONTAINED


def test_conditions_must_be_met_by_one_contained_resource(repository):
    create(repository, request(medication("A", "m1", form="tablet"), medication("B", "m2", form="syrup")))
    assert found(repository, [("code", "A"), ("form", "syrup"), *CONTAINED]) == []
    assert len(found(repository, [("code", "A"), ("form", "tablet"), *CONTAINED])) == 1


@pytest.mark.parametrize("sort", [[], [("_sort", "code")], [("_sort", "-status,code")]])
@pytest.mark.parametrize("kind", ["true", "both"])
def test_a_container_of_several_matches_is_given_and_counted_once(repository, kind, sort):
    twos = [
        create(repository, request(medication("A", "m1"), medication("A", "m2"), medication("B", "m3")))
        for _ in range(5)
    ]
    one = create(repository, request(medication("A", "m1")))
    create(repository, medication("Z"))
    pairs = [("code", "A,B"), ("_contained", kind), ("_count", "2"), *sort]
    seen = found(repository, pairs)
    assert sorted(seen) == sorted(f"MedicationRequest/{each.id}" for each in (*twos, one))
    assert repository.search(OPEN, "Medication", [*pairs, ("_total", "accurate")]).total == 6
    assert repository.search(OPEN, "Medication", [*pairs, ("_total", "estimate")]).total == 6
    assert repository.search(OPEN, "Medication", [("code", "A,B"), ("_contained", kind), ("_count", "0")]).total == 6
    assert len(found(repository, [*pairs, ("_containedType", "contained")])) == 16


def test_a_container_that_matches_itself_is_given_once_where_both_are_searched(repository):
    part = {"resourceType": "Observation", "id": "part", "status": "final", "code": {"coding": [{"code": "A"}]}}
    whole = {**part, "contained": [part], "hasMember": [{"reference": "#part"}]}
    whole.pop("id")
    stored = create(repository, whole)
    other = create(repository, {**whole, "code": {"coding": [{"code": "B"}]}})
    pairs = [("code", "A"), ("_contained", "both"), ("_total", "accurate")]
    assert sorted(found(repository, pairs, "Observation")) == sorted([f"Observation/{s.id}" for s in (stored, other)])
    assert repository.search(OPEN, "Observation", [*pairs, ("_count", "1")]).total == 2
    assert len(found(repository, [*pairs, ("_containedType", "contained")], "Observation")) == 3


def practitioner(name, local=None):
    made = {"resourceType": "Practitioner", "name": [{"text": name}], "gender": "female"}
    return made | ({"id": local} if local else {})


def signed(*names):
    people = [practitioner(name, f"p{number}") for number, name in enumerate(names)]
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"code": "x"}]},
        "contained": people,
        "performer": [{"reference": f"#{each['id']}"} for each in people],
    }


ORDERS = [
    [("name", "tran")],
    [("name", "an,tran")],
    [("gender", "female"), ("_sort", "name")],
    [("gender", "female"), ("_sort", "-name")],
    [("name:contains", "ran")],
    [("_content", "tran")],
    [("name", "tran"), ("_content", "tran")],
]


@pytest.mark.parametrize("kind", ["true", "both"])
@pytest.mark.parametrize("given", ["container", "contained"])
@pytest.mark.parametrize("pairs", ORDERS, ids=lambda pairs: "&".join("=".join(pair) for pair in pairs))
def test_pages_of_any_size_give_what_one_page_gives(repository, pairs, given, kind):
    chance = random.Random(7)
    names = ["Trần An", "Trần Thị Bình", "Lê An", "Trần Trần", "Nguyễn Trân", "Hồ Cường"]
    resources = [signed(*chance.choices(names, k=chance.randint(1, 3))) for _ in range(12)]
    repository.transaction(OPEN, bundle([*resources, *(practitioner(name) for name in names)]))
    asked = [*pairs, ("_contained", kind), ("_containedType", given)]
    whole = repository.search(OPEN, "Practitioner", asked)
    assert whole.next is None
    once = addresses(whole)
    assert len(once) == len(set(once)) >= 5
    for size in ("1", "2", "5"):
        assert found(repository, [*asked, ("_count", size)], "Practitioner") == once
    assert repository.search(OPEN, "Practitioner", [*asked, ("_summary", "count")]).total == len(once)


def test_both_are_one_list_in_the_order_that_is_asked_for(repository):
    create(repository, signed("Lê An", "Vũ Dung"))
    create(repository, practitioner("Hồ Bình"))
    create(repository, practitioner("Trần Cường"))
    asked = [("_contained", "both"), ("_containedType", "contained"), ("_sort", "name"), ("_count", "1")]
    names = []
    following = asked
    while following is not None:
        page = repository.search(OPEN, "Practitioner", following)
        names += [json.loads(stored.json)["name"][0]["text"] for _, stored in page.entries]
        following = page.next
    assert names == ["Lê An", "Hồ Bình", "Trần Cường", "Vũ Dung"]


# ---- what is written ---------------------------------------------------------------------------------------------------


def codes_found(repository):
    return {code: len(found(repository, [("code", code), *CONTAINED])) for code in "ABC"}


def test_every_write_changes_what_is_found_with_the_container(repository):
    stored = create(repository, request(medication("A", "m")))
    assert codes_found(repository) == {"A": 1, "B": 0, "C": 0}
    repository.update(OPEN, "MedicationRequest", stored.id, request(medication("B", "m")))
    assert codes_found(repository) == {"A": 0, "B": 1, "C": 0}
    change = [{"op": "replace", "path": "/contained/0/code/coding/0/code", "value": "C"}]
    repository.patch(
        OPEN, "MedicationRequest", stored.id, patch.from_text(patch.JSON_PATCH, json.dumps(change).encode())
    )
    assert codes_found(repository) == {"A": 0, "B": 0, "C": 1}
    other = request(medication("C", "m"))
    for name in ("contained", "medicationReference"):
        other.pop(name)
    other["medicationCodeableConcept"] = {"text": "x"}
    repository.update(OPEN, "MedicationRequest", stored.id, other)
    assert codes_found(repository) == {"A": 0, "B": 0, "C": 0}
    repository.update(OPEN, "MedicationRequest", stored.id, request(medication("A", "m")))
    assert codes_found(repository) == {"A": 1, "B": 0, "C": 0}
    repository.delete(OPEN, "MedicationRequest", stored.id)
    assert codes_found(repository) == {"A": 0, "B": 0, "C": 0}


def test_conditional_writes_and_transactions_do_the_same(repository):
    numbered = {"identifier": [{"system": "http://s", "value": "1"}]}
    first = request(medication("A", "m"), **numbered)
    for _ in range(2):
        create(repository, first, if_none_exist="identifier=http://s|1")
    assert codes_found(repository) == {"A": 1, "B": 0, "C": 0}
    second = request(medication("B", "m"), **numbered)
    repository.update_conditional(OPEN, "MedicationRequest", second, "identifier=http://s|1")
    assert codes_found(repository) == {"A": 0, "B": 1, "C": 0}
    entries = bundle([request(medication("C", "m")), dispense(medication("A", "m"))])
    entries["entry"].append({"request": {"method": "DELETE", "url": "MedicationRequest?identifier=http://s|1"}})
    repository.transaction(OPEN, entries)
    assert codes_found(repository) == {"A": 1, "B": 0, "C": 1}
    repository.delete_conditional(OPEN, "MedicationRequest", "status=active")
    repository.delete_conditional(OPEN, "MedicationDispense", "status=completed")
    assert codes_found(repository) == {"A": 0, "B": 0, "C": 0}


def test_a_transaction_that_fails_leaves_nothing_contained(repository):
    entries = bundle([request(medication("A", "m"))])
    entries["entry"].append({"request": {"method": "PATCH", "url": "Patient/nobody"}, "resource": {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [{"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": "Patient.name"}]}]}})  # fmt: skip
    with pytest.raises(Exception, match="no Patient"):
        repository.transaction(OPEN, entries)
    assert codes_found(repository) == {"A": 0, "B": 0, "C": 0}


def test_units_of_contained_amounts_are_known_to_the_search(repository):
    weight = {"resourceType": "Observation", "id": "w", "status": "final", "code": {"text": "x"}, "valueQuantity": {"value": 58, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"}}  # fmt: skip
    report = {"resourceType": "DiagnosticReport", "status": "final", "code": {"text": "x"}, "contained": [weight], "result": [{"reference": "#w"}]}  # fmt: skip
    stored = create(repository, report)
    asked = [("value-quantity", "58000|http://unitsofmeasure.org|g"), *CONTAINED]
    assert found(repository, asked, "Observation") == [f"DiagnosticReport/{stored.id}"]


# ---- who sees it -------------------------------------------------------------------------------------------------------


def test_a_bound_caller_finds_what_the_own_records_contain_and_nothing_else(repository):
    mine = create(repository, request(medication("A", "m"), patient="Patient/me"))
    create(repository, request(medication("A", "m"), patient="Patient/other"))
    create(repository, medication("A"))
    me = AccessContext.for_patient("me", "card:1")
    for kind in ("true", "both"):
        asked = [("code", "A"), ("_contained", kind)]
        assert found(repository, asked, ctx=me) == [f"MedicationRequest/{mine.id}"]
        assert found(repository, [*asked, ("_count", "1")], ctx=me) == [f"MedicationRequest/{mine.id}"]
        for more in (("_total", "accurate"), ("_total", "estimate"), ("_count", "0")):
            assert repository.search(me, "Medication", [*asked, more]).total == 1
        assert found(repository, [*asked, ("_containedType", "contained")], ctx=me) == [
            f"MedicationRequest/{mine.id}#m"
        ]


def test_a_compartment_holds_what_its_members_contain(repository):
    mine = create(repository, request(medication("A", "m"), patient="Patient/me"))
    create(repository, request(medication("A", "m"), patient="Patient/other"))
    page = repository.search(OPEN, "Medication", [("code", "A"), *CONTAINED], compartment=("Patient", "me"))
    assert ids(page) == [mine.id]


# ---- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["true", "both"])
@pytest.mark.parametrize(
    ("type", "pair"),
    [
        ("Observation", ("subject.name", "x")),
        ("Patient", ("_has:Observation:subject:code", "x")),
        ("Patient", ("_filter", "name eq x and general-practitioner.name eq y")),
        ("Patient", ("_list", "1")),
        ("Patient", ("_id", "1")),
        ("Patient", ("_lastUpdated", "gt2020")),
        ("Patient", ("_sort", "name,_lastUpdated")),
        ("Observation", ("_include", "Observation:subject")),
        ("Patient", ("_revinclude", "Observation:subject")),
    ],
)
def test_what_cannot_be_asked_of_contained_resources_is_refused_even_leniently(repository, type, pair, kind):
    with pytest.raises(BadRequest, match=f"_contained={kind} cannot be combined"):
        repository.search(OPEN, type, [pair, ("_contained", kind)], lenient=True)


@pytest.mark.parametrize("pair", [("_contained", "yes"), ("_containedType", "both"), ("_contained", "")])
def test_other_values_are_refused(repository, pair):
    with pytest.raises(BadRequest, match=f"{pair[0]} takes"):
        repository.search(OPEN, "Medication", [pair], lenient=True)


def test_several_types_and_conditions_take_none(repository):
    create(repository, medication("A"))
    with pytest.raises(BadRequest, match="several types takes no _contained"):
        repository.search_system(OPEN, [("_type", "Medication"), *CONTAINED])
    with pytest.raises(BadRequest, match="search parameters only"):
        repository.delete_conditional(OPEN, "Medication", "code=A&_contained=true")


def test_a_link_is_good_for_the_same_kind_of_search_only(repository):
    for _ in range(3):
        create(repository, request(medication("A", "m")))
    page = repository.search(OPEN, "Medication", [("code", "A"), *CONTAINED, ("_count", "1")])
    others = [pair for pair in page.next if pair[0] != "_contained"]
    with pytest.raises(BadRequest, match="paging link"):
        repository.search(OPEN, "Medication", others)


# ---- in agreement with a slow reading ----------------------------------------------------------------------------------


def test_searches_agree_with_a_slow_reading_of_the_containers(repository):
    chance = random.Random(11)
    names = ["Trần An", "Lê Bình", "Nguyễn Thị An", "Hồ An Trần"]
    written = [signed(*chance.choices(names, k=chance.randint(1, 3))) for _ in range(30)]
    held = {
        f"Observation/{result.stored.id}": json.loads(result.stored.json)
        for result in repository.transaction(OPEN, bundle(written))
    }
    for code, sought, matches in (
        ("name", "an", string_matches),
        ("name", "tran", string_matches),
        ("gender", "female", token_matches),
        ("gender", "male", token_matches),
    ):
        expected = {
            f"{address}#{each['id']}"
            for address, container in held.items()
            for each in contained_values(container, "Practitioner")
            if any(matches(value, sought) for value in values(each, code))
        }
        asked = [(code, sought), ("_contained", "true"), ("_count", "7")]
        assert set(found(repository, [*asked, ("_containedType", "contained")], "Practitioner")) == expected
        containers = {each.partition("#")[0] for each in expected}
        assert sorted(found(repository, asked, "Practitioner")) == sorted(containers)
        assert sorted(every_match(repository, "Practitioner", asked)) == sorted(c.partition("/")[2] for c in containers)


# ---- every official example --------------------------------------------------------------------------------------------


def own_condition(resource):
    """A parameter and value that the contained resource fulfils, by the official expressions; None if it has no value."""
    for code, parameter in parameters(resource["resourceType"]).items():
        if not parameter.searchable or code in ("_id", "_lastUpdated", "deceased", "phonetic"):
            continue
        for value in values(resource, code) if parameter.type in ("token", "string", "reference", "date") else ():
            sought = None
            if parameter.type == "token":
                sought = next((code for _, code in token_pairs(value) if code), None)
            elif parameter.type == "string":
                sought = next(iter(strings(value)), None)
            elif parameter.type == "reference" and not value.get("reference", "#").startswith("#"):
                sought = value["reference"]
            elif parameter.type == "date" and isinstance(value, str):
                sought = value
            if sought and len(sought) < 100:
                return code, escape(sought)
    return None


def test_every_contained_resource_of_the_official_examples_is_found_by_one_of_its_own_parameters(repository):
    sought = bare = 0
    for example in examples():
        container = f"{example['resourceType']}/{example['id']}"
        if "contained" not in example or container in NOT_VALID:
            continue
        repository.update(OPEN, example["resourceType"], example["id"], example)
        for inner in example["contained"]:
            condition = own_condition(inner)
            pairs = [condition] if condition else []
            bare += not condition
            sought += 1
            expected = f"{container}#{inner['id']}"
            assert expected in found(repository, [*pairs, *AS_CONTAINED], inner["resourceType"]), (expected, pairs)
            assert container in found(repository, [*pairs, *CONTAINED], inner["resourceType"]), (expected, pairs)
    assert (sought, bare) == (232, 10)


# ---- parameters of the server's own, and types that were never contained before ----------------------------------------


def test_reindex_takes_up_what_is_contained(repository, monkeypatch):
    monkeypatch.setattr(catalogue, "REFRESH_SECONDS", 0.2)
    stored = create(repository, request(medication("A", "m", batch={"lotNumber": "L1"})))
    definition: dict[str, Any] = {
        "resourceType": "SearchParameter",
        "url": "http://example.vn/fhir/SearchParameter/lot",
        "name": "lot",
    }
    definition |= {"status": "active", "description": "x", "code": "lot", "base": ["Medication"], "type": "token"}
    create(repository, definition | {"expression": "Medication.batch.lotNumber"})
    assert repository.reindex(OPEN)["total"] == 1
    for _ in range(200):
        if repository.reindex_state(OPEN)["state"] == "done":
            break
        time.sleep(0.05)
    assert found(repository, [("lot", "L1"), *CONTAINED]) == [f"MedicationRequest/{stored.id}"]
    assert found(repository, [("lot", "L1"), ("_contained", "both")]) == [f"MedicationRequest/{stored.id}"]


def test_a_patch_may_bring_a_type_that_was_never_contained_before(mongod_uri):
    store = Store.open(mongod_uri, database=f"test_{uuid.uuid4().hex}")
    repository = Repository(store)
    try:
        stored = repository.create(OPEN, "Basic", {"resourceType": "Basic", "code": {"text": "x"}}).stored
        substance = {"resourceType": "Substance", "id": "s", "code": {"coding": [{"code": "A"}]}}
        merge = {"contained": [substance], "subject": {"reference": "#s"}}
        change = patch.from_text(patch.MERGE_PATCH, json.dumps(merge).encode())
        repository.patch(OPEN, "Basic", stored.id, change)
        assert found(repository, [("code", "A"), *CONTAINED], "Substance") == [f"Basic/{stored.id}"]
    finally:
        store.client.drop_database(store.database_name)
        store.close()
