"""Whatever a type allows goes through XML and comes back: https://hl7.org/fhir/R4/xml.html"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server import r4
from fhir_server.errors import BadRequest
from fhir_server.resource import exact, xml

# All that XML can hold, with what needs an escape more often than by chance.
TEXT = st.text(
    st.one_of(
        st.sampled_from("&<>\"'\n\t\r ;\x7f\x85"),
        st.characters(min_codepoint=32, exclude_categories=["Cs"], exclude_characters="\ufffe\uffff"),
    ),
    min_size=1,
    max_size=8,
)
DIVS = TEXT.map(
    lambda text: (
        f'<div xmlns="http://www.w3.org/1999/xhtml">{text.replace("&", "&amp;").replace("<", "&lt;")}<br/></div>'
    )
)
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=4)


def primitives(name: str) -> st.SearchStrategy[Any]:
    if name == "boolean":
        return st.booleans()
    if name in ("integer", "positiveInt", "unsignedInt"):
        return st.integers(-(2**31), 2**31)
    if name == "decimal":
        return DECIMALS.map(lambda value: Decimal(str(value)))
    return DIVS if name == "xhtml" else TEXT


@st.composite
def values(draw: st.DrawFn, path: str, depth: int) -> dict[str, Any]:
    """An object with some of the properties of a type, with siblings of primitives, valid or not by other rules."""
    names = list(r4.properties(path))
    made: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from(names), min_size=1, max_size=4, unique=True)):
        element, kind = r4.properties(path)[name]
        if kind in r4.PRIMITIVES:
            value = primitives(kind)
            beside = st.just({"id": "s1", "extension": [{"url": "http://example.vn/x", "valueCode": "c"}]})
            if not element.is_list:
                made[name] = draw(value)
                if r4.has_sibling(path, name) and draw(st.booleans()):
                    made[f"_{name}"] = draw(beside)
                continue
            pairs = draw(st.lists(st.sampled_from("vsb"), min_size=1, max_size=3))
            several = [draw(value) if each in "vb" else None for each in pairs]
            siblings = [draw(beside) if each in "sb" else None for each in pairs]
            made |= {name: several} if any(each is not None for each in several) else {}
            made |= {f"_{name}": siblings} if any(siblings) else {}
        elif depth:
            inside = resources(depth - 1) if kind == "Resource" else values(kind, depth - 1)
            made[name] = draw(st.lists(inside, min_size=1, max_size=2)) if element.is_list else draw(inside)
    return made or {"id": "only"}


@st.composite
def resources(draw: st.DrawFn, depth: int) -> dict[str, Any]:
    name = draw(st.sampled_from(r4.RESOURCE_TYPES))
    return {"resourceType": name, **draw(values(name, depth))}


@settings(max_examples=300, deadline=None)
@given(resources(2), st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=6)), min_size=1, max_size=3))
def test_a_damaged_body_is_read_or_refused_and_never_a_fault(
    resource: dict[str, Any], changes: list[tuple[int, bytes]]
) -> None:
    body = xml.dump(resource)
    for place, bytes_put in changes:
        at = place % len(body)
        body = body[:at] + bytes_put + body[at + len(bytes_put) :]
    try:
        read = xml.parse(body)
    except BadRequest:
        return
    assert xml.parse(xml.dump(read)) == read


@settings(max_examples=300, deadline=None)
@given(resources(3), st.booleans())
def test_json_to_xml_to_json_changes_nothing(resource: dict[str, Any], pretty: bool) -> None:
    back = xml.parse(xml.dump(resource, pretty=pretty))
    assert back == resource
    assert exact.dump(back) == exact.dump(exact.parse(exact.dump(back)))
    assert xml.dump(back) == xml.dump(resource)
