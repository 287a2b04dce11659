"""A narrative is kept as it is or refused; nothing that runs or loads gets in."""

from typing import Any

import pytest

from fhir_server.resource.validation import validate, validate_issues

XMLNS = 'xmlns="http://www.w3.org/1999/xhtml"'


def with_narrative(content: str, root: str = f"<div {XMLNS}>") -> dict[str, Any]:
    return {"resourceType": "Patient", "text": {"status": "generated", "div": f"{root}{content}</div>"}}


@pytest.mark.parametrize(
    "content",
    [
        "Nguyễn Thị Mẫu, 1984",
        "<p>a</p><br/><hr /><b>b</b>",
        '<table class="grid"><tr><td colspan="2" style="padding-left: 3px; color: #222">x</td></tr></table>',
        '<a href="http://example.vn/a?b=1&amp;c=2">a</a> <a href="#p">b</a> <a href="mailto:a@example.vn">c</a>',
        '<a href="patient.html">a</a> <a name="p">b</a>',
        '<img src="data:image/png;base64,iVBORw0KGgo=" alt="x"/> <img src="#pic" alt="y"/>',
        '<td style="background-image: url(data: image/png;base64,iVBORw0KGgo=)">x</td>',
        "&lt;script&gt;alert(1)&lt;/script&gt; 1 &lt; 2 &amp; 3 > 2",
        "<!-- generated --><p title=\"a > b\" class='c'>x</p>",
        "javascript: is a word here, and so is onclick=",
        "",
    ],
)
def test_a_harmless_narrative_comes_back_byte_for_byte(content: str) -> None:
    resource = with_narrative(content)
    text = resource["text"]["div"]
    assert validate(resource)["text"]["div"] == text


@pytest.mark.parametrize(
    "content",
    [
        "<script>alert(1)</script>",
        "<SCRIPT>alert(1)</SCRIPT>",
        '<script src="http://a.example/x.js"/>',
        '<p onclick="alert(1)">x</p>',
        "<p ONCLICK='alert(1)'>x</p>",
        '<img src="x" onerror="alert(1)"/>',
        '<img src="x"onerror="alert(1)"/>',
        "<img src=x onerror=alert(1)>",
        "<p/onclick=alert(1)>x</p>",
        '<a href="javascript:alert(1)">x</a>',
        '<a href=" javascript:alert(1)">x</a>',
        '<a href="\tjava\nscript:alert(1)">x</a>',
        '<a href="JaVaScRiPt:alert(1)">x</a>',
        '<a href="&#106;avascript:alert(1)">x</a>',
        '<a href="&#x6A;&#x61;vascript&colon;alert(1)">x</a>',
        '<a href="java&Tab;script:alert(1)">x</a>',
        '<a href="&#1;javascript:alert(1)">x</a>',
        '<a href="vbscript:x">x</a>',
        '<a href="data:text/html;base64,PHNjcmlwdD4=">x</a>',
        '<img src="data:image/svg+xml;base64,PHN2Zz4="/>',
        '<img src="javascript:alert(1)"/>',
        '<p style="background: url(http://a.example/x)">x</p>',
        '<p style="width: expression(alert(1))">x</p>',
        '<p style="width: exp/**/ression(alert(1))">x</p>',
        '<p style="background: u\\72l(http://a.example)">x</p>',
        '<p style="-moz-binding:url(http://a.example)">x</p>',
        "<style>p{}</style>",
        '<iframe src="http://a.example"/>',
        '<object data="x"/>',
        '<form action="http://a.example"><input name="pin"/></form>',
        '<link rel="stylesheet" href="http://a.example/x.css"/>',
        '<base href="http://a.example"/>',
        '<meta http-equiv="refresh" content="0"/>',
        '<svg onload="alert(1)"/>',
        "<math><mtext></mtext></math>",
        '<p xmlns="http://www.w3.org/2000/svg">x</p>',
        '<x:p xmlns:x="http://a.example">x</x:p>',
        "<![CDATA[<script>alert(1)</script>]]>",
        "<?php echo 1 ?>",
        "<!DOCTYPE html>",
        "<!--><script>alert(1)</script>-->",
        "<!-- a -- b -->",
        "<p>x",
        "x</p>",
        "<b><i>x</b></i>",
        "</div><script>alert(1)</script><div>",
        "a < b",
    ],
)
def test_a_narrative_that_runs_loads_or_is_no_xhtml_is_refused(content: str) -> None:
    (issue,) = validate_issues(with_narrative(content))
    assert (issue.expression, issue.code) == (("Patient.text.div",), "invariant")
    assert "alert" not in issue.diagnostics


@pytest.mark.parametrize("div", ["Nguyễn", "<p>x</p>", "<divx>x</divx>", " <div>x</div>", "<div>x</div><p>y</p>"])
def test_a_narrative_is_one_div(div: str) -> None:
    resource = {"resourceType": "Patient", "text": {"status": "generated", "div": div}}
    assert [issue.expression for issue in validate_issues(resource)] == [("Patient.text.div",)]


def test_the_narrative_of_a_section_and_of_a_contained_resource_is_checked_too() -> None:
    narrative = {"status": "generated", "div": "<div><script>x</script></div>"}
    composition = {
        "resourceType": "Composition",
        "status": "final",
        "type": {"text": "x"},
        "date": "2024-06-01",
        "author": [{"display": "x"}],
        "title": "x",
        "section": [{"section": [{"text": narrative}]}],
        "contained": [{"resourceType": "Organization", "id": "o", "name": "x", "text": narrative}],
    }
    assert [issue.expression[0] for issue in validate_issues(composition)] == [
        "Composition.section[0].section[0].text.div",
        "Composition.contained[0].text.div",
    ]


@pytest.mark.parametrize(
    "flood", ["<p " + " " * 200_000, "<!-" * 60_000, "<p a=" * 60_000, "<b>" * 60_000, "&" * 200_000]
)
def test_a_hostile_length_takes_no_time(flood: str) -> None:
    assert len(validate_issues(with_narrative(flood))) <= 1
