"""Consent as it is enforced: what a patient opens to a facility, and what a patient hides.

https://hl7.org/fhir/R4/consent.html. Grants and denials are worked out when a Consent is written and stored beside it;
whether one holds is asked at every access, so that the end of a period or a withdrawal counts at once, everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .. import r4
from ..errors import BadRequest
from ..search.filters import Filter
from ..search.intervals import date_interval
from .sensitivity import RESTRICTED

Resource = dict[str, Any]
Rule = dict[str, Any]
"""`f` facilities ([] any), `p` purposes, `c` types, `l` labels ([] any), `low` and `high` the period in milliseconds,
`e` the facilities that a denial is not for."""

FACILITY = "http://fhir.ehealth.gov.vn/core/sid/provider-code"
ANYBODY = "*"
_ALWAYS = 2**53
_TYPES = frozenset(r4.RESOURCE_TYPES)
_SCOPES = frozenset({"patient-privacy", "treatment"})


def consent_fields(resource: Resource, base_url: str) -> dict[str, Any]:
    """`g` the grants and `n` the denials of a Consent: of an active one that is about privacy or treatment."""
    scopes = {each.get("code") for each in resource.get("scope", {}).get("coding", ())}
    if resource.get("status") != "active" or not scopes & _SCOPES:
        return {}
    grants: list[Rule] = []
    denials: list[Rule] = []
    _collect(resource.get("provision", {}), base_url, grants, denials, (-_ALWAYS, _ALWAYS))
    return ({"g": grants} if grants else {}) | ({"n": denials} if denials else {})


def _collect(
    provision: Resource, base_url: str, grants: list[Rule], denials: list[Rule], within: tuple[int, int]
) -> None:
    low, high = _period(provision.get("period", {}), within)
    actors = [each for actor in provision.get("actor", ()) for each in facilities(actor.get("reference", {}), base_url)]
    rule: Rule = {
        "p": [each["code"] for each in provision.get("purpose", ()) if "code" in each],
        "c": [each["code"].rpartition("/")[2] for each in provision.get("class", ()) if "code" in each],
        "l": [each["code"] for each in provision.get("securityLabel", ()) if "code" in each],
        "low": low,
        "high": high,
    }
    if provision.get("type") == "permit":
        # What opens a record names to whom; whatever narrows a grant in a way that is not enforced makes it none.
        if not any(name in provision for name in ("data", "dataPeriod", "code", "action")):
            grants += [{"f": each, **rule} for each in actors]
    elif provision.get("type") == "deny":
        # A denial that is narrowed in a way that is not enforced hides more than it asks for, never less.
        rule["c"] = rule["c"] if _TYPES.issuperset(rule["c"]) else []
        rule["l"] = rule["l"] if RESTRICTED.issuperset(rule["l"]) else []
        rule["e"] = list(_excepted(provision, base_url))
        if actors or not provision.get("actor"):
            denials += [{"f": each, **rule} for each in actors or [ANYBODY]]
    for inner in provision.get("provision", ()):
        _collect(inner, base_url, grants, denials, (low, high))


def _excepted(denial: Resource, base_url: str) -> Iterator[str]:
    """Whom a denial is not for: the facilities that provisions inside it permit without any condition."""
    for inner in denial.get("provision", ()):
        if inner.get("type") == "permit" and inner.keys() <= {"type", "actor", "id"}:
            for actor in inner.get("actor", ()):
                yield from facilities(actor.get("reference", {}), base_url)


def _period(period: Resource, within: tuple[int, int]) -> tuple[int, int]:
    low, high = within
    try:
        if "start" in period:
            low = max(low, int(date_interval(period["start"]).low))
        if "end" in period:
            high = min(high, int(date_interval(period["end"]).high))
    except (ValueError, OverflowError, BadRequest):
        return 0, 0  # a period that cannot be read holds never
    return low, high


def holds_now(rule: Rule, places: Sequence[str], purpose: str, at: int) -> bool:
    """Whether a rule is for one of these names of a facility, for this purpose, at this moment (ms since 1970)."""
    if (rule["f"] != ANYBODY and rule["f"] not in places) or set(places) & set(rule.get("e", ())):
        return False
    if "low" not in rule:
        return True
    return rule["low"] <= at < rule["high"] and (not rule["p"] or purpose in rule["p"])


def is_about(rule: Rule, type: str, labels: Iterable[str]) -> bool:
    """Whether a record of a type with these labels is among what a rule opens or hides."""
    classes, wanted = rule.get("c", ()), rule.get("l", ())
    return (not classes or type in classes) and (not wanted or bool(set(wanted) & set(labels)))


def hidden(owner: str, rule: Rule, type: str) -> Filter | None:
    """The filter on what a denial of one owner hides of a type ("" any); None for nothing."""
    if rule["c"] and type and type not in rule["c"]:
        return None
    return {"o": owner, "l": {"$in": rule["l"]}} if rule["l"] else {"o": owner}


def facilities(reference: Resource, base_url: str) -> Iterator[str]:
    """How a reference names a facility: its code, or Organization/id of this server."""
    identifier = reference.get("identifier", {})
    if identifier.get("system") == FACILITY and "value" in identifier:
        yield identifier["value"]
    text = reference.get("reference", "").removeprefix(f"{base_url}/")
    if text.startswith("Organization/"):
        yield text.partition("/_history/")[0]
