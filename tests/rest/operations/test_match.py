"""Patient/$match finds who may be meant, says how sure it is and why, and reads a bounded number of people."""

from __future__ import annotations

import pytest

from fhir_server.access.context import AccessContext
from fhir_server.errors import Forbidden
from fhir_server.operations.match import MAX_CANDIDATES, match
from fhir_server.repository import Repository
from fhir_server.resource.validation import validate
from mappings.systems import BHXH_NUMBER, BHYT_CARD, CCCD
from tests.repository.people import bundle
from tests.rest.operations.conftest import OPEN, addresses

GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
FACT = "http://hososuckhoe.example.vn/fhir/StructureDefinition/match-fact"


def person(name="Nguyễn Thị Ánh Đào", born="1985-09-02", **numbers):
    made = {"name": [{"text": name}], "gender": "female"}
    if born:
        made["birthDate"] = born
    systems = {"cccd": CCCD, "bhxh": BHXH_NUMBER, "card": BHYT_CARD}
    if numbers:
        made["identifier"] = [{"system": systems[kind], "value": value} for kind, value in numbers.items()]
    return made


@pytest.fixture
def people(put):
    put("Patient/dao", **person(cccd="000000000123", bhxh="7900000123"))
    put("Patient/namesake", **person(bhxh="7900000124"))
    put("Patient/by-year", **person(born="1985"))
    put("Patient/other-day", **person(born="1985-01-15"))
    put("Patient/binh", **person(name="Lê Văn Bình", born="1990-01-01", cccd="000000000999"))


@pytest.fixture
def ask(send):
    """The searchset that answers for a description; other parameters go into a Parameters resource."""

    def ask(description, **parameters):
        body = {"resourceType": "Patient", **description}
        if parameters:
            kinds = {bool: "valueBoolean", int: "valueInteger"}
            several = [{"name": name, kinds[type(value)]: value} for name, value in parameters.items()]
            body = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": body}, *several]}
        response = send("POST", "/fhir/Patient/$match", body)
        assert response.status_code == 200, response.text
        return response.json

    return ask


def graded(searchset):
    """`id -> (grade, score)` in the order given."""
    return {
        entry["resource"]["id"]: (entry["search"]["extension"][0]["valueCode"], entry["search"]["score"])
        for entry in searchset["entry"]
        if entry["search"]["mode"] == "match"
    }


def told(searchset):
    return [issue["diagnostics"] for issue in searchset["entry"][-1]["resource"]["issue"]]


def test_a_citizen_id_makes_one_person_certain_and_namesakes_possible(people, ask) -> None:
    found = ask(person(cccd="000000000123"))
    assert graded(found) == {
        "dao": ("certain", 1.0),
        "namesake": ("possible", 0.55),
        "by-year": ("possible", 0.40),
    }
    assert found["total"] == 3


def test_the_ten_digits_of_a_card_with_name_and_birth_date_make_certain(people, ask) -> None:
    found = ask(person(name="NGUYEN THI ANH DAO", card="GD 4 79 7900000123"))
    assert graded(found)["dao"] == ("certain", 1.0)
    assert addresses(found)[0] == "Patient/dao"


def test_a_match_explains_itself_fact_by_fact(people, ask) -> None:
    found = ask(person(cccd="000000000123", born="1985-09-03"), onlyCertainMatches=True)
    (entry, _) = found["entry"]
    assert entry["search"]["extension"][0] == {"url": GRADE, "valueCode": "certain"}
    facts = [
        {part["url"]: next(value for key, value in part.items() if key != "url") for part in each["extension"]}
        for each in entry["search"]["extension"][1:]
        if each["url"] == FACT
    ]
    assert facts == [
        {"fact": "cccd", "agrees": True, "points": 0.80},
        {"fact": "name", "agrees": True, "points": 0.25},
        {"fact": "birth-date-alike", "agrees": True, "points": 0.10},
        {"fact": "sex", "agrees": True, "points": 0.05},
    ]
    assert told(found)[0] == (
        "Patient/dao is certain (1): same CCCD; same name; birth dates resemble each other (day and month swapped, or "
        "one digit off); same sex. (cùng số CCCD; cùng họ tên; ngày sinh gần giống (đảo ngày tháng hoặc sai một chữ số); "
        "cùng giới tính)"
    )


def test_whom_only_a_likeness_leads_to_is_found_and_never_certain(people, ask) -> None:
    found = ask(person(name="Đào Ánh Thị Nguyễn"))
    assert graded(found)["dao"] == ("possible", 0.45)
    assert ask(person(name="Đào Ánh Thị Nguyễn"), onlyCertainMatches=True)["total"] == 0


def test_who_was_merged_is_meant_by_who_stands_for_them(people, put, ask, repository: Repository) -> None:
    put("Patient/twice", **person(cccd="000000000123"))
    repository.merging.merge(OPEN, "twice", "dao")
    assert graded(ask(person(cccd="000000000123"), onlyCertainMatches=True)) == {"dao": ("certain", 1.0)}


def test_the_answer_is_a_valid_bundle(people, ask) -> None:
    found = ask(person(cccd="000000000123"))
    assert validate(found) == found


def test_no_explanation_quotes_the_record(people, ask) -> None:
    found = ask(person(cccd="000000000123"))
    assert not any(word in " ".join(told(found)) for word in ("000000000123", "7900000123", "Đào", "1985"))


def test_only_certain_matches_are_given_when_only_they_are_wanted(people, ask) -> None:
    assert graded(ask(person(cccd="000000000123"), onlyCertainMatches=True)) == {"dao": ("certain", 1.0)}
    assert graded(ask(person(), onlyCertainMatches=True)) == {}


def test_count_bounds_the_matches_and_says_so(people, ask) -> None:
    found = ask(person(cccd="000000000123"), count=1)
    assert list(graded(found)) == ["dao"]
    assert "3 people may be meant; the 1 likeliest are given." in told(found)


def test_numbers_that_lead_to_two_people_make_neither_certain(people, put, ask) -> None:
    put("Patient/twice", **person(cccd="000000000123"))
    found = ask(person(cccd="000000000123"))
    assert [grade for grade, _ in graded(found).values()] == ["probable", "probable", "possible", "possible"]
    assert "The facts fit 2 records equally surely: no match is certain, somebody has to decide." in told(found)


def test_a_number_of_somebody_quite_different_is_for_a_person_to_decide(people, ask) -> None:
    found = ask(
        {
            "name": [{"text": "Trần Văn Lạ"}],
            "birthDate": "2001-02-03",
            "identifier": person(cccd="000000000999")["identifier"],
        }
    )
    assert graded(found) == {"binh": ("possible", 0.35)}


def test_nobody_is_found_for_a_name_nobody_has(people, ask) -> None:
    found = ask(person(name="Không Có Ai"))
    assert (found["total"], addresses(found), told(found)) == (0, [], ["Nobody fits the description."])


def test_a_name_that_very_many_bear_is_looked_at_in_part(repository, ask) -> None:
    several = [{"resourceType": "Patient", **person()} for _ in range(MAX_CANDIDATES + 1)]
    repository.transaction(OPEN, bundle(several))
    found = ask(person())
    assert len(addresses(found)) == 10
    text = f"More than {MAX_CANDIDATES} people share this name and this birth date or year; give more facts to tell them apart."
    assert text in told(found)


@pytest.mark.parametrize(
    "body",
    [{"resourceType": "Patient"}, {"resourceType": "Patient", "gender": "male"}, {"resourceType": "Parameters"}],
)
def test_a_description_without_name_and_number_is_refused(send, issue, body) -> None:
    response = send("POST", "/fhir/Patient/$match", body)
    assert response.status_code == 400
    assert issue(response)["code"] == "required"


def test_a_description_that_is_no_valid_patient_is_refused(send, issue) -> None:
    response = send("POST", "/fhir/Patient/$match", {"resourceType": "Patient", "gender": "nam"})
    assert response.status_code == 400
    assert issue(response)["expression"] == ["Patient.gender"]


def test_a_caller_bound_to_a_patient_may_not_look_for_people(people, repository: Repository) -> None:
    bound = AccessContext.for_patient("dao", "card:1")
    with pytest.raises(Forbidden, match="Looking for other people's records"):
        match(repository, bound, {"resourceType": "Patient", **person(cccd="000000000123")}, count=10)
