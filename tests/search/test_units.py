"""Amounts in units that measure the same are comparable; others are not."""

import pytest

from fhir_server.search.units import comparable


@pytest.mark.parametrize(
    ("amount", "unit", "other", "converted"),
    [
        (5.4, "g", "mg", 5400.0),
        (5.4, "mg", "g", 0.0054),
        (37.0, "Cel", "[degF]", 98.6),
        (37.0, "Cel", "K", 310.15),
        (5.5, "mmol/L", "umol/L", 5500.0),
        (13.1, "g/dL", "g/L", 131.0),
        (120.0, "mm[Hg]", "kPa", 15.9986864898),
        (100.0, "[lb_av]", "kg", 45.359237),
    ],
)
def test_an_amount_is_converted(amount, unit, other, converted):
    assert dict(comparable(unit))[other](amount) == converted


@pytest.mark.parametrize("unit", ["[iU]/L", "%", "{score}", "no such unit", "10*9"])
def test_what_has_no_dimension_is_comparable_to_itself_only(unit):
    assert [code for code, _ in comparable(unit)] == [unit]


def test_there_and_back_is_where_it_began():
    for unit in ("kg", "Cel", "mmol/L", "/min", "cm", "mm[Hg]"):
        for other, convert in comparable(unit):
            assert dict(comparable(other))[unit](convert(12.5)) == pytest.approx(12.5, rel=1e-10)
