"""Takes in what registries tell of residents: stores each message, applies it, and keeps it waiting for an unknown person.

Each change is a version of the Patient with a Provenance that names sender and sequence.
https://hl7.org/fhir/R4/provenance.html, docs/mappings/resident-changes.md
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fhir_server.access.audit_border import recorded
from fhir_server.access.audit_spool import Spool
from fhir_server.access.context import AccessContext
from fhir_server.errors import Conflict, FhirError, PreconditionFailed, Unavailable
from fhir_server.intake import resident_inbox as inbox
from fhir_server.intake.matching import queue_entries
from fhir_server.intake.people import AlikePeople, known_people, resource_of, standing_for
from fhir_server.intake.resident_inbox import ResidentMessage
from fhir_server.intake.visit_records import provenance
from fhir_server.repository import Repository
from fhir_server.resource.exact import same_content
from mappings import systems
from mappings.identity import Match, match
from mappings.person import match_keys, urn
from mappings.resend import replacement
from mappings.resident_changes import (
    Change,
    applied,
    described,
    is_about,
    is_the_mother,
    keys,
    mother_of,
    newborn,
    read_change,
    registered,
)

Resource = dict[str, Any]
log = logging.getLogger(__name__)
TRIES = 10  # against others who change the same person at the same moment
LOOK_AGAIN_SECONDS = 1.0
UNKNOWN = "Chưa có người này trong hồ sơ / nobody on record is this person yet"
DROPPED = "Cán bộ xác định không áp dụng cho ai / the staff decided that it is about nobody"
DECIDED_OTHERWISE = "Thay đổi này không còn chờ, hoặc không thể là của người được chọn. (The change does not wait any more, or may not be about that person.)"
SEVERAL = "Số giấy tờ trỏ đến nhiều người / the numbers lead to several people"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What is answered to a message. `status`: applied, waiting, refused, duplicate (`stands` says how it stands),
    conflict (the sequence number was used for something else) or invalid (`errors` by JSON path)."""

    sender: str = ""
    sequence: int = 0
    status: str = ""
    stands: str = ""
    reason: str = ""
    errors: dict[str, list[str]] = field(default_factory=dict)


def receive(repository: Repository, ctx: AccessContext, payload: Any) -> Receipt:
    """Store a message and apply it. Raises Unavailable when the store is: nothing is lost by sending it again."""
    change, problems = read_change(payload)
    if change is None:
        return Receipt(status="invalid", errors=problems)
    content = json.dumps(payload, sort_keys=True, ensure_ascii=False)
    message = ResidentMessage(
        id=change.name,
        sender=change.sender,
        content_hash=hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest(),
        payload=payload,
        keys=[f"{system}|{value}" for system, value in keys(change)],
        status=inbox.RECEIVED,
        actor=ctx.actor,
        received=inbox.now(),
        tried=inbox.now(),
    )
    earlier = inbox.keep(repository, message)
    if earlier is not None and earlier.content_hash != message.content_hash:
        reason = "Số thứ tự này đã dùng cho nội dung khác / this sequence number was used for other content"
        return Receipt(change.sender, change.sequence, "conflict", earlier.status, reason)
    if earlier is None or earlier.status in (inbox.RECEIVED, inbox.WAITING):
        carry_out(repository, earlier or message)
        _explain(repository, [earlier or message])
    stands = inbox.message_called(repository, change.name)
    assert stands is not None
    status = "duplicate" if earlier is not None else stands.status
    return Receipt(change.sender, change.sequence, status, stands.status, stands.reason)


def carry_out(repository: Repository, message: ResidentMessage) -> None:
    """Apply a message, and whatever waited for the person it made known."""
    waiting = [message]
    while waiting:
        patient = _apply(repository, waiting.pop(0))
        if patient is not None:
            numbers = patient.get("identifier", ())
            names = [f"{it['system']}|{it['value']}" for it in numbers if "system" in it and "value" in it]
            known = {each.id for each in waiting}
            waiting += [each for each in inbox.unfinished(repository, names) if each.id not in known]


def decide(repository: Repository, ctx: AccessContext, name: str, patient: str) -> str:
    """Apply a message that waits to one of the Patients it may be about; or, where `patient` is "", drop it.

    Gives how it then stands. Raises Conflict when it does not wait any more or may not be about that Patient.
    """
    message = inbox.message_called(repository, name)
    if message is None or (patient and patient not in message.possible):
        raise Conflict(DECIDED_OTHERWISE)
    status, reason = (inbox.RECEIVED, "") if patient else (inbox.REFUSED, DROPPED)
    if not inbox.decide(repository, name, ctx.actor, status, patient, reason):
        raise Conflict(DECIDED_OTHERWISE)
    if patient and (decided := inbox.message_called(repository, name)):
        carry_out(repository, decided)
    return str(inbox.messages(repository).filter(id=name).scalar("status").first())


def work_through(repository: Repository, spool: Spool | None = None) -> None:
    """Try again what waits: the person may have appeared by another way, or the process that received it have died."""
    unfinished = inbox.unfinished(repository)
    for message in unfinished:
        sender = AccessContext.unrestricted(message.actor)
        with recorded(spool, sender, "submission", "resident-change", writes_only=True):
            carry_out(repository, message)
    _explain(repository, unfinished)


def _explain(repository: Repository, messages: Sequence[ResidentMessage]) -> None:
    """Say of those that wait whom they may be about: one look-up for all. Nothing is applied to who only may be meant."""
    ctx = AccessContext.unrestricted("residents")
    told = {message.id: described(message.change) for message in messages}
    known = known_people(repository, ctx, {key for message in messages for key in keys(message.change)})
    alike = AlikePeople(repository, ctx, list(told.values()), known)
    for message in messages:
        patient = told[message.id]
        found = match(patient, keys(message.change), known, others=alike.of(patient))
        doubt = found.doubt
        reason = f"{doubt.reason_vi} / {doubt.reason_en}" if doubt else SEVERAL if found.patient else UNKNOWN
        inbox.explain(repository, message, reason, [it["id"] for it, _ in found.possible])


def start(repository: Repository, spool: Spool | None = None) -> threading.Thread:
    """Look at what waits every second, in a thread that ends with the process. `spool` is that of the audit trail."""
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(LOOK_AGAIN_SECONDS):
            try:
                work_through(repository, spool)
            except Exception as error:
                # The next round tries again. What was in the message may be personal and is not logged.
                log.error("resident changes could not be applied: %s", type(error).__qualname__)

    thread = threading.Thread(target=work, name="residents", daemon=True)
    thread.start()
    return thread


def import_changes(repository: Repository, ctx: AccessContext, path: Path) -> list[tuple[int, Receipt]]:
    """Receive each line of a JSON-lines file: (line number, receipt), in the file's order."""
    receipts = []
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                payload = json.loads(line)
            except ValueError:
                errors = {"$": ["Dòng không phải JSON / the line is not JSON"]}
                receipts.append((number, Receipt(status="invalid", errors=errors)))
                continue
            receipts.append((number, receive(repository, ctx, payload)))
    return receipts


def _apply(repository: Repository, message: ResidentMessage) -> Resource | None:
    """The Patient as it now is when the message was applied; None when it waits or was refused."""
    change, ctx = message.change, AccessContext.unrestricted(message.actor)
    for _ in range(TRIES):
        try:
            return _tried(repository, ctx, message, change)
        except (Conflict, PreconditionFailed):
            continue  # somebody changed the person meanwhile
        except Unavailable:
            raise
        except FhirError as error:
            inbox.settle(repository, message.id, inbox.REFUSED, str(error))
            return None
    inbox.settle(repository, message.id, inbox.RECEIVED, "")
    return None


def _tried(repository: Repository, ctx: AccessContext, message: ResidentMessage, change: Change) -> Resource | None:
    meant = _meant(repository, ctx, message, change)
    if change.kind == "birth" and not meant:
        found = _child(repository, ctx, change)
        if found.patient is None and not found.several:
            _born(repository, ctx, change, found)
            # Again, as somebody known: another process may have made the same child at this moment.
            return _tried(repository, ctx, message, change)
        meant = [found.patient] if found.patient else []
    if len(meant) != 1:
        inbox.wait(repository, message.id)
        return None
    patient = meant[0]
    inbox.claim(repository, message.id, patient["id"])
    wanted = applied(patient, change, inbox.about(repository, patient["id"]))
    wanted = registered(wanted, change) if change.kind == "birth" else wanted
    if not same_content(patient, wanted):
        entry = replacement(patient, wanted)
        entries = [entry, *_mother(change, entry["fullUrl"])] if change.kind == "birth" else [entry]
        _write(repository, ctx, change, entries)
    inbox.settle(repository, message.id, inbox.APPLIED)
    return wanted


def _meant(repository: Repository, ctx: AccessContext, message: ResidentMessage, change: Change) -> list[Resource]:
    """Whom a message is certainly about, or was decided to be about."""
    if message.decided:
        return [resource_of(repository.read(ctx, "Patient", standing_for(repository, ctx, message.patient)))]
    known = known_people(repository, ctx, keys(change))
    people = {patient["id"]: patient for found in known.values() for patient in found}
    return [it for it in people.values() if is_about(change, it, inbox.about(repository, it["id"]))]


def _child(repository: Repository, ctx: AccessContext, change: Change) -> Match:
    """Who on record is the child of a birth, certainly or possibly; never the mother, whatever the name."""
    child = newborn(change)
    numbers = match_keys(child["identifier"])
    found = known_people(repository, ctx, numbers)
    known = {key: [it for it in several if not is_the_mother(change, it)] for key, several in found.items()}
    others = AlikePeople(repository, ctx, [child], found).of(child)
    return match(child, numbers, known, others=[it for it in others if not is_the_mother(change, it)])


def _born(repository: Repository, ctx: AccessContext, change: Change, found: Match) -> None:
    system, number = systems.BIRTH_REGISTRATION_BASE + change.sender, change.person["registration"]
    child = urn(system, number)
    condition = systems.identifier_criteria(system, number)
    request = {"method": "POST", "url": "Patient", "ifNoneExist": condition}
    made = {"fullUrl": child, "resource": newborn(change), "request": request}
    possible = [(f"Patient/{it['id']}", verdict) for it, verdict in found.possible]
    _write(repository, ctx, change, [made, *_mother(change, child)], queue_entries(child, possible))


def _mother(change: Change, child: str) -> list[Resource]:
    """The entry that writes the mother of a child (a reference), when her number is told."""
    mother = mother_of(change, child)
    if mother is None:
        return []
    own = mother["identifier"][0]
    request = {"method": "PUT", "url": f"RelatedPerson?{systems.identifier_criteria(own['system'], own['value'])}"}
    return [{"fullUrl": urn(own["system"], own["value"]), "resource": mother, "request": request}]


def _write(
    repository: Repository,
    ctx: AccessContext,
    change: Change,
    entries: list[Resource],
    queue: Sequence[Resource] = (),
) -> None:
    told = _told(change, [entry["fullUrl"] for entry in entries])
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [*entries, *queue, told]}
    repository.transaction(ctx, bundle)


def _told(change: Change, targets: list[str]) -> Resource:
    source = {"identifier": {"system": systems.RESIDENT_CHANGE_BASE + change.sender, "value": str(change.sequence)}}
    agent = {"identifier": {"system": systems.FACILITY, "value": change.sender}}
    return provenance(targets, agent, f"Biến động dân cư: {change.kind}", source)
