"""batch and transaction: many interactions in one request.

https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from ..errors import BadRequest, FhirError, TooLarge
from ..repository import EntryResult, HistoryPage, SearchPage
from . import bundles, query
from .call import Answer, Call, Service
from .errors import unexpected
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
        written = [_batch_entry(service, call, entry) for entry in entries]
    else:
        results = service.repository.transaction(call.context, bundle, lenient=call.prefer.lenient)
        written = [_transaction_entry(call, e, result) for e, result in zip(entries, results, strict=True)]
    return Answer(200, bundles.responses(f"{kind}-response", written))


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


def _batch_entry(service: Service, call: Call, entry: Any) -> bytes:
    """One entry carried out on its own: its failure is its own, and becomes its outcome."""
    try:
        answer = _perform(service, call, entry)
    except FhirError as error:
        return bundles.response_entry(call.base, error.status, outcome=bundles.outcome(error.issues))
    except Exception as error:
        failure = unexpected(error)
        return bundles.response_entry(call.base, failure.status, outcome=bundles.outcome(failure.issues))
    return bundles.response_entry(
        call.base, answer.status, stored=answer.stored, resource=answer.body, located=answer.written
    )


def _perform(service: Service, call: Call, entry: Any) -> Answer:
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
    pairs, form = query.split_form(query.parse(parameters))
    answer = perform(
        service,
        interaction,
        Call(
            context=call.context,
            base=call.base,
            query=pairs,
            form=form,
            resource=_resource_of(entry) if interaction.body == "resource" else None,
            if_match=request.get("ifMatch"),
            if_none_match=request.get("ifNoneMatch"),
            if_modified_since=_moment(request.get("ifModifiedSince")),
            if_none_exist=request.get("ifNoneExist"),
            prefer=call.prefer,
            **values,
        ),
    )
    if request["method"] == "HEAD":
        answer.body = b""
    return answer


def _transaction_entry(call: Call, entry: dict[str, Any], result: EntryResult) -> bytes:
    stored = result.stored
    method = entry["request"]["method"]
    if result.page is not None:
        return bundles.response_entry(call.base, result.status, resource=_page(call, entry, result.page))
    if method == "GET":
        shown = stored.json if stored and stored.json and result.status == 200 else b""
        return bundles.response_entry(call.base, result.status, stored=stored, resource=shown)
    shown = b""
    if stored and stored.json and call.prefer.returns == "representation":
        shown = stored.json
    return bundles.response_entry(
        call.base, result.status, stored=stored, resource=shown, located=method in ("POST", "PUT")
    )


def _page(call: Call, entry: dict[str, Any], page: SearchPage | HistoryPage) -> bytes:
    path, parameters = _address(call, entry["request"])
    pairs, form = query.split_form(query.parse(parameters))
    if isinstance(page, SearchPage):
        return bundles.searchset(page, call.base, path, form)
    return bundles.history(page, call.base, path, pairs, form)


def _address(call: Call, request: dict[str, Any]) -> tuple[str, str]:
    """The path below the base and the query string of an entry; absolute addresses of this server are taken too."""
    path, _, parameters = str(request["url"]).partition("?")
    return path.removeprefix(call.base).strip("/"), parameters


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
