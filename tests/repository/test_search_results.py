"""Search on MongoDB finds what a slow reading of the specification finds, page by page, in every order."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server.errors import BadRequest, Unprocessable
from fhir_server.records import now
from fhir_server.search.filters import Reading
from fhir_server.search.matching import holds
from fhir_server.search.plan import plan
from fhir_server.search.query import parse_query
from fhir_server.store import pages
from tests.repository.people import CARD, CITIZEN_ID, LOINC, OPEN, UCUM, every_match, ids
from tests.search import reference

PREFIXES = ["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"]
DATES = ["2026", "2026-11", "2026-11-20", "2026-11-19", "2026-10-15", "2026-11-20T08:10:00+07:00", "1985", "1962-03"]
AMOUNTS = ["58.5", "58.50", "58", "5.4", "5", "120", "1e2", "80", "13.1"]
UNITS = ["", f"|{UCUM}|kg", "||kg", "||mmHg", f"|{UCUM}|mm[Hg]", f"|{UCUM}|g"]

dates = st.builds(str.__add__, st.sampled_from(PREFIXES), st.sampled_from(DATES))
quantities = st.builds(
    lambda *parts: "".join(parts), st.sampled_from(PREFIXES), st.sampled_from(AMOUNTS), st.sampled_from(UNITS)
)


def one_of(code: str, values: list[str]):
    return st.tuples(st.just(code), st.sampled_from(values))


def any_of(code: str, values: list[str]):
    return st.tuples(st.just(code), st.lists(st.sampled_from(values), min_size=1, max_size=3).map(",".join))


PATIENT_CLAUSES = st.one_of(
    any_of("name", ["nguyen", "Nguyễn", "anh dao", "dao", "van", "ơn", "o", "le gia bao", "x"]),
    any_of("family", ["nguyen", "tran", "đào", "h"]),
    any_of("given", ["thi", "an", "bảo"]),
    one_of("name:exact", ["Nguyễn", "Nguyen", "Trần Văn Đức", "An", "an"]),
    one_of("name:contains", ["guye", "nh d", "zz"]),
    any_of(
        "gender", ["male", "female", "http://hl7.org/fhir/administrative-gender|male", "http://other|male", "unknown"]
    ),
    one_of("gender:not", ["male", "female,male"]),
    any_of(
        "identifier",
        [
            f"{CARD}|GD4790000000003",
            "GD4790000000004",
            f"{CITIZEN_ID}|",
            "|no-system-5",
            f"{CITIZEN_ID}|GD4790000000003",
        ],
    ),
    one_of("identifier:missing", ["true", "false"]),
    one_of("birthdate:missing", ["true", "false"]),
    one_of("phone:missing", ["true", "false"]),
    any_of("phone", ["0900000001", "0900000007"]),
    any_of("active", ["true", "false"]),
    st.tuples(st.just("birthdate"), dates),
)
OBSERVATION_CLAUSES = st.one_of(
    any_of("code", ["29463-7", "718-7", f"{LOINC}|718-7", f"{LOINC}|", "http://hospital.example.vn/codes|718-7", "|718-7"]),
    any_of("combo-code", ["8480-6", "29463-7", f"{LOINC}|8462-4"]),
    any_of("status", ["final", "amended"]),
    one_of("code:not", ["718-7", f"{LOINC}|718-7"]),
    one_of("value-quantity:missing", ["true", "false"]),
    one_of("date:missing", ["true", "false"]),
    st.tuples(st.just("date"), dates),
    st.tuples(st.just("value-quantity"), quantities),
    st.tuples(st.just("combo-value-quantity"), quantities),
    st.tuples(st.just("component-value-quantity"), quantities),
    one_of("subject", ["Group/g1", "Patient/none"]),
)  # fmt: skip


def matches(resource, code, value) -> bool:
    """Whether a resource fulfils one parameter of a query, read slowly."""
    code, _, modifier = code.partition(":")
    found = reference.values(resource, code)
    if modifier == "missing":
        return (not found) == (value == "true")
    alternatives = value.split(",")
    parameter_type = reference.parameter_type(resource["resourceType"], code)
    if parameter_type == "string":
        test = {"": reference.string_matches, "exact": reference.exactly, "contains": reference.contains}[modifier]
    else:
        test = {
            "token": reference.token_matches,
            "date": reference.date_matches,
            "quantity": reference.quantity_matches,
            "reference": reference.reference_matches,
        }[parameter_type]
    if code == "gender":
        alternatives = [each.removeprefix("http://hl7.org/fhir/administrative-gender|") for each in alternatives]
    result = any(test(each, sought) for each in found for sought in alternatives)
    return not result if modifier == "not" else result


def agree(population, resource_type, clauses, sort, count) -> None:
    repository, held = population
    expected = {
        logical_id
        for logical_id, resource in held[resource_type].items()
        if all(matches(resource, code, value) for code, value in clauses)
    }
    found = every_match(repository, resource_type, [*clauses, *sort, ("_count", str(count))])
    assert sorted(found) == sorted(expected)
    assert repository.search(OPEN, resource_type, [*clauses, ("_summary", "count")]).total == len(expected)


SLOW = settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))


@SLOW
@given(
    clauses=st.lists(PATIENT_CLAUSES, min_size=1, max_size=3),
    sort=st.sampled_from([[], [("_sort", "name")], [("_sort", "-birthdate")], [("_sort", "gender,-_lastUpdated")]]),
    count=st.sampled_from([1, 3, 7, 50]),
)
def test_patients_are_found_as_a_slow_reading_finds_them(population, clauses, sort, count):
    agree(population, "Patient", clauses, sort, count)


@SLOW
@given(
    clauses=st.lists(OBSERVATION_CLAUSES, min_size=1, max_size=3),
    sort=st.sampled_from(
        [[], [("_sort", "-date")], [("_sort", "date")], [("_sort", "value-quantity")], [("_sort", "code")]]
    ),
    count=st.sampled_from([2, 11, 50]),
)
def test_observations_are_found_as_a_slow_reading_finds_them(population, clauses, sort, count):
    agree(population, "Observation", clauses, sort, count)


def test_newest_observations_come_newest_first_and_those_without_a_date_last(population):
    repository, held = population
    found = every_match(repository, "Observation", [("code", "29463-7"), ("_sort", "-date"), ("_count", "7")])
    lows = [held["Observation"][each].get("effectiveDateTime") for each in found]
    starts = [reference.span(low)[0] for low in lows if low]
    assert len(starts) == 17
    assert starts == sorted(starts, reverse=True)
    undated = [not any(key.startswith("effective") for key in held["Observation"][each]) for each in found]
    assert sum(undated) == 6
    assert undated == sorted(undated)


def test_an_order_without_index_is_refused_for_too_many_matches_and_names_what_to_do(population, monkeypatch):
    repository, held = population
    males = sum(each["gender"] == "male" for each in held["Patient"].values())
    monkeypatch.setattr(pages, "SORTED", males)
    by_gender = ("_sort", "-gender,_id")
    found = every_match(repository, "Patient", [("gender", "male"), by_gender, ("_count", "7")])
    assert found == sorted(found)
    assert len(found) == males
    with pytest.raises(
        Unprocessable, match=f"more than {males}: narrow the search, or sort by _lastUpdated"
    ) as refused:
        repository.search(OPEN, "Patient", [by_gender])
    assert refused.value.issues[0].code == "too-costly"
    assert repository.search(OPEN, "Patient", [by_gender, ("_summary", "count")]).total == len(held["Patient"])


def test_people_are_sorted_by_the_last_word_of_their_name(population):
    repository, held = population
    found = every_match(repository, "Patient", [("_sort", "name")])
    last_words = [reference.plain(held["Patient"][each]["name"][0]["text"]).split(" ")[-1] for each in found]
    assert len(last_words) == 40
    assert last_words == sorted(last_words)


@pytest.mark.parametrize(
    "reading", ["{id}", "Patient/{id}", "http://127.0.0.1:8080/fhir/Patient/{id}", "Patient/{id}/_history/1"]
)
@pytest.mark.parametrize("code", ["patient", "subject", "subject:Patient"])
def test_a_reference_is_found_however_it_is_written(population, code, reading):
    repository, held = population
    logical_id = next(iter(held["Patient"]))
    expected = {i for i, each in held["Observation"].items() if each["subject"]["reference"] == f"Patient/{logical_id}"}
    assert expected
    assert set(every_match(repository, "Observation", [(code, reading.format(id=logical_id))])) == expected


def test_include_adds_what_the_page_references_once(population):
    repository, _ = population
    page = repository.search(OPEN, "Observation", [("_include", "Observation:subject"), ("_count", "100")])
    included = [stored for mode, stored in page.entries if mode == "include"]
    assert len({each.id for each in included}) == len(included) > 10
    assert {each.type for each in included} == {"Patient"}


def test_revinclude_adds_what_references_the_page(population):
    repository, held = population
    logical_id = next(iter(held["Patient"]))
    page = repository.search(OPEN, "Patient", [("_id", logical_id), ("_revinclude", "Observation:patient")])
    expected = {i for i, each in held["Observation"].items() if each["subject"]["reference"] == f"Patient/{logical_id}"}
    assert {stored.id for mode, stored in page.entries if mode == "include"} == expected
    assert ids(page) == [logical_id]


@pytest.mark.parametrize(
    ("pairs", "part"),
    [
        ([("nam", "x")], "no search parameter 'nam'"),
        ([("name:above", "x")], "':above'"),
        ([("name", "")], "has no value"),
        ([("birthdate", "hôm qua")], "is no date"),
        ([("name.family", "x")], "no reference parameter 'name'"),
        ([("general-practitioner.nam", "x")], "no search parameter 'nam'"),
        ([("general-practitioner:Nobody.name", "x")], "'Nobody' is no resource type"),
        ([("_has:Observation:patient", "1")], "_has:Type:reference:parameter"),
        ([("_has:Encounter:location:status", "1")], "never references a Patient"),
        ([("_query", "x")], "'_query'"),
        ([("_list", "$current-problems")], "Functional lists"),
        ([("_filter", "name zz x")], "no operator"),
        ([("_filter", "(name eq x")], "ends too early"),
        ([("_filter", 'name eq "x')], "not closed"),
        ([("identifier", "a|b|c")], "system|code"),
        ([("gender:missing", "yes")], "true or false"),
        ([("_count", "-1")], "_count"),
        ([("_sort", "nam")], "_sort=nam"),
        ([("_total", "all")], "_total"),
        ([("_cursor", "bm8")], "paging link"),
        ([("_include", "Observation:subject")], "the type must be Patient"),
        ([("name", "x" * 201)], "200 letters"),
        ([("gender", ",".join(["x"] * 501))], "501 alternatives"),
    ],
)
def test_what_cannot_be_searched_is_refused_by_name(population, pairs, part):
    repository, _ = population
    with pytest.raises(BadRequest, match=r".") as refusal:
        repository.search(OPEN, "Patient", pairs)
    assert part in str(refusal.value)


def test_lenient_handling_ignores_an_unknown_filter_with_a_warning(population):
    repository, _ = population
    page = repository.search(OPEN, "Patient", [("nam", "x"), ("gender", "male")], lenient=True)
    assert page.total == 14
    assert [(issue.severity, issue.code) for issue in page.issues] == [("warning", "not-supported")]
    assert page.applied == [("gender", "male")]


def test_an_unknown_control_parameter_is_ignored_with_a_warning(population):
    repository, _ = population
    page = repository.search(OPEN, "Patient", [("_colour", "red"), ("gender", "male")])
    assert page.total == 14
    assert "_colour" in page.issues[0].diagnostics


@pytest.mark.parametrize("code", ["_tag", "_profile", "_security", "_source"])
def test_resources_are_found_by_their_meta(repository, code):
    meta = {
        "tag": [{"system": "http://t", "code": "a"}],
        "profile": ["http://p"],
        "security": [{"system": "http://s", "code": "R"}],
        "source": "http://src",
    }
    made = repository.create(OPEN, "Basic", {"resourceType": "Basic", "code": {"text": "x"}, "meta": meta})
    repository.create(OPEN, "Basic", {"resourceType": "Basic", "code": {"text": "y"}})
    value = {"_tag": "http://t|a", "_profile": "http://p", "_security": "R", "_source": "http://src"}[code]
    assert ids(repository.search(OPEN, "Basic", [(code, value)])) == [made.stored.id]


def test_id_and_last_updated_are_searched(repository):
    first = repository.create(OPEN, "Basic", {"resourceType": "Basic", "code": {"text": "x"}}).stored
    second = repository.create(OPEN, "Basic", {"resourceType": "Basic", "code": {"text": "y"}}).stored
    moment = first.updated.isoformat(timespec="milliseconds")
    assert ids(repository.search(OPEN, "Basic", [("_id", f"{first.id},{second.id}")])) == [first.id, second.id]
    assert first.id in ids(repository.search(OPEN, "Basic", [("_lastUpdated", moment)]))
    assert ids(repository.search(OPEN, "Basic", [("_lastUpdated", f"lt{moment}")])) == []
    assert len(ids(repository.search(OPEN, "Basic", [("_lastUpdated", "gt2020")]))) == 2


@settings(SLOW, max_examples=120)
@given(
    searched=st.one_of(
        st.tuples(st.just("Patient"), st.lists(PATIENT_CLAUSES, min_size=1, max_size=3)),
        st.tuples(st.just("Observation"), st.lists(OBSERVATION_CLAUSES, min_size=1, max_size=3)),
    )
)
def test_a_filter_read_in_memory_says_what_mongodb_says(population, searched):
    repository, _ = population
    resource_type, clauses = searched
    reading = Reading(repository.base_url, now(), units=repository.store.units.of)
    made = plan(parse_query(resource_type, clauses), reading)
    collection = repository.store.collection(resource_type)
    found = {each["_id"] for each in collection.find(made.filter, {"_id": 1})}
    assert {each["_id"] for each in collection.find() if holds(made.filter, each)} == found
