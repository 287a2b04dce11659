"""The published code lists, read once from mappings/data/code_lists.json (built by mappings/build_code_lists.py)."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any


@cache
def _lists() -> dict[str, Any]:
    text = resources.files("mappings").joinpath("data/code_lists.json").read_text(encoding="utf-8")
    lists: dict[str, Any] = json.loads(text)
    return lists


def visit_kinds() -> dict[str, dict[str, str]]:
    """MA_LOAI_KCB -> {display, class}, class being the HL7 v3 ActCode of Encounter.class."""
    kinds: dict[str, dict[str, str]] = _lists()["visit_kinds"]
    return kinds


def discharges() -> dict[str, dict[str, str]]:
    """MA_LOAI_RV -> {display, fhir}, fhir being the code in HL7's discharge-disposition."""
    codes: dict[str, dict[str, str]] = _lists()["discharge"]
    return codes


def outcomes() -> dict[str, str]:
    """KET_QUA_DTRI -> name."""
    codes: dict[str, str] = _lists()["outcomes"]
    return codes


def object_codes() -> dict[str, str]:
    """The two letters of a BHYT card -> whom they cover; an empty name where none is published."""
    codes: dict[str, str] = _lists()["object_codes"]
    return codes


def provinces() -> list[str]:
    """Names of provinces and centrally run cities, those before and those since July 2025."""
    names: list[str] = _lists()["provinces"]
    return names


def codes(name: str) -> dict[str, str]:
    """Code -> name of a list of QĐ 130 or the draft VN Core guide: benefits, entitlements, ethnic_groups, religions,
    occupations, occupations_4069, education."""
    listed: dict[str, str] = _lists()[name]
    return listed
