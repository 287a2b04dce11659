"""Profiles on the way into the records: what `meta.profile` names and the server holds is asked of the resource.

https://hl7.org/fhir/R4/profiling.html#resources. Measured on one of two shared cores: a Patient profile with
eight identifier slices, six extensions and their definitions 110 µs (518 before slices were looked up in one table), with
one constraint in FHIRPath 200 µs; a resource that names no profile pays nothing.
"""

from __future__ import annotations

from typing import Any

from .access.context import AccessContext
from .definitions import TYPES, Definitions, Newest
from .errors import BadRequest, Issue, Unprocessable
from .records import Stored
from .resource.profiles_validation import Profiles
from .search.clauses import escape
from .searching import RecordSearch
from .terminology.binding import Bindings
from .terminology.service import Terminology

Json = dict[str, Any]
MAX_PROFILES = 20

# Definitions are nobody's record: whose write asks for them makes no difference to which there are.
_READER = AccessContext.unrestricted("definitions")


def newest_in(searching: RecordSearch) -> Newest:
    """Finds definitions by their URL among the records."""

    def newest(resource_type: str, url: str) -> list[Stored]:
        value = escape(url)
        # A relative reference such as ValueSet/42 names a definition too: https://hl7.org/fhir/R4/search.html#token
        own = f"{resource_type}/"
        criterion = ("_id", value.removeprefix(own)) if value.startswith(own) else ("url", value)
        page = searching.page(_READER, resource_type, [criterion, ("_sort", "-_lastUpdated"), ("_count", "20")])
        return [stored for kind, stored in page.entries if kind == "match"]

    return newest


class Conformance:
    """The definitions of one repository, and the checks that are made with them."""

    def __init__(self, newest: Newest) -> None:
        self.definitions = Definitions(newest)
        self.terminology = Terminology(self.definitions.find)
        self._bindings = Bindings(self.terminology)
        self._profiles = Profiles(self._profile, self._bindings.keeps)

    def _profile(self, canonical: str) -> Json | None:
        return self.definitions.find("StructureDefinition", canonical)

    def enforced(self, resource: Json) -> Json:
        """The resource, when it keeps the known profiles it names; unknown ones are no matter here.

        Raises Unprocessable with the elements that do not, or BadRequest when it names too many.
        """
        if resource["resourceType"] in TYPES:
            self.definitions.written()
            self._bindings.forget()
        meta = resource.get("meta")
        if not meta or "profile" not in meta:
            return resource
        named = claimed(resource)
        if len(named) > MAX_PROFILES:
            text = f"A resource may name {MAX_PROFILES} profiles; this one names {len(named)}."
            raise BadRequest(text, code="too-long", expression=[f"{resource['resourceType']}.meta.profile"])
        doubted = [each for each in named if not self._profiles.surely_kept(resource, each)]
        broken = [issue for each in doubted for issue in self.issues(resource, each) or () if issue.severity == "error"]
        if broken:
            raise Unprocessable(broken)
        return resource

    def issues(self, resource: Json, profile: str) -> list[Issue] | None:
        """Everything to be said of a valid resource against a profile; None when the profile is not known."""
        return self._profiles.issues(resource, profile)


def claimed(resource: Json) -> list[str]:
    """The profiles a resource says it keeps, each once."""
    meta = resource.get("meta") or {}
    return [each for each in dict.fromkeys(meta.get("profile", ())) if isinstance(each, str)]
