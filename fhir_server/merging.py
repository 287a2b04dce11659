"""Two records of one person become one, and two again: Patient.link, and what searches follow instead of it.

https://hl7.org/fhir/R4/patient.html#links and the draft https://hl7.org/fhir/patient-operation-merge.html. No record is
rewritten: each keeps the patient it was written for, so un-merging is exact for what was written since as well.
docs/decisions/0005-merging-people.md
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .access import guard
from .access.context import AccessContext
from .auditing import note_written
from .errors import Conflict, Unprocessable
from .records import Stored, new_id, now, stored_of
from .resource.exact import Resource, instant, parse
from .store.merges import MAX_MERGED
from .store.records import Document, superseded_version
from .writing import RecordWriting

_LIFECYCLE = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge or un-merge made of the one who stands for both; `source` is the other one."""

    target: Stored
    source: Stored


class PatientMerging:
    """Merges and un-merges in the records of one store."""

    def __init__(self, writing: RecordWriting) -> None:
        self._writing = writing
        self._store = writing.store

    def merge(
        self, ctx: AccessContext, source: str, target: str, result: Resource | None = None, *, preview: bool = False
    ) -> Merged:
        """Have Patient/`target` stand for Patient/`source` too. `result` is what is to become of the target.

        Raises NotFound, Gone, Forbidden, Conflict for who is merged already, Unprocessable, BadRequest for `result`.
        """
        guard.require_operation(ctx, "merge", "Patient")
        if source == target:
            raise Unprocessable("source-patient and target-patient are the same record.", code="invalid")
        for type in ("Patient", "Provenance"):
            self._store.collection(type)
        return self._store.transact(lambda session: self._merge(ctx, source, target, result, preview, session))

    def _merge(
        self, ctx: AccessContext, source: str, target: str, result: Resource | None, preview: bool, session: Any
    ) -> Merged:
        old, new = self._current(ctx, source, session), self._current(ctx, target, session)
        merges = self._store.merges
        for each, into in merges.standing_for([source, target], session).items():
            if each in (source, target):
                raise Conflict(f"Patient/{each} was merged into Patient/{into} before; merge with that one instead.")
        if len(merges.behind([source, target], session)) >= MAX_MERGED:
            raise Unprocessable(f"At most {MAX_MERGED} records can be merged into one.", code="too-costly")
        kept, leaving = parse(new["json"]), parse(old["json"])
        base = kept if result is None else {**result, "id": target}
        joined, added = _joined(base, kept, leaving)
        was_active = leaving.get("active")
        leaving = {**leaving, "active": False, "link": [*leaving.get("link", []), _link(target, "replaced-by")]}
        documents = [self._next(ctx, new, joined), self._next(ctx, old, leaving)]
        if not preview:
            self._write(ctx, "merge", [new, old], documents, session)
            record = {"_id": source, "into": target, "added": added, "active": was_active}
            versions = {"before": new["v"], "after": documents[0]["v"]} if result is not None else {}
            merges.keep(record | versions, session)
            # What the one hides is hidden of the other one from here on.
            self._store.epochs.begin_in(session)
        return Merged(*(stored_of("Patient", each) for each in documents))

    def unmerge(self, ctx: AccessContext, source: str) -> Merged:
        """Have Patient/`source` stand for itself again. Raises NotFound, Gone, Forbidden, Conflict."""
        guard.require_operation(ctx, "unmerge", "Patient")
        for type in ("Patient", "Provenance"):
            self._store.collection(type)
        return self._store.transact(lambda session: self._unmerge(ctx, source, session))

    def _unmerge(self, ctx: AccessContext, source: str, session: Any) -> Merged:
        merges = self._store.merges
        merge = merges.get(source, session)
        if merge is None:
            raise Conflict(f"Patient/{source[:64]} is not merged into another one.")
        target = merge["into"]
        above = merges.get(target, session)
        if above is not None:
            raise Conflict(f"Patient/{target} was merged into Patient/{above['into']} since; un-merge that first.")
        old, new = self._current(ctx, source, session), self._current(ctx, target, session)
        leaving, kept = parse(old["json"]), parse(new["json"])
        others = [each for each in merges.into(target, session) if each["_id"] != source]
        parted = self._facts_before(merge, kept, session)
        parted = self._without(parted, merge["added"], others, session)
        documents = [
            self._next(ctx, new, _unlinked(parted, source, "replaces")),
            self._next(ctx, old, _active_again(_unlinked(leaving, target, "replaced-by"), merge["active"])),
        ]
        self._write(ctx, "unmerge", [new, old], documents, session)
        merges.forget(source, session)
        self._store.epochs.begin_in(session)
        return Merged(*(stored_of("Patient", each) for each in documents))

    def _facts_before(self, merge: Document, kept: Resource, session: Any) -> Resource:
        """The target with the facts that the merge's result-patient changed as they were, unless changed since."""
        if "before" not in merge:
            return kept
        texts = [
            self._store.version("Patient", merge["into"], merge[at], session=session) for at in ("before", "after")
        ]
        before, after = ((parse(each["json"]) if each else kept) for each in texts)
        names = dict.fromkeys([*before, *kept])
        wanted = {name: before if kept.get(name) == after.get(name) else kept for name in names}
        own = ("id", "meta", "identifier", "link")
        return {
            name: (kept if name in own else held)[name]
            for name, held in wanted.items()
            if name in (kept if name in own else held)
        }

    def _without(self, kept: Resource, added: list[Document], others: list[Document], session: Any) -> Resource:
        """The target without the identifiers it was given, but for those that others merged into it have as well."""
        going = {_key(each): each for each in added}
        for other in others:
            held = parse(self._store.current("Patient", other["_id"], session=session)["json"]) if going else {}
            shared = {_key(each) for each in held.get("identifier", ())} & going.keys()
            if shared:
                other["added"] = [*other["added"], *(going.pop(key) for key in sorted(shared))]
                self._store.merges.keep(other, session)
        left = [each for each in kept.get("identifier", ()) if _key(each) not in going]
        return _with(kept, "identifier", left)

    def _current(self, ctx: AccessContext, id: str, session: Any) -> Any:
        found = self._writing.admission.current(ctx, "u", "Patient", id, session)
        if found is None:
            self._writing.raise_absent(ctx, "Patient", id, session)
        return found

    def _next(self, ctx: AccessContext, current: Document, resource: Resource) -> Document:
        checked = self._writing.checked(ctx, "Patient", resource, current["_id"])
        return self._writing.next_version(ctx, "Patient", current["_id"], checked, current, "POST")

    def _write(
        self, ctx: AccessContext, event: str, currents: list[Document], documents: list[Document], session: Any
    ) -> None:
        moment = now()
        note_written((stored_of("Patient", each) for each in documents), "updated")
        provenance = self._writing.checked(
            ctx,
            "Provenance",
            {
                "resourceType": "Provenance",
                "target": [{"reference": f"Patient/{each['_id']}/_history/{each['v']}"} for each in documents],
                "recorded": instant(moment),
                "activity": {"coding": [{"system": _LIFECYCLE, "code": event}]},
                "agent": [{"who": {"display": ctx.actor}}],
            },
        )
        audit = self._writing.document(ctx, "Provenance", new_id(), 1, provenance, "POST", moment)
        pairs = zip(currents, documents, strict=True)
        self._store.write(
            session,
            creates={"Provenance": [audit]},
            replaces={"Patient": documents},
            deletes={},
            superseded=[superseded_version("Patient", old, new["t"]) for old, new in pairs],
        )


def _joined(base: Resource, kept: Resource, leaving: Resource) -> tuple[Resource, list[Document]]:
    """(the target with the identifiers of both, what of these it did not have)."""
    had = {_key(each) for each in kept.get("identifier", ())}
    identifiers = list(base.get("identifier", []))
    stated = {_key(each) for each in identifiers}
    identifiers += [each for each in kept.get("identifier", ()) if _key(each) not in stated]
    stated |= had
    for each in leaving.get("identifier", ()):
        if _key(each) not in stated:
            stated.add(_key(each))
            identifiers.append({**each, "use": "old"})
    added = [each for each in identifiers if _key(each) not in had]
    links = [*kept.get("link", []), _link(leaving["id"], "replaces")]
    return _with({**base, "link": links}, "identifier", identifiers), added


def _key(identifier: Document) -> tuple[str, str]:
    return identifier.get("system", ""), identifier.get("value", "")


def _link(id: str, kind: str) -> Resource:
    return {"other": {"reference": f"Patient/{id}"}, "type": kind}


def _unlinked(resource: Resource, id: str, kind: str) -> Resource:
    return _with(resource, "link", [each for each in resource.get("link", ()) if each != _link(id, kind)])


def _active_again(resource: Resource, active: bool | None) -> Resource:
    """What the record said of itself, where nobody changed that since."""
    if resource.get("active") is not False:
        return resource
    return {name: value for name, value in resource.items() if name != "active"} | (
        {} if active is None else {"active": active}
    )


def _with(resource: Resource, name: str, several: list[Any]) -> Resource:
    """FHIR has no empty lists."""
    return {**{each: value for each, value in resource.items() if each != name}, **({name: several} if several else {})}
