"""The definitions: current, valid, whole, loaded once, served, and searchable by what they add."""

from __future__ import annotations

import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from fhir_server import catalogue
from fhir_server.access.audit_events import KINDS
from fhir_server.access.context import AccessContext
from fhir_server.citizen.consents import PURPOSES, TO_FACILITY
from fhir_server.citizen.questionnaire import questionnaire
from fhir_server.commands.definitions import load_definitions
from fhir_server.config import Config
from fhir_server.intake.matching import POSSIBLE_DUPLICATE
from fhir_server.intake.visit_records import CANCELLED
from fhir_server.profile_enforcement import Conformance
from fhir_server.repository import Repository
from fhir_server.resource.exact import parse
from fhir_server.resource.validation import validate_issues
from fhir_server.rest.operations.registry import OPERATIONS
from mappings import profile_names, systems
from mappings.numbers import parse_bhyt_number
from mappings.person import concept, coverage
from mappings.qd831.table import single_values
from profiles import build, conformance_resources, file_resources, place_resources
from profiles.page import PAGE, page
from profiles.structures import EXTENSIONS, STRUCTURES

CTX = AccessContext.unrestricted("test")
ROOT = Path(__file__).parents[2]
FOLDER = Path(build.__file__).parent
RESOURCES = list(conformance_resources())


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    return {each["id"]: each for each in RESOURCES if each["resourceType"] == kind}


def test_the_files_are_what_the_tables_say() -> None:
    made = build.conformance()
    assert {build.file_name(each) for each in made} == {file.name for file in FOLDER.glob("*.json")}
    stored = {build.file_name(each): each for each in file_resources()}
    for resource in made:
        kept = stored[build.file_name(resource)]
        assert (FOLDER / build.file_name(resource)).read_text(encoding="utf-8") == build.text(kept)
        assert {key: value for key, value in kept.items() if key != "snapshot"} == resource


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page([*build.conformance(), *place_resources()])


def test_every_definition_is_valid_and_has_a_url_and_id_of_its_own() -> None:
    for resource in RESOURCES:
        assert validate_issues(resource) == [], resource["id"]
    assert max(Counter((each["resourceType"], each["id"]) for each in RESOURCES).values()) == 1
    urls = Counter((each["url"], each.get("version")) for each in RESOURCES if "url" in each)
    assert max(urls.values()) == 1


def test_a_snapshot_says_all_that_the_differential_says() -> None:
    for key, definition in of_type("StructureDefinition").items():
        elements = {each["id"]: each for each in definition["snapshot"]["element"]}
        assert len(elements) == len(definition["snapshot"]["element"]), key
        for said in definition["differential"]["element"]:
            assert said.items() <= elements[said["id"]].items(), said["id"]
        for element in elements.values():
            assert {"path", "definition", "min", "max", "base"} <= element.keys(), element["id"]
            # Whatever stands in something stands after it.
            assert element["id"].rpartition(".")[0] in {"", *elements}


def test_every_profile_that_a_mapping_may_name_is_defined_and_every_reason_is_written() -> None:
    named = {
        value
        for name, value in vars(profile_names).items()
        if name.isupper() and value.startswith(f"{systems.OWN_BASE}/StructureDefinition/") and not name.startswith("_")
    }
    assert named == {row.url for row in STRUCTURES}
    assert all(row.because for row in STRUCTURES)
    ours = {
        value
        for value in vars(systems).values()
        if isinstance(value, str) and value.startswith(f"{systems.OWN_BASE}/StructureDefinition/")
    }
    assert ours == {row.url for row in EXTENSIONS}


def test_every_system_of_the_mappings_is_described() -> None:
    written = {
        value
        for value in vars(systems).values()
        if isinstance(value, str) and re.match(rf"({systems.OWN_BASE}|{systems.VN_CORE})/(sid|CodeSystem)/", value)
    }
    assert len(written) > 50
    assert written - described() == set()


def described() -> set[str]:
    """Every URL that a definition says the meaning of."""
    urls = {each["url"] for each in [*RESOURCES, questionnaire()] if "url" in each}
    return urls | {each["uniqueId"][0]["value"] for each in of_type("NamingSystem").values()}


def test_every_url_of_ours_that_the_code_writes_is_described() -> None:
    begun = rf"\{{(?:systems\.)?OWN(?:_BASE)?\}}|{re.escape(systems.OWN_BASE)}"
    written: dict[str, str] = {}
    for file in (file for room in ("fhir_server", "mappings", "seed") for file in (ROOT / room).rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        # The beginning has two names, so that no URL escapes the search below.
        assert set(re.findall(rf'(\w+) = "{re.escape(systems.OWN_BASE)}"', text)) <= {"OWN", "OWN_BASE"}, file
        written |= {systems.OWN_BASE + path: file.name for path in re.findall(rf"(?:{begun})(/[\w/-]+)", text)}
    assert len(written) > 40
    undescribed = written.keys() - described()
    # What `profile_names` puts before names that another test holds against the profiles, and the seed of a UUID.
    assert undescribed == {f"{systems.OWN_BASE}/StructureDefinition", f"{systems.OWN_BASE}/staff-form"}


def test_every_code_that_the_server_writes_of_its_own_systems_is_listed() -> None:
    listed = {(each["url"], row["code"]) for each in of_type("CodeSystem").values() for row in each.get("concept", ())}
    written = {(systems.CONSENT_PURPOSE, purpose) for purpose in (*PURPOSES, TO_FACILITY)}
    written |= {(systems.IDENTITY_TASK, POSSIBLE_DUPLICATE), (CANCELLED["system"], CANCELLED["code"])}
    written |= {(subtype["system"], subtype["code"]) for _, subtype, _ in KINDS.values()}
    written |= {(systems.HEALTH_RECORD_ITEM, row.code) for visit in (True, False) for row in single_values(visit)}
    ours = {(system, code) for system, code in written if system.startswith(systems.OWN_BASE)}
    assert {system for system, _ in ours} >= {systems.AUDIT_OPERATION, systems.VISIT_STATE}
    assert ours <= listed


def test_the_operations_of_our_own_are_defined_as_they_are_offered() -> None:
    offered = {
        (row.definition, row.name, tuple(row.levels), tuple(row.types), row.affects_state)
        for row in OPERATIONS
        if row.definition.startswith(systems.OWN_BASE)
    }
    levels = ("system", "type", "instance")
    assert offered == {
        (
            each["url"],
            each["code"],
            tuple(level for level in levels if each[level]),
            tuple(each.get("resource", ())),
            each["affectsState"],
        )
        for each in of_type("OperationDefinition").values()
    }
    for each in of_type("OperationDefinition").values():
        (row,) = (row for row in OPERATIONS if row.definition == each["url"])
        takes = {parameter["name"] for parameter in each["parameter"] if parameter["use"] == "in"}
        assert takes == set(row.takes or ())


def test_value_sets_that_are_required_can_be_told() -> None:
    conformance = Conformance(lambda kind, url: [])
    bound = {
        element["binding"]["valueSet"]
        for definition in of_type("StructureDefinition").values()
        for element in definition["differential"]["element"]
        if element.get("binding", {}).get("strength") == "required"
    }
    assert {url.rsplit("/", 1)[1] for url in bound} == {"vn-core-race", "blood-group-code", "bhyt-living-area"}
    for url in bound:
        assert conformance.terminology.members(url)


def test_a_code_of_a_place_means_what_its_version_says() -> None:
    terminology = Conformance(lambda kind, url: []).terminology
    names = {}
    for version in ("|2004", "|2025", ""):
        system = terminology.system(systems.PROVINCE + version)
        assert system is not None
        names[version] = terminology.concept(system, "24").display
    assert names == {"|2004": "Tỉnh Bắc Giang", "|2025": "Tỉnh Bắc Ninh", "": "Tỉnh Bắc Ninh"}


def test_the_guide_lists_every_other_definition() -> None:
    (guide,) = of_type("ImplementationGuide").values()
    listed = [each["reference"]["reference"] for each in guide["definition"]["resource"]]
    others = [f"{each['resourceType']}/{each['id']}" for each in RESOURCES if each is not guide]
    assert sorted(listed) == sorted(others)


def test_the_definitions_are_loaded_once_and_what_somebody_changed_stays(
    mongod_uri: str, database: str, repository: Repository
) -> None:
    config = Config.from_environment({"FHIR_DATABASE": database})
    assert load_definitions(config, mongod_uri) == len(RESOURCES) + 1
    assert load_definitions(config, mongod_uri) == 0
    stored = parse(repository.read(CTX, "ValueSet", "blood-group").json or b"")
    repository.update(CTX, "ValueSet", "blood-group", {**stored, "title": "Khác"})
    repository.delete(CTX, "ValueSet", "vn-core-ethic")
    assert load_definitions(config, mongod_uri) == 0
    # An upgrade brings other definitions: what differs from them is written, and nothing else.
    repository.store.database["setup"].update_one({"_id": "definitions"}, {"$set": {"fingerprint": "older"}})
    assert load_definitions(config, mongod_uri) == 2
    totals = {
        kind: repository.search(CTX, kind, [("_count", "0"), ("_total", "accurate")]).total
        for kind in ("StructureDefinition", "ConceptMap", "ImplementationGuide")
    }
    assert totals == {
        "StructureDefinition": len(STRUCTURES) + len(EXTENSIONS),
        "ConceptMap": 2,
        "ImplementationGuide": 1,
    }


def test_what_the_profiles_add_can_be_searched_after_a_reindex(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "REFRESH_SECONDS", 0.1)
    kinh = concept(systems.ETHNIC_GROUP, "01")
    patient: dict[str, Any] = {"resourceType": "Patient", "gender": "female"}
    patient |= {"extension": [{"url": systems.PATIENT_ETHNIC_GROUP, "valueCodeableConcept": kinh}]}
    person = repository.create(CTX, "Patient", patient).stored.id
    repository.create(CTX, "Patient", {"resourceType": "Patient"})
    number = parse_bhyt_number("GD4797900000999")
    assert number is not None
    card = coverage(number, f"Patient/{person}", period={}, facility="79001", area="K1", five_years="2024-01-01")
    covered = repository.create(CTX, "Coverage", card).stored.id
    for parameter in of_type("SearchParameter").values():
        repository.update(CTX, "SearchParameter", parameter["id"], parameter)
    repository.reindex(CTX)
    while (state := repository.reindex_state(CTX))["state"] == "running":
        time.sleep(0.05)
    assert (state["state"], state["problems"], len(state["definitions"])) == ("done", [], 7)
    for kind, criterion, expected in (
        ("Patient", ("ethnic-group", f"{systems.ETHNIC_GROUP}|01"), [person]),
        ("Patient", ("ethnic-group", "02"), []),
        ("Coverage", ("registered-facility", "79001"), [covered]),
        ("Coverage", ("living-area", "K1"), [covered]),
        ("Coverage", ("five-year-date", "le2024"), [covered]),
        ("Coverage", ("five-year-date", "gt2024"), []),
    ):
        assert [stored.id for _, stored in repository.search(CTX, kind, [criterion]).entries] == expected, criterion


def test_the_definitions_are_answered_over_http(
    mongod_uri: str, database: str, repository: Repository, client: FlaskClient
) -> None:
    load_definitions(Config.from_environment({"FHIR_DATABASE": database}), mongod_uri)
    patient = client.get("/fhir/StructureDefinition/vn-patient").get_json()
    assert patient["url"] == profile_names.PATIENT
    assert client.get("/fhir/Questionnaire?url=" + questionnaire()["url"]).get_json()["entry"][0]["resource"]["item"]
    found = client.get(f"/fhir/CodeSystem?url={systems.WARD}&_elements=version,count").get_json()
    assert {(each["resource"]["version"], each["resource"]["count"]) for each in found["entry"]} == {
        ("2004", 10_035),
        ("2025", 3_321),
    }
    became = client.get(
        f"/fhir/ConceptMap/$translate?url={systems.OWN_BASE}/ConceptMap/ward-2004-to-2025"
        f"&system={systems.WARD}&code=00001"
    ).get_json()
    codes = [part["valueCoding"]["code"] for each in became["parameter"] for part in each.get("part", ())
             if part["name"] == "concept"]  # fmt: skip
    assert codes == ["00097"]
    verdict = client.post(
        f"/fhir/Patient/$validate?profile={profile_names.PATIENT}", json={"resourceType": "Patient"}
    ).get_json()
    assert [each["expression"] for each in verdict["issue"] if each["severity"] == "error"] == [["Patient.gender"]]
