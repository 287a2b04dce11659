"""One person added at the desk, from the staff form or the QR text of a card: known already, new, or to be confirmed.

https://hl7.org/fhir/R4/http.html#transaction. Nobody is merged with somebody who only may be the same: whoever sits at
the desk is asked, since the person stands before them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fhir_server.access.context import AccessContext
from fhir_server.errors import Conflict, Forbidden
from fhir_server.intake.people import AlikePeople, known_people, known_resources, resource_of, today_here
from fhir_server.intake.temporary_numbers import temporary_identifier
from fhir_server.repository import Repository
from fhir_server.resource.exact import same_content
from mappings.card_qr import read_qr
from mappings.identity import Key, Match, match
from mappings.merging import merge_coverage, merge_patient
from mappings.person import Account, if_none_exist, match_keys
from mappings.problems import Problem, problem
from mappings.resend import replacement
from mappings.staff_form import InvalidForm, read_form

Resource = dict[str, Any]

NEW = "new"
"""What `decided` says when the person is none of those who may be meant."""
_FACILITY_LENGTH = 5


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody known who may be the person, and why, in two sentences that name no value."""

    patient: Resource
    why_vi: str
    why_en: str


@dataclass(frozen=True, slots=True)
class Registration:
    """What came of it. `patient` is the stored Patient; None when nothing was written and `candidates` are to be asked.

    `outcome`: created; updated and unchanged for somebody known; confirm. `number` is the temporary number that was given.
    """

    outcome: Literal["created", "updated", "unchanged", "confirm"]
    patient: Resource | None = None
    candidates: tuple[Candidate, ...] = ()
    number: str = ""
    warnings: tuple[Problem, ...] = ()


def register(
    repository: Repository,
    ctx: AccessContext,
    told: Mapping[str, Any] | str,
    *,
    facility: str = "",
    decided: str = "",
    today: str = "",
) -> Registration:
    """Add the person of a filled-in form (mappings/staff_form.py: a dict of texts) or of a QR text, or find them known.

    Somebody certainly known is brought up to date; a card or number is added to the same Patient, whose temporary number
    becomes an old one. When somebody may be meant and `decided` is empty, nothing is written and the outcome is confirm:
    ask, and call again with `decided` the id of the candidate, or NEW. Who has no number at all is given a temporary one
    by `facility` (5 characters; else the caller's own, else the form's). `today` is the day in Vietnam.

    Raises InvalidForm (`problems` by field), UnreadableInput for a QR text that is of no card, Conflict for a decision
    that does not fit (any more), Forbidden for a caller bound to a patient, and what the repository raises.
    """
    if ctx.patient is not None:
        raise Forbidden("Adding people is not open to this caller.")
    today = today or today_here()
    account = read_qr(told) if isinstance(told, str) else read_form(told, today=today)
    keys = match_keys(account.patient.get("identifier", []))
    known = known_people(repository, ctx, keys)
    alike = AlikePeople(repository, ctx, [account.patient], known)
    found = match(account.patient, keys, known, others=alike.of(account.patient))
    person = _decided(found, decided)
    if person is None and found.possible and decided != NEW:
        candidates = (Candidate(patient, *verdict.told()) for patient, verdict in found.possible)
        return Registration("confirm", None, tuple(candidates), warnings=account.warnings)
    if person is not None:
        corrected = (found.corrected,) if found.corrected else ()
        return _brought_up_to_date(repository, ctx, account, person, today, corrected)
    # Nobody else is meant by a number that leads to somebody, once the desk has said so.
    return _created(
        repository, ctx, account, keys if not found.possible else (), facility or _facility(ctx, told), today
    )


def _decided(found: Match, decided: str) -> Resource | None:
    """The known person that is meant. Raises Conflict."""
    if decided in ("", NEW):
        return found.patient
    meant = [patient for patient, _ in found.possible if patient["id"] == decided]
    if not meant:
        raise Conflict(
            "Hồ sơ được chọn không còn trong số những người có thể trùng; hãy tìm lại. "
            "(The record that was chosen is not among those who may be meant; look again.)"
        )
    return meant[0]


def _created(
    repository: Repository, ctx: AccessContext, account: Account, keys: tuple[Key, ...], facility: str, today: str
) -> Registration:
    patient, number = account.patient, ""
    if not patient.get("identifier"):
        given = temporary_identifier(repository, _checked(facility), today)
        number = given["value"]
        meta = {name: patient[name] for name in ("resourceType", "meta")}
        patient = {**meta, "identifier": [given], **patient}
        keys = ((given["system"], number),)
    request = {"method": "POST", "url": "Patient", **if_none_exist(patient, keys)}
    entries = [{"fullUrl": account.full_url, "resource": patient, "request": request}]
    entries += [
        {"resource": coverage, "request": {"method": "POST", "url": "Coverage"}} for coverage in account.coverages
    ]
    stored = _written(repository, ctx, entries)[0]
    return Registration("created", resource_of(stored), (), number, account.warnings)


def _brought_up_to_date(
    repository: Repository,
    ctx: AccessContext,
    account: Account,
    person: Resource,
    today: str,
    corrected: tuple[Problem, ...],
) -> Registration:
    merged = merge_patient(person, account.patient, valid_from=_valid_from(account), today=today)
    entries = [] if same_content(person, merged) else [replacement(person, merged)]
    reference = f"Patient/{person['id']}"
    behind = repository.merged_into(ctx, [person["id"]]) if account.coverages else []
    own = {reference, *(f"Patient/{each}" for each in behind)}
    for coverage in account.coverages:
        entries += _coverage(repository, ctx, coverage, reference, own)
    warnings = (*account.warnings, *corrected)
    if not entries:
        return Registration("unchanged", person, warnings=warnings)
    _written(repository, ctx, entries)
    return Registration("updated", resource_of(repository.read(ctx, "Patient", person["id"])), warnings=warnings)


def _coverage(
    repository: Repository, ctx: AccessContext, coverage: Resource, reference: str, own: set[str]
) -> list[Resource]:
    """The entry that writes a card, where it is not written down already for this person or one merged into them."""
    card = coverage["identifier"][0]["system"], coverage["identifier"][0]["value"]
    stored = [resource_of(each) for each in known_resources(repository, ctx, "Coverage", [card]).get(card, ())]
    existing = next((each for each in stored if each["beneficiary"].get("reference") in own), None)
    if existing is None:
        made = {**coverage, "beneficiary": {"reference": reference}}
        return [{"resource": made, "request": {"method": "POST", "url": "Coverage"}}]
    merged = merge_coverage(existing, {**coverage, "beneficiary": existing["beneficiary"]})
    return [] if same_content(existing, merged) else [replacement(existing, merged)]


def _written(repository: Repository, ctx: AccessContext, entries: list[Resource]) -> list[Any]:
    results = repository.transaction(ctx, {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    return [result.stored for result in results]


def _valid_from(account: Account) -> str:
    starts = (coverage.get("period", {}).get("start", "") for coverage in account.coverages)
    return next((start for start in starts if start), "")


def _facility(ctx: AccessContext, told: Mapping[str, Any] | str) -> str:
    return ctx.facility or (str(told.get("facility", "")) if isinstance(told, Mapping) else "")


def _checked(facility: str) -> str:
    code = facility.strip().upper()
    if len(code) == _FACILITY_LENGTH and code.isascii() and code.isalnum():
        return code
    raise InvalidForm(
        [
            problem(
                "facility",
                facility,
                "Người này không có số giấy tờ nào; cần mã cơ sở (5 ký tự) để cấp số tạm",
                "this person has no number; the code of the facility (5 characters) is needed to give a temporary one",
            )
        ]
    )
