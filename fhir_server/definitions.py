"""Definitions by their canonical URL: profiles, value sets, code systems and concept maps, stored or packaged.

https://hl7.org/fhir/R4/references.html#canonical. They are asked for on every write of a resource that names a profile,
so an answer is kept for SECONDS; a definition written through this process counts at once, one written through another
process, or deleted, after SECONDS.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from time import monotonic
from typing import Any, Final

from profiles import PLACE_URLS, file_resources, place_resources

from .records import Stored
from .resource.exact import parse

Json = dict[str, Any]
Newest = Callable[[str, str], list[Stored]]
"""(resource type, url) -> the stored definitions with this URL, newest first."""

TYPES: Final = frozenset({"StructureDefinition", "ValueSet", "CodeSystem", "ConceptMap"})
SECONDS = 5.0
_KEPT = 1024
_KEPT_BYTES = 64 * 1024 * 1024
_LONGEST = 2048
"""No canonical is longer: what is kept by name must not be blown up by whoever chooses the name."""


@cache
def _packaged(places: bool) -> dict[tuple[str, str], list[Json]]:
    """The package's definitions, the newest version of each first. Those of places, which are large, have to be meant."""
    found: dict[tuple[str, str], list[Json]] = {}
    for each in place_resources() if places else file_resources():
        if each["resourceType"] in TYPES:
            found.setdefault((each["resourceType"], each["url"]), []).insert(0, each)
    return found


class Definitions:
    """Finds definitions and keeps those last used. Thread-safe."""

    def __init__(self, newest: Newest, clock: Callable[[], float] = monotonic) -> None:
        self._newest = newest
        self._clock = clock
        self._kept: dict[tuple[str, str], tuple[float, Json | None]] = {}
        self._parsed: dict[tuple[str, str, int], Json] = {}
        self._parsed_bytes = 0
        self._unsettled_until = 0.0

    def written(self) -> None:
        """A definition is being written: for SECONDS nothing kept is trusted, until the write has surely ended."""
        self._unsettled_until = self._clock() + SECONDS

    def find(self, resource_type: str, canonical: str, *, fresh: bool = False) -> Json | None:
        """The newest definition with this URL, and version when the canonical names one; None when there is none.

        The same object as long as the definition does not change. `fresh` asks the store and not what is kept.
        """
        if len(canonical) > _LONGEST:
            return None
        key = resource_type, canonical
        now = self._clock()
        kept = self._kept.get(key)
        if not fresh and kept is not None and kept[0] > now and self._unsettled_until < now:
            return kept[1]
        found = self._look(resource_type, canonical.partition("#")[0])
        if len(self._kept) >= _KEPT:
            self._kept.clear()
        self._kept[key] = (now + SECONDS, found)
        return found

    def _look(self, resource_type: str, canonical: str) -> Json | None:
        url, _, version = canonical.partition("|")
        if not url or resource_type not in TYPES:
            return None
        for stored in self._newest(resource_type, url):
            definition = self._parse(stored)
            if definition is not None and version in ("", definition.get("version")):
                return definition
        packaged = _packaged(url in PLACE_URLS).get((resource_type, url), ())
        return next((each for each in packaged if version in ("", each.get("version"))), None)

    def _parse(self, stored: Stored) -> Json | None:
        key = stored.type, stored.id, stored.version
        found = self._parsed.get(key)
        if found is None and stored.json is not None:
            self._parsed_bytes += len(stored.json)
            if len(self._parsed) >= _KEPT or self._parsed_bytes > _KEPT_BYTES:
                self._parsed.clear()
                self._parsed_bytes = len(stored.json)
            found = self._parsed[key] = parse(stored.json)
        return found
