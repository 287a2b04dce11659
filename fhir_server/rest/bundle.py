"""batch and transaction: many interactions in one request.

https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from .. import patch
from ..access import audit_record
from ..bundle_entries import relative_url
from ..errors import BadRequest, FhirError, Issue, TooLarge
from ..repository import EntryResult, HistoryPage, Repository, SearchPage
from . import bundles, preconditions, query, subset, written
from .call import WRITES, Answer, Call, Interaction, Pairs, Service
from .errors import unexpected
from .operations.registry import OPERATIONS
from .prefer import Preference
from .routing import find, perform

MAX_ENTRIES = 10_000


def process_bundle(service: Service, call: Call) -> Answer:
    """200 with one response entry per entry, in the same order. Raises when the Bundle itself, or a transaction, fails."""
    bundle = call.resource or {}
    kind = bundle.get("type") if bundle.get("resourceType") == "Bundle" else None
    if kind not in ("batch", "transaction"):
        raise BadRequest(
            "Only a Bundle of type batch or transaction can be processed here; "
            "single resources are created at their type's address.",
            expression=("Bundle.type",),
        )
    entries = _entries_of(bundle)
    if not call.prefer.explicit:
        # The client has what it sent; it asks with Prefer when it wants all of it back.
        call = replace(call, prefer=Preference("minimal", call.prefer.lenient))
    if kind == "batch":
        answers = [_batch_entry(service, call, entry) for entry in entries]
    else:
        answers = _transaction(service, call, bundle, entries)
    return Answer(200, bundles.responses(f"{kind}-response", answers))


def _entries_of(bundle: dict[str, Any]) -> list[Any]:
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        raise BadRequest("Bundle.entry must be a list.", expression=("Bundle.entry",))
    if len(entries) > MAX_ENTRIES:
        raise TooLarge(
            f"The Bundle has {len(entries)} entries and at most {MAX_ENTRIES} can be processed at once: "
            "send it in several parts.",
            expression=("Bundle.entry",),
        )
    return entries


def _transaction(service: Service, call: Call, bundle: dict[str, Any], entries: list[Any]) -> list[bytes]:
    """The entries carried out together; operations that only read come last and see what the others wrote."""
    performed: dict[int, Answer] = {}

    def perform_operation(repository: Repository, number: int) -> None:
        performed[number], _ = _perform(replace(service, repository=repository), call, entries[number])

    for number, entry in enumerate(entries):
        _refuse_changing_operation(number, entry)
    results = service.repository.transaction(
        call.context, bundle, lenient=call.prefer.lenient, base=call.base, perform=perform_operation
    )
    return [
        _answered(call, performed[number]) if number in performed else _transaction_entry(call, entries[number], result)
        for number, result in enumerate(results)
    ]


def _refuse_changing_operation(number: int, entry: Any) -> None:
    """Raises BadRequest for an operation that changes records or goes on later: it could not be taken back."""
    request = entry.get("request") if isinstance(entry, dict) else None
    url = request.get("url") if isinstance(request, dict) else None
    name = str(url or "").partition("?")[0].rpartition("/$")[2].removeprefix("$")
    if any(each.name == name and (each.affects_state or each.lasting) for each in OPERATIONS):
        raise BadRequest(
            f"${name} is no part of a transaction, which takes operations that only read: send it by itself or in a batch.",
            code="not-supported",
            expression=(f"Bundle.entry[{number}]",),
        )


def _batch_entry(service: Service, call: Call, entry: Any) -> bytes:
    """One entry carried out on its own: its failure is its own, and becomes its outcome."""
    try:
        with audit_record.part() as record:
            answer, told = _perform(service, call, entry)
            if record is not None:
                record.status = answer.status
    except FhirError as error:
        return bundles.response_entry(call.base, error.status, outcome=bundles.outcome(error.issues))
    except Exception as error:
        failure = unexpected(error)
        return bundles.response_entry(call.base, failure.status, outcome=bundles.outcome(failure.issues))
    return _answered(call, answer, told=told)


def _answered(call: Call, answer: Answer, *, told: bool = False) -> bytes:
    """The response entry of an interaction; what its body tells of a write is its outcome and no resource."""
    return bundles.response_entry(
        call.base,
        answer.status,
        stored=answer.stored,
        resource=b"" if told else _resource_in(answer),
        located=answer.written,
        outcome=answer.body if told else b"",
    )


def _resource_in(answer: Answer) -> bytes:
    """The body as a Bundle can hold it: what is no FHIR JSON in a Binary, https://hl7.org/fhir/R4/binary.html."""
    if not answer.body or not answer.media_type:
        return answer.body
    kind, data = answer.media_type.encode(), b64encode(answer.body)
    return b'{"resourceType":"Binary","contentType":"%b","data":"%b"}' % (kind, data)


def _condition(request: dict[str, Any], name: str) -> str | None:
    value = request.get(name)
    if value is not None and not isinstance(value, str):
        raise BadRequest(f"request.{name} must be a string.", expression=(f"Bundle.entry.request.{name}",))
    return value


def _perform(service: Service, call: Call, entry: Any) -> tuple[Answer, bool]:
    """The answer of one entry, and whether its body tells what a write did and is no resource of its own."""
    request = entry.get("request") if isinstance(entry, dict) else None
    if not isinstance(request, dict) or not all(isinstance(request.get(key), str) for key in ("method", "url")):
        raise BadRequest(
            "An entry of a batch needs request.method and request.url.", expression=("Bundle.entry.request",)
        )
    path, parameters = _address(call, request)
    method = "GET" if request["method"] == "HEAD" else request["method"]
    interaction, values = find(service.interactions, method, [unquote(part) for part in path.split("/") if part])
    if interaction.perform is process_bundle:
        raise BadRequest("A batch cannot hold another batch or transaction.", expression=("Bundle.entry.request.url",))
    pairs, form = _split(call, parameters, "" if "operation" in values else values.get("type", ""))
    answer = perform(
        service,
        interaction,
        Call(
            context=call.context,
            base=call.base,
            query=pairs,
            form=form,
            resource=_resource_for(interaction, entry),
            patch=patch.from_resource(_resource_of(entry)) if interaction.body == "patch" else None,
            if_match=_condition(request, "ifMatch"),
            if_none_match=_condition(request, "ifNoneMatch"),
            if_modified_since=_moment(request.get("ifModifiedSince")),
            if_none_exist=_condition(request, "ifNoneExist"),
            prefer=call.prefer,
            **values,
        ),
    )
    if request["method"] == "HEAD":
        answer.body = b""
    return answer, call.prefer.returns == "OperationOutcome" and not WRITES.isdisjoint(interaction.codes)


def _transaction_entry(call: Call, entry: dict[str, Any], result: EntryResult) -> bytes:
    stored = result.stored
    request = entry["request"]
    if request["method"] in ("GET", "HEAD"):
        return _read_entry(call, request, result)
    shown = told = b""
    if stored and stored.json and call.prefer.returns == "representation":
        shown = stored.json
    elif call.prefer.returns == "OperationOutcome":
        told = _told(result)
    located = request["method"] in ("POST", "PUT", "PATCH")
    return bundles.response_entry(
        call.base, result.status, stored=stored, resource=shown, located=located, outcome=told
    )


def _read_entry(call: Call, request: dict[str, Any], result: EntryResult) -> bytes:
    """What a read, vread, search or history in a transaction brought, or 304 when the client has it."""
    wanted = request["method"] == "GET"
    if result.page is not None:
        page = _page(call, request, result.page) if wanted else b""
        return bundles.response_entry(call.base, result.status, resource=page)
    stored = result.stored
    held = replace(
        call,
        if_none_match=_condition(request, "ifNoneMatch"),
        if_modified_since=_moment(request.get("ifModifiedSince")),
    )
    if stored is not None and preconditions.is_unchanged(held, stored):
        return bundles.response_entry(call.base, 304, stored=stored)
    shown = b""
    if wanted and stored and stored.json:
        form = _split(call, _address(call, request)[1], stored.type)[1]
        shown = subset.shown(stored.json, subset.of_bundle(form, stored.type))
    return bundles.response_entry(call.base, result.status, stored=stored, resource=shown)


def _told(result: EntryResult) -> bytes:
    """The OperationOutcome that tells what an entry did."""
    if result.stored is not None:
        return written.outcome(result.stored, result.outcome)
    text = f"{result.deleted} resources were deleted." if result.deleted else "There was nothing to delete."
    return bundles.outcome([Issue(text, "informational", "information")])


def _page(call: Call, request: dict[str, Any], page: SearchPage | HistoryPage) -> bytes:
    path, parameters = _address(call, request)
    pairs, form = _split(call, parameters, path.partition("/")[0])
    if isinstance(page, SearchPage):
        return bundles.searchset(page, call.base, path, form)
    return bundles.history(page, call.base, path, pairs, form)


def _split(call: Call, parameters: str, resource_type: str) -> tuple[Pairs, Pairs]:
    """The parameters of an entry that say what is asked, and those that say how to write the answer."""
    pairs, form = query.split_form(query.parse(parameters))
    return pairs, subset.understood(form, resource_type) if call.prefer.lenient else form


def _address(call: Call, request: dict[str, Any]) -> tuple[str, str]:
    """The path below the base and the query string of an entry; absolute addresses of this server are taken too."""
    path, _, parameters = relative_url(str(request["url"]), (call.base,)).partition("?")
    return path.strip("/"), parameters


def _resource_for(interaction: Interaction, entry: dict[str, Any]) -> dict[str, Any] | None:
    """The resource of an entry, where its interaction takes one; an operation may come without any."""
    if interaction.body == "operation" and "resource" not in entry:
        return None
    return _resource_of(entry) if interaction.body in ("resource", "operation") else None


def _resource_of(entry: dict[str, Any]) -> dict[str, Any]:
    resource = entry.get("resource")
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        raise BadRequest("This entry needs a resource, with its resourceType.", expression=("Bundle.entry.resource",))
    return resource


def _moment(instant: str | None) -> datetime | None:
    if instant is None:
        return None
    try:
        moment = datetime.fromisoformat(instant)
    except (TypeError, ValueError):
        moment = None
    if moment is None or moment.tzinfo is None:
        raise BadRequest(
            "ifModifiedSince must be an instant with a time zone: 2026-11-24T08:00:00+07:00.",
            expression=("Bundle.entry.request.ifModifiedSince",),
        )
    return moment
