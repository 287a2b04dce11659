"""A profile made into a function never passes what the whole way refuses, and passes what keeps the profile."""

from __future__ import annotations

import random
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from fhir_server.definitions import Definitions
from fhir_server.resource import exact
from fhir_server.resource.profiles_quick import MAX_NODES
from fhir_server.resource.profiles_validation import Profiles
from fhir_server.resource.validation import validate_issues
from fhir_server.terminology.binding import Bindings
from fhir_server.terminology.service import Terminology
from mappings import profile_names
from mappings.roster import Layout, RosterRow, map_row
from mappings.visits import read_envelope, visit_bundle
from seed import visit_files
from seed.people import HEADER, people, tidy_row
from tests.resource.test_profiles import BASE, Json, definition, element, patient

DEFINITIONS = Definitions(lambda kind, url: [])
PROFILES = Profiles(
    lambda canonical: DEFINITIONS.find("StructureDefinition", canonical),
    Bindings(Terminology(DEFINITIONS.find)).keeps,
)


def mapped() -> Iterator[Json]:
    """Resources of the mappings, each naming the profile it keeps."""
    layout = Layout.from_header(HEADER)
    for number, person in enumerate(people(20), start=1):
        row = map_row(layout, number, [str(number), *tidy_row(person)])
        assert isinstance(row, RosterRow)
        yield row.patient
        yield from ({**each, "beneficiary": {"reference": "Patient/p"}} for each in row.coverages)
    for file in visit_files()[:4]:
        for visit in read_envelope(file.read_bytes()).visits:
            yield from (entry["resource"] for entry in visit_bundle(visit, "Patient/p")["entry"])


def changed(resource: Json, chance: random.Random) -> Json:
    """The resource with one thing in it left out, doubled, or written otherwise."""
    other = deepcopy(resource)
    holder: Any = other
    while True:
        keys: list[Any] = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        key = chance.choice([each for each in keys if each not in ("resourceType", "meta")] or keys)
        inner = holder[key]
        if isinstance(inner, dict | list) and inner and chance.random() < 0.7:
            holder = inner
            continue
        way = chance.choice(["out", "double", "other"])
        if way == "double" and isinstance(holder, list):
            holder.append(deepcopy(inner))
        elif way == "other" and isinstance(inner, str):
            holder[key] = chance.choice([inner + "x", "http://example.vn", "final", "male", "2026-01-01"])
        else:
            del holder[key]
        return other


def errors(resource: Json, profile: str) -> list[str]:
    issues = PROFILES.issues(resource, profile)
    assert issues is not None
    return [each.diagnostics for each in issues if each.severity == "error"]


def test_what_the_mappings_make_is_passed_at_once() -> None:
    resources = [exact.parse(exact.dump(each)) for each in mapped()]
    assert {profile_names.PATIENT, profile_names.COVERAGE, profile_names.ENCOUNTER} <= {
        each["meta"]["profile"][0] for each in resources
    }
    assert [each for each in resources if not PROFILES.surely_kept(each, each["meta"]["profile"][0])] == []


def test_nothing_is_passed_that_has_an_error() -> None:
    chance = random.Random(5)
    resources = [exact.parse(exact.dump(each)) for each in mapped()]
    refused = passed = 0
    for _ in range(60):
        for resource in resources:
            other = changed(resource, chance)
            profile = resource["meta"]["profile"][0]
            if "resourceType" not in other or validate_issues(other):
                continue
            if errors(other, profile):
                refused += 1
                assert not PROFILES.surely_kept(other, profile), (other, errors(other, profile))
            else:
                passed += PROFILES.surely_kept(other, profile)
    assert refused > 200
    assert passed > 1_000


def surely(resource: Json, *definitions: Json) -> bool:
    by_url = {each["url"]: each for each in definitions}
    profiles = Profiles(by_url.get, lambda value, kind, value_set: None)
    return profiles.surely_kept(resource, definitions[0]["url"])


def test_a_profile_that_changes_is_made_anew() -> None:
    known = {f"{BASE}/asked": definition("Patient", element("Patient.gender", min=1))}
    profiles = Profiles(known.get, lambda value, kind, value_set: None)
    assert profiles.surely_kept(patient(gender="male"), f"{BASE}/asked")
    known[f"{BASE}/asked"] = definition("Patient", element("Patient.birthDate", min=1))
    assert not profiles.surely_kept(patient(gender="male"), f"{BASE}/asked")
    assert profiles.surely_kept(patient(birthDate="2000"), f"{BASE}/asked")


def test_what_is_unknown_or_of_another_type_is_not_passed() -> None:
    asked = definition("Patient", element("Patient.gender", min=1))
    assert not surely({"resourceType": "Person", "gender": "male"}, asked)
    named = element("Patient.contact", type=[{"code": "BackboneElement", "profile": [f"{BASE}/absent"]}])
    assert not surely(patient(), definition("Patient", named))


def test_profiles_that_name_each_other_are_left_to_the_whole_way() -> None:
    several = [
        definition(
            "Extension",
            *(
                element(
                    f"Extension.extension:e{other}",
                    type=[{"code": "Extension", "profile": [f"{BASE}/p{(number + other) % 12}"]}],
                )
                for other in range(1, 12)
            ),
            name=f"p{number}",
        )
        for number in range(12)
    ]
    assert MAX_NODES < 12**3
    assert not surely({"resourceType": "Extension", "url": "http://example.vn"}, *several)
