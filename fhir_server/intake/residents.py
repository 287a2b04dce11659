"""Takes in what registries tell of residents: stores each message, applies it, and keeps it waiting for an unknown person.

Each change is a version of the Patient with a Provenance that names sender and sequence.
https://hl7.org/fhir/R4/provenance.html, docs/mappings/resident-changes.md
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fhir_server.access.context import AccessContext
from fhir_server.errors import Conflict, FhirError, PreconditionFailed, Unavailable
from fhir_server.intake import resident_inbox as inbox
from fhir_server.intake.people import known_people
from fhir_server.intake.resident_inbox import ResidentMessage
from fhir_server.intake.visit_records import provenance
from fhir_server.repository import Repository
from fhir_server.resource.exact import same_content
from mappings import systems
from mappings.person import urn
from mappings.resend import replacement
from mappings.resident_changes import (
    REGISTRATION_BASE,
    Change,
    applied,
    is_about,
    keys,
    mother_of,
    newborn,
    read_change,
)

Resource = dict[str, Any]
log = logging.getLogger(__name__)
MESSAGE_BASE = f"{systems.OWN_BASE}/sid/resident-change/"
TRIES = 10  # against others who change the same person at the same moment
LOOK_AGAIN_SECONDS = 1.0
UNKNOWN = "Chưa có người này trong hồ sơ / nobody on record is this person yet"
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
        carry_out(repository, message)
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
            names = [
                f"{it['system']}|{it['value']}" for it in patient["identifier"] if "system" in it and "value" in it
            ]
            known = {each.id for each in waiting}
            waiting += [each for each in inbox.unfinished(repository, names) if each.id not in known]


def work_through(repository: Repository) -> None:
    """Try again what waits: the person may have appeared by another way, or the process that received it have died."""
    for message in inbox.unfinished(repository):
        carry_out(repository, message)


def start(repository: Repository) -> threading.Thread:
    """Look at what waits every second, in a thread that ends with the process."""
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(LOOK_AGAIN_SECONDS):
            try:
                work_through(repository)
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
            return _tried(repository, ctx, message.id, change)
        except (Conflict, PreconditionFailed):
            continue  # somebody changed the person meanwhile
        except Unavailable:
            raise
        except FhirError as error:
            inbox.settle(repository, message.id, inbox.REFUSED, str(error))
            return None
    inbox.settle(repository, message.id, inbox.RECEIVED, "")
    return None


def _tried(repository: Repository, ctx: AccessContext, name: str, change: Change) -> Resource | None:
    known = known_people(repository, ctx, keys(change))
    people = {patient["id"]: patient for found in known.values() for patient in found}
    meant = [it for it in people.values() if is_about(change, it, inbox.about(repository, it["id"]))]
    if len(meant) > 1 or (not meant and change.kind != "birth"):
        inbox.settle(repository, name, inbox.WAITING, SEVERAL if meant else UNKNOWN)
        return None
    if not meant:
        _born(repository, ctx, change)
        # Again, as somebody known: another process may have made the same child at this moment.
        return _tried(repository, ctx, name, change)
    patient = meant[0]
    inbox.claim(repository, name, patient["id"])
    wanted = applied(patient, change, inbox.about(repository, patient["id"]))
    if not same_content(patient, wanted):
        entry = replacement(patient, wanted)
        told = _told(change, [entry["fullUrl"]])
        repository.transaction(ctx, {"resourceType": "Bundle", "type": "transaction", "entry": [entry, told]})
    inbox.settle(repository, name, inbox.APPLIED)
    return wanted


def _born(repository: Repository, ctx: AccessContext, change: Change) -> None:
    system, number = REGISTRATION_BASE + change.sender, change.person["registration"]
    child = urn(system, number)
    condition = systems.identifier_criteria(system, number)
    request = {"method": "POST", "url": "Patient", "ifNoneExist": condition}
    entries: list[Resource] = [{"fullUrl": child, "resource": newborn(change), "request": request}]
    if mother := mother_of(change, child):
        own = mother["identifier"][0]
        criteria = systems.identifier_criteria(own["system"], own["value"])
        request = {"method": "PUT", "url": f"RelatedPerson?{criteria}"}
        entries.append({"fullUrl": urn(own["system"], own["value"]), "resource": mother, "request": request})
    told = _told(change, [entry["fullUrl"] for entry in entries])
    repository.transaction(ctx, {"resourceType": "Bundle", "type": "transaction", "entry": [*entries, told]})


def _told(change: Change, targets: list[str]) -> Resource:
    source = {"identifier": {"system": MESSAGE_BASE + change.sender, "value": str(change.sequence)}}
    agent = {"identifier": {"system": systems.FACILITY, "value": change.sender}}
    return provenance(targets, agent, f"Biến động dân cư: {change.kind}", source)
