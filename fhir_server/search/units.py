"""Units that measure the same: a search for grams finds milligrams. https://hl7.org/fhir/R4/search.html#quantity"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

UCUM = "http://unitsofmeasure.org"
DIGITS = 12

Convert = Callable[[float], float]


@cache
def _table() -> dict[str, tuple[str, float, float]]:
    """code -> (dimension, factor, offset) to the base unit of the dimension."""
    content = json.loads(Path(__file__).with_name("data").joinpath("units.json").read_bytes())
    del content["from"]
    return {
        code: (dimension, numbers[0], numbers[1] if len(numbers) > 1 else 0.0)
        for dimension, codes in content.items()
        for code, numbers in codes.items()
    }


def comparable(code: str) -> list[tuple[str, Convert]]:
    """(code, conversion of an amount into it) of every UCUM unit that measures what `code` does, itself first."""
    table = _table()
    if code not in table:
        return [(code, float)]
    dimension, factor, offset = table[code]
    found: list[tuple[str, Convert]] = [(code, float)]
    for other, (same, other_factor, other_offset) in table.items():
        if same == dimension and other != code:
            found.append((other, _conversion(factor / other_factor, (offset - other_offset) / other_factor)))
    return found


def _conversion(factor: float, shift: float) -> Convert:
    def convert(amount: float) -> float:
        converted: float = amount * factor + shift
        return float(f"{converted:.{DIGITS}g}")  # 5 g are 5000 mg and not 5000.000000000001

    return convert
