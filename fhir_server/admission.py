"""What is asked of a version before it is written: that its writer may write such a record, of such a patient.

Only the writes of the door call this. An unlimited caller costs nothing here, nor a question to MongoDB.
"""

from __future__ import annotations

from . import r4
from .access import guard
from .access.context import AccessContext
from .access.declared import named_records, withdraws
from .errors import Forbidden, NotFound
from .resource.exact import parse
from .search.matching import holds
from .sight import Outlook, Sight
from .store.records import Document, Session, Store

NOTHING_CHANGED = "This caller may add records, and not change or delete any."


class Admission:
    """The checks of one store."""

    def __init__(self, store: Store, outlook: Outlook) -> None:
        self._store = store
        self._outlook = outlook

    def current(self, ctx: AccessContext, letter: str, type: str, id: str, session: Session) -> Document | None:
        """The document that is to be changed, None when there is none. Raises Forbidden, NotFound.

        A patient changes own statements only, and is told of nothing else whether it exists.
        """
        guard.require(ctx, letter, type)
        current: Document | None = self._store.current(type, id, session=session)
        self.require_known(ctx, letter, type, id, current, session)
        return current

    def require_known(
        self, ctx: AccessContext, letter: str, type: str, id: str, current: Document | None, session: Session
    ) -> None:
        """Raises NotFound for what the caller does not see, Forbidden for what a patient did not write."""
        if ctx.patient is not None and (letter != "u" or current is None or current.get("a") != ctx.patient):
            raise Forbidden(NOTHING_CHANGED)
        if current is None or guard.unlimited(ctx, letter, type):
            return
        sight = self._outlook.of(ctx, letter, session)
        if sight.limited(type) and sight.current(type, id) is None:
            raise NotFound(f"There is no {type} with the id '{id}'.")

    def require_withdrawal(self, ctx: AccessContext, current: Document | None, document: Document) -> None:
        """Raises Forbidden when a patient does anything but withdraw an own statement."""
        if ctx.patient is not None and (
            current is None or not withdraws(parse(current["json"]), parse(document["json"]))
        ):
            raise Forbidden("A patient may withdraw an own entry as entered in error, and not change it otherwise.")

    def admit(
        self, ctx: AccessContext, letter: str, written: dict[str, list[Document]], session: Session = None
    ) -> None:
        """Whether the caller may write these versions, `type -> documents`, together. Raises Forbidden."""
        if all(guard.unlimited(ctx, letter, type) for type in written):
            return
        sight = self._outlook.of(ctx, letter, session)
        for type, documents in written.items():
            scoped = sight.scoped(type)
            for each in documents:
                if not all(holds(wanted, each) for wanted in scoped):
                    raise Forbidden(f"No scope of this access token reaches such a {type}: it grants a part of them.")
        if ctx.patient is not None:
            self._require_own_records(ctx, written, session)
        if sight.narrowed:
            self._require_own_patients(sight, written)

    def _require_own_records(self, ctx: AccessContext, written: dict[str, list[Document]], session: Session) -> None:
        """What a patient's statement refers to is part of the same record: else it would tell whether it exists."""
        made = {(type, each["_id"]) for type, several in written.items() for each in several}
        for several in written.values():
            for document in several:
                for type, ids in named_records(document["json"], self._outlook.base_url).items():
                    asked = sorted(
                        id for id in ids if (type, id) not in made and (type, id) != ("Patient", ctx.patient)
                    )
                    if asked and not self._all_owned(type, asked, ctx, session):
                        raise Forbidden(
                            f"The resource refers to a {type} that is not part of the patient's own record."
                        )

    def _all_owned(self, type: str, ids: list[str], ctx: AccessContext, session: Session) -> bool:
        wanted = {"_id": {"$in": ids}, "o": ctx.patient}
        if type not in r4.RESOURCE_TYPES:
            return False
        if type in guard.DEFINITIONS:
            del wanted["o"]
        return len(self._store.bare(type, wanted, {}, session=session)) == len(ids)

    def _require_own_patients(self, sight: Sight, written: dict[str, list[Document]]) -> None:
        everything = [each for several in written.values() for each in several]
        treated = {each["o"] for each in everything if "o" in each and sight.establishes(each)}
        for type, documents in written.items():
            if type == "Organization":
                raise Forbidden("Which facilities there are is not for a facility to write.")
            others = [each for each in documents if each.get("o") not in treated]
            if type in guard.DIRECTORY or not others:
                continue
            checks = sight.checks(type)
            if not checks or any(len(check(others)) < len(others) for check in checks):
                raise Forbidden(f"This {type} is about nobody whom the caller's facility treats.")
