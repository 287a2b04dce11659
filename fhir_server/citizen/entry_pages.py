"""From the card to the record: the code, the PIN, another PIN than the printed one, and "is this you?"."""

from __future__ import annotations

from flask import Response, request, url_for

from fhir_server.citizen.attempts import WINDOW, return_attempt, spend_attempt
from fhir_server.citizen.cards import open_card
from fhir_server.citizen.frame import SESSION_COOKIE, entry_token_matches, forget_cookie, problem_page, set_cookie
from fhir_server.citizen.person import birth_day
from fhir_server.citizen.pins import WAIT, PinRefused, TooBusy, change_pin, must_change, try_pin
from fhir_server.citizen.record import read_person
from fhir_server.citizen.sessions import end_session, start_session
from fhir_server.citizen.visiting import Visiting, see

PIN_ANSWERS = {"wrong": (403, "pin.wrong"), "wait": (429, "pin.wait"), "locked": (403, "pin.locked")}


class EntryPages(Visiting):
    """The views up to the open record."""

    def entry(self) -> Response:
        return self.entry_page()

    def open(self) -> Response:
        if not entry_token_matches(self.config):
            return problem_page(403, "foreign_form")
        if not self._may_try():
            return self._too_many()
        card = open_card(self.repository, request.form.get("code", ""))
        if card is None:
            return self.entry_page(403, "entry.wrong")
        self._was_right()
        end_session(self.repository, self.secret)
        response = see(url_for("citizen.pin"))
        set_cookie(response, self.config, SESSION_COOKIE, start_session(self.repository, card, "pin"))
        return response

    def pin(self) -> Response:
        return self.page("citizen/pin.html")

    def check_pin(self) -> Response:
        if not self._may_try():
            return self._too_many()
        try:
            typed, patient = request.form.get("pin", ""), self.session.patient
            outcome = try_pin(self.repository, self.session.card, typed, patient=patient)
        except TooBusy:
            self._was_right()
            return self._asked_again(503, "pin.busy")
        if outcome != "right":
            return self._asked_again(*PIN_ANSWERS[outcome])
        self._was_right()
        return self.move_on("change" if must_change(self.repository, self.session.card) else "confirm")

    def change(self) -> Response:
        return self.page("citizen/change.html")

    def set_pin(self) -> Response:
        born = birth_day(read_person(self.repository, self.context))
        typed, again = request.form.get("pin", ""), request.form.get("again", "")
        try:
            change_pin(self.repository, self.session.card, typed, again, born)
        except PinRefused as refused:
            return self.page("citizen/change.html", 422, message=str(refused))
        return self.move_on("confirm")

    def confirm(self) -> Response:
        return self.page("citizen/confirm.html", person=read_person(self.repository, self.context))

    def confirmed(self) -> Response:
        return self.move_on("open") if request.form.get("me") == "yes" else self.leave()

    def leave(self) -> Response:
        end_session(self.repository, self.secret)
        response = see(url_for("citizen.entry"))
        forget_cookie(response, self.config, SESSION_COOKIE)
        # The browser forgets the pages it has shown, so that the back button has none.
        response.headers["Clear-Site-Data"] = '"cache"'
        return response

    def _asked_again(self, status: int, message: str) -> Response:
        response = self.page("citizen/pin.html", status, message=message)
        if status in (429, 503):
            response.headers["Retry-After"] = str(int(WAIT.total_seconds()) if status == 429 else 5)
        return response

    def _may_try(self) -> bool:
        return spend_attempt(self.repository, request.remote_addr or "")

    def _was_right(self) -> None:
        return_attempt(self.repository, request.remote_addr or "")

    def _too_many(self) -> Response:
        response = self.entry_page(429, "entry.too_many")
        response.headers["Retry-After"] = str(int(WINDOW.total_seconds()))
        return response
