"""Puts visits into the repository: finds or makes the person, then writes the visit as one transaction.

https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fhir_server.access.context import AccessContext
from fhir_server.intake.matching import queue_entries
from fhir_server.intake.people import AlikePeople, known_people, known_resources, resource_of
from fhir_server.intake.visit_archive import archive_entries, too_large
from fhir_server.intake.visit_outcomes import VisitOutcome, errors_of, warnings_of
from fhir_server.intake.visit_records import ARCHIVE_KEY, is_cancelled, key_of, parts_of, provenance
from fhir_server.repository import Repository, Stored
from mappings import systems
from mappings.giamdinhhs import Visit
from mappings.identity import Key, Match, match
from mappings.person import if_none_exist, urn
from mappings.problems import Problem, problem
from mappings.qd130.patient import named_as_themselves
from mappings.resend import changes, identifier_of, replacement
from mappings.visits import mapped, patient_from_visit, patient_keys

Resource = dict[str, Any]


class VisitStoring:
    """The visits of one document on their way in, with what is known about their people looked up once."""

    def __init__(self, repository: Repository, ctx: AccessContext, visits: Sequence[Visit]) -> None:
        self._repository = repository
        self._ctx = ctx
        people = [patient_from_visit(visit)[0] for visit in visits]
        self._people = known_people(repository, ctx, {key for patient in people for key in patient_keys(patient)})
        self._alike = AlikePeople(repository, ctx, people, self._people)
        keys = {visit_key(visit.facility, visit.ma_lk) for visit in visits}
        self._encounters: dict[Key, list[Stored]] = known_resources(repository, ctx, "Encounter", keys)
        self._shared: dict[tuple[str, Key], Resource] = {}

    def store(self, visit: Visit, outcome: VisitOutcome) -> None:
        """Write the visit and say in `outcome` what came of it. Raises FhirError when the repository refuses it."""
        known = self._encounters.get(visit_key(visit.facility, visit.ma_lk), ())
        encounter = next((resource_of(stored) for stored in known), None)
        if encounter is not None and is_cancelled(encounter):
            outcome.errors = errors_of([_was_cancelled(visit)], visit.record, "cancelled")
            return
        if large := too_large(visit.raw):
            outcome.errors = errors_of([large], visit.record)
            return
        described, remarks = patient_from_visit(visit)
        by_name = named_as_themselves(visit, described)
        others = self._alike.of(described)
        found = match(described, patient_keys(described), self._people, others=others, by_name=by_name)
        entries: list[Resource] = []
        reference = self._subject(found, encounter)
        if not reference:
            reference = urn(f"{systems.visit_system(visit.facility)}/patient", visit.ma_lk)
            entries += _newcomer(described, reference, found)
            remarks += [found.doubt] if found.doubt else []
        parts = list(parts_of(self._repository, self._ctx, encounter)) if encounter else []
        stored_parts = {key_of(part, visit.ma_lk): part for part in parts}
        bundle, more = mapped(visit, reference, stored_parts)
        entries += self._entries(visit, bundle, encounter, stored_parts, reference)
        if entries:
            self._write(entries, visit)
        outcome.outcome = "created" if encounter is None else "updated" if entries else "unchanged"
        stored = self._encounters[visit_key(visit.facility, visit.ma_lk)][0]
        outcome.encounter = f"Encounter/{stored.id}"
        outcome.warnings = warnings_of(remarks + more, visit.record)

    def _subject(self, found: Match, encounter: Resource | None) -> str:
        """The stored Patient a visit is of; "" for somebody new. What was decided about a visit before stands."""
        told: str = encounter["subject"]["reference"] if encounter else ""
        if found.patient is None:
            return told
        known = f"Patient/{found.patient['id']}"
        if told in ("", known):
            return known
        # The records of who was merged into another stay theirs: searches for the other one find them.
        before = told.removeprefix("Patient/")
        return told if before in self._repository.merged_away(self._ctx, [before]) else known

    def _entries(
        self,
        visit: Visit,
        bundle: Resource,
        encounter: Resource | None,
        parts: Mapping[str, Resource],
        patient: str,
    ) -> list[Resource]:
        """What has to be written for the visit, its archive and Provenance included; empty when all is as it was.

        `parts` is what is stored of it, by row key.
        """
        archive = parts.get(ARCHIVE_KEY)
        earlier = [part for part in parts.values() if part is not archive]
        url = f"Encounter/{encounter['id']}" if encounter else urn(*visit_key(visit.facility, visit.ma_lk))
        if encounter and visit.source == "XML0" and encounter["status"] != "arrived":
            # A check-in that comes after the visit itself does not open it again.
            bundle = {**bundle, "entry": bundle["entry"][1:]}
            bundle = _pointed(bundle, urn(*visit_key(visit.facility, visit.ma_lk)), url)
        elif encounter:
            earlier.append(encounter)
        shared = list(self._known(bundle))
        if encounter and "XML3" not in visit.rows:
            _keep_locations(bundle, encounter, shared)
        sent = {visit.source, *visit.rows}

        def silent(resource: Resource) -> bool:
            # A table that was not sent says nothing about the rows that an earlier sending had in it.
            return key_of(resource, visit.ma_lk).split("/")[0] not in sent

        entries = changes(bundle, [*earlier, *shared], silent=silent)
        if visit.summary.get("NGAY_RA"):
            entries += _ended(earlier, entries)
        archived = archive_entries(visit, archive, patient, url)
        if not entries and not archived:
            return []
        own = [entry for entry in entries if entry["request"]["method"] == "PUT"]
        targets = [entry["fullUrl"] for entry in own] or [url]
        source = archived[0]["fullUrl"] if archived else f"DocumentReference/{archive['id']}" if archive else url
        agent = {"identifier": {"system": systems.FACILITY, "value": visit.facility}}
        return [*entries, *archived, provenance(targets, agent, "Nhận hồ sơ", {"reference": source})]

    def _known(self, bundle: Resource) -> Iterator[Resource]:
        """The resources that the bundle would only create where there is none, and there is one."""
        asked: dict[str, set[Key]] = {}
        wanted = [entry["resource"] for entry in bundle["entry"] if entry["request"]["method"] == "POST"]
        for resource in wanted:
            if (resource["resourceType"], _key(resource)) not in self._shared:
                asked.setdefault(resource["resourceType"], set()).add(_key(resource))
        for kind, keys in asked.items():
            for key, stored in known_resources(self._repository, self._ctx, kind, keys).items():
                # The identifier by which it was found comes first: that is how `changes` recognises it.
                found = resource_of(stored[0])
                self._shared[kind, key] = {**found, "identifier": [{"system": key[0], "value": key[1]}]}
        for resource in wanted:
            if known := self._shared.get((resource["resourceType"], _key(resource))):
                yield known

    def _write(self, entries: list[Resource], visit: Visit) -> None:
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        results = self._repository.transaction(self._ctx, bundle)
        # A file may hold the same person, or the same visit, again.
        for entry, result in zip(entries, results, strict=True):
            if result.stored is None:
                continue
            if entry["resource"]["resourceType"] == "Encounter":
                self._encounters[visit_key(visit.facility, visit.ma_lk)] = [result.stored]
            elif entry["resource"]["resourceType"] == "Patient":
                patient = resource_of(result.stored)
                self._alike.add(patient)
                for key in patient_keys(patient):
                    self._people.setdefault(key, []).append(patient)


def _newcomer(described: Resource, reference: str, found: Match) -> list[Resource]:
    """The entries that make a new Patient, and the questions whether it is somebody known: nothing is lost meanwhile."""
    # A number that names somebody else as well is no condition to make the new Patient on.
    condition = {} if found.possible else if_none_exist(described, patient_keys(described))
    request = {"method": "POST", "url": "Patient", **condition}
    known = [(f"Patient/{patient['id']}", verdict) for patient, verdict in found.possible]
    return [{"fullUrl": reference, "resource": described, "request": request}, *queue_entries(reference, known)]


def _keep_locations(bundle: Resource, encounter: Resource, shared: Iterable[Resource]) -> None:
    """Has the Encounter of a sending without XML3 keep the departments and beds that an earlier one named there."""
    urls = {f"{it['resourceType']}/{it['id']}": urn(*_key(it)) for it in shared}
    for visited in (it["resource"] for it in bundle["entry"] if it["resource"]["resourceType"] == "Encounter"):
        now = visited.get("location", [])
        named = {each["location"]["reference"] for each in now}
        before = [each["location"]["reference"] for each in encounter.get("location", ())]
        kept = [{"location": {"reference": it}} for it in before if not {it, urls.get(it, it)} & named]
        if kept:
            visited["location"] = [*now, *kept]


def visit_key(facility: str, ma_lk: str) -> Key:
    """The identifier of a visit's Encounter."""
    return systems.visit_system(facility), ma_lk


def _key(resource: Resource) -> Key:
    identifier = identifier_of(resource)
    return identifier["system"], identifier["value"]


def _was_cancelled(visit: Visit) -> Problem:
    return problem(
        f"{visit.source}/MA_LK",
        visit.ma_lk,
        "Hồ sơ đã bị hủy; hãy khôi phục hồ sơ trước khi gửi lại",
        "the visit was cancelled; restore it before sending it again",
    )


def _ended(earlier: list[Resource], entries: list[Resource]) -> list[Resource]:
    """Entries that complete the first orders of a check-in, once the visit is over and says nothing else of them."""
    written = {entry["fullUrl"] for entry in entries}
    return [
        replacement(part, {**part, "status": "completed"})
        for part in earlier
        if part.get("status") == "active"
        and "/XML0/" in identifier_of(part).get("value", "")
        and f"{part['resourceType']}/{part['id']}" not in written
    ]


def _pointed(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {key: _pointed(item, old, new) for key, item in value.items()}
    if isinstance(value, list):
        return [_pointed(item, old, new) for item in value]
    return new if value == old else value
