"""The person a visit describes, and the cards they show: for people nobody has told of before.

https://hl7.org/fhir/R4/patient.html, https://hl7.org/fhir/R4/coverage.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mappings import person, profile_names, systems
from mappings.addresses import read_address
from mappings.dates import parse_date, period
from mappings.giamdinhhs import Row, Visit
from mappings.identity import Key
from mappings.names import human_name
from mappings.numbers import BhytNumber, parse_bhyt_number
from mappings.problems import Problem, problem
from mappings.qd130.parts import shaped

Resource = dict[str, Any]
# Code list of XML1 -> (extension of Patient, system).
_EXTENSIONS = (
    ("MA_DANTOC", systems.PATIENT_ETHNIC_GROUP, systems.ETHNIC_GROUP),
    ("MA_NGHE_NGHIEP", systems.PATIENT_OCCUPATION, systems.OCCUPATION),
)


def patient_from_visit(visit: Visit) -> tuple[Resource, list[Problem]]:
    """The Patient that a visit describes, for people nobody has told of before, and what is doubtful about it."""
    summary = visit.summary
    sex, remarks = person.gender(f"{visit.source}/GIOI_TINH", summary.get("GIOI_TINH", ""), person.SEX_CODINGS["1-2-3"])
    born = parse_date(summary.get("NGAY_SINH", ""))
    birth_date = born.value if born else ""
    if not born:
        remarks.append(
            problem(
                f"{visit.source}/NGAY_SINH",
                summary.get("NGAY_SINH", ""),
                "Ngày sinh không đọc được",
                "birth date not readable",
            )
        )
    identifiers: list[Resource] = []
    for number, validity in _cards(summary):
        remarks += person.bhyt_warnings(f"{visit.source}/MA_THE_BHYT", number)
        identifiers += person.bhyt_identifiers(number, validity)
    identity, found = person.identity_identifier(f"{visit.source}/SO_CCCD", summary.get("SO_CCCD", ""), sex, birth_date)
    remarks += found
    identifiers += [identity] if identity else []
    if own := summary.get("MA_BN"):
        identifiers.append(person.identifier("facility", own, system=systems.facility_patient_system(visit.facility)))
    unique = {(entry["system"], entry["value"]): entry for entry in identifiers}
    patient = shaped(
        "Patient",
        profile_names.PATIENT,
        extension=list(_extensions(summary)),
        identifier=list(unique.values()),
        active=True,
    )
    name = human_name(summary.get("HO_TEN", ""))
    patient |= {"name": [name]} if name else {}
    telecom = person.phone(summary.get("DIEN_THOAI", ""))
    patient |= {"telecom": telecom} if telecom else {}
    patient["gender"] = sex
    patient |= {"birthDate": birth_date} if birth_date else {}
    home, doubts = _home(visit)
    patient |= {"address": [home]} if home else {}
    return patient, remarks + doubts


def _home(visit: Visit) -> tuple[Resource | None, list[Problem]]:
    summary = visit.summary
    arrived = parse_date(summary.get("NGAY_VAO", "")[:8])
    # Codes that no province confirms may be slips of the pen.
    province = summary.get("MATINH_CU_TRU", "")
    district, ward = (summary.get(name, "") if province else "" for name in ("MAHUYEN_CU_TRU", "MAXA_CU_TRU"))
    return read_address(
        f"{visit.source}/DIA_CHI",
        summary.get("DIA_CHI", ""),
        province=province,
        district=district,
        ward=ward,
        as_of=arrived.value if arrived else "",
    )


def _extensions(summary: Row) -> Iterator[Resource]:
    for source, url, system in _EXTENSIONS:
        # 00000 is the occupation of those who have none.
        if (code := summary.get(source, "")) and set(code) != {"0"}:
            yield {"url": url, "valueCodeableConcept": person.concept(system, code)}
    if nationality := summary.get("MA_QUOCTICH"):
        value = {"url": "code", "valueCodeableConcept": person.concept(systems.NATIONALITY, nationality)}
        yield {"url": systems.PATIENT_NATIONALITY, "extension": [value]}


def coverages(visit: Visit, patient: str) -> Iterator[Resource]:
    """The Coverage of each card the visit names; `patient` is the reference of the person."""
    summary = visit.summary
    facilities = summary.get("MA_DKBD", "").split(";")
    five_years = parse_date(summary.get("NAM_NAM_LIEN_TUC", ""))
    for position, (number, validity) in enumerate(_cards(summary)):
        yield person.coverage(
            number,
            patient,
            period=validity,
            facility=facilities[position].strip() if position < len(facilities) else "",
            area=summary.get("MA_KHUVUC", ""),
            five_years=five_years.value if five_years else "",
        )


def named_as_themselves(visit: Visit, patient: Resource) -> bool:
    """Whether the name a visit gives is sure to be the patient's own: newborns may go under a parent's or a facility's."""
    born, arrived = patient.get("birthDate", "")[:4], visit.summary.get("NGAY_VAO", "")[:4]
    return born.isdigit() and arrived.isdigit() and int(arrived) - int(born) > 1


def patient_keys(patient: Resource) -> tuple[Key, ...]:
    """(system, value) of the numbers by which the Patient of a visit may be found, the most certain first."""
    return person.match_keys(patient.get("identifier", []))


def _cards(summary: Row) -> Iterator[tuple[BhytNumber, dict[str, str]]]:
    """(number, period) of the parallel lists that one visit gives when the card changed while it lasted."""
    starts, ends = (summary.get(field, "").split(";") for field in ("GT_THE_TU", "GT_THE_DEN"))
    for position, text in enumerate(summary.get("MA_THE_BHYT", "").split(";")):
        number = parse_bhyt_number(text)
        if number is None:
            continue
        start, end = (parse_date(dates[position]) if position < len(dates) else None for dates in (starts, ends))
        yield number, period(start.value if start else None, end.value if end else None)
