"""The tables of fhir_server/r4/data hold all of R4 and read as the specification does."""

import json
from importlib.resources import files

import pytest

from fhir_server import r4

TABLES = ("code_systems", "compartments", "elements", "invariants", "search_parameters", "value_sets")


@pytest.mark.parametrize("table", TABLES)
def test_every_table_names_the_package_it_was_built_from(table: str) -> None:
    header = json.loads(files("fhir_server.r4").joinpath("data", f"{table}.json").read_bytes())
    assert (header["package"], header["version"]) == ("hl7.fhir.r4.examples", "4.0.1")


def test_there_are_146_resource_types_in_alphabetical_order() -> None:
    assert len(r4.RESOURCE_TYPES) == 146
    assert list(r4.RESOURCE_TYPES) == sorted(r4.RESOURCE_TYPES)
    assert (r4.RESOURCE_TYPES[0], r4.RESOURCE_TYPES[-1]) == ("Account", "VisionPrescription")
    assert "DomainResource" not in r4.RESOURCE_TYPES


def test_there_are_662_types_and_backbones_and_20_primitives() -> None:
    assert len(r4.PATHS) == 662
    assert len(r4.PRIMITIVES) == 20
    assert sum(len(r4.elements(path)) for path in r4.PATHS) == 7406


def test_all_but_three_resource_types_are_domain_resources() -> None:
    bases = {name: r4.base_type(name) for name in r4.RESOURCE_TYPES}
    assert [name for name, base in bases.items() if base != "DomainResource"] == ["Binary", "Bundle", "Parameters"]


def test_the_elements_of_a_type_come_in_the_order_of_the_specification_with_the_inherited_ones_first() -> None:
    assert list(r4.elements("Patient")) == [
        *("id", "meta", "implicitRules", "language", "text", "contained", "extension", "modifierExtension"),
        *("identifier", "active", "name", "telecom", "gender", "birthDate", "deceased", "address", "maritalStatus"),
        *("multipleBirth", "photo", "contact", "communication", "generalPractitioner", "managingOrganization", "link"),
    ]


def test_an_element_carries_cardinality_binding_and_flags() -> None:
    assert r4.elements("Patient")["gender"] == r4.Element(
        name="gender",
        types=("code",),
        min=0,
        max=1,
        choice=False,
        binding="http://hl7.org/fhir/ValueSet/administrative-gender",
        targets=(),
        content_reference=None,
        summary=True,
        modifier=False,
    )
    deceased = r4.elements("Patient")["deceased"]
    assert (deceased.choice, deceased.types, deceased.modifier) == (True, ("boolean", "dateTime"), True)
    assert r4.elements("Patient")["maritalStatus"].binding is None, "an extensible binding is not a required one"


def test_an_element_tells_which_types_it_may_refer_to() -> None:
    assert r4.elements("Encounter")["subject"].targets == ("Group", "Patient")
    assert r4.elements("Observation")["focus"].targets == (), "any type"


def test_a_repeated_structure_points_to_where_it_is_described() -> None:
    assert r4.elements("Questionnaire.item")["item"].content_reference == "Questionnaire.item"
    assert r4.properties("Questionnaire.item")["item"].type == "Questionnaire.item"


def test_json_properties_spell_out_the_types_of_a_choice() -> None:
    deceased = {name: found.type for name, found in r4.properties("Patient").items() if name.startswith("deceased")}
    assert deceased == {"deceasedBoolean": "boolean", "deceasedDateTime": "dateTime"}
    assert r4.properties("Patient")["contact"].type == "Patient.contact"
    assert len([name for name in r4.properties("Extension") if name.startswith("value")]) == 50


def test_ids_and_the_url_of_an_extension_have_no_extension_beside_them() -> None:
    assert [r4.has_sibling("Patient", name) for name in ("birthDate", "id", "name")] == [True, False, False]
    assert [r4.has_sibling("Extension", name) for name in ("valueString", "url")] == [True, False]
    assert r4.has_sibling("Attachment", "url")


def test_the_type_of_a_resource_id_is_id() -> None:
    assert r4.elements("Patient")["id"].types == ("id",)
    assert r4.elements("HumanName")["id"].types == ("string",)


def test_an_unknown_path_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        r4.elements("Patient.kontact")


def all_parameters() -> dict[str, r4.SearchParameter]:
    return {each.url: each for name in r4.RESOURCE_TYPES for each in r4.search_parameters(name).values()}


def test_there_are_1375_core_search_parameters_nine_of_extensions_and_the_filter() -> None:
    urls = all_parameters().keys()
    of_extensions = [url for url in urls if "-extensions-" in url or "-genetic-" in url]
    assert (len(urls), len(of_extensions)) == (1385, 9)
    assert "http://hl7.org/fhir/SearchParameter/filter" in urls
    assert not [url for url in urls if url.rpartition("/")[2].startswith("example")]


def test_every_type_has_the_parameters_of_all_resources() -> None:
    of_all = {"_content", "_filter", "_id", "_lastUpdated", "_profile", "_query", "_security", "_source", "_tag"}
    for name in r4.RESOURCE_TYPES:
        found = {code for code in r4.search_parameters(name) if code.startswith("_")}
        assert found - {"_text"} == of_all
        assert ("_text" in found) == (r4.base_type(name) == "DomainResource")
        assert r4.search_parameters(name)["_tag"].expressions[name] == "Resource.meta.tag"


def test_a_parameter_of_several_types_gives_each_its_part_of_the_expression() -> None:
    date = r4.search_parameter_by_url("http://hl7.org/fhir/SearchParameter/clinical-date")
    assert (len(date.base), len(date.expressions)) == (17, 17)
    assert date.expressions["Encounter"] == "Encounter.period"
    assert date.expressions["Immunization"] == "Immunization.occurrence"
    code = r4.search_parameters("AllergyIntolerance")["code"]
    assert code.expressions["AllergyIntolerance"] == "AllergyIntolerance.code | AllergyIntolerance.reaction.substance"
    context = r4.search_parameters("ValueSet")["context-quantity"]
    assert context.expressions["ValueSet"] == (
        "(ValueSet.useContext.value as Quantity) | (ValueSet.useContext.value as Range)"
    )


def test_only_the_parameters_that_are_not_about_content_have_no_expression() -> None:
    without = {each.code for each in all_parameters().values() if not each.expressions}
    assert without == {"_content", "_filter", "_query", "_text"}


def test_an_expression_always_starts_with_its_type() -> None:
    for name in r4.RESOURCE_TYPES:
        for each in r4.search_parameters(name).values():
            for part in filter(None, each.expressions.get(name, "").split(" | ")):
                assert part.lstrip("(").split(".")[0] in {name, "Resource"}, each.url


def test_search_parameters_carry_targets_comparators_and_components() -> None:
    parameters = r4.search_parameters("Observation")
    assert parameters["patient"].target == ("Patient", "Group")
    assert parameters["date"].comparators == ("eq", "ne", "gt", "ge", "lt", "le", "sa", "eb", "ap")
    assert parameters["code-value-quantity"].components == (
        ("http://hl7.org/fhir/SearchParameter/clinical-code", "code"),
        ("http://hl7.org/fhir/SearchParameter/Observation-value-quantity", "value.as(Quantity)"),
    )


def test_the_components_of_every_composite_are_parameters_themselves() -> None:
    composites = [each for each in all_parameters().values() if each.type == "composite"]
    assert len(composites) == 46
    for each in composites:
        assert [r4.search_parameter_by_url(url).url for url, _ in each.components] == [
            url for url, _ in each.components
        ]


def test_the_five_compartments_hold_the_types_of_the_specification() -> None:
    sizes = {name: len(r4.compartment(name)) for name in ("Device", "Encounter", "Patient", "Practitioner")}
    sizes["RelatedPerson"] = len(r4.compartment("RelatedPerson"))
    assert sizes == {"Device": 32, "Encounter": 25, "Patient": 66, "Practitioner": 59, "RelatedPerson": 32}
    assert r4.compartment("Patient")["Observation"] == ("subject", "performer")
    assert "Medication" not in r4.compartment("Patient")
    assert r4.compartment("Encounter")["Encounter"] == ("{def}",)
    with pytest.raises(KeyError):
        r4.compartment("Group")


def test_220_of_224_required_value_sets_can_be_listed() -> None:
    not_listed = [url for url in r4.required_value_sets() if r4.required_codes(url) is None]
    assert len(r4.required_value_sets()) == 224
    assert not_listed == [
        "http://hl7.org/fhir/ValueSet/currencies",
        "http://hl7.org/fhir/ValueSet/mimetypes",
        "http://hl7.org/fhir/ValueSet/ucum-units",
        "http://loinc.org/vs/LL379-9",
    ]
    assert sum(len(r4.required_codes(url) or ()) for url in r4.required_value_sets()) == 2065


def test_a_required_value_set_lists_its_codes_and_system() -> None:
    gender = "http://hl7.org/fhir/ValueSet/administrative-gender"
    assert r4.required_codes(gender) == frozenset({"male", "female", "other", "unknown"})
    assert r4.code_system_of(gender) == "http://hl7.org/fhir/administrative-gender"
    assert r4.code_system_of("http://hl7.org/fhir/ValueSet/event-timing") is None, "it draws from two systems"
    assert r4.code_system_of("http://hl7.org/fhir/ValueSet/currencies") is None


def test_codes_that_only_group_others_are_not_allowed_values() -> None:
    item_types = r4.required_codes("http://hl7.org/fhir/ValueSet/item-type")
    assert item_types is not None
    assert "boolean" in item_types
    assert "question" not in item_types


def test_every_required_binding_has_a_value_set() -> None:
    bound = {element.binding for path in r4.PATHS for element in r4.elements(path).values() if element.binding}
    assert bound == set(r4.required_value_sets())


def test_every_invariant_of_the_snapshots_is_there_once() -> None:
    rows = [each for several in r4.invariants().values() for each in several]
    assert len(rows) == 239
    assert len({each.key for each in rows}) == 237  # inv-1 is declared by Parameters, Task and TestReport
    assert sum(each.severity == "error" for each in rows) == 205
    assert sorted(each.key for each in r4.invariants()["Element"] + r4.invariants()["DomainResource"]) == [
        "dom-2", "dom-3", "dom-4", "dom-5", "dom-6", "ele-1"
    ]  # fmt: skip
    [pat_1] = r4.invariants()["Patient.contact"]
    assert pat_1.expression == "name.exists() or telecom.exists() or address.exists() or organization.exists()"


def test_the_code_systems_of_required_value_sets_have_displays_and_parents() -> None:
    gender = r4.defined_system("http://hl7.org/fhir/administrative-gender")
    assert gender is not None
    assert gender.name == "AdministrativeGender"
    assert gender.concepts[0] == ["male", "Male"]
    intent = r4.defined_system("http://hl7.org/fhir/request-intent")
    assert intent is not None
    assert ["original-order", "Original Order", "order"] in intent.concepts
    assert r4.defined_system("http://loinc.org") is None
