"""The three forms of a patch, on resources alone: https://hl7.org/fhir/R4/http.html#patch"""

import base64
import json
from decimal import Decimal

import pytest

from fhir_server import patch
from fhir_server.errors import BadRequest, TooLarge, Unprocessable, UnsupportedMediaType
from fhir_server.resource.exact import dump, parse


def resource():
    return parse(
        b"""{"resourceType":"Patient","id":"p","meta":{"versionId":"3","lastUpdated":"2026-11-24T01:02:03.004Z"},
        "identifier":[{"system":"a","value":"1"},{"system":"b","value":"2"}],
        "name":[{"family":"Tr\xe1\xba\xa7n","given":["Th\xe1\xbb\x8b","M\xe1\xba\xabu"],"_given":[null,{"id":"g2"}]}],
        "birthDate":"1985-09-02","_birthDate":{"id":"bd"},"deceasedBoolean":false,
        "contact":[{"name":{"text":"a name"},"gender":"unknown"}],
        "extension":[{"url":"http://x","valueDecimal":1.50}]}"""
    )


def json_patched(*operations, of=None):
    return patch.apply(patch.from_text(patch.JSON_PATCH, dump(list(operations))), of or resource())


def op(op, path, *value, **more):
    return {"op": op, "path": path, **({"value": value[0]} if value else {}), **more}


def operation(type, path, value=None, **parts):
    """One operation of a FHIRPath Patch; `value` is a parameter without its name."""
    made = [{"name": "type", "valueCode": type}, {"name": "path", "valueString": path}]
    for name, part in parts.items():
        made.append({"name": name, "valueInteger" if isinstance(part, int) else "valueString": part})
    if value is not None:
        made.append({"name": "value", **value})
    return {"name": "operation", "part": made}


def fhirpath_patched(*operations, of=None):
    parameters = {"resourceType": "Parameters", "parameter": list(operations)}
    return patch.apply(patch.from_resource(parameters), of or resource())


class TestJsonPatch:
    def test_each_operation_does_what_it_says(self):
        changed = json_patched(
            op("test", "/birthDate", "1985-09-02"),
            op("replace", "/birthDate", "1985-09-03"),
            op("add", "/name/0/given/-", "Văn"),
            op("remove", "/contact"),
            op("copy", "/language", **{"from": "/identifier/0/value"}),
            op("move", "/identifier/0", **{"from": "/identifier/1"}),
        )
        assert changed["birthDate"] == "1985-09-03"
        assert changed["name"][0]["given"] == ["Thị", "Mẫu", "Văn"]
        assert "contact" not in changed
        assert changed["language"] == "1"
        assert [each["value"] for each in changed["identifier"]] == ["2", "1"]

    def test_a_decimal_keeps_its_digits_and_the_resource_given_stays_as_it_was(self):
        before = resource()
        changed = patch.apply(
            patch.from_text(
                patch.JSON_PATCH, b'[{"op":"add","path":"/extension/-","value":{"url":"y","valueDecimal":2.50}}]'
            ),
            before,
        )
        assert dump(changed["extension"]) == (
            b'[{"url":"http://x","valueDecimal":1.50},{"url":"y","valueDecimal":2.50}]'
        )
        assert before == resource()

    def test_a_list_that_is_emptied_goes(self):
        assert "contact" not in json_patched(op("remove", "/contact/0"))

    @pytest.mark.parametrize(
        "operation",
        [
            op("test", "/deceasedBoolean", 0),
            op("test", "/birthDate", "1985"),
            op("test", "/nothing", 1),
            op("remove", "/nothing"),
            op("replace", "/name/7/family", "x"),
            op("add", "/birthDate/x/y", 1),
            op("add", "/name/01", {}),
            op("move", "/a", **{"from": "/nothing"}),
            op("replace", "", []),
        ],
    )
    def test_what_does_not_fit_is_unprocessable(self, operation):
        with pytest.raises(Unprocessable):
            json_patched(operation)

    @pytest.mark.parametrize(
        "text",
        [b"{}", b"[]", b"[1]", b'[{"op":"x","path":"/a"}]', b'[{"op":"add","path":"/a"}]', b'[{"op":"remove"}]',
         b'[{"op":"remove","path":"a"}]', b'[{"op":"move","path":"/a"}]', b"["],
    )  # fmt: skip
    def test_what_is_no_patch_is_a_bad_request(self, text):
        with pytest.raises(BadRequest):
            patch.from_text(patch.JSON_PATCH, text)

    def test_copies_of_copies_are_stopped_before_they_fill_the_memory(self):
        bomb = [op("add", "/extension", [])] + [op("copy", "/extension/-", **{"from": ""})] * 40
        with pytest.raises(TooLarge):
            json_patched(*bomb)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/id", "other"),
        ("/resourceType", "Group"),
        ("/meta/versionId", "9"),
        ("/meta/lastUpdated", "2020-01-01T00:00:00Z"),
    ],
)
def test_what_the_server_sets_is_refused_in_every_form(path, value):
    expression = "Patient" if path == "/resourceType" else "Patient" + path.replace("/", ".")
    names = path.strip("/").split("/")
    merge = value
    for name in reversed(names):
        merge = {name: merge}
    tries = [
        lambda: json_patched(op("replace", path, value)),
        lambda: json_patched(op("remove", path)),
        lambda: patch.apply(patch.from_text(patch.MERGE_PATCH, dump(merge)), resource()),
    ]
    if path != "/resourceType":  # FHIRPath has no such element
        tries += [
            lambda: fhirpath_patched(operation("replace", expression, {"valueString": value})),
            lambda: fhirpath_patched(operation("delete", expression)),
        ]
    for attempt in tries:
        with pytest.raises(Unprocessable) as refusal:
            attempt()
        assert refusal.value.issues[0].expression == (expression,)


class TestMergePatch:
    def test_values_are_set_merged_and_removed(self):
        text = '{"birthDate":null,"_birthDate":null,"gender":"female","meta":{"source":"x"},"name":[{"family":"Lê"}]}'
        changed = patch.apply(patch.from_text(patch.MERGE_PATCH, text.encode()), resource())
        assert "birthDate" not in changed
        assert changed["gender"] == "female"
        assert changed["meta"] == {**resource()["meta"], "source": "x"}
        assert changed["name"] == [{"family": "Lê"}]

    def test_it_is_an_object(self):
        with pytest.raises(BadRequest):
            patch.from_text(patch.MERGE_PATCH, b"[]")


class TestFhirPathPatch:
    def test_add_sets_an_element_and_appends_to_a_list(self):
        changed = fhirpath_patched(
            operation("add", "Patient", {"valueCode": "female"}, name="gender"),
            operation("add", "Patient", {"valueIdentifier": {"value": "3"}}, name="identifier"),
            operation("add", "Patient.name.first()", {"valueString": "Văn"}, name="given"),
        )
        assert changed["gender"] == "female"
        assert [each["value"] for each in changed["identifier"]] == ["1", "2", "3"]
        assert changed["name"][0]["given"] == ["Thị", "Mẫu", "Văn"]
        assert changed["name"][0]["_given"] == [None, {"id": "g2"}, None]

    def test_add_builds_an_element_without_a_type_of_its_own_from_parts(self):
        value = {
            "part": [
                {"name": "name", "valueHumanName": {"text": "mẹ"}},
                {"name": "relationship", "valueCodeableConcept": {"text": "mother"}},
                {"name": "relationship", "valueCodeableConcept": {"text": "guardian"}},
                {"name": "period", "part": [{"name": "start", "valueDateTime": "2020"}]},
            ]
        }
        changed = fhirpath_patched(operation("add", "Patient", value, name="contact"))
        assert changed["contact"][1] == {
            "name": {"text": "mẹ"},
            "relationship": [{"text": "mother"}, {"text": "guardian"}],
            "period": {"start": "2020"},
        }

    def test_add_of_a_choice_takes_the_property_of_the_type(self):
        changed = fhirpath_patched(
            operation("delete", "Patient.deceased"),
            operation("add", "Patient", {"valueDateTime": "2026-11-01"}, name="deceased"),
        )
        assert changed["deceasedDateTime"] == "2026-11-01"
        assert "deceasedBoolean" not in changed

    def test_replace_of_a_choice_changes_its_type(self):
        changed = fhirpath_patched(operation("replace", "Patient.deceased", {"valueDateTime": "2026-11-01"}))
        assert changed["deceasedDateTime"] == "2026-11-01"
        assert "deceasedBoolean" not in changed

    def test_replace_and_delete_find_their_element_by_a_criterion(self):
        changed = fhirpath_patched(
            operation("replace", "Patient.identifier.where(system = 'b').value", {"valueString": "9"}),
            operation("delete", "Patient.identifier.where(system = 'a' and value = '1')"),
            operation("replace", "Patient.contact.where(name.text = 'a name').gender", {"valueCode": "male"}),
            operation("replace", "Patient.extension('http://x').value", {"valueString": "text"}),
        )
        assert changed["identifier"] == [{"system": "b", "value": "9"}]
        assert changed["contact"] == [{"name": {"text": "a name"}, "gender": "male"}]
        assert changed["extension"] == [{"url": "http://x", "valueString": "text"}]

    def test_a_deleted_or_replaced_primitive_takes_its_extensions_with_it(self):
        assert "_birthDate" not in fhirpath_patched(operation("delete", "Patient.birthDate"))
        changed = fhirpath_patched(operation("replace", "Patient.birthDate", {"valueDate": "1985"}))
        assert (changed["birthDate"], "_birthDate" in changed) == ("1985", False)

    def test_deleting_what_is_not_there_is_no_error(self):
        assert fhirpath_patched(operation("delete", "Patient.maritalStatus")) == resource()

    @pytest.mark.parametrize(
        ("index", "names"), [(0, ["x", "Thị", "Mẫu"]), (1, ["Thị", "x", "Mẫu"]), (2, ["Thị", "Mẫu", "x"])]
    )
    def test_insert_puts_a_value_before_the_index_and_its_siblings_move_along(self, index, names):
        changed = fhirpath_patched(operation("insert", "Patient.name.given", {"valueString": "x"}, index=index))
        name = changed["name"][0]
        assert name["given"] == names
        assert name["_given"][name["given"].index("Mẫu")] == {"id": "g2"}

    def test_move_takes_an_entry_to_another_place(self):
        changed = fhirpath_patched(operation("move", "Patient.name.given", source=1, destination=0))
        assert changed["name"][0]["given"] == ["Mẫu", "Thị"]
        assert changed["name"][0]["_given"] == [{"id": "g2"}, None]

    def test_a_decimal_keeps_its_digits(self):
        value = {"valueDecimal": Decimal("2.500")}
        changed = fhirpath_patched(operation("replace", "Patient.extension[0].value", value))
        assert dump(changed["extension"]) == b'[{"url":"http://x","valueDecimal":2.500}]'

    @pytest.mark.parametrize(
        "wrong",
        [
            operation("replace", "Patient.identifier", {"valueIdentifier": {}}),
            operation("replace", "Patient.maritalStatus", {"valueCodeableConcept": {}}),
            operation("delete", "Patient.identifier"),
            operation("delete", "Patient"),
            operation("insert", "Patient.identifier", {"valueIdentifier": {}}, index=3),
            operation("insert", "Patient.birthDate", {"valueDate": "2020"}, index=0),
            operation("move", "Patient.identifier", source=0, destination=2),
            operation("add", "Patient", {"valueDate": "2020"}, name="birthDate"),
        ],
    )
    def test_what_does_not_fit_is_unprocessable_and_names_the_operation(self, wrong):
        with pytest.raises(Unprocessable) as refusal:
            fhirpath_patched(operation("delete", "Patient.photo"), wrong)
        assert refusal.value.issues[0].expression == ("Parameters.parameter[1]",)

    @pytest.mark.parametrize(
        "wrong",
        [
            operation("grow", "Patient"),
            operation("add", "Patient", {"valueDate": "2020"}),
            operation("add", "Patient", {"valueDate": "2020"}, name="nonsense"),
            operation("add", "Patient", {"valueBoolean": True}, name="multipleBirth") | {"name": "x"},
            operation("replace", "Patient.deceased", {"valueQuantity": {}}),
            operation("replace", "Patient.birthDate"),
            operation("replace", "Patient.birthDate", {}),
            operation("insert", "Patient.identifier", {"valueIdentifier": {}}),
            operation("move", "Patient.identifier", source=0),
            operation("delete", "Patient.nonsense"),
            operation("delete", "Patient.name..given"),
            operation("delete", "Patient.name[x]"),
            operation("delete", "Patient.name.where(text = 'a'"),
            operation("delete", "Patient.name.where(repeat(extension).exists())"),
            operation("delete", "Patient.name.where(text =)"),
            operation("delete", "Patient.name.trim()"),
            operation("delete", "Patient.birthDate.nonsense"),
            operation("delete", "x" * 2000),
            {"name": "operation"},
            "x",
        ],
    )
    def test_what_is_no_patch_is_a_bad_request(self, wrong):
        with pytest.raises(BadRequest):
            fhirpath_patched(wrong)


def test_a_binary_carries_the_text_of_a_patch():
    text = json.dumps([op("remove", "/contact")]).encode()
    binary = {"resourceType": "Binary", "contentType": patch.JSON_PATCH, "data": base64.b64encode(text).decode()}
    assert "contact" not in patch.apply(patch.from_resource(binary), resource())
    with pytest.raises(UnsupportedMediaType):
        patch.from_resource({**binary, "contentType": "text/plain"})
    with pytest.raises(BadRequest):
        patch.from_resource({**binary, "data": "%"})
    with pytest.raises(BadRequest):
        patch.from_resource({"resourceType": "Patient"})
