"""What the walk asks: decks of requests whose answer would tell of B if one filter were missing, and random ones between.

The decks are made from what is in the records of both lives: every address, every reference and every value.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlencode

from fhir_server.search.clauses import escape
from fhir_server.search.parameters import parameters, token_key
from tests.abuse.tangled import KIN, OWN, everything, tokens

REFUSED = ("_filter", "_query", "_list", "_text", "_content")
"""The search parameters that are not open to a patient, wherever they stand in a request."""

MODIFIERS = ("", "", "", "", ":missing", ":not", ":exact", ":contains", ":Patient", ":text", ":identifier", ":below")
OPERATIONS = (
    *("$everything", "$lastn", "$meta", "$summary", "$document", "$stats", "$export", "$match", "$validate"),
    *("$qd831", "$unknown", "$versions"),
)
OF_ALL = ("$export", "$merge", "$unmerge", "$reindex")
"""The operations that speak of all records together, or change whose they are: none is open to a patient."""
RANGES = ("ge2026-01-01", "2026-03-12", "2025-07", "lt1960", "gt100", "lt60", "ge170", "true", "a", "z")
CONTROLS = (
    *(("_count", each) for each in ("0", "1", "2", "50")),
    *(("_total", each) for each in ("accurate", "estimate", "none")),
    *(("_summary", each) for each in ("count", "true", "text", "data")),
    *(("_contained", each) for each in ("true", "both")),
    *(("_containedType", each) for each in ("container", "contained")),
    *(("_elements", each) for each in ("id", "code,subject")),
    *(("_sort", each) for each in ("_id", "-_lastUpdated", "birthdate", "-date", "code", "name")),
)


class Question(NamedTuple):
    """One request."""

    method: str
    url: str
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()


class Known:
    """What is in the records of both lives, by type."""

    def __init__(self) -> None:
        records = everything()
        self.addresses = sorted({f"{each['resourceType']}/{each['id']}" for each in records})
        self.types = sorted({each["resourceType"] for each in records})
        self.values: dict[str, set[tuple[str, str]]] = defaultdict(set)
        """(parameter, value) of a type."""
        self.references: set[tuple[str, str, str]] = set()
        """(address of the referring record, parameter, address of what it refers to)"""
        codes = {type: _codes(type) for type in self.types}
        for each in records:
            type = each["resourceType"]
            for key, value in tokens(each):
                for code, kind in codes[type].get(key, ()):
                    self.values[type].add((code, escape(value)))
                    if kind == "reference" and "/" in value:
                        self.references.add((f"{type}/{each['id']}", code, value))


def _codes(type: str) -> dict[str, list[tuple[str, str]]]:
    """Beginning of an index entry -> (parameter, its kind)."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for code, parameter in parameters(type).items():
        for source in parameter.sources:
            found[token_key(source, parameter.type)].append((code, parameter.type))
    return found


def _get(path: str, *pairs: tuple[str, str]) -> Question:
    return Question("GET", f"/fhir/{path}" + (f"?{urlencode(pairs)}" if pairs else ""))


def _type(address: str) -> str:
    return address.partition("/")[0]


# ---- decks -----------------------------------------------------------------------------------------------------------


def _reads(known: Known) -> Iterator[Question]:
    for each in known.addresses:
        yield _get(each)
        yield Question("HEAD", f"/fhir/{each}")
        yield _get(_type(each), ("_id", each.partition("/")[2]))


def _versions(known: Known) -> Iterator[Question]:
    for each in known.addresses:
        for version in ("1", "2", "3"):
            yield _get(f"{each}/_history/{version}")
        yield _get(f"{each}/_history")


def _past(known: Known) -> Iterator[Question]:
    """Of what was somebody else's before, is somebody else's now, is gone, or was changed."""
    yield from (_get(f"{each}/_history") for each in (*known.types, "Patient/a-patient"))
    yield _get("_history")
    for id in ("moved", "given", "b-gone", "b-weight-1"):
        for pairs in ((), (("_count", "1"),), (("_count", "0"),), (("_since", "2020"),), (("_sort", "_lastUpdated"),)):
            yield _get(f"Observation/{id}/_history", *pairs)
        yield from (_get(f"Observation/{id}/_history/{version}") for version in "123")


def _includes(known: Known) -> Iterator[Question]:
    forward = {(_type(source), code) for source, code, _ in known.references if source in OWN}
    for source, code in sorted(forward):
        yield _get(source, ("_include", f"{source}:{code}"))
        yield _get(source, ("_include", "*"), ("_count", "2"))
        yield _get(source, ("_include", f"{source}:{code}"), ("_include:iterate", "*"))
    backward = {(_type(target), _type(source), code) for source, code, target in known.references if target in OWN}
    for target, source, code in sorted(backward):
        yield _get(target, ("_revinclude", f"{source}:{code}"))
        yield _get(target, ("_revinclude:iterate", f"{source}:{code}"), ("_total", "accurate"))
        yield _get(target, ("_revinclude", f"{source}:{code}"), ("_include:iterate", "*"))


def _chains(known: Known) -> Iterator[Question]:
    """Of what A's records refer to and A does not see: whether it has a value."""
    links = {
        (_type(source), code, _type(target))
        for source, code, target in known.references
        if source in OWN and target not in OWN
    }
    for source, code, target in sorted(links):
        for inner, value in sorted(known.values[target]):
            yield _get(source, (f"{code}:{target}.{inner}", value))
        for value in RANGES[:5]:
            yield _get(source, (f"{code}:{target}.date", value))


def _has(known: Known) -> Iterator[Question]:
    """Of what refers to A's records and is not A's: whether it has a value."""
    links = {
        (_type(target), _type(source), code)
        for source, code, target in known.references
        if target in OWN and source not in OWN
    }
    for target, source, code in sorted(links):
        for inner, value in sorted(known.values[source]):
            yield _get(target, (f"_has:{source}:{code}:{inner}", value))
        yield _get(target, (f"_has:{source}:{code}:_id:missing", "false"))
        yield _get(target, (f"_has:{source}:{code}:date", "ge2026-01-01"), ("_summary", "count"))


def _refused(known: Known) -> Iterator[Question]:
    for type in known.types:
        yield _get(type, ("_list", "both"))
        yield _get(type, ("_list", "b-list"), ("_summary", "count"))
        yield _get(type, ("_text", "mau"))
        yield _get(type, ("_content", "mau"))
        yield _get(type, ("_filter", "_id eq b-patient"))
        yield _get(f"Patient/a-patient/{type}", ("_list", "both"))
        yield _get(type, ("subject:Patient._list", "both"))
        yield _get(type, ("_has:Observation:subject:_text", "mau"))


def _searches(known: Known) -> Iterator[Question]:
    for type in known.types:
        for code, value in sorted(known.values[type]):
            yield _get(type, (code, value))
            yield _get(type, (code, value), ("_summary", "count"))
        yield from (_get(type, each) for each in CONTROLS)
        yield _get(type, ("_contained", "both"), ("_containedType", "container"))
        yield _get(type, ("_contained", "true"), ("_containedType", "contained"))


def _surroundings(known: Known) -> Iterator[Question]:
    for each in known.addresses:
        yield _get(f"{each}/$meta")
        yield _get(f"{each}/$everything")
        if _type(each) in ("Patient", "Encounter", "Practitioner"):
            yield from (_get(f"{each}/{type}") for type in (*known.types, "*"))
    for subject in ("Patient/a-patient", "Patient/b-patient", "Patient/nothing", "Group/pair"):
        yield from (_get(f"{subject}/{each}") for each in OPERATIONS)
        yield _get("Observation/$lastn", ("subject", subject))
        yield _get("Observation/$stats", ("subject", subject), ("code", "29463-7"), ("statistic", "count"))
    for each in ("$meta", "Observation/$meta", "$export", "Patient/$export", "Group/pair/$export"):
        yield Question("GET", f"/fhir/{each}", None, (("Prefer", "respond-async"),))
    yield from (
        Question("POST", f"/fhir/{each}", {"resourceType": "Parameters"})
        for each in ("$reindex", "Patient/$merge", "Patient/$unmerge")
    )
    for kin in (KIN, {"resourceType": "Patient", "gender": "female"}) * 12:
        asked = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": kin}]}
        yield Question("POST", "/fhir/Patient/$match", asked)


def _writes(known: Known) -> Iterator[Question]:
    """What A may not do: change others' records, write of others; nor may the condition or the refusal tell of them."""
    body = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    mine, theirs = ({"subject": {"reference": f"Patient/{each}-patient"}} for each in "ab")
    unknown = {"hasMember": [{"reference": "Observation/nothing"}]}
    for each in known.addresses:
        if each not in OWN:
            linked: dict[str, Any] = {**body, **mine, "derivedFrom": [{"reference": each}]}
            yield Question("POST", "/fhir/Observation", linked)
        yield Question("DELETE", f"/fhir/{each}")
    for code, value in sorted(known.values["Observation"]):
        # Such a body is refused, and a match would be answered with what matches.
        criteria = urlencode([(code, value)])
        yield Question("POST", "/fhir/Observation", {**body, **mine, **unknown}, (("If-None-Exist", criteria),))
        yield Question("PUT", f"/fhir/Observation?{criteria}", {**body, **mine, **unknown})
        yield Question("DELETE", f"/fhir/Observation?{criteria}")
    for id in ("a-weight-1", "b-weight-1", "given", "b-gone", "b-linked", "b-weight-4", "nothing") * 2:
        yield Question("PUT", f"/fhir/Observation/{id}", {**body, **theirs, "id": id})
        yield Question("PUT", f"/fhir/Observation/{id}", {**body, **mine, "id": id})


DECKS: dict[str, Callable[[Known], Iterator[Question]]] = {
    "read": _reads,
    "version": _versions,
    "past": _past,
    "include": _includes,
    "chain": _chains,
    "has": _has,
    "refused": _refused,
    "search": _searches,
    "surroundings": _surroundings,
    "write": _writes,
}
READING = tuple(each for each in DECKS if each != "write")


class Questions:
    """An endless row of them: a card from each deck in turn, then a random search, a batch and a paging link."""

    def __init__(self, seed: int, follow: Callable[[], Question | None]) -> None:
        self._random = random.Random(seed)
        self._known = Known()
        self._whole = {name: list(deck(self._known)) for name, deck in DECKS.items()}
        self._left: dict[str, list[Question]] = defaultdict(list)
        self._follow = follow
        self._turn = self._turns()

    def next(self) -> tuple[str, Question]:
        """(where it is from, what is asked)"""
        return next(self._turn)

    def _turns(self) -> Iterator[tuple[str, Question]]:
        while True:
            for name in DECKS:
                yield name, self._dealt(name)
            yield "random", self._search()
            yield "random", self._search()
            yield "batch", self._bundle()
            if link := self._follow():
                yield "link", link

    def _dealt(self, name: str) -> Question:
        """The next card of a deck, which is shuffled whenever all of it was dealt."""
        if not self._left[name]:
            self._left[name] = list(self._whole[name])
            self._random.shuffle(self._left[name])
        return self._left[name].pop()

    def _one(self, several: Any) -> Any:
        return self._random.choice(several)

    def _search(self) -> Question:
        """Of types, of a compartment or of everything, by whatever is understood there and what is not."""
        type = self._one(self._known.types)
        pairs = [self._pair(type) for _ in range(self._random.randrange(3))]
        pairs += [self._one(CONTROLS) for _ in range(self._random.randrange(3))]
        for name, chance in (("_include", 0.3), ("_revinclude", 0.3)):
            if self._random.random() < chance:
                source, code, _ = self._one(sorted(self._known.references))
                if name == "_include":
                    pairs.append((name + self._one(("", ":iterate")), self._one(("*", f"{_type(source)}:{code}"))))
                else:
                    pairs.append((name + self._one(("", ":iterate")), f"{_type(source)}:{code}"))
        types = ",".join(self._random.sample(self._known.types, 3))
        place = self._random.random()
        if place < 0.1:
            return _get("", ("_type", types), *pairs)
        if place < 0.2:
            return _get(f"{self._one(self._known.addresses)}/{type}", *pairs)
        return _get(type, *pairs)

    def _pair(self, type: str) -> tuple[str, str]:
        source, code, target = self._one(sorted(self._known.references))
        way = self._random.random()
        if way < 0.25:
            inner, value = self._value(_type(target))
            return f"{code}{self._one(('', ':' + _type(target)))}.{inner}", value
        if way < 0.5:
            inner, value = self._value(_type(source))
            return f"_has:{_type(source)}:{code}:{inner}", value
        if way < 0.6:
            return f"_has:{_type(source)}:{code}:_has:{self._one(self._known.types)}:subject:_id", target.split("/")[1]
        name, value = self._value(type)
        return name + self._one(MODIFIERS), value

    def _value(self, type: str) -> tuple[str, str]:
        known = sorted(self._known.values[type]) if type in self._known.values else []
        if known and self._random.random() < 0.7:
            return self._random.choice(known)
        return self._one(sorted(parameters(type))) if type in self._known.types else "_id", self._one(RANGES)

    def _bundle(self) -> Question:
        """Several of them at once, from all decks."""
        asked: Iterable[Question] = (self._dealt(self._one(READING)) for _ in range(self._random.randrange(2, 6)))
        entries = [
            {"request": {"method": each.method, "url": each.url.removeprefix("/fhir").removeprefix("/")}}
            for each in asked
        ]
        kind = self._one(("batch", "batch", "transaction"))
        return Question("POST", "/fhir", {"resourceType": "Bundle", "type": kind, "entry": entries})
