"""FHIR XML against FHIR JSON: https://hl7.org/fhir/R4/xml.html"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from fhir_server.errors import BadRequest, NotAcceptable
from fhir_server.resource import exact, xml
from fhir_server.resource.validation import validate_issues

EXAMPLES = Path(__file__).parents[1] / "data" / "r4_examples.jsonl.gz"
NS = "http://hl7.org/fhir"
XHTML = "http://www.w3.org/1999/xhtml"


def sorted_keys(value: Any) -> Any:
    """The same value with the properties of every object in alphabetical order: JSON gives their order no meaning."""
    if isinstance(value, dict):
        return {key: sorted_keys(value[key]) for key in sorted(value)}
    return [sorted_keys(each) for each in value] if isinstance(value, list) else value


def examples() -> Iterator[dict[str, Any]]:
    with gzip.open(EXAMPLES) as lines:
        for line in lines:
            yield exact.parse(line)


def patient(inside: str, attributes: str = "") -> bytes:
    return f'<Patient xmlns="{NS}"{attributes}>{inside}</Patient>'.encode()


def refusal(body: bytes) -> tuple[str, tuple[str, ...]]:
    """What a body is refused with: its text and the path it names."""
    with pytest.raises(BadRequest) as caught:
        xml.parse(body)
    assert caught.value.issues[0].code == "structure"
    return caught.value.issues[0].diagnostics, caught.value.issues[0].expression


def test_every_official_example_comes_back_from_xml_digit_for_digit() -> None:
    count = 0
    for example in examples():
        expected = exact.dump(sorted_keys(example))
        for pretty in (False, True):
            written = xml.dump(example, pretty=pretty)
            assert etree.fromstring(written).tag == f"{{{NS}}}{example['resourceType']}"
            assert exact.dump(sorted_keys(xml.parse(written))) == expected, example["id"]
        count += 1
    print(f"{count} official examples: JSON -> XML -> JSON equal")
    assert count == 727


def test_an_element_is_written_as_the_specification_says() -> None:
    resource = exact.parse(
        """{"resourceType": "Patient",
            "birthDate": "1974-12-25",
            "_birthDate": {"extension": [{"url": "http://example.vn/time", "valueDateTime": "1974-12-25T14:35:45-05:00"}]},
            "name": [{"id": "n1", "given": ["Thị", null, "Mẫu"],
                      "_given": [null, {"id": "g2", "extension": [{"url": "http://example.vn/x", "valueInteger": 0}]}, null],
                      "family": "A & \\"B\\" <C>\\n\\t"}],
            "deceasedBoolean": false,
            "contained": [{"resourceType": "Organization", "id": "o", "active": true}],
            "text": {"status": "generated", "div": "<div xmlns=\\"http://www.w3.org/1999/xhtml\\">a<br/> &lt; b</div>"},
            "id": "p1"}"""
    )
    assert xml.dump(resource).decode() == (
        '<?xml version="1.0" encoding="UTF-8"?><Patient xmlns="http://hl7.org/fhir"><id value="p1"/>'
        '<text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml">a<br/> &lt; b</div></text>'
        '<contained><Organization><id value="o"/><active value="true"/></Organization></contained>'
        '<name id="n1"><family value="A &amp; &quot;B&quot; &lt;C&gt;&#10;&#9;"/><given value="Thị"/>'
        '<given id="g2"><extension url="http://example.vn/x"><valueInteger value="0"/></extension></given>'
        '<given value="Mẫu"/></name>'
        '<birthDate value="1974-12-25"><extension url="http://example.vn/time">'
        '<valueDateTime value="1974-12-25T14:35:45-05:00"/></extension></birthDate>'
        '<deceasedBoolean value="false"/></Patient>'
    )
    assert sorted_keys(xml.parse(xml.dump(resource))) == sorted_keys(resource)


@pytest.mark.parametrize(
    ("text", "written"), [("1.50", "1.50"), ("0.10", "0.10"), ("-0.0", "-0.0"), ("1E+3", "1E+3"), ("7", "7")]
)
def test_decimals_keep_their_digits_both_ways(text: str, written: str) -> None:
    json = f'{{"resourceType":"Observation","valueQuantity":{{"value":{text}}}}}'.encode()
    as_xml = xml.dump(exact.parse(json))
    assert f'<valueQuantity><value value="{written}"/></valueQuantity>'.encode() in as_xml
    assert exact.dump(xml.parse(as_xml)) == json


def test_pretty_puts_each_element_on_its_line_and_leaves_the_narrative_alone() -> None:
    div = f'<div xmlns="{XHTML}"><p>a</p>\n   <p>b</p></div>'
    resource = {"resourceType": "Patient", "text": {"status": "generated", "div": div}, "active": True}
    assert xml.dump(resource, pretty=True).decode().splitlines() == [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<Patient xmlns="http://hl7.org/fhir">',
        "  <text>",
        '    <status value="generated"/>',
        f'    <div xmlns="{XHTML}"><p>a</p>',
        "   <p>b</p></div>",
        "  </text>",
        '  <active value="true"/>',
        "</Patient>",
    ]


def test_comments_processing_instructions_and_schema_locations_are_ignored() -> None:
    body = patient(
        '<!-- a --><?pi x?><active value="true"/>\n  <!-- b --> ',
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://hl7.org/fhir fhir.xsd"',
    )
    assert xml.parse(body) == {"resourceType": "Patient", "active": True}


def test_a_prefix_is_as_good_as_the_default_namespace() -> None:
    body = f"""<?xml version="1.0" encoding="UTF-8"?>
        <f:Patient xmlns:f="{NS}" xmlns:h="{XHTML}"><f:text><f:status value="generated"/>
        <h:div>a <h:b class="c">b</h:b><h:br/></h:div></f:text></f:Patient>""".encode()
    assert xml.parse(body)["text"]["div"] == f'<div xmlns="{XHTML}">a <b class="c">b</b><br/></div>'


def test_a_byte_order_mark_moves_nothing() -> None:
    div = f'<div xmlns="{XHTML}">Mẫu</div>'
    body = patient(f'<text><status value="generated"/>{div}</text>')
    assert xml.parse(b"\xef\xbb\xbf" + body)["text"]["div"] == div


def test_a_narrative_that_takes_its_namespace_from_outside_gets_its_own() -> None:
    body = f'<f:Patient xmlns:f="{NS}" xmlns="{XHTML}"><f:text><div>a<br></br></div></f:text></f:Patient>'.encode()
    assert xml.parse(body)["text"]["div"] == f'<div xmlns="{XHTML}">a<br></br></div>'


def test_cdata_in_a_narrative_becomes_plain_text() -> None:
    body = patient(f'<text><div xmlns="{XHTML}"><![CDATA[a < b]]></div></text>')
    assert xml.parse(body)["text"]["div"] == f'<div xmlns="{XHTML}">a &lt; b</div>'


@pytest.mark.parametrize(
    ("div", "written"),
    [
        (f'<div xmlns="{XHTML}">a&nbsp;b &eacute; A&amp;B</div>', f'<div xmlns="{XHTML}">a\xa0b é A&amp;B</div>'),
        (
            f'<div xmlns="{XHTML}">A & B &unknown; &#160;</div>',
            f'<div xmlns="{XHTML}">A &amp; B &amp;unknown; &#160;</div>',
        ),
        ("<div>a</div>", f'<div xmlns="{XHTML}">a</div>'),
    ],
)
def test_what_only_html_knows_is_written_as_xml(div: str, written: str) -> None:
    resource = {"resourceType": "Patient", "text": {"status": "generated", "div": div}}
    assert written in xml.dump(resource).decode()
    assert xml.parse(xml.dump(resource))["text"]["div"] == written


@pytest.mark.parametrize(
    ("resource", "where"),
    [
        ({"resourceType": "Patient", "text": {"div": "<div><p></div>"}}, "Patient.text.div"),
        ({"resourceType": "Patient", "text": {"div": f'<div xmlns="{XHTML}"/><evil/>'}}, "Patient.text.div"),
        ({"resourceType": "Patient", "name": [{}, {"family": "a\x01"}]}, "Patient.name[1].family"),
        ({"resourceType": "Patient", "colour": "red"}, "Patient.colour"),
        ({"resourceType": "Patient", "contained": [{"resourceType": "Nothing"}]}, "Patient.contained[0]"),
    ],
)
def test_what_xml_cannot_say_is_named(resource: dict[str, Any], where: str) -> None:
    with pytest.raises(NotAcceptable) as caught:
        xml.dump(resource)
    assert caught.value.issues[0].expression == (where,)


def test_a_string_cannot_break_out_of_its_attribute() -> None:
    resource = {"resourceType": "Patient", "name": [{"family": '"/><active value="true"/><x y="'}]}
    assert xml.parse(xml.dump(resource)) == resource


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (patient('<active value="true"/><active value="true"/>'), "Patient.active"),
        (patient("<colour/>"), "Patient"),
        (patient('<name><given value="A"/><given value="B"/><last value="C"/></name>'), "Patient.name[0]"),
        (patient("<name/>"), "Patient.name[0]"),
        (patient("<birthDate/>"), "Patient.birthDate"),
        (patient('<active value="yes"/>'), "Patient.active"),
        (patient('<multipleBirthInteger value="1.0"/>'), "Patient.multipleBirthInteger"),
        (patient('<active value="true" colour="red"/>'), "Patient.active"),
        (patient('<name value="A"/>'), "Patient.name[0]"),
        (patient("<name>Mẫu</name>"), "Patient.name[0]"),
        (patient('<id value="a"><extension url="http://example.vn/x"/></id>'), "Patient.id"),
        (patient("<contained><Nothing/></contained>"), "Patient.contained[0]"),
        (patient("<contained><Basic/><Basic/></contained>"), "Patient.contained[0]"),
        (patient('<active xmlns="http://example.vn" value="true"/>'), "Patient"),
        (patient("<text><div>a</div></text>"), "Patient.text"),
        (patient(f'<text><div xmlns="{XHTML}"><p xmlns="http://www.w3.org/2000/svg"/></div></text>'), "Patient.text"),
    ],
)
def test_a_refusal_names_the_element(body: bytes, where: str) -> None:
    assert refusal(body)[1] == (where,)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"<Patient/>",
        f'<Nothing xmlns="{NS}"/>'.encode(),
        patient("")[:-1],
        patient("&nbsp;"),
        patient('<active value="true"/>').decode().encode("utf-16"),
        b'<?xml version="1.0" encoding="ISO-8859-1"?>' + patient(""),
        patient('<name><family value="\xff"/></name>').decode("utf-8").encode("latin-1"),
    ],
)
def test_what_is_no_fhir_xml_is_refused(body: bytes) -> None:
    refusal(body)


@pytest.mark.parametrize(
    "doctype",
    [
        "<!DOCTYPE Patient>",
        '<!DOCTYPE Patient SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE Patient [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        "<!DOCTYPE Patient [<!ENTITY a 'aaaaaaaaaa'>" + "<!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>" * 20 + "]>",
    ],
)
def test_any_doctype_is_refused(doctype: str) -> None:
    assert refusal(doctype.encode() + patient('<name><family value="&x;"/></name>'))[0] == (
        "The XML may not have a DOCTYPE: send the resource without it."
    )


def test_nesting_ends_where_it_ends_in_json() -> None:
    def nested(levels: int) -> bytes:
        start = '<extension url="http://example.vn/x">' * levels
        return patient(start + '<valueBoolean value="true"/>' + "</extension>" * levels)

    deepest = xml.parse(nested(32))
    assert exact.parse(exact.dump(deepest)) == deepest
    text, where = refusal(nested(33))
    assert text == "The body is nested deeper than 64 levels."
    assert len(where[0].split(".")) == 33
    refusal(nested(100_000))
    refusal(patient(f'<text><div xmlns="{XHTML}">' + "<b>" * 64 + "</b>" * 64 + "</div></text>"))


def test_what_xml_says_is_valid_by_the_same_rules() -> None:
    resource = xml.parse(patient('<gender value="nam"/><birthDate value="2024-02-30"/>'))
    assert sorted(issue.expression[0] for issue in validate_issues(resource)) == ["Patient.birthDate", "Patient.gender"]
