"""The generated JSON schema has the shape that the validator and its error messages rely on."""

from fhir_server.r4 import RESOURCE_TYPES, json_schema

SCHEMA = json_schema()


def test_an_instance_names_its_type_and_is_one_of_the_146() -> None:
    assert list(SCHEMA["properties"]) == list(RESOURCE_TYPES)
    assert SCHEMA["properties"]["Patient"] == {"$ref": "#/$defs/Patient"}
    assert (SCHEMA["additionalProperties"], SCHEMA["minProperties"], SCHEMA["maxProperties"]) == (False, 1, 1)


def test_every_reference_leads_to_a_definition_and_every_definition_is_used() -> None:
    found: set[str] = set()

    def collect(node: object) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                found.add(node["$ref"].removeprefix("#/$defs/"))
            for each in node.values():
                collect(each)
        elif isinstance(node, list):
            for each in node:
                collect(each)

    collect(SCHEMA)
    assert found == set(SCHEMA["$defs"])


def test_a_list_of_primitives_has_a_list_of_extensions_beside_it() -> None:
    name = SCHEMA["$defs"]["HumanName"]["properties"]
    assert name["given"] == {
        "type": "array",
        "minItems": 1,
        "items": {"if": {"type": "null"}, "else": {"$ref": "#/$defs/string"}},
    }
    assert name["_given"]["items"]["else"] == {"$ref": "#/$defs/Element"}


def test_a_required_primitive_may_be_replaced_by_its_extension() -> None:
    link = SCHEMA["$defs"]["Patient.link"]
    assert link["required"] == ["other"]
    assert link["anyOf"] == [{"required": ["type"]}, {"required": ["_type"]}]


def test_only_domain_resources_hold_contained_resources() -> None:
    with_contained = [name for name, each in SCHEMA["$defs"].items() if each.get("properties", {}).get("contained")]
    assert len(with_contained) == 143, "Binary, Bundle and Parameters hold no contained resources"
