"""Rules that span many inputs, without a server: indentation, query strings, HTTP dates, Prefer."""

import json
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.errors import BadRequest
from fhir_server.rest import address, preconditions, pretty, query
from fhir_server.rest.prefer import Preference, preference

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(values, st.booleans())
def test_indented_json_says_the_same(value, ascii_only):
    text = json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":")).encode()
    assert json.loads(pretty.indent(text)) == value


@given(values)
def test_indented_json_looks_as_people_expect(value):
    text = json.dumps(value, separators=(",", ":")).encode()
    assert pretty.indent(text).decode() == json.dumps(value, indent=2)


def test_indenting_keeps_every_digit():
    assert pretty.indent(b'{"value":1.50,"other":[1.0e-3]}') == b'{\n  "value": 1.50,\n  "other": [\n    1.0e-3\n  ]\n}'


@given(st.lists(st.tuples(st.text(min_size=1), st.text()), max_size=8))
def test_a_query_string_gives_its_pairs_back(pairs):
    text = query.encode(pairs)
    assert text.isascii()
    assert not set(text) & set('"\\<> ')
    assert query.parse(text) == pairs


def test_raw_utf_8_in_a_query_string_is_understood():
    as_wsgi_hands_it_over = "name=Nguyễn".encode().decode("latin-1")
    assert query.parse(as_wsgi_hands_it_over) == [("name", "Nguyễn")]


@given(st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC)))
def test_http_dates_are_those_of_the_standard_library(moment):
    assert preconditions.http_date(moment) == format_datetime(moment.replace(microsecond=0), usegmt=True)
    assert preconditions.parse_http_date(preconditions.http_date(moment)) == moment.replace(microsecond=0)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, Preference("representation", lenient=False, explicit=False)),
        ("return=minimal", Preference("minimal", explicit=True)),
        ("return=OperationOutcome", Preference("OperationOutcome", explicit=True)),
        ('Return="representation"', Preference("representation", explicit=True)),
        ("return=minimal; handling=lenient", Preference("minimal", lenient=True, explicit=True)),
        ("handling=lenient, return=minimal", Preference("minimal", lenient=True, explicit=True)),
        ("handling=strict", Preference("representation")),
        ("return=everything, respond-async", Preference("representation", respond_async=True)),
    ],
)
def test_the_prefer_header(header, expected):
    assert preference(header) == expected


@pytest.mark.parametrize(
    ("host", "base"),
    [
        ("hssk.example.vn", "https://hssk.example.vn/fhir"),
        ("10.0.0.1:8443", "https://10.0.0.1:8443/fhir"),
        ("[2001:db8::1]:80", "https://[2001:db8::1]:80/fhir"),
    ],
)
def test_the_base_address_is_where_the_request_came_to_unless_configured(host, base):
    environ = {"wsgi.url_scheme": "https", "HTTP_HOST": host, "SERVER_NAME": "inner"}
    assert address.base_of(environ, None) == base
    assert address.base_of(environ, "https://outside.example.vn/fhir") == "https://outside.example.vn/fhir"


@pytest.mark.parametrize("host", ['a"b', "a/b", "a b", "<b>", "ví.dụ", "x:999999", "a\nb", "user@host", "[::1"])
def test_a_host_that_could_break_json_or_headers_is_refused(host):
    with pytest.raises(BadRequest):
        address.base_of({"wsgi.url_scheme": "http", "HTTP_HOST": host, "SERVER_NAME": "inner"}, None)
