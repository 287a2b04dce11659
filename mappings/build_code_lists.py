"""Builds mappings/data/code_lists.json, the compact form of the published code lists that the mappings use at run time.

    python -m mappings.build_code_lists FOLDER

FOLDER holds the published code lists as CSV: ma_loai_kcb.csv, ma_loai_rv.csv, ket_qua_dtri.csv (QĐ 130 and its
amendments), bhyt_object_codes.csv, bhyt_benefit_digit.csv, ma_doituong_kcb.csv, provinces_63_to_34.csv; and of the draft
VN Core guide ethnic_groups.csv, religions.csv, occupation_4069.csv, occupation_level2.csv, education.csv.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent / "data" / "code_lists.json"

_VN_CORE_LISTS = {
    "ethnic_groups": "ethnic_groups.csv",
    "religions": "religions.csv",
    "occupations_4069": "occupation_4069.csv",
    "occupations": "occupation_level2.csv",
    "education": "education.csv",
}


def _rows(folder: Path, name: str) -> list[list[str]]:
    with (folder / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))[1:]


def code_lists(folder: Path) -> dict[str, Any]:
    """The lists as one JSON object; codes are strings, since '03' and '1.11' are."""
    provinces = _rows(folder, "provinces_63_to_34.csv")
    benefits = _rows(folder, "bhyt_benefit_digit.csv")
    # An explanation after the code is for people: the code is the first word.
    discharge = {
        code: {"display": name, "fhir": fhir.split()[0]} for code, name, fhir in _rows(folder, "ma_loai_rv.csv")
    }
    return {
        "source": "published code lists of QĐ 130/QĐ-BYT, QĐ 4750/QĐ-BYT, QĐ 3176/QĐ-BYT, BHYT and GSO",
        "visit_kinds": {code: {"display": name, "class": act} for code, name, act in _rows(folder, "ma_loai_kcb.csv")},
        "discharge": discharge,
        "outcomes": {row[0]: row[1] for row in _rows(folder, "ket_qua_dtri.csv")},
        "object_codes": {
            row[0]: "" if row[1].startswith("NAME NOT FOUND") else row[1]
            for row in _rows(folder, "bhyt_object_codes.csv")
        },
        "benefits": {row[0]: f"{float(row[1]):.0%}" + (f", {row[2]}" if row[2] else "") for row in benefits},
        "entitlements": {row[0]: row[1] for row in _rows(folder, "ma_doituong_kcb.csv")},
        **{key: {row[0]: row[1] for row in _rows(folder, file)} for key, file in _VN_CORE_LISTS.items()},
        "provinces": sorted({row[3] for row in provinces} | {row[5] for row in provinces}),
    }


def main(arguments: list[str]) -> None:
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        raise SystemExit("usage: python -m mappings.build_code_lists FOLDER_OF_THE_PUBLISHED_CODE_LISTS")
    lists = code_lists(Path(arguments[0]))
    body = ",\n".join(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in lists.items())
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text("{\n" + body + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
