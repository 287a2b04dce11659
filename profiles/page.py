"""docs/profiles.md, from the tables of this package."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from profiles.structures import EXTENSIONS, STRUCTURES

PAGE = Path(__file__).parent.parent / "docs" / "profiles.md"

_INTRODUCTION = """# Profiles

Written by `python -m profiles.build` from the tables in `profiles/`; a test keeps it current.

What the mappings make names its profile in `meta.profile` and is held against it on every write. The definitions, and the
form that citizens fill in (`Questionnaire/self-declaration`), are loaded into the server by `fhir-server serve` and `demo`
(nothing is written when they are as they were). `ImplementationGuide/vn-health-record` lists the definitions. The search
parameters can be searched once `$reindex` has taken them up. Every system, extension and operation with a URL of ours that
the code writes is described here: a test reads the URLs from the code.

Where the draft VN Core guide (`http://fhir.ehealth.gov.vn/core`) has an identifier system, code system or extension, it
is used. Its profiles are not bases of ours: their snapshots are not published for us to hold anything against, so
`baseDefinition` is R4's own type and `StructureDefinition.mapping` names the VN Core profile. The last column says where
VN Core's requirements are met and why not where they are not.
"""
_PLACES = """
## Places

Provinces, districts and wards have the codes of their decisions, in two versions of one system: `2004` (63 provinces,
with districts) and `2025` (34 provinces, 3,321 wards). Seven codes of provinces changed meaning (15, 24, 44, 52, 80, 82,
91), so an address carries its codes with the version (extension `place-code`), the old beside the new where both are
known. `ConceptMap/ward-2004-to-2025` leads from an old ward to every new one it may have become. Where a name or an old
ward may be several places, none is picked: the import reports the candidates as a warning, and the text is kept.

The tables are those of [vietnamadminunits](https://pypi.org/project/vietnamadminunits/) (MIT), see
`mappings/data/README.md`.
"""


def page(resources: Sequence[dict[str, Any]]) -> str:
    """The whole page."""
    parts = [_INTRODUCTION, "| profile | of | what | VN Core | |", "|---|---|---|---|---|"]
    parts += [
        f"| `{row.url.rsplit('/', 1)[1]}` | {row.kind} | {row.title} | {f'`{row.vn_core}`' if row.vn_core else '–'} "
        f"| {row.because} |"
        for row in STRUCTURES
    ]
    parts += ["", "| extension | on | what |", "|---|---|---|"]
    parts += [f"| `{row.url.rsplit('/', 1)[1]}` | {', '.join(row.on)} | {row.title} |" for row in EXTENSIONS]
    parts += [_PLACES, "## All definitions", "", "| type | id | codes |", "|---|---|---|"]
    parts += [f"| {each['resourceType']} | `{each['id']}` | {_codes(each)} |" for each in resources]
    return "\n".join(parts) + "\n"


def _codes(resource: dict[str, Any]) -> str:
    if resource["resourceType"] == "ConceptMap":
        return f"{sum(len(group['element']) for group in resource['group']):,}"
    if resource["resourceType"] != "CodeSystem":
        return ""
    return f"{resource['count']:,}" if "count" in resource else resource["content"]
