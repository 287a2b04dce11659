"""Observation/$stats computes over one person's values, in decimals and unit by unit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from fhir_server.access.context import AccessContext
from fhir_server.errors import NotFound
from fhir_server.operations.distribution import STATISTICS
from fhir_server.operations.stats import stats
from fhir_server.resource import exact
from fhir_server.resource.validation import validate
from tests.rest.operations.conftest import OPEN

A = AccessContext.for_patient("a", "card:1")
ASK = "Observation/$stats?subject=Patient/a&system=http://loinc.org"


@pytest.fixture
def records(put, observe):
    for who in ("a", "b"):
        put(f"Patient/{who}", name=[{"text": "Người Mẫu"}])
    for number, value in enumerate(["12.5", "13.1", "11.9", "14.0"], start=1):
        observe(f"a{number}", "a", "718-7", Decimal(value), f"2026-01-0{number}")
    observe("wrong", "a", "718-7", 99, "2026-01-05", status="entered-in-error")
    observe("above", "a", "718-7", 20, "2026-01-05", valueQuantity={"value": 20, "comparator": ">", "unit": "g/dL"})
    observe("b1", "b", "718-7", 5, "2026-01-02")


@pytest.fixture
def ask(client):
    """`[(unit, {statistic: value})]` of the statistics that a query is answered with, decimals as they are written."""

    def ask(query):
        response = client.get(f"/fhir/{ASK}&{query}")
        assert response.status_code == 200, response.text
        return [
            shown(each["resource"]) for each in exact.parse(response.data)["parameter"] if each["name"] == "statistics"
        ]

    return ask


def shown(observation):
    values = {}
    unit = None
    for component in observation["component"]:
        name = component["code"]["coding"][0]["code"]
        values[name] = component.get("valueQuantity", {}).get("value")
        unit = component.get("valueQuantity", {}).get("code", unit)
    return unit, {name: None if value is None else str(value) for name, value in values.items()}


def test_the_statistics_r4_names_are_exact(records, ask) -> None:
    (found,) = ask("code=718-7&statistic=average,max,min,count,median,sum,total-count")
    assert found == (
        "g/dL",
        {
            "average": "12.875",
            "maximum": "14.0",
            "minimum": "11.9",
            "count": "4",
            "median": "12.8",
            "sum": "51.5",
            "total-count": "5",
        },
    )


def test_spread_and_percentiles(records, ask) -> None:
    (found,) = ask("code=718-7&statistic=variance,std-dev,4-lower,4-upper,20-percent,80-percent,5-1,5-2,5-3,5-4")
    assert found[1] == {
        "variance": "0.802",
        "std-dev": "0.896",
        "4-lower": "12.35",
        "4-upper": "13.325",
        "20-percent": "12.26",
        "80-percent": "13.46",
        "5-1": "12.26",
        "5-2": "12.62",
        "5-3": "12.98",
        "5-4": "13.46",
    }


def test_every_code_of_the_code_system_can_be_asked_for() -> None:
    codes = (
        "average maximum minimum count total-count median std-dev sum variance 20-percent 80-percent 4-lower 4-upper "
        "4-dev 5-1 5-2 5-3 5-4 skew kurtosis regression"
    )
    assert " ".join(STATISTICS) == codes


def test_the_shape_of_the_values(records, ask) -> None:
    # The central moments are 0.601875, 0.11390625 and 0.631958203125, the quartiles 12.35 and 13.325.
    (found,) = ask("code=718-7&statistic=skew,kurtosis,4-dev")
    assert found[1] == {"skew": "0.2439", "kurtosis": "1.7445", "4-dev": "0.488"}


def regression_of(parameters):
    components = parameters["parameter"][0]["resource"]["component"]
    assert {each["code"]["coding"][0]["code"] for each in components} == {"regression"}
    return {each["code"]["text"]: each.get("valueQuantity") or each["dataAbsentReason"] for each in components}


def test_regression_is_a_gradient_per_day_and_the_value_on_the_first_day(records, get) -> None:
    assert regression_of(get(f"{ASK}&code=718-7&statistic=regression")) == {
        "gradient": {"value": 0.33, "unit": "g/dL/d", "system": "http://unitsofmeasure.org", "code": "g/dL/d"},
        "intercept": {"value": 12.38, "unit": "g/dL", "system": "http://unitsofmeasure.org", "code": "g/dL"},
    }


def test_of_one_value_there_is_no_shape_and_no_line(records, get) -> None:
    observation = get("Observation/$stats?subject=Patient/b&system=http://loinc.org&code=718-7&statistic=skew")
    absent = observation["parameter"][0]["resource"]["component"][0]["dataAbsentReason"]
    assert absent["coding"][0]["code"] == "not-a-number"
    found = get("Observation/$stats?subject=Patient/b&system=http://loinc.org&code=718-7&statistic=regression")
    assert {part: each["coding"][0]["code"] for part, each in regression_of(found).items()} == {
        "gradient": "not-a-number",
        "intercept": "not-a-number",
    }


def test_a_statistics_observation_says_whose_what_and_when(records, get) -> None:
    parameters = get(f"{ASK}&code=718-7&statistic=count")["parameter"]
    assert parameters == [
        {
            "name": "statistics",
            "resource": {
                "resourceType": "Observation",
                "status": "final",
                "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]},
                "subject": {"reference": "Patient/a"},
                "effectivePeriod": {"start": "2026-01-01", "end": "2026-01-04"},
                "component": [
                    {
                        "code": {
                            "coding": [
                                {
                                    "system": "http://terminology.hl7.org/CodeSystem/observation-statistics",
                                    "code": "count",
                                    "display": "Count",
                                }
                            ]
                        },
                        "valueQuantity": {"value": 4},
                    }
                ],
            },
        }
    ]


def test_the_answer_is_a_valid_parameters_resource(records, get) -> None:
    answered = get(f"{ASK}&code=718-7&statistic=count&include=true")
    assert validate(answered) == answered


def test_every_statistic_makes_a_valid_observation(records, get, repository) -> None:
    for parameter in get(f"{ASK}&code=718-7&code=none&statistic={','.join(STATISTICS)}")["parameter"]:
        assert repository.create(OPEN, "Observation", parameter["resource"]).outcome == "created"


def test_values_in_another_unit_are_counted_apart(records, observe, ask) -> None:
    gram_per_litre = {"value": 130, "unit": "g/L", "system": "http://unitsofmeasure.org", "code": "g/L"}
    observe("litre", "a", "718-7", 0, "2026-01-06", valueQuantity=gram_per_litre)
    assert ask("code=718-7&statistic=average") == [("g/L", {"average": "130"}), ("g/dL", {"average": "12.875"})]


def test_components_are_values_of_their_own_code(records, put, ask) -> None:
    def pressure(systolic):
        return {
            "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]},
            "valueQuantity": {"value": systolic, "system": "http://unitsofmeasure.org", "code": "mm[Hg]"},
        }

    code = {"coding": [{"system": "http://loinc.org", "code": "85354-9"}]}
    for number, systolic in enumerate((120, 131)):
        put(
            f"Observation/pressure{number}",
            status="final",
            code=code,
            subject={"reference": "Patient/a"},
            component=[pressure(systolic)],
        )
    assert ask("code=8480-6&statistic=average") == [("mm[Hg]", {"average": "125.5"})]


def test_duration_counts_back_from_now(records, observe, ask) -> None:
    now = datetime.now(UTC)
    observe("hour-ago", "a", "718-7", 10, (now - timedelta(hours=1)).isoformat(timespec="seconds"))
    observe("days-ago", "a", "718-7", 20, (now - timedelta(hours=40)).isoformat(timespec="seconds"))
    assert ask("code=718-7&statistic=count,sum&duration=1.5") == [("g/dL", {"count": "1", "sum": "10"})]
    assert ask("code=718-7&statistic=count,sum&duration=48") == [("g/dL", {"count": "2", "sum": "30"})]


def test_a_period_and_codings_come_in_a_parameters_body(records, send) -> None:
    parameters = [
        {"name": "subject", "valueUri": "Patient/a"},
        {"name": "coding", "valueCoding": {"system": "http://loinc.org", "code": "718-7"}},
        {"name": "period", "valuePeriod": {"start": "2026-01-02", "end": "2026-01-03"}},
        {"name": "statistic", "valueCode": "max"},
        {"name": "include", "valueBoolean": True},
        {"name": "limit", "valuePositiveInt": 1},
    ]
    response = send("POST", "/fhir/Observation/$stats", {"resourceType": "Parameters", "parameter": parameters})
    statistics, source = response.json["parameter"]
    assert shown(statistics["resource"]) == ("g/dL", {"maximum": "13.1"})
    assert statistics["resource"]["effectivePeriod"] == {"start": "2026-01-02", "end": "2026-01-03"}
    assert (source["name"], source["resource"]["id"]) == ("source", "a2")


def test_without_values_the_count_is_zero_and_the_rest_is_absent(records, ask) -> None:
    assert ask("code=none&statistic=count,average") == [(None, {"count": "0", "average": None})]


@pytest.mark.parametrize(
    ("query", "code", "text"),
    [
        ("statistic=count", "required", "This operation needs a 'code' with its 'system', or a 'coding'."),
        ("code=718-7", "required", "This operation needs at least one 'statistic'."),
        ("code=718-7&statistic=mode", "value", "There is no statistic 'mode'; there are: average, maximum,"),
        ("code=718-7&statistic=count&duration=-1", "value", "'duration' takes a number of hours above 0, not '-1'."),
        ("code=718-7&statistic=count&duration=NaN", "value", "'duration' takes a number of hours above 0, not 'NaN'."),
        ("code=718-7&statistic=count&include=maybe", "value", "'include' takes true or false, not 'maybe'."),
    ],
)
def test_what_it_cannot_be_asked_is_said(records, client, issue, query, code, text) -> None:
    response = client.get(f"/fhir/{ASK}&{query}")
    assert response.status_code == 400
    found = issue(response)
    assert found["code"] == code
    assert found["diagnostics"].startswith(text)


def test_a_bound_caller_gets_statistics_of_the_own_values_only(records, repository) -> None:
    codes = [("http://loinc.org", "718-7")]
    for subject in (None, "Patient/a"):
        found = stats(repository, A, subject, codes, ["count", "minimum"], [])
        assert shown(found.computed[0]) == ("g/dL", {"count": "4", "minimum": "11.9"})
    with pytest.raises(NotFound, match="There is no Patient with the id 'b'"):
        stats(repository, A, "Patient/b", codes, ["count"], [])
