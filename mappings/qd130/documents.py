"""XML5 (course of the illness) into notes, XML7 (discharge paper) and XML8 (summary of the record) into Compositions.

https://hl7.org/fhir/R4/clinicalimpression.html, https://hl7.org/fhir/R4/composition.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape

from mappings import profile_names, systems
from mappings.dates import parse_date, parse_timestamp
from mappings.giamdinhhs import Row
from mappings.person import concept
from mappings.qd130.parts import Gathering, Part, Resource, keyed, labelled, shaped

_NOTES = {"GIAI_DOAN_BENH": "Giai đoạn bệnh", "HOI_CHAN": "Hội chẩn", "PHAU_THUAT": "Phẫu thuật"}


def notes(gathering: Gathering) -> Iterator[Part]:
    """A ClinicalImpression for each row of XML5 that says anything."""
    for position, key, row in keyed(gathering.visit, "XML5"):
        if not any(row.get(name) for name in ("DIEN_BIEN_LS", *_NOTES)):
            continue
        written = gathering.practitioners(row.get("NGUOI_THUC_HIEN", ""))
        yield (
            key,
            shaped(
                "ClinicalImpression",
                profile_names.CLINICAL_NOTE,
                status="completed",
                effectiveDateTime=gathering.moment("XML5", position, "THOI_DIEM_DBLS", row),
                assessor=written[0] if written else None,
                summary=row.get("DIEN_BIEN_LS"),
                note=labelled(row, _NOTES),
            ),
        )


@dataclass(frozen=True, slots=True)
class _Paper:
    profile: str
    loinc: tuple[str, str]
    title: str
    sections: Mapping[str, str]


_PAPERS = {
    "XML7": _Paper(
        profile_names.DISCHARGE_SUMMARY,
        ("18842-5", "Discharge summary"),
        "Giấy ra viện",
        {
            "CHAN_DOAN_RV": "Chẩn đoán ra viện",
            "PP_DIEUTRI": "Phương pháp điều trị",
            "GHI_CHU": "Ghi chú",
            "SO_NGAY_NGHI": "Số ngày nghỉ ngoại trú",
            "NGOAITRU_TUNGAY": "Nghỉ từ ngày",
            "NGOAITRU_DENNGAY": "Nghỉ đến ngày",
        },
    ),
    "XML8": _Paper(
        profile_names.RECORD_SUMMARY,
        ("34133-9", "Summary of episode note"),
        "Tóm tắt hồ sơ bệnh án",
        {
            "CHAN_DOAN_VAO": "Chẩn đoán lúc vào",
            "CHAN_DOAN_RV": "Chẩn đoán lúc ra",
            "QT_BENHLY": "Quá trình bệnh lý",
            "TOMTAT_KQ": "Tóm tắt kết quả",
            "PP_DIEUTRI": "Phương pháp điều trị",
            "GHI_CHU": "Ghi chú",
        },
    ),
}


def papers(gathering: Gathering) -> Iterator[Part]:
    """The Compositions of XML7 and XML8."""
    for table, paper in _PAPERS.items():
        for position, row in enumerate(gathering.visit.rows.get(table, []), start=1):
            yield f"{table}/{position}", _composition(gathering, row, paper)


def _composition(gathering: Gathering, row: Row, paper: _Paper) -> Resource:
    doctor = row.get("MA_BS", "")
    author = gathering.practitioner(doctor, row.get("TEN_BS", "")) if doctor else gathering.facility()
    if row.get("TEN_BS"):
        author = {**author, "display": row["TEN_BS"]}
    signer = row.get("MA_TTDV", "")
    attester = [{"mode": "legal", "party": gathering.practitioner(signer)}] if signer else []
    day = parse_date(row.get("NGAY_CT", ""))
    summary = gathering.visit.summary
    # A Composition has a date: without one of its own, that of leaving or arriving.
    date = day.value if day else parse_timestamp(summary.get("NGAY_RA", "")) or parse_timestamp(summary["NGAY_VAO"])
    return shaped(
        "Composition",
        paper.profile,
        status="final",
        type=concept(systems.LOINC, *paper.loinc, text=paper.title),
        date=date,
        author=[author],
        title=paper.title,
        attester=attester,
        custodian=gathering.facility(),
        section=[_section(title, row[name]) for name, title in paper.sections.items() if row.get(name)],
    )


def _section(title: str, text: str) -> Resource:
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{escape(text, quote=False)}</p></div>'
    return {"title": title, "text": {"status": "additional", "div": div}}
