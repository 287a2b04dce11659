"""Builds data/units.json: what each common UCUM unit measures, and how much of it.

    pip install ucumvert && python -m fhir_server.search.build_units ValueSet-ucum-common.json

The codes are those of http://hl7.org/fhir/ValueSet/ucum-common (FHIR 4.0.1); the factors come from the library
ucumvert, https://ucum.org. Left out are units without a dimension (percent, counts, arbitrary units): equal dimensions
would not make them comparable.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any

DIGITS = 15
_BRACKETS = re.compile(r"\[([^\]]*)\]")
# Units in brackets that are real measures; the others are arbitrary ones ([iU]), each a scale of its own.
_MEASURED = {
    *("in_i", "ft_i", "yd_i", "mi_i", "sin_i", "sft_i", "cin_i", "cft_i", "lb_av", "oz_av", "oz_tr", "gr", "degF"),
    *("Hg", "H2O", "pt_us", "foz_us", "gal_us", "qt_us", "cup_us", "tbs_us", "tsp_us"),
}
OUTPUT = Path(__file__).with_name("data") / "units.json"


def measured(registry: Any, code: str) -> tuple[str, float, float] | None:
    """(dimension, factor, offset) to the base unit, or None for what cannot be compared."""
    if "{" in code or not set(_BRACKETS.findall(code)) <= _MEASURED:
        return None
    try:
        one = registry.from_ucum(code)
        whole = one.to_base_units()
        nothing = registry.Quantity(0, one.units).to_base_units().magnitude
    except Exception:  # a unit the library does not know has as many errors as reasons
        return None
    dimension = str(whole.units)
    if dimension == "dimensionless":
        return None
    return dimension, float(f"{whole.magnitude - nothing:.{DIGITS}g}"), float(f"{nothing:.{DIGITS}g}")


def main(value_set: Path) -> None:
    """Writes the table."""
    # Needed here and nowhere else: the installation does not ask for it.
    registry = importlib.import_module("ucumvert").PintUcumRegistry()
    concepts = json.loads(value_set.read_bytes())["compose"]["include"][0]["concept"]
    dimensions: dict[str, dict[str, list[float]]] = {}
    for code in sorted({concept["code"] for concept in concepts} | {"kg", "g", "mg", "ug", "K", "Cel"}):
        found = measured(registry, code)
        if found:
            dimension, factor, offset = found
            dimensions.setdefault(dimension, {})[code] = [factor, offset] if offset else [factor]
    lines = [f"{json.dumps(name)}: {json.dumps(codes)}" for name, codes in sorted(dimensions.items()) if len(codes) > 1]
    head = '"from": "hl7.fhir.r4.examples 4.0.1, ValueSet ucum-common, by ucumvert"'
    OUTPUT.write_text("{" + ",\n".join([head, *lines]) + "}\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
