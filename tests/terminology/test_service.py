"""Expansion, validation, subsumption and translation of codes, without a store."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.errors import BadRequest, NotFound, Unprocessable
from fhir_server.terminology import expansion
from fhir_server.terminology.binding import Bindings
from fhir_server.terminology.service import Terminology, Validation
from fhir_server.terminology.systems import System
from fhir_server.terminology.translation import translate

from .conftest import BASE, DISEASES, Held, code_system, value_set

Json = dict[str, Any]
GENDER = "http://hl7.org/fhir/administrative-gender"


def codes(terminology: Terminology, held: Held, *include: Json, **compose: Any) -> list[str]:
    held.add(value_set("asked", *include, **compose))
    return [code for _, code in terminology.codes_in(f"{BASE}/ValueSet/asked")]


def filtered(property_code: str, op: str, value: str) -> Json:
    return {"system": DISEASES, "filter": [{"property": property_code, "op": op, "value": value}]}


ALL = ["A", "A1", "A1.1", "A2", "B"]


@pytest.mark.parametrize(
    ("include", "expected"),
    [
        ({"system": DISEASES}, ALL),
        ({"system": DISEASES, "version": "2"}, ALL),
        ({"system": DISEASES, "concept": [{"code": "B"}, {"code": "A1"}]}, ["B", "A1"]),
        (filtered("concept", "is-a", "A1"), ["A1", "A1.1"]),
        (filtered("concept", "descendent-of", "A"), ["A1", "A1.1", "A2"]),
        (filtered("concept", "is-not-a", "A"), ["B"]),
        (filtered("concept", "generalizes", "A1.1"), ["A", "A1", "A1.1"]),
        (filtered("kind", "=", "lung"), ["A1"]),
        (filtered("code", "in", "A1, B"), ["A1", "B"]),
        (filtered("code", "not-in", "A1,B"), ["A", "A1.1", "A2"]),
        (filtered("code", "regex", "A[0-9]"), ["A1", "A2"]),
        (filtered("display", "regex", "Lao.*"), ["A1", "A1.1"]),
        (filtered("parent", "=", "A"), ["A1", "A2"]),
        (filtered("kind", "exists", "true"), ["A1"]),
        (filtered("notSelectable", "=", "true"), ["A"]),
    ],
)
def test_an_include_comes_to_its_codes(
    terminology: Terminology, held: Held, include: Json, expected: list[str]
) -> None:
    assert codes(terminology, held, include) == expected


def test_several_filters_hold_all_together(terminology: Terminology, held: Held) -> None:
    both = filtered("concept", "is-a", "A1")
    both["filter"] += filtered("display", "regex", ".*thuốc")["filter"]
    assert codes(terminology, held, both) == ["A1.1"]


def test_what_is_excluded_goes_and_what_is_imported_is_the_common_part(terminology: Terminology, held: Held) -> None:
    held.add(value_set("infections", filtered("concept", "is-a", "A")))
    held.add(value_set("lungs", filtered("concept", "is-a", "A1")))
    infections, lungs = f"{BASE}/ValueSet/infections", f"{BASE}/ValueSet/lungs"
    assert codes(terminology, held, {"valueSet": [infections]}) == ["A", "A1", "A1.1", "A2"]
    assert codes(terminology, held, {"valueSet": [infections, lungs]}) == ["A1", "A1.1"]
    assert codes(terminology, held, {"system": DISEASES, "valueSet": [lungs]}) == ["A1", "A1.1"]
    assert codes(terminology, held, {"system": DISEASES}, exclude=[{"valueSet": [lungs]}]) == ["A", "A2", "B"]
    assert codes(terminology, held, {"system": DISEASES}, inactive=False) == ["A", "A1", "A1.1", "B"]


def test_listed_concepts_need_no_system_here_and_a_whole_system_does(terminology: Terminology, held: Held) -> None:
    loinc = {"system": "http://loinc.org"}
    assert codes(terminology, held, loinc | {"concept": [{"code": "1-8"}]}) == ["1-8"]
    with pytest.raises(NotFound, match="is not on this server in full"):
        codes(terminology, held, loinc)


def test_a_system_of_which_only_a_part_is_here_is_not_listed(terminology: Terminology, held: Held) -> None:
    held.add(code_system(content="fragment"))
    with pytest.raises(NotFound):
        codes(terminology, held, {"system": DISEASES})


def test_value_sets_that_include_themselves_are_refused(terminology: Terminology, held: Held) -> None:
    held.add(value_set("one", {"valueSet": [f"{BASE}/ValueSet/two"]}))
    held.add(value_set("two", {"valueSet": [f"{BASE}/ValueSet/one"]}))
    with pytest.raises(Unprocessable, match="includes itself"):
        terminology.codes_in(f"{BASE}/ValueSet/one")


def test_an_expression_that_backtracks_takes_no_time_and_one_that_is_none_is_refused(
    terminology: Terminology, held: Held
) -> None:
    held.add(code_system(concept=[{"code": "a" * 50_000}]))
    assert codes(terminology, held, filtered("code", "regex", "(a+)+b")) == []
    with pytest.raises(BadRequest, match="regular expression is not understood"):
        codes(terminology, held, filtered("code", "regex", "(a"))
    with pytest.raises(BadRequest, match="filter operator"):
        codes(terminology, held, filtered("code", "like", "a"))


def test_too_many_codes_are_too_costly(terminology: Terminology, held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expansion, "MAX_CODES", 4)
    with pytest.raises(Unprocessable) as refused:
        codes(terminology, held, {"system": DISEASES})
    assert refused.value.issues[0].code == "too-costly"


def test_more_codes_than_a_search_can_take_are_too_costly(terminology: Terminology, held: Held) -> None:
    held.add(code_system(concept=[{"code": str(number)} for number in range(10_001)]))
    with pytest.raises(Unprocessable):
        codes(terminology, held, {"system": DISEASES})


def test_a_value_set_that_comes_expanded_is_taken_as_it_is(terminology: Terminology, held: Held) -> None:
    contains = [{"abstract": True, "display": "x", "contains": [{"system": DISEASES, "code": "B"}]}]
    held.add(
        {
            "resourceType": "ValueSet",
            "url": f"{BASE}/ValueSet/made",
            "status": "active",
            "expansion": {"timestamp": "2024-01-01", "contains": contains},
        }
    )
    assert terminology.codes_in(f"{BASE}/ValueSet/made") == [(DISEASES, "B")]


def test_the_required_value_sets_of_r4_are_known(terminology: Terminology) -> None:
    assert terminology.codes_in("http://hl7.org/fhir/ValueSet/administrative-gender|4.0.1") == [
        (GENDER, "female"),
        (GENDER, "male"),
        (GENDER, "other"),
        (GENDER, "unknown"),
    ]
    with pytest.raises(NotFound):
        terminology.codes_in("http://hl7.org/fhir/ValueSet/administrative-gender|3.0.0")


@pytest.mark.parametrize(
    ("code", "system", "display", "expected"),
    [
        ("B", DISEASES, None, Validation(True, "", "Đái tháo đường", DISEASES)),
        ("B", None, None, Validation(True, "", "Đái tháo đường", DISEASES)),
        ("A1", DISEASES, "pulmonary tuberculosis", Validation(True, "", "Lao phổi", DISEASES)),
        ("A1", DISEASES, "x", Validation(False, "The code 'A1' is called 'Lao phổi'.", "Lao phổi", DISEASES)),
        ("Z", DISEASES, None, Validation(False, f"The code 'Z' of {DISEASES} is not in {BASE}/ValueSet/all.")),
        ("B", "http://a.vn", None, Validation(False, f"The code 'B' of http://a.vn is not in {BASE}/ValueSet/all.")),
    ],
)
def test_a_code_is_validated_with_its_display(
    terminology: Terminology, held: Held, code: str, system: str | None, display: str | None, expected: Validation
) -> None:
    held.add(value_set("all", {"system": DISEASES}))
    assert terminology.validate_code(f"{BASE}/ValueSet/all", code, system, display) == expected


def test_a_code_of_two_systems_is_not_told_without_its_system(terminology: Terminology, held: Held) -> None:
    held.add(value_set("two", {"system": DISEASES}, {"system": "http://a.vn", "concept": [{"code": "B"}]}))
    told = terminology.validate_code(f"{BASE}/ValueSet/two", "B")
    assert told == Validation(False, f"Several systems in {BASE}/ValueSet/two have the code 'B': say which is meant.")


def test_below_and_above_go_through_all_levels(terminology: Terminology) -> None:
    assert terminology.below(DISEASES, "A") == ["A", "A1", "A2", "A1.1"]
    assert terminology.above(DISEASES, "A1.1") == ["A1.1", "A1", "A"]
    assert terminology.below("http://loinc.org", "1-8") == ["1-8"]


def test_a_hierarchy_written_as_properties_is_one_too() -> None:
    system = System.of_resource(
        {
            "url": "http://a.vn",
            "property": [{"code": "cha", "uri": "http://hl7.org/fhir/concept-properties#parent", "type": "code"}],
            "concept": [
                {"code": "a"},
                {"code": "b", "property": [{"code": "cha", "valueCode": "a"}]},
                {"code": "c", "property": [{"code": "child", "valueCode": "a"}, {"code": "parent", "valueCode": "b"}]},
            ],
        }
    )
    assert [each.code for each in system.below("a")] == ["a", "b", "c"]
    assert [each.code for each in system.above("a")] == ["a", "c", "b"], "a circle is walked once"


@pytest.mark.parametrize(
    ("one", "other", "outcome"),
    [
        ("A1", "A1", "equivalent"),
        ("A", "A1.1", "subsumes"),
        ("A1.1", "A", "subsumed-by"),
        ("A1", "B", "not-subsumed"),
    ],
)
def test_subsumption(terminology: Terminology, one: str, other: str, outcome: str) -> None:
    assert terminology.subsumes(terminology.known_system(DISEASES), one, other) == outcome


def test_letter_case_counts_unless_the_system_says_otherwise(held: Held, terminology: Terminology) -> None:
    assert terminology.known_system(DISEASES).find("b") is None
    held.add(code_system(caseSensitive=False))
    found = terminology.known_system(DISEASES).find("b")
    assert found is not None
    assert found.code == "B"


MAP: Json = {
    "resourceType": "ConceptMap",
    "url": f"{BASE}/ConceptMap/m",
    "group": [
        {
            "source": DISEASES,
            "target": "http://hl7.org/fhir/sid/icd-10",
            "element": [
                {"code": "A1", "target": [{"code": "A15", "equivalence": "wider"}]},
                {"code": "A2", "target": [{"equivalence": "unmatched"}]},
            ],
            "unmapped": {"mode": "fixed", "code": "R69"},
        }
    ],
}


def test_translation_forwards_backwards_and_of_what_is_not_mapped() -> None:
    def told(code: str, **more: Any) -> list[tuple[str, str]]:
        return [(each.equivalence, each.code) for each in translate(MAP, code, None, **more)]

    assert told("A1") == [("wider", "A15")]
    assert told("A2") == [("unmatched", "")]
    assert told("B") == [("inexact", "R69")]
    assert told("A15", reverse=True) == [("narrower", "A1")]
    assert told("A1", target_system="http://loinc.org") == []
    assert translate(MAP, "A1", "http://loinc.org") == []


def test_a_binding_is_kept_by_any_coding_and_is_not_told_of_an_unknown_value_set(
    terminology: Terminology, held: Held
) -> None:
    held.add(value_set("lungs", filtered("concept", "is-a", "A1")))
    lungs = f"{BASE}/ValueSet/lungs"
    bindings = Bindings(terminology)
    inside, outside = {"system": DISEASES, "code": "A1"}, {"system": DISEASES, "code": "B"}
    assert bindings.keeps({"coding": [outside, inside]}, "CodeableConcept", lungs) is True
    assert bindings.keeps({"coding": [outside]}, "CodeableConcept", lungs) is False
    assert bindings.keeps({"text": "x"}, "CodeableConcept", lungs) is False
    assert bindings.keeps(inside, "Coding", lungs) is True
    assert bindings.keeps("A1.1", "code", lungs) is True
    assert bindings.keeps("A1.1", "code", f"{BASE}/ValueSet/none") is None


def test_an_expansion_is_kept_for_five_seconds_or_until_a_definition_is_written(
    terminology: Terminology, held: Held
) -> None:
    moment = 0.0
    held.add(value_set("v", {"system": DISEASES, "concept": [{"code": "A1"}]}))
    bindings = Bindings(terminology, clock=lambda: moment)
    url = f"{BASE}/ValueSet/v"
    assert bindings.keeps("B", "code", url) is False
    held.add(value_set("v", {"system": DISEASES, "concept": [{"code": "B"}]}))
    assert bindings.keeps("B", "code", url) is False
    moment = 5.1
    assert bindings.keeps("B", "code", url) is True
    held.add(value_set("v", {"system": DISEASES, "concept": [{"code": "A1"}]}))
    bindings.forget()
    assert bindings.keeps("B", "code", url) is False
