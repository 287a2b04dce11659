"""Keeps each visit and record as it was sent: a gzip Binary, the DocumentReference that finds it, by its SHA-256.

A sending that differs from the one before makes one new version of both; the same again makes none.
https://hl7.org/fhir/R4/documentreference.html, https://hl7.org/fhir/R4/binary.html
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from dataclasses import dataclass
from typing import Any

from fhir_server.intake.visit_records import ARCHIVE_KEY
from mappings import profile_names, systems
from mappings.giamdinhhs import Visit
from mappings.person import urn
from mappings.problems import Problem, problem
from mappings.resend import replacement

Resource = dict[str, Any]
# As much as a Binary may have. A visit of 10 MiB of ordinary tables packs into less than a third of it.
MAX_PACKED = 5_000_000


@dataclass(frozen=True, slots=True)
class Sending:
    """Something as it was sent: `name` is the identifier of its DocumentReference, `text` says what kind it is.

    `patient` is the reference of whom it is about, `owner` of the resource whose readers may read it.
    """

    raw: bytes
    name: dict[str, str]
    title: str
    text: str
    patient: str
    owner: str

    @property
    def packed(self) -> bytes:
        """The bytes compressed: without a time in the head, the same text packs into the same bytes."""
        return gzip.compress(self.raw, mtime=0)


def too_large(raw: bytes, field: str = "FILEHOSO") -> Problem | None:
    """Why what was sent cannot be archived; None when it can."""
    packed = len(gzip.compress(raw, mtime=0))
    if packed <= MAX_PACKED:
        return None
    return problem(
        field,
        str(packed),
        f"Hồ sơ sau khi nén còn {packed} byte, tối đa {MAX_PACKED}; hãy bỏ bớt phần nhúng trong hồ sơ",
        f"the record has {packed} bytes when packed, {MAX_PACKED} at most; leave out what is embedded in it",
    )


def archive_entries(visit: Visit, stored: Resource | None, patient: str, encounter: str) -> list[Resource]:
    """The entries that archive a visit, the DocumentReference first; none when `stored`, its archive, has it already.

    `patient` and `encounter` are references.
    """
    name = {"system": systems.visit_row_system(visit.facility), "value": f"{visit.ma_lk}/{ARCHIVE_KEY}"}
    title = f"GIAMDINHHS {visit.ma_lk}"[:100]
    sending = Sending(visit.raw, name, title, "Hồ sơ KCB dạng XML theo QĐ 130/QĐ-BYT", patient, encounter)
    return sending_entries(sending, stored, {"context": {"encounter": [{"reference": encounter}]}})


def sending_entries(sending: Sending, stored: Resource | None, context: Resource) -> list[Resource]:
    """The entries that archive what was sent, the DocumentReference (with `context` in it) first; none when it is as
    `stored`, the DocumentReference of what was sent before, has it already."""
    digest = hashlib.sha256(sending.raw).hexdigest()
    if stored and {"system": systems.SHA_256, "value": digest} in stored["identifier"]:
        return []
    packed, name = sending.packed, sending.name
    binary: Resource = {
        "resourceType": "Binary",
        "contentType": "application/gzip",
        "securityContext": {"reference": sending.owner},
        "data": base64.b64encode(packed).decode(),
    }
    url = stored["content"][0]["attachment"]["url"] if stored else urn(name["system"], f"{name['value']}/Binary")
    attachment = {"contentType": "application/gzip", "url": url, "size": len(packed), "title": sending.title}
    document: Resource = {
        "resourceType": "DocumentReference",
        "meta": {"profile": [profile_names.VISIT_ARCHIVE]},
        "identifier": [name, {"system": systems.SHA_256, "value": digest}],
        "status": "current",
        "type": {"text": sending.text},
        "subject": {"reference": sending.patient},
        "content": [{"attachment": attachment}],
        **context,
    }
    if stored:
        request = {"method": "PUT", "url": url}
        return [replacement(stored, document), {"fullUrl": url, "resource": binary, "request": request}]
    return [
        {
            "fullUrl": urn(name["system"], name["value"]),
            "resource": document,
            "request": {
                "method": "PUT",
                "url": f"DocumentReference?{systems.identifier_criteria(name['system'], name['value'])}",
            },
        },
        {"fullUrl": url, "resource": binary, "request": {"method": "POST", "url": "Binary"}},
    ]


def unpacked(binary: Resource) -> bytes:
    """The HOSO that a Binary of the archive holds, as XML."""
    return gzip.decompress(base64.b64decode(binary["data"]))
