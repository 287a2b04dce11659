"""What one caller may see, as filters on MongoDB documents and, where a filter would be unbounded, as checks on a batch.

A caller bound to a patient: what that patient owns. A token: what its scopes are about. A facility: what patients have
not hidden from it, and when it is narrowed, its own patients only. docs/access.md
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .access import guard
from .access.consents import ANYBODY, FACILITY, Rule, hidden, holds_now, is_about
from .access.context import AccessContext
from .access.sensitivity import RESTRICTED
from .records import now
from .resource.exact import parse
from .search.conditions import conditions
from .search.entries import document_fields
from .search.filters import Filter, Owner, Reading, Terminology, all_of, any_of
from .search.matching import holds
from .store.care import Rules, rules_among
from .store.records import Document, Session, Store

BatchCheck = Callable[[list[Document]], list[Document]]
"""The documents (with `json` and `tokens`) that pass."""

CONTAINED = ""
"""The type that stands for contained resources: all of them are as their containers, whose type may be any."""
DENIALS = 100  # Consents that hide something and are made a filter of; with more of them the documents are checked
FACILITY_SECONDS = 60.0  # how long it is kept which Organizations a facility's code stands for

_places: dict[tuple[str, str], tuple[float, list[str]]] = {}


@dataclass(frozen=True, slots=True)
class Outlook:
    """What sights are made with."""

    store: Store
    base_url: str
    terminology: Callable[[], Terminology | None]

    def of(self, ctx: AccessContext, letter: str, session: Session = None) -> Sight:
        """What a caller may see for an interaction, a letter of cruds."""
        return Sight(self, ctx, letter, session)

    def denials(self, facility: str | None, session: Session = None) -> tuple[Document, ...]:
        """The Consents that hide something from a facility's clients, more than DENIALS only where not all are told.

        What a person hides is hidden whichever of the merged Patients said so: there is a denial for each of them.
        """
        places = places_of(self.store, facility, session)
        told = self.store.care.denials(places, ANYBODY, DENIALS + 1, session)
        if len(told) > DENIALS:
            return tuple(told)
        found = [each for each in told if "o" in each]
        together = self.store.merges.together((each["o"] for each in found), session)
        return tuple({**each, "o": owner} for each in found for owner in together.get(each["o"], [each["o"]]))


class Sight:
    """What one caller may see for one interaction. Raises Forbidden where it is asked about a type without a scope."""

    def __init__(self, outlook: Outlook, ctx: AccessContext, letter: str, session: Session) -> None:
        self.ctx = ctx
        self._outlook = outlook
        self._store = outlook.store
        self._letter = letter
        self._session = session
        self._owner: Owner = None
        self._owner_known = ctx.patient is None
        self._filters: dict[str, list[Filter]] = {}
        self._denials = ctx.denials
        # Consent binds facilities and clients; the patient's own view, local tools and open access are not asked.
        self._governed = (
            ctx.patient is None
            and (ctx.scopes is not None or bool(ctx.facility) or ctx.narrowed)
            and not guard.glass_is_broken(ctx)
        )

    def owner(self, type: str) -> Owner:
        """Whose records of a type: everybody's, those of one patient, or also of whom was merged into this one.

        Never of whom a patient was merged into. Who was merged has no card any more: the old one opens nothing, since
        its Patient.link names the other one. docs/decisions/0005-merging-people.md
        """
        if self.ctx.patient is None or type in guard.DEFINITIONS:
            return None
        if not self._owner_known:
            own = self._store.merges.reach(self.ctx.patient, self._session)
            self._owner = own[0] if len(own) == 1 else {"$in": own}
            self._owner_known = True
        return self._owner

    def may(self, type: str) -> bool:
        """Whether some records of a type may be seen."""
        return guard.may(self.ctx, self._letter, type)

    def filters(self, type: str) -> list[Filter]:
        """What the records of a type fulfil that the caller may see, [] for all. Raises Forbidden without a scope."""
        if type not in self._filters:
            self._filters[type] = self._of_patient(type) + self.beside_owner(type)
        return self._filters[type]

    def beside_owner(self, type: str) -> list[Filter]:
        """The same without the condition on the owner that `owner` gives. Raises Forbidden."""
        return self.scoped(type) + self._beside_scopes(type)

    def _beside_scopes(self, type: str) -> list[Filter]:
        """Conditions on `o` and `l`, which superseded versions keep too."""
        found = self._labelled(type)
        if self._is_asked(type):
            found += [{"o": {"$exists": True}}] if self.narrowed else self._not_hidden(type)
        return found

    def _of_patient(self, type: str) -> list[Filter]:
        owner = self.owner(type)
        return [] if owner is None else [{"o": owner}]

    def _labelled(self, type: str) -> list[Filter]:
        return [{"$nor": [{"l": {"$in": sorted(self._unseen)}}]}] if self._unseen else []

    @property
    def _unseen(self) -> frozenset[str]:
        """The labels that hide a record from the caller. Patients see their own records, whatever the labels."""
        if self.ctx.patient is not None or self.ctx.labels is None:
            return frozenset()
        return RESTRICTED - self.ctx.labels

    def _is_asked(self, type: str) -> bool:
        """Whether care and consent matter to the caller, and to records of the type."""
        if type == guard.AUDIT and not self.narrowed and guard.watches(self.ctx):
            return False
        return self._governed and type not in guard.DEFINITIONS and type not in guard.DIRECTORY

    def scoped(self, type: str) -> list[Filter]:
        """What the scopes ask of the records of a type, [] for nothing. Raises Forbidden without a scope."""
        queries = guard.scope_queries(self.ctx, self._letter, type)
        if not queries:
            return []
        reading = Reading(
            self._outlook.base_url, now(), units=self._store.units.of, terminology=self._outlook.terminology()
        )
        return [any_of([all_of(conditions(query.clauses, reading)) for query in queries])]

    @property
    def narrowed(self) -> bool:
        """Whether the caller sees the patients of its own facility only."""
        return self.ctx.narrowed and self._governed

    # ---- consent and care --------------------------------------------------------------------------------------------

    def _not_hidden(self, type: str) -> list[Filter]:
        """The filter that leaves out what patients hide, where few do; else `checks` has to be asked."""
        denials = self._known_denials()
        if len(denials) > DENIALS:
            return []
        places, at = self._places(), _milliseconds()
        found = [
            each
            for denial in denials
            for rule in denial["n"]
            if holds_now(rule, places, self.ctx.purpose, at) and (each := hidden(denial["o"], rule, type)) is not None
        ]
        whole = sorted({each["o"] for each in found if len(each) == 1})
        hiding: list[Filter] = [{"o": {"$in": whole}}] if whole else []
        hiding += [each for each in found if len(each) > 1]
        return [{"$nor": hiding}] if hiding else []

    def _known_denials(self) -> tuple[Document, ...]:
        if self._denials is None:
            self._denials = self._outlook.denials(self.ctx.facility, self._session)
        return self._denials

    def checks(self, type: str) -> list[BatchCheck]:
        """What beside the filters has to be asked of documents that come with `o` and `l`: [] for most callers."""
        if not self._is_asked(type):
            return []
        if not self.ctx.narrowed and len(self._known_denials()) <= DENIALS:
            return []
        return [lambda documents: self._open(type, documents)]

    def _open(self, type: str, documents: list[Document]) -> list[Document]:
        owners = {each["o"] for each in documents if "o" in each}
        if not owners:
            return [] if self.ctx.narrowed else documents
        known = self.ctx.denials
        if known is not None and len(known) <= DENIALS and not self.narrowed:
            rules = rules_among(known, owners)
            if not rules.denials:
                return documents
        else:
            rules = self._rules(owners)
        places, at = self._places(), _milliseconds()

        def met(several: Sequence[Rule], document: Document, *, opens: bool) -> bool:
            labels = document.get("l", ())
            # Of what type a container is, a contained record does not tell: it is hidden with it, and not opened.
            whole = type == CONTAINED and not opens
            return any(
                holds_now(each, places, self.ctx.purpose, at)
                and is_about({**each, "c": ()} if whole else each, type, labels)
                for each in several
            )

        return [
            each
            for each in documents
            if (not self.ctx.narrowed or met(rules.grants.get(each.get("o", ""), ()), each, opens=True))
            and not met(rules.denials.get(each.get("o", ""), ()), each, opens=False)
        ]

    def _rules(self, owners: set[str]) -> Rules:
        """What opens the records of these patients, and what hides them: also by whoever is the same person."""
        rules = self._store.care.about(owners, self._places(), ANYBODY, care=self.narrowed)
        if not rules.merged:
            return rules
        together = self._store.merges.together(owners)
        asked = owners.union(*together.values())
        rules = self._store.care.about(asked, self._places(), ANYBODY, care=self.narrowed)
        denials = {each: rules.denials.get(each, []) for each in owners}
        for each, several in together.items():
            denials[each] = [rule for one in several for rule in rules.denials.get(one, ())]
        return Rules(rules.grants, denials)

    def _places(self) -> list[str]:
        """How records name the caller's facility: by its code, and as the Organizations that carry that code."""
        return places_of(self._store, self.ctx.facility, self._session)

    # ---- versions ----------------------------------------------------------------------------------------------------

    def kept(self, type: str) -> list[Filter]:
        """The filters on `o` and `l`, which every version in `history` is kept with. Raises Forbidden."""
        guard.require(self.ctx, self._letter, type)
        return self._of_patient(type) + self._beside_scopes(type)

    def in_full(self, type: str) -> bool:
        """Whether `kept` is all that limits the caller. Raises Forbidden."""
        return not self.scoped(type) and not self.checks(type)

    def sees_version(self, type: str, document: Document) -> bool:
        """Whether a version of the past is among what the caller may see. Raises Forbidden."""
        if not self.limited(type):
            return True
        resource = {} if document.get("json") is None else parse(document["json"])
        fields = document_fields(type, resource, self._outlook.base_url) if resource and self.scoped(type) else {}
        whole = {**document, **fields, "resource": resource}
        return all(holds(each, whole) for each in self.filters(type)) and all(
            check([whole]) for check in self.checks(type)
        )

    # ---- one document ------------------------------------------------------------------------------------------------

    def limited(self, type: str) -> bool:
        """Whether some records of a type are not seen. Raises Forbidden when none may be."""
        return bool(self.filters(type)) or bool(self.checks(type))

    def current(self, type: str, id: str) -> Document | None:
        """The live document of a record that the caller may see, or None. Raises Forbidden without a scope."""
        filters = self.scoped(type) + self._of_patient(type)
        if not filters:
            found = self._store.current(type, id, session=self._session)
        else:
            wanted = all_of([{"_id": id}, *filters])
            found = next(iter(self._store.currents(type, wanted, limit=1, session=self._session)), None)
        return found if found is not None and self.shown(type, [found]) else None

    def shown(self, type: str, documents: list[Document]) -> list[Document]:
        """Those of documents that were found without the filters on labels and consent which the caller may see.

        The labels come with a document: a filter on them would cost MongoDB its short way by `_id`. And of a few patients
        it is asked at once what is hidden, however many hide something.
        """
        unseen = self._unseen
        open = [each for each in documents if unseen.isdisjoint(each.get("l", ()))] if unseen else documents
        return self._open(type, open) if open and self._is_asked(type) else open

    def wanted(self, type: str, wanted: Filter) -> Filter:
        """A filter narrowed to what the caller may see."""
        return all_of([*self.filters(type), *([wanted] if wanted else [])])

    def establishes(self, document: Document) -> bool:
        """Whether a record says that the caller's facility treats the patient it is about."""
        places = self._places()
        return "n" not in document and any(each["f"] in places and "low" not in each for each in document.get("g", ()))


def places_of(store: Store, facility: str | None, session: Session = None) -> list[str]:
    """How records name a facility: by its code, and as the Organizations that carry it; kept for FACILITY_SECONDS."""
    if not facility:
        return []
    key = store.database_name, facility
    kept = _places.get(key)
    if kept is None or kept[0] < time.monotonic():
        wanted = {
            "x": f"identifier|{facility}",
            "resource.identifier": {"$elemMatch": {"system": FACILITY, "value": facility}},
        }
        found = store.bare("Organization", wanted, {}, limit=20, session=session)
        kept = time.monotonic() + FACILITY_SECONDS, [facility, *(f"Organization/{each['_id']}" for each in found)]
        _places[key] = kept
    return kept[1]


def _milliseconds() -> int:
    return int(now().timestamp() * 1000)
