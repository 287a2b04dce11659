"""Whether the audit trail is as it was written: every chain is read once, in a stream, and compared with its hashes,
its head and its anchors.

It finds what was changed, removed, added, moved or cut off. An anchor lies outside MongoDB: it also finds a chain that was
written anew from some event on, head and all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .records import document_of
from .resource.exact import parse
from .store.audit import AUDITED, BEGINNING, AuditChains, event_id, link, place_of
from .store.records import Document, Store


@dataclass(frozen=True, slots=True)
class Broken:
    """The first place at which a chain is not as it was written."""

    event: str
    how: str
    """changed, removed, added, reordered, truncated"""
    told: str

    def __str__(self) -> str:
        return f"AuditEvent/{self.event} was {self.how}: {self.told}"


@dataclass(slots=True)
class Verified:
    """What was looked at, and the first broken place of each chain that has one."""

    chains: int
    events: int
    broken: list[Broken]


@dataclass(slots=True)
class _Chain:
    """A chain while it is read: the number and the hash of the last event."""

    name: str
    anchors: Iterator[tuple[int, str]]
    number: int = 0
    hash: str = BEGINNING
    broken: Broken | None = None
    anchor: tuple[int, str] | None = None

    def reach_anchor(self) -> tuple[int, str] | None:
        """The anchor that comes next."""
        while self.anchor is None or self.anchor[0] < self.number:
            self.anchor = next(self.anchors, None)
            if self.anchor is None:
                return None
        return self.anchor


def verify(
    store: Store, base_url: str, *, anchors: Path | None = None, progress: Callable[[int], None] = lambda _: None
) -> Verified:
    """Read all chains of a store. `progress` is told how many events were read. Holds some hundred events at a time."""
    chains = AuditChains(store)
    heads = {each["_id"]: each for each in chains.heads()}
    unread = set(heads) | {name for name, _, _ in _lines(anchors)}
    known, state, foreign = frozenset(unread), None, False
    result = Verified(0, 0, [])
    for document in chains.events():
        result.events += 1
        if result.events % 1000 == 0:
            progress(result.events)
        place = place_of(document["_id"])
        if place is None or place[0] not in known:
            if not foreign:
                result.broken.append(Broken(document["_id"], "added", "it is part of no chain that there is."))
            foreign = True
            continue
        if state is None or state.name != place[0]:
            _finish(state, heads, result)
            state = _Chain(place[0], _anchors_of(anchors, place[0]))
            unread.discard(state.name)
        if state.broken is None:
            state.broken = _look(state, document, place[1], heads.get(state.name), base_url)
    _finish(state, heads, result)
    for name in sorted(unread):
        _finish(_Chain(name, _anchors_of(anchors, name)), heads, result)
    progress(result.events)
    return result


def _look(chain: _Chain, document: Document, number: int, head: Document | None, base_url: str) -> Broken | None:
    """What is wrong with the next event of a chain; the chain goes on to it when nothing is."""
    id, place, text = document["_id"], document.pop("a", None), str(document.get("json"))
    if number != chain.number + 1:
        return Broken(event_id(chain.name, chain.number + 1), "removed", f"the next one there is {id}.")
    if not isinstance(place, dict):
        return Broken(id, "added", "it has no place in its chain.")
    inside = _id_in(text)
    if place.get("n") != number or inside not in (id, None):
        return Broken(id, "reordered", f"what stands there is {inside if inside != id else 'another event'}.")
    linked = link(chain.hash, id, text)
    if place.get("h") != linked:
        if place.get("h") == link(str(place.get("p")), id, text):
            return Broken(
                event_id(chain.name, max(number - 1, 1)), "changed", "the next one was made after another text."
            )
        return Broken(id, "changed", "its text is not the one its hash was made of.")
    if inside is None or document != document_of(AUDITED, id, 1, parse(text), "POST", document["t"], base_url):
        return Broken(id, "changed", "what it is found by is not what its text says.")
    chain.number, chain.hash = number, linked
    if head is None or number > head["n"]:
        return Broken(id, "added", "it stands behind the head of its chain.")
    if number == head["n"] and linked != head["h"]:
        return Broken(id, "changed", "the head of its chain has another hash.")
    anchor = chain.reach_anchor()
    if anchor is not None and anchor[0] == number and anchor[1] != linked:
        return Broken(id, "changed", "its anchor has another hash: the chain was written anew up to here.")
    return None


def _id_in(text: str) -> Any:
    try:
        found = parse(text)
    except ValueError:
        return None
    return found.get("id") if isinstance(found, dict) else None


def _finish(chain: _Chain | None, heads: dict[str, Document], result: Verified) -> None:
    """What is missing at the end of a chain."""
    if chain is None:
        return
    result.chains += chain.name in heads
    if chain.broken is None:
        told = max((heads.get(chain.name, {}).get("n", 0), *(number for number, _ in chain.anchors)))
        told = max(told, chain.anchor[0] if chain.anchor else 0)
        if told > chain.number:
            first = event_id(chain.name, chain.number + 1)
            chain.broken = Broken(first, "truncated", f"the chain has come to number {told} once and ends before.")
    if chain.broken is not None:
        result.broken.append(chain.broken)


def _anchors_of(path: Path | None, chain: str) -> Iterator[tuple[int, str]]:
    """(number, hash) of a chain's anchors, in the order they were written."""
    for name, number, hash in _lines(path):
        if name == chain:
            yield int(number), hash


def _lines(path: Path | None) -> Iterator[tuple[str, str, str]]:
    if path is None or not path.exists():
        return
    with path.open(encoding="ascii") as file:
        for line in file:
            words = line.split()
            if len(words) == 3:
                yield words[0], words[1], words[2]
