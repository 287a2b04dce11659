"""Takes in personal health records in the XML of QĐ 831: finds or makes the person, then writes one transaction.

https://hl7.org/fhir/R4/http.html#transaction, docs/mappings/qd831.md
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from fhir_server.access.context import AccessContext
from fhir_server.errors import FhirError, Unavailable
from fhir_server.intake.matching import queue_entries
from fhir_server.intake.people import AlikePeople, known_people, known_resources, resource_of, standing_for, today_here
from fhir_server.intake.visit_archive import Sending, sending_entries, too_large
from fhir_server.intake.visit_outcomes import VisitError, refused_by_the_server
from fhir_server.intake.visit_records import ARCHIVE_KEY, provenance
from fhir_server.repository import Repository
from fhir_server.resource.exact import same_content
from mappings import systems
from mappings.identity import Match, match
from mappings.merging import merge_patient
from mappings.person import if_none_exist, match_keys, urn
from mappings.problems import Problem
from mappings.qd831.codes import own_codes
from mappings.qd831.into import mapped, record_key, record_system, refusals
from mappings.qd831.out_of import TYPES
from mappings.qd831.person import patient_of
from mappings.qd831.record import HealthRecord, read_record
from mappings.qd831.table import HEADER, PERSON
from mappings.qd831.visit import RECORDED_VISIT
from mappings.resend import changes, identifier_of, replacement

Resource = dict[str, Any]


@dataclass(slots=True)
class RecordOutcome:
    """What became of one record: created, updated, unchanged, or rejected with at least one error.

    `facility` is its sender, `patient` the reference of the person it was stored for.
    """

    facility: str
    outcome: Literal["created", "updated", "unchanged", "rejected"] = "rejected"
    errors: list[VisitError] = field(default_factory=list)
    warnings: list[VisitError] = field(default_factory=list)
    patient: str = ""


def receive(repository: Repository, ctx: AccessContext, xml: bytes) -> RecordOutcome:
    """Store one record. Sent again by the same sender it replaces what it said before, or changes nothing.

    Raises UnreadableInput when the document is no QĐ 831 record, and Unavailable when the store is: nothing is lost by
    calling again with the same document.
    """
    record, remarks = read_record(xml)
    outcome = RecordOutcome(record.of(HEADER).get("SENDER_CODE", ""))
    refused = refusals(record) or [large for large in [too_large(xml, "DATA")] if large]
    if refused:
        outcome.errors = _findings("error", "invalid", refused)
        return outcome
    described, doubts = patient_of(record.of(PERSON))
    key = record_key(record)
    told = ("QĐ 831", "Hồ sơ sức khỏe cá nhân dạng XML theo QĐ 831/QĐ-BYT")
    incoming = Incoming(record, described, key, xml, told, names_person=True)
    return store(repository, ctx, incoming, remarks + doubts)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A record on its way in, `described` being its Patient. `key` begins the values of its identifiers within its
    sender's system; `told` is the title and the kind of what was sent, `raw`. `names_person`: whether the key is made
    from a number of the person, which may have come with somebody else before."""

    record: HealthRecord
    described: Resource
    key: str
    raw: bytes
    told: tuple[str, str]
    names_person: bool = False


def store(repository: Repository, ctx: AccessContext, incoming: Incoming, remarks: list[Problem]) -> RecordOutcome:
    """Write a record that has no refusals. Raises Unavailable."""
    outcome = RecordOutcome(incoming.record.of(HEADER)["SENDER_CODE"])
    try:
        _store(repository, ctx, incoming, outcome, remarks)
    except Unavailable:
        raise
    except FhirError as error:
        outcome.outcome, outcome.errors = "rejected", refused_by_the_server(error)
    return outcome


def _store(
    repository: Repository, ctx: AccessContext, incoming: Incoming, outcome: RecordOutcome, remarks: list[Problem]
) -> None:
    record, described = incoming.record, incoming.described
    system = record_system(outcome.facility)
    keys = match_keys(described["identifier"])
    found = _meant(repository, ctx, described)
    if found.doubt and found.several:
        outcome.errors = _findings("error", "conflict", [found.doubt])
        return
    key = incoming.key
    name = {"system": system, "value": f"{key}/{ARCHIVE_KEY}"}
    archive = _archive(repository, ctx, name)
    if incoming.names_person and _somebody_else(repository, ctx, archive, found.patient):
        facts = "|".join([key, *(it.get("text", "") for it in described["name"]), described.get("birthDate", "")])
        key = uuid.uuid5(uuid.NAMESPACE_URL, facts).hex
        name = {"system": system, "value": f"{key}/{ARCHIVE_KEY}"}
        archive = _archive(repository, ctx, name)
    if found.patient is None:
        reference = urn(system, f"{key}/Patient")
        condition = {} if found.possible else if_none_exist(described, keys)
        request = {"method": "POST", "url": "Patient", **condition}
        people = [{"fullUrl": reference, "resource": described, "request": request}]
        people += queue_entries(reference, [(f"Patient/{it['id']}", verdict) for it, verdict in found.possible])
    else:
        reference = f"Patient/{found.patient['id']}"
        people = _brought_up_to_date(found.patient, described)
    bundle, more = mapped(record, reference, key)
    earlier = list(_earlier(repository, ctx, found.patient, outcome.facility))
    shared = _visits_of_others(repository, ctx, bundle, earlier)
    entries = people + changes(bundle, [*earlier, *shared], silent=_silence(record))
    sending = Sending(incoming.raw, name, *incoming.told, reference, reference)
    archived = sending_entries(sending, archive, {})
    if entries or archived:
        _write(repository, ctx, entries, archived, reference, outcome)
    outcome.patient = outcome.patient or reference
    outcome.outcome = "created" if archive is None else "updated" if entries else "unchanged"
    outcome.warnings = _findings(
        "warning", "invalid", [*remarks, *more, *(it for it in (found.corrected, found.doubt) if it)]
    )


def _meant(repository: Repository, ctx: AccessContext, described: Resource) -> Match:
    """Whom a record is about, by its numbers or by a like name and birth date."""
    keys = match_keys(described["identifier"])
    known = known_people(repository, ctx, keys)
    alike = AlikePeople(repository, ctx, [described], known)
    # Who is not in their second year yet may still go under the name of a parent.
    year, born = int(today_here()[:4]), described.get("birthDate", "")[:4]
    return match(described, keys, known, others=alike.of(described), by_name=not born or year - int(born) > 1)


def _somebody_else(
    repository: Repository, ctx: AccessContext, archive: Resource | None, known: Resource | None
) -> bool:
    """Whether what an archive holds is of another person than the known one, or than a new one."""
    if archive is None:
        return False
    before = archive["subject"]["reference"].removeprefix("Patient/")
    return known is None or known["id"] not in (before, standing_for(repository, ctx, before))


def _brought_up_to_date(known: Resource, described: Resource) -> list[Resource]:
    merged = merge_patient(known, described)
    stated = {extension["url"] for extension in described.get("extension", ())}
    kept = [extension for extension in known.get("extension", ()) if extension["url"] not in stated]
    if extensions := [*kept, *described.get("extension", ())]:
        merged["extension"] = extensions
    return [] if same_content(known, merged) else [replacement(known, merged)]


def _earlier(repository: Repository, ctx: AccessContext, patient: Resource | None, sender: str) -> Iterator[Resource]:
    """What this sender's records said of the person before, in whatever state it is."""
    ours = {record_system(sender), systems.visit_system(sender)}
    if patient is None:
        return
    for kind in (*TYPES, "MedicationRequest"):
        query: list[tuple[str, str]] | None = [("patient", f"Patient/{patient['id']}"), ("_count", "500")]
        while query:
            page = repository.search(ctx, kind, query)
            for _, stored in page.entries:
                resource = resource_of(stored)
                if identifier_of(resource).get("system") in ours and (kind != "Encounter" or _is_ours(resource)):
                    yield resource
            query = page.next


def _is_ours(encounter: Resource) -> bool:
    """Whether an Encounter was told of by a health record alone."""
    return any(RECORDED_VISIT in own_codes(kind) for kind in encounter.get("type", ()))


def _visits_of_others(
    repository: Repository, ctx: AccessContext, bundle: Resource, earlier: Iterable[Resource]
) -> list[Resource]:
    """The Encounters of the bundle that a visit of QĐ 130 told of: they stay as they are, and are pointed to."""
    own = {identifier_of(it)["value"] for it in earlier if it["resourceType"] == "Encounter"}
    visits = {
        (identifier_of(it["resource"])["system"], identifier_of(it["resource"])["value"]): it
        for it in bundle["entry"]
        if it["resource"]["resourceType"] == "Encounter" and identifier_of(it["resource"])["value"] not in own
    }
    found = []
    for key, stored in known_resources(repository, ctx, "Encounter", visits).items():
        entry = visits[key]
        # Made where there is none: that is how `changes` is told to leave alone what is there.
        entry["request"] = {"method": "POST", "url": "Encounter", "ifNoneExist": systems.identifier_criteria(*key)}
        found.append({**resource_of(stored[0]), "identifier": [{"system": key[0], "value": key[1]}]})
    return found


def _silence(record: HealthRecord) -> Callable[[Resource], bool]:
    """Whether the record says nothing of what an earlier one said: a section, or a visit, that was not sent."""
    sections = {path.split("/")[0] for path in (*record.single, *record.rows)}
    visits = {visit.fields.get("MA_LK", "") for visit in record.visits}

    def silent(resource: Resource) -> bool:
        part: str = identifier_of(resource).get("value", "").partition("/")[2]
        reference = resource.get("encounter")
        if resource["resourceType"] == "Encounter":
            return True
        if reference:
            return not any(part.startswith(f"{ma_lk}/") for ma_lk in visits)
        return part.split("/")[0] not in sections

    return silent


def _archive(repository: Repository, ctx: AccessContext, name: dict[str, str]) -> Resource | None:
    key = (name["system"], name["value"])
    found = known_resources(repository, ctx, "DocumentReference", [key]).get(key)
    return resource_of(found[0]) if found else None


def _write(
    repository: Repository,
    ctx: AccessContext,
    entries: list[Resource],
    archived: list[Resource],
    reference: str,
    outcome: RecordOutcome,
) -> None:
    agent = {"identifier": {"system": systems.FACILITY, "value": outcome.facility}}
    # A Task of the queue is nothing that the record said.
    targets = [it["fullUrl"] for it in entries if "fullUrl" in it] or [reference]
    source = archived[0]["fullUrl"] if archived else reference
    told = provenance(targets, agent, "Nhận hồ sơ sức khỏe", {"reference": source})
    everything = [*entries, *archived, told]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": everything}
    for entry, result in zip(everything, repository.transaction(ctx, bundle), strict=True):
        if entry["resource"]["resourceType"] == "Patient" and result.stored is not None:
            outcome.patient = f"Patient/{result.stored.id}"


def _findings(severity: Literal["error", "warning"], code: str, problems: Iterable[Problem]) -> list[VisitError]:
    found = []
    for each in problems:
        table, _, name = each.field.rpartition("/")
        row = next((int(part) for part in table.split("/") if part.isdigit()), 0)
        found.append(VisitError(severity, code, table, row, name, each.field, each.reason_vi, each.reason_en))
    return found
