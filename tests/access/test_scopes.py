"""SMART scopes: https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.access.scopes import LETTERS, Scope, grant, is_resource_scope, parse, parse_all

TYPES = ("*", "Patient", "Observation", "Encounter")
FILTERS = ((), (("_tag", "a|b"),), (("_id", "x&y=z"),), (("_tag", "a|b"), ("_id", "é ?#")))

scopes = st.builds(
    Scope,
    st.sampled_from(["system", "patient"]),
    st.sampled_from(TYPES),
    st.frozensets(st.sampled_from(LETTERS), min_size=1),
    st.sampled_from(FILTERS),
)
lists = st.lists(scopes, max_size=4)


def one(scope: Scope) -> set[tuple[str, str]]:
    """The single rights (type, letter) of a scope, types written out."""
    types = TYPES[1:] if scope.type == "*" else (scope.type,)
    return {(type_, letter) for type_ in types for letter in scope.interactions}


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("system/Observation.rs", ("system", "Observation", "rs", ())),
        ("patient/*.cruds", ("patient", "*", "cruds", ())),
        ("user/Patient.c", ("user", "Patient", "c", ())),
        ("system/Observation.read", ("system", "Observation", "rs", ())),
        ("system/Observation.write", ("system", "Observation", "cud", ())),
        ("patient/*.*", ("patient", "*", "cruds", ())),
        (
            "system/Observation.rs?category=http://x.example|lab&status=final",
            ("system", "Observation", "rs", (("category", "http://x.example|lab"), ("status", "final"))),
        ),
        ("system/*.r?_tag=a%26b", ("system", "*", "r", (("_tag", "a&b"),))),
    ],
)
def test_a_scope_says_level_type_letters_and_filter(
    text: str, meaning: tuple[str, str, str, tuple[tuple[str, str], ...]]
) -> None:
    level, type_, letters, query = meaning
    assert parse(text) == Scope(level, type_, frozenset(letters), query)


@pytest.mark.parametrize(
    "text",
    [
        *("", "system", "system/Patient", "system/Patient.", "system/.rs", "/Patient.rs", "admin/Patient.rs"),
        *("system/Patient.sr", "system/Patient.rr", "system/Patient.x", "system/Patient.crudsx", "system/Patient.rs "),
        *("system/patient.rs", "system/Patients.rs", "System/Patient.rs", "system/**.rs", "system/Patient.reads"),
        *("system/Patient.rs?", "system/Patient.rs?x", "system/Patient.rs?name=", "system/Patient.rs?foo=1"),
        *("system/Patient.read?name=a", "system/*.rs?name=a", "system/Patient.rs?general-practitioner.name=a"),
        *("system/Patient.rs\n", "systém/Patient.rs", "launch/patient", "openid", "fhirUser"),
    ],
)
def test_what_is_no_scope_for_resources_is_none(text: str) -> None:
    assert parse(text) is None


@given(scopes)
def test_a_scope_written_and_read_again_is_the_same(scope: Scope) -> None:
    assert parse(str(scope)) == scope


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    scope = parse(text)
    assert scope is None or parse(str(scope)) == scope


@given(scopes, scopes)
def test_what_both_allow_is_allowed_by_each_and_is_all_they_share(one_scope: Scope, other: Scope) -> None:
    both = one_scope.and_only(other)
    if both is None:
        assert one_scope.level != other.level or not one(one_scope) & one(other)
    else:
        assert one_scope.covers(both)
        assert other.covers(both)
        assert one(both) == one(one_scope) & one(other)


@given(lists, lists)
def test_what_is_granted_was_asked_for_and_is_allowed(asked: list[Scope], allowed: list[Scope]) -> None:
    granted = parse_all(grant(" ".join(map(str, asked)), [str(each) for each in allowed], "system"))
    for each in granted:
        assert each.level == "system"
        assert any(scope.covers(each) for scope in asked)
        assert any(scope.covers(each) for scope in allowed)
    rights = set().union(*(one(each) for each in granted)) if granted else set()
    whole = set().union(*(one(a) & one(b) for a in asked for b in allowed if a.level == b.level == "system"), set())
    assert rights == whole


@given(lists)
def test_to_ask_for_what_is_allowed_grants_all_of_it_as_it_was_written(allowed: list[Scope]) -> None:
    texts = [str(each) for each in allowed if each.level == "patient"]
    granted = parse_all(grant(" ".join(texts), texts, "patient"))
    assert all(any(each.covers(scope) for each in granted) for scope in map(parse, texts) if scope)


def test_other_words_are_granted_where_they_are_allowed_and_grant_nothing_by_themselves() -> None:
    assert grant("launch/patient offline_access openid", ["launch/patient"], "patient") == "launch/patient"
    assert not is_resource_scope("launch/patient offline_access")
    assert is_resource_scope("launch/patient patient/Patient.r")
    assert parse_all("launch/patient patient/Patient.r") == (Scope("patient", "Patient", frozenset("r")),)


def test_a_huge_text_is_cut() -> None:
    assert grant("x " * 5_000 + "system/*.rs", ["system/*.rs"], "system") == ""
