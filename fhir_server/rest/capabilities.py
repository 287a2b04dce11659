"""capabilities: what this server can do, read from the tables of interactions, operations and search parameters.

https://hl7.org/fhir/R4/http.html#capabilities, https://hl7.org/fhir/R4/capabilitystatement.html and
https://hl7.org/fhir/R4/terminologycapabilities.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from .. import __released__, __version__
from ..access.endpoints import AUTHORIZE, INTROSPECT, REVOKE, TOKEN, endpoint
from ..config import Config
from ..errors import BadRequest
from ..patch import JSON_PATCH, MERGE_PATCH
from ..r4 import FHIR_VERSION, RESOURCE_TYPES
from ..repository import COMPARTMENTS
from ..resource import exact
from ..search.parameters import Parameter, depending, parameters
from .call import WRITES, Answer, Call, Interaction, Service
from .operations.operation import Level, Operation
from .operations.registry import OPERATIONS

FORMATS = ("application/fhir+json", "json", "application/fhir+xml", "xml")
PATCH_FORMATS = (JSON_PATCH, MERGE_PATCH, "application/json", *(each for each in FORMATS if "/" in each))
"""A JSON Patch, a JSON Merge Patch, either of them, and a FHIRPath Patch in a Parameters resource."""
_OPEN = {
    "description": "Open access: nobody has to log in, and the server takes requests to local names on the loopback "
    "interface only."
}
_CLOSED = "Every request but the one for this statement needs an access token of SMART on FHIR."
_OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_SMART_ON_FHIR = {
    "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
    "code": "SMART-on-FHIR",
    "display": "SMART-on-FHIR",
}
_SOFTWARE = {"name": "fhir-server", "version": __version__}
_REMARKS = {"Subscription": {"documentation": "Kept with the status off or error; this server delivers none."}}
_PUBLISHED = {"status": "active", "kind": "instance", "software": _SOFTWARE}


def show_capabilities(service: Service, call: Call) -> Answer:
    """The CapabilityStatement, or with mode=terminology the TerminologyCapabilities. Raises BadRequest for other modes."""
    modes = {value for name, value in call.query if name == "mode"} or {"full"}
    if modes == {"terminology"}:
        return Answer(200, service.capabilities.terminology(call.base))
    if not modes <= {"full", "normative"}:
        raise BadRequest("The mode of /metadata can be full, normative or terminology, and one of them.", code="value")
    service.repository.know_parameters()
    return Answer(200, service.capabilities.at(call.base, service.config, service.repository.append_only))


def searchable(resource_type: str) -> Mapping[str, Parameter]:
    """The search parameters of a type that the server answers to."""
    return {code: each for code, each in parameters(resource_type).items() if each.searchable or _is_computed(each)}


def _is_computed(parameter: Parameter) -> bool:
    """Whether search works it out from more than the index entries of one parameter."""
    return parameter.type == "composite" or parameter.code in ("_text", "_content", "_filter", "near")


def operations_at(*levels: Level, resource_type: str = "") -> list[Operation]:
    """The operations that can be asked for at one of the levels, of a type unless it is the system's."""
    return [each for each in OPERATIONS if any(each.is_at(level, resource_type) for level in levels)]


class Capabilities:
    """What the server says of itself: built once a process, when it is first asked for."""

    def __init__(self, interactions: Iterable[Interaction]) -> None:
        self._interactions = tuple(interactions)
        self._date = exact.instant(datetime.now(UTC))

    def at(self, base: str, config: Config, append_only: frozenset[str]) -> bytes:
        """The CapabilityStatement as JSON, for the service at `base`. `append_only`: types that nobody may write."""
        rest = {
            "mode": "server",
            "security": {"cors": bool(config.cors_origins)} | (_OPEN if config.access == "open" else _smart(config)),
        }
        facts = exact.dump(
            {
                "resourceType": "CapabilityStatement",
                **_PUBLISHED,
                "software": _SOFTWARE | {"releaseDate": __released__},
                "date": self._date,
                "implementation": _implementation(base),
                "fhirVersion": FHIR_VERSION,
                "format": list(FORMATS),
                **_filled({"patchFormat": list(PATCH_FORMATS) if self._patches else []}),
            }
        )
        return (
            facts[:-1]
            + b',"rest":['
            + exact.dump(rest)[:-1]
            + b","
            + _abilities(self._interactions, append_only)[1:]
            + b"]}"
        )

    @property
    def _patches(self) -> bool:
        return any("patch" in row.codes for row in self._interactions)

    def terminology(self, base: str) -> bytes:
        """The TerminologyCapabilities as JSON, for the service at `base`."""
        offered = {each.name for each in OPERATIONS}
        abilities: dict[str, Any] = {
            "expansion": {"hierarchical": False, "paging": True, "textFilter": "Case and diacritics do not matter."},
            "codeSearch": "explicit",
            "validateCode": {"translations": False},
            "translation": {"needsMap": True},
        }
        needs = {"expansion": "expand", "validateCode": "validate-code", "translation": "translate"}
        return exact.dump(
            {
                "resourceType": "TerminologyCapabilities",
                **_PUBLISHED,
                "date": self._date,
                "implementation": _implementation(base),
                **{name: told for name, told in abilities.items() if needs.get(name, "expand") in offered},
            }
        )


Interactions = tuple[Interaction, ...]


@cache
def _abilities(interactions: Interactions, append_only: frozenset[str]) -> bytes:
    """What does not depend on where the server is and who asks: the costly part, 0.8 MB made in 95 ms."""
    system: dict[str, Any] = {
        "resource": _resources(interactions, append_only),
        "interaction": _codes(interactions, "system"),
        "searchParam": _searched_everywhere(interactions),
        "operation": _named(operations_at("system")),
        "compartment": _compartments(interactions),
    }
    return exact.dump(_filled(system))


depending.append(_abilities.cache_clear)  # a server's own search parameters come and go


def _searched_everywhere(interactions: Interactions) -> list[dict[str, str]]:
    """The parameters of a search through all types, when there is one: those every type has, `_type` and `_list`."""
    if not any("search-system" in row.codes for row in interactions):
        return []
    shared = [searchable(name) for name in RESOURCE_TYPES]
    everywhere = [each for code, each in shared[0].items() if all(code in others for others in shared)]
    return [*_declared(everywhere), {"name": "_type", "type": "special"}, {"name": "_list", "type": "special"}]


def _compartments(interactions: Interactions) -> list[str]:
    if not any("<compartment>" in row.path for row in interactions):
        return []
    return [f"http://hl7.org/fhir/CompartmentDefinition/{name.lower()}" for name in COMPARTMENTS]


def _codes(interactions: Interactions, *levels: str) -> list[dict[str, str]]:
    rows = (row for row in interactions if row.level in levels and not row.conditional)
    codes = dict.fromkeys(code for row in rows for code in row.codes)
    return [{"code": code} for code in codes if code != "capabilities"]


def _resources(interactions: Interactions, append_only: frozenset[str]) -> list[dict[str, Any]]:
    readable = tuple(row for row in interactions if not WRITES.intersection(row.codes))
    every, read_only = _shared(interactions), _shared(readable)
    including = _includes()
    return [
        {
            "type": name,
            "profile": f"http://hl7.org/fhir/StructureDefinition/{name}",
            **(read_only if name in append_only else every),
            **_search(name, including),
            **_REMARKS.get(name, {}),
            **_filled({"operation": _named(operations_at("type", "instance", resource_type=name))}),
        }
        for name in RESOURCE_TYPES
    ]


def _shared(interactions: Interactions) -> dict[str, Any]:
    """What the statement says of every type that has these interactions."""
    conditional = {code for row in interactions if row.conditional for code in row.codes}
    of_each_type = _codes(interactions, "instance", "type")
    codes = {row["code"] for row in of_each_type}
    return {
        "interaction": of_each_type,
        "versioning": "versioned-update",
        "readHistory": "vread" in codes,
        "updateCreate": "update" in codes,
        "conditionalCreate": "create" in codes,
        "conditionalRead": "full-support",
        "conditionalUpdate": "update" in conditional,
        "conditionalDelete": "multiple" if "delete" in conditional else "not-supported",
        "referencePolicy": ["literal", "logical"],
    }


def _smart(config: Config) -> dict[str, Any]:
    """CapabilityStatement.rest.security, as SMART on FHIR had it before its own configuration file."""
    uris = [
        {"url": name, "valueUri": endpoint(config, where)}
        for name, where in (("authorize", AUTHORIZE), ("token", TOKEN), ("introspect", INTROSPECT), ("revoke", REVOKE))
    ]
    return {
        "extension": [{"url": _OAUTH_URIS, "extension": uris}],
        "service": [{"coding": [_SMART_ON_FHIR], "text": "OAuth2 using SMART on FHIR"}],
        "description": _CLOSED,
    }


def _implementation(base: str) -> dict[str, str]:
    return {"description": "Electronic health records of a population", "url": base}


def _named(operations: Iterable[Operation]) -> list[dict[str, str]]:
    return [{"name": each.name, "definition": each.definition} for each in operations]


def _includes() -> dict[str, list[str]]:
    """For each type the references to it that name it among their targets: `Observation:patient` for Patient."""
    including: dict[str, list[str]] = {name: [] for name in RESOURCE_TYPES}
    for name in RESOURCE_TYPES:
        for code, parameter in searchable(name).items():
            if parameter.type == "reference":
                for target in parameter.targets:
                    if target in including:
                        including[target].append(f"{name}:{code}")
    return including


def _search(name: str, including: Mapping[str, list[str]]) -> dict[str, Any]:
    found = searchable(name)
    references = [f"{name}:{code}" for code, each in found.items() if each.type == "reference"]
    return _filled(
        {
            "searchInclude": ["*"] * bool(references) + references,
            "searchRevInclude": including[name],
            "searchParam": [{"name": code, "definition": each.url, "type": each.type} for code, each in found.items()],
        }
    )


def _declared(several: Iterable[Parameter]) -> list[dict[str, str]]:
    return [{"name": each.code, "definition": each.url, "type": each.type} for each in several]


def _filled(lists: dict[str, Any]) -> dict[str, Any]:
    """Without the empty ones: FHIR JSON has no empty arrays."""
    return {key: value for key, value in lists.items() if value}
