"""Everything about one patient or one encounter: itself, its compartment, and whom and what that names.

https://hl7.org/fhir/R4/patient-operation-everything.html and
https://hl7.org/fhir/R4/encounter-operation-everything.html

The compartment is read type by type, one search parameter after the other, so that a page costs a few searches on an
index. A caller who is bound to a patient is given what that patient owns, whichever parameter leads there.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from .. import r4
from ..access.context import AccessContext
from ..errors import BadRequest, Forbidden, Issue
from ..repository import Repository, SearchPage, Stored
from ..resource import exact
from ..search.entries import extract
from ..search.parameters import main_sort, parameters, token_key
from ..search.query import Pair
from .named import BESIDE_PATIENT, named

MAX_NAMED = 200  # resources outside the compartment that one page brings along
MAX_PATIENTS = 100  # patients that one page of the type-level operation looks at


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for. `types` is empty for all; `start`, `end` and `since` are FHIR dates."""

    count: int
    types: frozenset[str] = frozenset()
    start: str | None = None
    end: str | None = None
    since: str | None = None
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class _Step:
    """One search: the resources of a type that `code` leads to; `undated` for those that carry no date."""

    type: str
    code: str
    undated: bool = False

    @property
    def name(self) -> str:
        """What paging links call it: its number would change when records of a new type arrive."""
        return f"{self.type} {self.code} {self.undated:d}"


class _Place(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """Where a page begins: the person's place among the people, the step, and the place within it."""

    people: str
    focus: str
    step: str
    inner: str


def everything(repository: Repository, ctx: AccessContext, type: str, id: str, wanted: Wanted) -> SearchPage:
    """One page about one Patient or Encounter. Raises NotFound, Gone, BadRequest."""
    repository.read(ctx, type, id)
    place = _read_place(wanted.cursor) or _Place("", id, "", "")
    if place.focus != id:
        raise _foreign_place()
    walk = _Walk(repository, ctx, type, wanted)
    matches, following = walk.page(id, place.step, place.inner, wanted.count)
    return walk.answer(matches, following and _Place("", id, *following))


def everything_of_everybody(repository: Repository, ctx: AccessContext, wanted: Wanted) -> SearchPage:
    """One page about all patients, person by person. Raises Forbidden for a caller bound to one, BadRequest."""
    if ctx.patient is not None:
        raise Forbidden("Everything about all patients is not open to this caller: ask for Patient/<id>/$everything.")
    walk = _Walk(repository, ctx, "Patient", wanted)
    place = _read_place(wanted.cursor) or _Place("", "", "", "")
    matches: list[Stored] = []
    for _ in range(MAX_PATIENTS):
        pairs = [("_sort", "_id"), ("_count", "1"), *([("_cursor", place.people)] if place.people else [])]
        people = repository.search(ctx, "Patient", pairs)
        if not people.entries:
            return walk.answer(matches, None)
        person = people.entries[0][1].id
        at = (place.step, place.inner) if place.focus == person else ("", "")
        found, following = walk.page(person, *at, wanted.count - len(matches))
        matches += found
        if following is not None:
            return walk.answer(matches, _Place(place.people, person, *following))
        if people.next is None:
            return walk.answer(matches, None)
        place = _Place(_cursor_of(people), "", "", "")
    return walk.answer(matches, place)


class _Walk:
    """The steps through a compartment, for one caller and one question."""

    def __init__(self, repository: Repository, ctx: AccessContext, type: str, wanted: Wanted) -> None:
        self._repository, self._ctx, self._type, self._wanted = repository, ctx, type, wanted
        self._steps = list(self._all_steps())

    def _all_steps(self) -> Iterator[_Step]:
        """The record itself, then the types that there are records of, by name."""
        wanted, compartment = self._wanted, r4.compartment(self._type)
        if not wanted.types or self._type in wanted.types:
            yield _Step(self._type, "_id")
        for type in self._repository.types():
            if type not in compartment or type == self._type or (wanted.types and type not in wanted.types):
                continue
            if not self._repository.may(self._ctx, "s", type):
                continue
            # What a patient owns needs no parameter to lead to it.
            whole = self._ctx.patient is not None and self._type == "Patient"
            for code in ("",) if whole else compartment[type]:
                yield _Step(type, code)
                if (wanted.start or wanted.end) and _date_of(type):
                    yield _Step(type, code, undated=True)

    def page(self, focus: str, at: str, inner: str, room: int) -> tuple[list[Stored], tuple[str, str] | None]:
        """At most `room` resources from a place on, and the place of the next one, None when there is none."""
        names = [step.name for step in self._steps]
        if at and at not in names:
            raise _foreign_place()
        number = names.index(at) if at else 0
        found: list[Stored] = []
        while number < len(self._steps):
            step = self._steps[number]
            pairs = self._pairs(step, focus)
            count = max(room - len(found), 1)  # a full page looks one further, to know whether there is a next
            page = self._repository.search(
                self._ctx, step.type, [*pairs, ("_count", str(count)), *([("_cursor", inner)] if inner else [])]
            )
            new = [stored for _, stored in page.entries if not self._given_before(step, stored, focus)]
            if new and len(found) >= room:
                return found, (step.name, inner)
            found += new
            inner = _cursor_of(page)
            number += not inner
        return found, None

    def _pairs(self, step: _Step, focus: str) -> list[Pair]:
        if step.code == "_id":
            pairs = [("_id", focus)]
        else:
            pairs = [(step.code, f"{self._type}/{focus}")] if step.code else []
            pairs += self._dates(step)
        return [*pairs, ("_lastUpdated", f"gt{self._wanted.since}")] if self._wanted.since else pairs

    def _dates(self, step: _Step) -> list[Pair]:
        """Records without a date are given whatever the dates asked for: an allergy is not over for having none."""
        date = _date_of(step.type)
        if not date:
            return []
        if step.undated:
            return [(f"{date}:missing", "true")]
        limits = (("ge", self._wanted.start), ("le", self._wanted.end))
        return [(date, prefix + value) for prefix, value in limits if value]

    def _given_before(self, step: _Step, stored: Stored, focus: str) -> bool:
        """Whether an earlier parameter of the compartment leads to this resource as well."""
        codes = r4.compartment(self._type).get(step.type, ())
        if step.code not in codes[1:]:
            return False
        tokens = extract(step.type, exact.parse(stored.json or b"{}"), self._repository.base_url).tokens
        whom = [focus, *(self._repository.merged_into(self._ctx, [focus]) if self._type == "Patient" else ())]
        known = parameters(step.type)
        return any(
            f"{token_key(source, 'reference')}{self._type}/{each}" in tokens
            for code in codes[: codes.index(step.code)]
            for source in known[code].sources
            for each in whom
        )

    def answer(self, matches: list[Stored], following: _Place | None) -> SearchPage:
        """The page with what its matches name outside the compartment, and the link behind it."""
        issues: list[Issue] = []
        entries = [("match", stored) for stored in matches]
        entries += [("include", stored) for stored in self._named(matches, issues)]
        asked = self._asked()
        here = [("_cursor", self._wanted.cursor)] if self._wanted.cursor else []
        link = None if following is None else [*asked, ("_cursor", _write_place(following))]
        return SearchPage(entries, issues, None, [*asked, *here], link)

    def _asked(self) -> list[Pair]:
        wanted = self._wanted
        pairs = [("start", wanted.start), ("end", wanted.end), ("_since", wanted.since)]
        pairs += [("_type", ",".join(sorted(wanted.types))), ("_count", str(wanted.count))]
        return [(name, value) for name, value in pairs if value]

    def _named(self, matches: list[Stored], issues: list[Issue]) -> list[Stored]:
        """Practitioners, organizations and the like that the matches reference; an encounter brings its patient too."""
        types = BESIDE_PATIENT if self._type == "Patient" else (*BESIDE_PATIENT, "Patient")
        wanted = [type for type in types if not self._wanted.types or type in self._wanted.types]
        return named(self._repository, self._ctx, matches, wanted, MAX_NAMED, issues)


def _date_of(type: str) -> str:
    """The parameter that tells when the care was given that a record of this type is about; "" when there is none."""
    order = main_sort(type)
    return order.code if order is not None and order.type == "date" else ""


def _cursor_of(page: SearchPage) -> str:
    return dict(page.next or ()).get("_cursor", "")


def _write_place(place: _Place) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def _read_place(cursor: str) -> _Place | None:
    """The place in a cursor. Raises BadRequest. It only says where to go on: every search checks the caller anew."""
    if not cursor:
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=_Place)
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise _foreign_place() from None


def _foreign_place() -> BadRequest:
    return BadRequest("The paging link is not one this server made for this operation; start again.")
