"""capabilities: what this server can do, read from the table of interactions and the R4 definitions.

https://hl7.org/fhir/R4/http.html#capabilities and https://hl7.org/fhir/R4/capabilitystatement.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from .. import __version__
from ..errors import BadRequest
from ..r4 import FHIR_VERSION, RESOURCE_TYPES, SearchParameter, search_parameters
from ..resource import exact
from .call import Answer, Call, Interaction, Service

FORMATS = ("application/fhir+json", "json")

_SEARCHED_TYPES = frozenset({"number", "date", "string", "token", "reference", "quantity", "uri"})
_SECURITY = (
    "In open access, which the server takes up on the loopback interface only, nobody has to log in. "
    "Otherwise every request needs an access token."
)


def show_capabilities(service: Service, call: Call) -> Answer:
    """The CapabilityStatement. Raises BadRequest for a `mode` other than full and normative."""
    for mode in (value for name, value in call.query if name == "mode"):
        if mode not in ("full", "normative"):
            raise BadRequest("The mode of /metadata can be full or normative.", code="not-supported")
    return Answer(200, service.capabilities.at(call.base))


def searchable(resource_type: str) -> Mapping[str, SearchParameter]:
    """The search parameters of a type that the server indexes: those of a supported type that have an expression."""
    return {
        code: parameter
        for code, parameter in search_parameters(resource_type).items()
        if parameter.type in _SEARCHED_TYPES and parameter.expressions
    }


class Capabilities:
    """The CapabilityStatement of a table of interactions, built once a process when it is first asked for."""

    def __init__(self, interactions: Iterable[Interaction]) -> None:
        self._interactions = tuple(interactions)
        self._date = exact.instant(datetime.now(UTC))

    def at(self, base: str) -> bytes:
        """The statement as JSON, for the service at `base`."""
        implementation = {"description": "Electronic health records of a population", "url": base}
        return self._without_address[:-1] + b',"implementation":' + exact.dump(implementation) + b"}"

    @cached_property
    def _without_address(self) -> bytes:
        return exact.dump(
            {
                "resourceType": "CapabilityStatement",
                "status": "active",
                "date": self._date,
                "kind": "instance",
                "software": {"name": "fhir-server", "version": __version__},
                "fhirVersion": FHIR_VERSION,
                "format": list(FORMATS),
                "rest": [
                    {
                        "mode": "server",
                        "security": {"cors": True, "description": _SECURITY},
                        "resource": self._resources(),
                        "interaction": self._codes("system"),
                    }
                ],
            }
        )

    def _codes(self, *levels: str) -> list[dict[str, str]]:
        rows = (row for row in self._interactions if row.level in levels and not row.conditional)
        codes = dict.fromkeys(code for row in rows for code in row.codes)
        return [{"code": code} for code in codes if code != "capabilities"]

    def _resources(self) -> list[dict[str, Any]]:
        conditional = {code for row in self._interactions if row.conditional for code in row.codes}
        interactions = self._codes("instance", "type")
        codes = {row["code"] for row in interactions}
        shared = {
            "interaction": interactions,
            "versioning": "versioned-update",
            "readHistory": "vread" in codes,
            "updateCreate": "update" in codes,
            "conditionalCreate": "create" in codes,
            "conditionalRead": "full-support",
            "conditionalUpdate": "update" in conditional,
            "conditionalDelete": "single" if "delete" in conditional else "not-supported",
        }
        including = _includes()
        return [
            {
                "type": name,
                "profile": f"http://hl7.org/fhir/StructureDefinition/{name}",
                **shared,
                **_search(name, including),
            }
            for name in RESOURCE_TYPES
        ]


def _includes() -> dict[str, list[str]]:
    """For each type the references to it that name it among their targets: `Observation:patient` for Patient."""
    including: dict[str, list[str]] = {name: [] for name in RESOURCE_TYPES}
    for name in RESOURCE_TYPES:
        for code, parameter in searchable(name).items():
            if parameter.type == "reference":
                for target in parameter.target:
                    if target in including:
                        including[target].append(f"{name}:{code}")
    return including


def _search(name: str, including: Mapping[str, list[str]]) -> dict[str, Any]:
    parameters = searchable(name)
    references = [f"{name}:{code}" for code, parameter in parameters.items() if parameter.type == "reference"]
    declared = {
        "searchInclude": references,
        "searchRevInclude": including[name],
        "searchParam": [
            {"name": code, "definition": parameter.url, "type": parameter.type}
            for code, parameter in parameters.items()
        ],
    }
    return {key: value for key, value in declared.items() if value}  # FHIR JSON has no empty arrays
