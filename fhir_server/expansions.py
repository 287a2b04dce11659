"""What codes a search for `:in`, `:not-in`, `:above` or `:below` means, kept until one of the definitions behind it changes.

https://hl7.org/fhir/R4/search.html#token. An answer is kept with the ids and versions of every ValueSet and CodeSystem
that was asked for while it was made, also of those that were not there. Before it is used these are read again, one
query for each of the two types through the index, no text: a write through any process counts at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any

from .definitions import Definitions
from .store.records import Store
from .terminology.service import Terminology

Json = dict[str, Any]
Asked = tuple[str, str]
"""(resource type, url without its version)"""
Stamp = frozenset[tuple[str, int]]
"""(id, version) of the stored definitions that a url names"""

KEPT_CODES = 200_000
"""How many codes all kept answers may hold together: some 20 MB."""


class Expansions:
    """The terminology of searches. Thread-safe. Raises what `Terminology` raises; a refusal is not kept."""

    def __init__(self, store: Store, definitions: Definitions) -> None:
        self._store = store
        self._definitions = definitions
        self._kept: dict[tuple[str, ...], tuple[dict[Asked, Stamp], Any]] = {}
        self._codes = 0
        self._lock = Lock()

    def codes_in(self, value_set_url: str) -> list[tuple[str, str]]:
        """(system, code) of everything in a value set."""
        return self._answer(("in", value_set_url), lambda held: held.codes_in(value_set_url))

    def system(self, url: str) -> Any:
        """A code system, or None when it is not held."""
        return self._answer(("system", url), lambda held: [held.system(url)])[0]

    def below(self, system: str, code: str) -> list[str]:
        """The code and all that are subsumed by it."""
        return self._answer(("below", system, code), lambda held: held.below(system, code))

    def above(self, system: str, code: str) -> list[str]:
        """The code and all that subsume it."""
        return self._answer(("above", system, code), lambda held: held.above(system, code))

    def _answer(self, question: tuple[str, ...], ask: Callable[[Terminology], list[Any]]) -> list[Any]:
        kept = self._kept.get(question)
        if kept is not None and self._stamps(kept[0]) == kept[0]:
            return list(kept[1])
        behind: dict[Asked, Stamp] = {}

        def look(resource_type: str, canonical: str) -> Json | None:
            # The stamp comes first: what is written in between makes the answer look old, and never new.
            asked = (resource_type, canonical.partition("#")[0].partition("|")[0])
            behind.setdefault(asked, self._stamps([asked])[asked])
            return self._definitions.find(resource_type, canonical, fresh=True)

        answer = ask(Terminology(look))
        self._keep(question, behind, answer)
        return list(answer)

    def _keep(self, question: tuple[str, ...], behind: dict[Asked, Stamp], answer: list[Any]) -> None:
        with self._lock:
            replaced = self._kept.pop(question, None)
            self._codes += len(answer) + len(behind) - (len(replaced[1]) + len(replaced[0]) if replaced else 0)
            self._kept[question] = (behind, answer)
            while self._codes > KEPT_CODES:
                stamps, oldest = self._kept.pop(next(iter(self._kept)))
                self._codes -= len(oldest) + len(stamps)

    def _stamps(self, asked: Iterable[Asked]) -> dict[Asked, Stamp]:
        """What is stored now under each url."""
        by_type: dict[str, list[str]] = {}
        for resource_type, url in asked:
            by_type.setdefault(resource_type, []).append(url)
        found: dict[Asked, set[tuple[str, int]]] = {
            (resource_type, url): set() for resource_type, urls in by_type.items() for url in urls
        }
        for resource_type, urls in by_type.items():
            tokens = {f"url|{url}": url for url in urls}
            ids = {url.removeprefix(f"{resource_type}/"): url for url in urls if url.startswith(f"{resource_type}/")}
            wanted: Json = {"x": {"$in": list(tokens)}}
            if ids:
                wanted = {"$or": [wanted, {"_id": {"$in": list(ids)}}]}
            fields = {"v": 1, "x": 1}
            for each in self._store.bare(resource_type, wanted, fields, session=None):
                named = {tokens[token] for token in each["x"] if token in tokens}
                named |= {ids[each["_id"]]} if each["_id"] in ids else set()
                for url in named:
                    found[resource_type, url].add((each["_id"], each["v"]))
        return {key: frozenset(stamp) for key, stamp in found.items()}
