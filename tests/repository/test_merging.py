"""Merging people: one person's records are found by the other, nothing is rewritten, and un-merging is exact."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server import joining
from fhir_server.access.context import AccessContext
from fhir_server.errors import Conflict, FhirError, Forbidden, NotFound, Unprocessable
from fhir_server.repository import Repository
from fhir_server.resource import exact

OPEN = AccessContext.unrestricted("test")
SYSTEM = "http://example.test/number"


def put(repository: Repository, id: str, **elements: Any) -> None:
    made = {"resourceType": "Patient", "id": id, "identifier": [{"system": SYSTEM, "value": f"N-{id}"}], **elements}
    repository.update(OPEN, "Patient", id, made)


def observe(repository: Repository, id: str, patient: str) -> None:
    made = {"resourceType": "Observation", "id": id, "status": "final", "code": {"text": "x"}}
    repository.update(OPEN, "Observation", id, {**made, "subject": {"reference": f"Patient/{patient}"}})


def seen(repository: Repository, query: str, ctx: AccessContext = OPEN, **options: Any) -> set[str]:
    pairs = [tuple(each.split("=", 1)) for each in query.split("&")] if query else []
    return {stored.id for _, stored in repository.search(ctx, "Observation", pairs, **options).entries}  # type: ignore[arg-type]


def content(repository: Repository, id: str) -> dict[str, Any]:
    stored = exact.parse(repository.read(OPEN, "Patient", id).json or b"")
    return {name: value for name, value in stored.items() if name != "meta"}


@pytest.fixture
def people(repository: Repository) -> Repository:
    for id in ("a", "b", "c"):
        put(repository, id, active=True)
        observe(repository, f"of-{id}", id)
    return repository


@pytest.mark.parametrize(
    "query",
    [
        "patient=Patient/a",
        "patient=a",
        "subject=Patient/a",
        "subject:Patient=a",
        "patient=http://127.0.0.1:8080/fhir/Patient/a",
        f"patient.identifier={SYSTEM}|N-a",
        f"patient.identifier={SYSTEM}|N-b",
        "_filter=subject eq Patient/a",
    ],
)
def test_who_asks_for_the_one_finds_the_records_of_the_other(people: Repository, query: str) -> None:
    people.merging.merge(OPEN, "b", "a")
    assert seen(people, query) == {"of-a", "of-b"}


def test_the_compartment_holds_both_and_the_other_one_its_own(people: Repository) -> None:
    people.merging.merge(OPEN, "b", "a")
    assert seen(people, "", compartment=("Patient", "a")) == {"of-a", "of-b"}
    assert seen(people, "", compartment=("Patient", "b")) == {"of-b"}
    assert seen(people, "patient=b") == {"of-b"}


@pytest.mark.parametrize("few", [1000, 0])
def test_who_stands_for_another_has_what_refers_to_that_one(
    people: Repository, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(joining, "FEW", few)  # 0: the way that is taken where very many refer
    people.merging.merge(OPEN, "b", "a")
    people.merging.merge(OPEN, "a", "c")
    found = people.search(OPEN, "Patient", [("_has:Observation:patient:_id", "of-b")])
    assert {stored.id for _, stored in found.entries} == {"a", "b", "c"}


def test_a_revinclude_brings_the_records_of_those_behind(people: Repository) -> None:
    people.merging.merge(OPEN, "b", "a")
    page = people.search(OPEN, "Patient", [("_id", "a"), ("_revinclude", "Observation:patient")])
    assert [stored.id for mode, stored in page.entries if mode == "include"] == ["of-a", "of-b"]
    page = people.search(OPEN, "Patient", [("_id", "b"), ("_revinclude", "Observation:patient")])
    assert [stored.id for mode, stored in page.entries if mode == "include"] == ["of-b"]


def test_the_card_of_the_survivor_opens_every_version_of_both(people: Repository) -> None:
    observe(people, "of-b", "b")
    made = {"resourceType": "Observation", "id": "of-b", "status": "amended", "code": {"text": "x"}}
    people.update(OPEN, "Observation", "of-b", {**made, "subject": {"reference": "Patient/b"}})
    people.merging.merge(OPEN, "b", "a")
    card = AccessContext.for_patient("a", "card:1")
    assert people.vread(card, "Observation", "of-b", "1").version == 1
    versions = [each.version for each in people.history(card, "Observation", "of-b", query=[]).entries]
    assert versions == list(range(len(versions), 0, -1))
    assert len(versions) >= 2
    with pytest.raises(NotFound):
        people.vread(AccessContext.for_patient("b", "card:2"), "Observation", "of-a", "1")


def test_a_chain_of_merges_is_followed_and_un_merged_from_its_end(people: Repository) -> None:
    people.merging.merge(OPEN, "c", "b")
    people.merging.merge(OPEN, "b", "a")
    assert seen(people, "patient=a") == {"of-a", "of-b", "of-c"}
    with pytest.raises(Conflict, match="un-merge that first"):
        people.merging.unmerge(OPEN, "c")
    people.merging.unmerge(OPEN, "b")
    assert (seen(people, "patient=a"), seen(people, "patient=b")) == ({"of-a"}, {"of-b", "of-c"})


def test_the_card_of_the_survivor_opens_both(people: Repository) -> None:
    people.merging.merge(OPEN, "b", "a")
    survivor = AccessContext.for_patient("a", "card:1")
    assert seen(people, "", survivor) == {"of-a", "of-b"}
    assert people.read(survivor, "Observation", "of-b").id == "of-b"


def test_the_old_card_opens_nothing_and_names_nobody_until_the_merge_is_taken_back(people: Repository) -> None:
    old = AccessContext.for_patient("b", "card:2")
    told: dict[str, Any] = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    told["subject"] = {"reference": "Patient/b"}
    people.create(old, "Observation", told)
    people.merging.merge(OPEN, "b", "a")
    with pytest.raises(Forbidden, match="joined with another"):
        people.create(old, "Observation", told)
    assert seen(people, "", old) == seen(people, "patient=a", old) == seen(people, "patient=b", old) == set()
    for type, id in (("Observation", "of-a"), ("Observation", "of-b"), ("Patient", "a"), ("Patient", "b")):
        looks: tuple[Callable[[], object], ...] = (
            partial(people.read, old, type, id),
            partial(people.vread, old, type, id, "1"),
            partial(people.history, old, type, id, query=[]),
        )
        for look in looks:
            with pytest.raises(NotFound) as refused:
                look()
            assert id == "a" or "Patient/a" not in str(refused.value)
    people.merging.unmerge(OPEN, "b")
    assert "of-b" in seen(people, "", old)
    assert "link" not in exact.parse(people.read(old, "Patient", "b").json or b"")


def test_a_link_that_somebody_wrote_joins_nobodys_records(people: Repository) -> None:
    put(people, "a", link=[{"other": {"reference": "Patient/b"}, "type": "replaces"}])
    assert seen(people, "patient=a") == {"of-a"}
    assert seen(people, "", AccessContext.for_patient("a", "card:1")) == {"of-a"}


def test_un_merging_brings_back_what_was_and_keeps_what_was_written_since(people: Repository) -> None:
    before = content(people, "a"), content(people, "b")
    people.merging.merge(OPEN, "b", "a")
    observe(people, "later-a", "a")
    observe(people, "later-b", "b")
    people.merging.unmerge(OPEN, "b")
    assert (content(people, "a"), content(people, "b")) == before
    assert seen(people, "patient=a") == {"of-a", "later-a"}
    assert seen(people, "patient=b") == {"of-b", "later-b"}


def test_the_links_and_the_provenance_tell_of_the_merge(people: Repository) -> None:
    merged = people.merging.merge(OPEN, "b", "a")
    assert content(people, "b") | {"identifier": []} == {
        "resourceType": "Patient",
        "id": "b",
        "identifier": [],
        "active": False,
        "link": [{"other": {"reference": "Patient/a"}, "type": "replaced-by"}],
    }
    assert content(people, "a")["identifier"][1] == {"use": "old", "system": SYSTEM, "value": "N-b"}
    (entry,) = people.search(OPEN, "Provenance", [("target", "Patient/a")]).entries
    told = exact.parse(entry[1].json or b"")
    assert told["activity"]["coding"][0]["code"] == "merge"
    assert [each["reference"] for each in told["target"]] == ["Patient/a/_history/2", "Patient/b/_history/2"]
    assert merged.target.version == 2


def test_facts_of_the_result_are_taken_back_unless_changed_since(people: Repository) -> None:
    put(people, "a", gender="female", birthDate="1990")
    result = content(people, "a") | {"birthDate": "1990-05-03", "gender": "other"}
    people.merging.merge(OPEN, "b", "a", result)
    people.update(OPEN, "Patient", "a", content(people, "a") | {"gender": "male"})
    people.merging.unmerge(OPEN, "b")
    assert (content(people, "a")["birthDate"], content(people, "a")["gender"]) == ("1990", "male")


def test_a_preview_writes_nothing(people: Repository) -> None:
    before = content(people, "a"), content(people, "b")
    shown = exact.parse(people.merging.merge(OPEN, "b", "a", preview=True).target.json or b"")
    assert [each["value"] for each in shown["identifier"]] == ["N-a", "N-b"]
    assert (content(people, "a"), content(people, "b"), seen(people, "patient=a")) == (*before, {"of-a"})


def test_what_cannot_be_merged_is_refused(people: Repository) -> None:
    people.merging.merge(OPEN, "b", "a")
    refused: list[tuple[str, str, type[FhirError]]] = [
        ("a", "a", Unprocessable),
        ("b", "c", Conflict),
        ("c", "b", Conflict),
        ("a", "b", Conflict),
        ("c", "nobody", NotFound),
    ]
    for source, target, error in refused:
        with pytest.raises(error):
            people.merging.merge(OPEN, source, target)
    with pytest.raises(Conflict):
        people.merging.unmerge(OPEN, "c")
    with pytest.raises(Forbidden):
        people.merging.merge(AccessContext.for_patient("a", "card:1"), "c", "a")


STEPS = st.lists(
    st.tuples(st.sampled_from(["merge", "unmerge"]), st.integers(0, 4), st.integers(0, 4)), min_size=3, max_size=14
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, shared=st.sets(st.integers(0, 4)))
def test_any_merges_and_un_merges_agree_with_a_model(
    repository: Repository, steps: list[tuple[str, int, int]], shared: set[int]
) -> None:
    ids = [f"p{number}" for number in range(5)]
    for merged in ids[::-1] * 5:
        try:
            repository.merging.unmerge(OPEN, merged)
        except FhirError:
            continue
    for number, id in enumerate(ids):
        numbers = [{"system": SYSTEM, "value": f"N-{id}"}]
        numbers += [{"system": SYSTEM, "value": "everybody's"}] if number in shared else []
        put(repository, id, identifier=numbers)
        observe(repository, f"of-{id}", id)
    before = [content(repository, id) for id in ids]
    into: dict[str, str] = {}
    for action, one, other in steps:
        source, target = ids[one], ids[other]
        allowed = source != target and source not in into and target not in into
        if action == "unmerge":
            allowed = source in into and into[source] not in into
        try:
            if action == "merge":
                repository.merging.merge(OPEN, source, target)
                into[source] = target
            else:
                repository.merging.unmerge(OPEN, source)
                del into[source]
        except FhirError:
            assert not allowed
        else:
            assert allowed
        for id in ids:
            behind = {each for each in ids if id in _above(each, into)}
            assert seen(repository, f"patient={id}") == {f"of-{each}" for each in behind}
    while into:
        source = next(each for each in into if into[each] not in into)
        repository.merging.unmerge(OPEN, source)
        del into[source]
    assert [content(repository, id) for id in ids] == before


def _above(id: str, into: dict[str, str]) -> list[str]:
    return [id] if id not in into else [id, *_above(into[id], into)]


def test_a_condition_on_a_number_of_the_merged_one_means_who_stands_for_it(people: Repository) -> None:
    people.merging.merge(OPEN, "b", "a")
    described = {"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": "N-b"}]}
    made = people.create(OPEN, "Patient", described, if_none_exist=f"identifier={SYSTEM}|N-b")
    assert (made.outcome, made.stored.id) == ("existing", "a")
