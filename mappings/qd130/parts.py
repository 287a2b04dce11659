"""What the tables of one visit are gathered into: its own resources, and those it shares with other visits.

A part is (row key, resource without identifier, subject and encounter). Practitioners, departments and facilities are
shared: they are made where nobody has told of them before. https://hl7.org/fhir/R4/references.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mappings import profile_names, systems
from mappings.dates import parse_timestamp
from mappings.giamdinhhs import Row, Visit
from mappings.names import clean
from mappings.person import concept, urn
from mappings.problems import Problem, problem

Resource = dict[str, Any]
Part = tuple[str, Resource]


@dataclass(slots=True)
class Gathering:
    """One visit being mapped: the remarks so far, and the shared resources it has named, by fullUrl.

    `earlier` is what is stored of the visit, by row key, for what the tables of this sending only point to.
    """

    visit: Visit
    remarks: list[Problem] = field(default_factory=list)
    shared: dict[str, Resource] = field(default_factory=dict)
    earlier: Mapping[str, Resource] = field(default_factory=dict)

    def row_reference(self, key: str) -> str:
        """The fullUrl of what a row of this visit becomes."""
        return urn(systems.visit_row_system(self.visit.facility), f"{self.visit.ma_lk}/{key}")

    def practitioner(self, code: str, name: str = "") -> Resource:
        """A reference to whoever has the code; `name` is shown with it and starts the record of somebody new."""
        known = {"name": [{"text": clean(name)}]} if name else {}
        reference = self._share("Practitioner", profile_names.PRACTITIONER, systems.PRACTITIONER, code, known)
        return {**reference, "display": clean(name)} if name else reference

    def practitioners(self, codes: str) -> list[Resource]:
        """References to the people of a `;`-list of codes, each once."""
        return [self.practitioner(code) for code in split(codes)]

    def facility(self) -> Resource:
        """A reference to the facility of the visit."""
        name = {"active": True, "name": f"Cơ sở KCB {self.visit.facility}"}
        return self._share("Organization", profile_names.ORGANIZATION, systems.FACILITY, self.visit.facility, name)

    def department(self, code: str, bed: str = "") -> Resource:
        """A reference to a department of the facility, or to a bed in it."""
        system = systems.department_system(self.visit.facility)
        known: Resource = {"name": f"Khoa {code}", "physicalType": concept(systems.LOCATION_KIND, "wa", "Ward")}
        if bed:
            known = {"name": bed, "physicalType": concept(systems.LOCATION_KIND, "bd", "Bed")}
            if code:
                known["partOf"] = self.department(code)
        known["managingOrganization"] = self.facility()
        return self._share("Location", profile_names.LOCATION, system, f"{code}/{bed}" if bed else code, known)

    def moment(self, table: str, position: int, name: str, row: Row) -> str | None:
        """The dateTime of a field; an unreadable one leads to a remark. `position` is the row's, from 1."""
        text = row.get(name, "")
        moment = parse_timestamp(text)
        if text and moment is None:
            self.remarks.append(
                problem(
                    f"{table}/{position}/{name}", text, "Thời điểm không đọc được, đã bỏ", "time not readable, left out"
                )
            )
        return moment

    def _share(self, resource_type: str, profile: str, system: str, code: str, known: Resource) -> Resource:
        url = urn(system, code)
        self.shared.setdefault(url, shaped(resource_type, profile, identifier=[identifier(system, code)], **known))
        return {"reference": url}


def identifier(system: str, value: str) -> Resource:
    """An Identifier of system and value alone."""
    return {"system": system, "value": value}


def shaped(resource_type: str, profile: str, **elements: Any) -> Resource:
    """A resource that names its profile, without the elements that are empty."""
    given = {name: value for name, value in elements.items() if value not in (None, "", [], {})}
    return {"resourceType": resource_type, "meta": {"profile": [profile]}, **given}


def split(texts: str) -> list[str]:
    """The members of a `;`-list, each once."""
    return list(dict.fromkeys(text.strip() for text in texts.split(";") if text.strip()))


def keyed(visit: Visit, table: str) -> Iterator[tuple[int, str, Row]]:
    """(position from 1, key, row) of a table; the key is table/STT, or table/position where STT does not tell rows apart.

    The same in a resend.
    """
    rows = visit.rows.get(table, [])
    numbers = [row.get("STT", "") for row in rows]
    if not all(numbers) or len(set(numbers)) < len(numbers):
        numbers = [str(position) for position in range(1, len(rows) + 1)]
    for position, (number, row) in enumerate(zip(numbers, rows, strict=True), start=1):
        yield position, f"{table}/{number}", row


def labelled(row: Row, labels: dict[str, str]) -> list[Resource]:
    """Annotations "label: text" of the fields that a row fills."""
    return [{"text": f"{label}: {row[name]}"} for name, label in labels.items() if row.get(name)]
