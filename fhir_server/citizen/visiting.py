"""What the pages of an opened card share: the session, the proof that a form is ours, and how a page is made."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import TYPE_CHECKING, Any

from flask import Response, g, make_response, redirect, render_template, request, url_for

from fhir_server.access import audit_record
from fhir_server.citizen import carers
from fhir_server.citizen.cards import is_merged_away
from fhir_server.citizen.drafts import keep_draft
from fhir_server.citizen.frame import SESSION_COOKIE, page_with_entry_token, problem_page, read_cookie, set_cookie
from fhir_server.citizen.record import read_person
from fhir_server.citizen.sessions import (
    Stage,
    advance,
    current_session,
    end_session,
    ended_session,
    form_token,
    form_token_matches,
    turn_to,
)
from fhir_server.translation import VIETNAM, now_here

if TYPE_CHECKING:
    from fhir_server.access.context import AccessContext
    from fhir_server.citizen.sessions import CitizenSession
    from fhir_server.config import Config
    from fhir_server.repository import Repository

View = Callable[[], Response]
# Where a session that is at an earlier step goes on.
STEPS = {"pin": "citizen.pin", "change": "citizen.change", "confirm": "citizen.confirm", "open": "citizen.record"}
NOT_FORM = frozenset({"form_token", "action", "switch"})


class Visiting:
    """The ground of all views: each a question to the repository in the name of the one patient of the session."""

    def __init__(self, repository: Repository, config: Config) -> None:
        self.repository = repository
        self.config = config

    def at(self, stage: Stage, view: View) -> View:
        """The view is reached by a session at this stage; another session goes on where it is, and none to the start."""

        @wraps(view)
        def guarded() -> Response:
            session = current_session(self.repository, self.secret)
            if session is None:
                return self.entry_page(401, self._why_again())
            if session.stage != stage:
                return see(url_for(STEPS[session.stage]))
            if stage != "pin" and is_merged_away(self.repository, session.patient, session.card):
                return self._refuse_merged(session)
            g.session = session
            if session.caring and session.person not in {each.patient for each in self.members()}:
                # What staff took back, or whose last day is over, ends in the midst of a session too.
                turn_to(self.repository, session, session.patient)
                return see(url_for("citizen.record", later=1))
            return view()

        return guarded

    def own_form(self, view: View) -> View:
        """A form is taken only when it was made by this browser's own page."""

        @wraps(view)
        def guarded() -> Response:
            if not form_token_matches(self.secret, request.form.get("form_token")):
                return problem_page(403, "foreign_form")
            return view()

        return guarded

    @property
    def secret(self) -> str | None:
        """What the browser's session cookie holds."""
        return read_cookie(self.config, SESSION_COOKIE)

    @property
    def session(self) -> CitizenSession:
        """The session of this request."""
        session: CitizenSession = g.session
        return session

    @property
    def context(self) -> AccessContext:
        """The caller of everything this request reads and writes."""
        return self.session.context

    def members(self) -> list[carers.Member]:
        """Whom the holder of the card cares for today."""
        session = self.session
        return carers.members(self.repository, session.patient, f"card:{session.card}", now_here().date())

    def page(self, template: str, status: int = 200, **values: Any) -> Response:
        """A page of the session; whose record it is stands on every one while it is somebody else's than the card's."""
        if self.session.stage == "open" and self.session.caring:
            values.setdefault("cared_for", read_person(self.repository, self.context).name)
        return make_response(render_template(template, form_token=form_token(self.secret or ""), **values), status)

    def entry_page(self, status: int = 200, message: str | None = None) -> Response:
        """The first page, where a card is shown."""
        return page_with_entry_token(self.config, "citizen/entry.html", status, message=message)

    def move_on(self, stage: Stage) -> Response:
        """The next step, under a new cookie."""
        response = see(url_for(STEPS[stage]))
        set_cookie(response, self.config, SESSION_COOKIE, advance(self.repository, self.secret, stage))
        return response

    def _refuse_merged(self, session: CitizenSession) -> Response:
        """Told only to whoever knew the PIN: for others such a card is like any."""
        audit_record.tried("card", f"card:{session.card}", patient=session.patient, outcome="merged")
        end_session(self.repository, self.secret)
        return self.entry_page(403, "entry.merged")

    def _why_again(self) -> str:
        """What the first page says to whom it was not asked for by."""
        if request.endpoint == "citizen.facility":
            return "entry.facility"
        return "entry.kept" if self._rescued() else "entry.ended"

    def _rescued(self) -> bool:
        """Whether what was typed before the session ended is kept for the next one."""
        if request.method != "POST" or not request.path.startswith("/c/declare"):
            return False
        session = ended_session(self.repository, self.secret)
        if session is None or not form_token_matches(self.secret, request.form.get("form_token")):
            return False
        keep_draft(self.repository, session, typed_form())
        return True


def typed_form() -> dict[str, str]:
    """The fields of the form that was sent, without those that only steer it."""
    return {name: value for name, value in request.form.items() if name not in NOT_FORM}


def see(address: str) -> Response:
    """Answer a form with a page that can be reloaded without sending the form again."""
    return make_response(redirect(address, 303))


def clock(moment: str | datetime) -> str:
    """A moment (an instant of FHIR, or a stored one) as the day and the time in Vietnam, in the page's language."""
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment.replace("Z", "+00:00"))
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return f"{aware.astimezone(VIETNAM):{'%H:%M, %d/%m/%Y' if g.language == 'vi' else '%Y-%m-%d %H:%M'}}"
